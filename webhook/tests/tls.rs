//! The server on a loopback port: chains, certificates swapped under open connections, and its end.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use actix_web::web;
use common::{Caller, NAME, REVIEW, authority, material, start, triple};
use podfit_webhook::certificates::live::Live;
use podfit_webhook::probe::Probe;

#[actix_web::test]
async fn the_probe_verifies_chain_and_name() {
    let live = Arc::new(Live::default());
    let running = start(&live);
    let first = material(triple(&authority()));
    let probe = Probe::new(running.address, NAME);
    probe
        .check(&first)
        .await
        .expect_err("there is no certificate yet");
    live.replace(Arc::clone(&first));
    probe.check(&first).await.unwrap();
    let error = Probe::new(running.address, "other.podfit.svc")
        .check(&first)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not valid for name"), "{error}");
    let stranger = material(triple(&authority()));
    probe
        .check(&stranger)
        .await
        .expect_err("another CA signed the certificate");
    assert_eq!(
        running.webhook.metrics.pods(false).get(),
        0,
        "probes are no pods"
    );
    running.handle.stop(false).await;
}

#[actix_web::test]
async fn a_certificate_is_swapped_under_open_connections() {
    let live = Arc::new(Live::default());
    let running = start(&live);
    let (old, new) = (
        material(triple(&authority())),
        material(triple(&authority())),
    );
    live.replace(Arc::clone(&old));
    let (address, bundle) = (running.address, old.source.ca_bundle.clone());
    let mut caller = web::block(move || {
        let mut caller = Caller::connect(address, &bundle);
        assert!(caller.post(REVIEW).starts_with("HTTP/1.1 200"));
        caller
    })
    .await
    .unwrap();
    live.replace(Arc::clone(&new));
    let probe = Probe::new(address, NAME);
    probe.check(&new).await.unwrap();
    probe
        .check(&old)
        .await
        .expect_err("new handshakes show the new certificate");
    let answer = web::block(move || caller.post(REVIEW)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "the old connection lives on: {answer}"
    );
    running.handle.stop(false).await;
}

#[actix_web::test]
async fn a_draining_server_answers_and_closes() {
    let live = Arc::new(Live::default());
    let running = start(&live);
    let good = material(triple(&authority()));
    live.replace(Arc::clone(&good));
    running.webhook.drain();
    let (address, bundle) = (running.address, good.source.ca_bundle.clone());
    let answer = web::block(move || Caller::connect(address, &bundle).post(REVIEW))
        .await
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    running.handle.stop(true).await;
    Probe::new(address, NAME)
        .check(&good)
        .await
        .expect_err("nobody listens any more");
}
