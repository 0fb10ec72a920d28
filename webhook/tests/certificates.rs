//! Certificates that change: bad ones are told and left, good ones come into force and become known to the API server.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::files::Mount;
use common::log::Log;
use common::{DAY, NAME, authority, triple};
use podfit_cluster::api::time::now;
use podfit_webhook::certificates::authority::new_server_certificate;
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::material::PemTriple;
use podfit_webhook::tls;
use podfit_webhook::upkeep::certificates::{Certificates, Source};

/// Contents that cannot be served, with a word of what is told of them. `good` is in force when they come.
fn bad_contents(good: &PemTriple) -> Vec<(&'static str, PemTriple, &'static str)> {
    let ca = authority();
    let other = triple(&ca);
    let at = |when, life| {
        let leaf = new_server_certificate(&ca, &[NAME.into()], when, life).unwrap();
        PemTriple {
            ca_bundle: ca.certificate.clone(),
            certificate: leaf.certificate,
            key: leaf.key,
        }
    };
    let with = |change: fn(&mut PemTriple, &PemTriple)| {
        let mut changed = other.clone();
        change(&mut changed, good);
        changed
    };
    vec![
        ("expired", at(now() - DAY * 2, DAY), "expired"),
        ("not yet valid", at(now() + DAY, DAY), "not valid yet"),
        (
            "of another key",
            with(|t, good| t.key.clone_from(&good.key)),
            "does not fit the certificate",
        ),
        (
            "of another CA",
            with(|t, good| t.ca_bundle.clone_from(&good.ca_bundle)),
            "does not verify",
        ),
        (
            "certificate half written",
            with(|t, _| t.certificate.truncate(99)),
            "not complete PEM",
        ),
        (
            "key half written",
            with(|t, _| t.key.truncate(60)),
            "not complete PEM",
        ),
        (
            "CA half written",
            with(|t, _| t.ca_bundle.truncate(99)),
            "not complete PEM",
        ),
        (
            "certificate still empty",
            with(|t, _| t.certificate.clear()),
            "holds no certificate",
        ),
        (
            "key still empty",
            with(|t, _| t.key.clear()),
            "not complete PEM",
        ),
        (
            "CA still empty",
            with(|t, _| t.ca_bundle.clear()),
            "holds no certificate",
        ),
        (
            "no certificate at all",
            with(|t, _| t.certificate = "hello".into()),
            "holds no certificate",
        ),
    ]
}

#[actix_web::test]
async fn the_old_pair_holds_until_there_is_a_good_new_one() {
    let (mount, log) = (Mount::new("files"), Log::default());
    let _listening = log.listen();
    let live = Arc::new(Live::default());
    let gauge = prometheus::Gauge::new("days", "Days.").unwrap();
    let mut certificates = Certificates::new(
        Source::Files(mount.files()),
        tls::provider(""),
        Arc::clone(&live),
        gauge.clone(),
    );
    certificates.refresh(now()).await;
    assert!(live.current().is_none() && log.take().contains("cannot read"));

    let good = triple(&authority());
    mount.write(&good);
    certificates.refresh(now()).await;
    assert_eq!(live.current().unwrap().source, good);
    assert!((0.9..1.1).contains(&gauge.get()), "{} days", gauge.get());
    assert!(log.take().contains("serving with a certificate"));

    for (name, bad, word) in bad_contents(&good) {
        mount.write(&bad);
        for told in [true, false] {
            certificates.refresh(now()).await;
            assert_eq!(live.current().unwrap().source, good, "{name}");
            let log = log.take();
            let says = log.contains("the old one stays in force") && log.contains(word);
            assert_eq!(says, told, "{name}, told once: {log}");
        }
    }
    std::fs::remove_file(mount.files().key).unwrap();
    certificates.refresh(now()).await;
    assert_eq!(live.current().unwrap().source, good);
    assert!(log.take().contains("cannot read"));

    // The same CA, then another one: upstream's words for each.
    let ca = authority();
    for (new, words) in [
        (
            triple(&ca),
            [
                "New client CA found, reloading and patching webhook",
                "New certificate found, reloading",
            ]
            .as_slice(),
        ),
        (triple(&ca), &["New certificate found, reloading"]),
    ] {
        mount.write(&new);
        certificates.refresh(now()).await;
        assert_eq!(live.current().unwrap().source, new);
        let log = log.take();
        assert_eq!(log.lines().count(), words.len(), "{log}");
        assert!(words.iter().all(|word| log.contains(word)), "{log}");
    }
    certificates.refresh(now() + Duration::from_hours(48)).await;
    assert!(
        (-1.1..-0.9).contains(&gauge.get()),
        "expired {} days ago",
        -gauge.get()
    );
}
