//! What the webhook writes into the cluster, against an API server of a few lines: two replicas, one certificate; a
//! registration that is mended; a lease that is renewed.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use common::api_server::{Shared, api_server};
use common::files::Mount;
use common::log::Log;
use common::{NAME, authority, material, start, triple};
use podfit_cluster::admin::Health;
use podfit_cluster::api::time::{self, now};
use podfit_cluster::calls::Calls;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::rotation::{Rotation, Schedule};
use podfit_webhook::certificates::secret::SharedSecret;
use podfit_webhook::lease::StatusLease;
use podfit_webhook::options::Options;
use podfit_webhook::probe::Probe;
use podfit_webhook::tls;
use podfit_webhook::upkeep::certificates::{Certificates, Source};
use podfit_webhook::upkeep::registrar::Registrar;
use podfit_webhook::upkeep::sign_of_life::{Proof, SignOfLife};
use serde_json::{Value, json};
use tokio::sync::watch;

const SECRET: &str = "/api/v1/namespaces/podfit/secrets/hook-tls";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/podfit/leases/alive";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/vpa-webhook-config";

fn options(flags: &[&str]) -> Options {
    Options::parse_from([&["podfit-webhook"], flags].concat())
}

fn replica(calls: &Calls) -> SharedSecret {
    SharedSecret {
        calls: calls.clone(),
        namespace: "podfit".into(),
        name: "hook-tls".into(),
        rotation: Rotation {
            names: vec!["hook.podfit.svc".into()],
            schedule: Schedule::default(),
            provider: tls::provider(""),
        },
    }
}

#[actix_web::test]
async fn replicas_that_start_at_once_share_one_certificate() {
    let (store, calls) = api_server();
    let replicas: Vec<_> = (0..6).map(|_| replica(&calls)).collect();
    let read =
        futures::future::join_all(replicas.iter().map(|replica| replica.read("", now()))).await;
    let first = read[0].as_ref().unwrap();
    assert!(read.iter().all(|triple| triple.as_ref().unwrap() == first));
    assert_eq!(store.lock().unwrap().writes, 1);
}

#[actix_web::test]
async fn an_empty_or_garbled_secret_is_filled_and_an_expiring_one_renewed() {
    let (store, calls) = api_server();
    let replica = replica(&calls);
    let meta = json!({"name": "hook-tls", "labels": {"app": "podfit"}});
    let empty = json!({"metadata": meta, "type": "Opaque"});
    let garbled = json!({"metadata": meta, "data": {"ca.crt": "eA==", "ca.key": "eA==", "tls.crt": "eA==", "tls.key": "eA==", "more": "eA=="}});
    for content in [empty, garbled] {
        store.lock().unwrap().write(SECRET, content.clone());
        let made = replica.read("", now()).await.unwrap();
        let stored = store.lock().unwrap().objects[SECRET].clone();
        assert_eq!(
            stored["data"]["tls.crt"],
            STANDARD.encode(&made.certificate)
        );
        assert_eq!(
            (&stored["metadata"]["labels"], &stored["type"]),
            (&meta["labels"], &content["type"])
        );
        assert_eq!(
            stored["data"]["more"], content["data"]["more"],
            "what others keep there stays"
        );
    }
    let writes = store.lock().unwrap().writes;
    let made = replica.read("", now()).await.unwrap();
    assert_eq!(
        store.lock().unwrap().writes,
        writes,
        "a good one is only read"
    );
    let renewed = replica
        .read("", now() + Duration::from_hours(24 * 61))
        .await
        .unwrap();
    assert_ne!(renewed.certificate, made.certificate);
    assert_eq!(renewed.ca_bundle, made.ca_bundle);
}

#[actix_web::test]
async fn the_registration_is_made_once_and_mended_when_somebody_breaks_it() {
    let (store, calls) = api_server();
    let registration = options(&["--ignored-vpa-object-namespaces=kube-system"])
        .registration()
        .unwrap()
        .unwrap();
    let writes = || store.lock().unwrap().writes;
    for _ in 0..2 {
        registration.ensure(&calls, "CA").await.unwrap();
        assert_eq!(writes(), 1);
    }
    registration.ensure(&calls, "NEW").await.unwrap();
    let webhook =
        |store: &Shared| store.lock().unwrap().objects[CONFIGURATION]["webhooks"][0].clone();
    assert_eq!(
        webhook(&store)["clientConfig"]["caBundle"],
        STANDARD.encode("NEW")
    );
    let good = webhook(&store);
    store
        .lock()
        .unwrap()
        .objects
        .get_mut(CONFIGURATION)
        .unwrap()["webhooks"][0]["failurePolicy"] = "Fail".into();
    registration.ensure(&calls, "NEW").await.unwrap();
    assert_eq!(webhook(&store), good);
    assert_eq!(writes(), 3);
    store.lock().unwrap().objects.clear();
    registration.ensure(&calls, "NEW").await.unwrap();
    assert_eq!(webhook(&store), good, "a deleted one is made again");
}

#[actix_web::test]
async fn the_status_lease_has_a_renew_time_from_the_start() {
    let (store, calls) = api_server();
    let lease = |holder: &str| StatusLease {
        calls: calls.clone(),
        namespace: "podfit".into(),
        name: "alive".into(),
        holder: holder.into(),
        duration: Duration::from_secs(10),
    };
    let spec = |field: &str| store.lock().unwrap().objects[LEASE]["spec"][field].clone();
    let before = now();
    lease("a").renew().await.unwrap();
    let first = time::parse(spec("renewTime").as_str().unwrap()).unwrap();
    assert!((before..=now()).contains(&first));
    assert_eq!(
        (spec("holderIdentity"), spec("leaseDurationSeconds")),
        (json!("a"), json!(10))
    );
    lease("b").renew().await.unwrap();
    assert!(time::parse(spec("renewTime").as_str().unwrap()).unwrap() >= first);
    assert_eq!(spec("holderIdentity"), "b");
    // All at once: some lose the race, and none of them minds.
    let replicas: Vec<_> = ["c", "d", "e", "f"].map(lease).into();
    let renewed = futures::future::join_all(replicas.iter().map(StatusLease::renew)).await;
    assert!(renewed.iter().all(Result::is_ok), "{renewed:?}");
}

/// The Secret is emptied, as after a leak: the new CA joins the old one in the registration. While the API server does not
/// know the CA in force, nobody is told that it does.
#[actix_web::test]
async fn a_new_ca_is_registered_beside_the_old_one() {
    let (store, calls) = api_server();
    let live = Arc::new(Live::default());
    let (registered, known) = watch::channel(false);
    let mut registrar = Registrar {
        certificates: Certificates::new(
            Source::Secret(Box::new(replica(&calls))),
            tls::provider(""),
            Arc::clone(&live),
            prometheus::Gauge::new("days", "Days.").unwrap(),
        ),
        registration: options(&[]).registration().unwrap(),
        calls,
        registered,
        other_vpa: OtherVpa::never(),
    };
    let in_configuration = || {
        let store = store.lock().unwrap();
        let webhook = &store.objects[CONFIGURATION]["webhooks"][0];
        let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap();
        String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap()
    };
    registrar.certificates.first().await;
    registrar.register().await.unwrap();
    let old = live.current().unwrap().source.ca_bundle.clone();
    assert_eq!((in_configuration(), *known.borrow()), (old.clone(), true));

    store.lock().unwrap().objects.get_mut(SECRET).unwrap()["data"] = json!({});
    registrar.certificates.refresh(now()).await;
    store.lock().unwrap().refusing = true;
    registrar.register().await.unwrap_err();
    assert!(!*known.borrow(), "the API server does not know the new CA");
    store.lock().unwrap().refusing = false;
    registrar.register().await.unwrap();
    let both = in_configuration();
    assert!(both.contains(&old) && both.len() > old.len() && *known.borrow());
    assert_eq!(both, live.current().unwrap().source.ca_bundle);
}

/// A mounted Secret whose CA is replaced, as cert-manager does: the new CA is written into the configuration, in upstream's words,
/// and nothing else of it is touched.
#[actix_web::test]
async fn a_new_ca_in_files_is_patched_into_the_configuration() {
    let (store, calls) = api_server();
    let (mount, log) = (Mount::new("registered"), Log::default());
    let _listening = log.listen();
    let (registered, known) = watch::channel(false);
    let mut registrar = Registrar {
        certificates: Certificates::new(
            Source::Files(mount.files()),
            tls::provider(""),
            Arc::new(Live::default()),
            prometheus::Gauge::new("days", "Days.").unwrap(),
        ),
        registration: options(&[]).registration().unwrap(),
        calls,
        registered,
        other_vpa: OtherVpa::never(),
    };
    let configuration = || store.lock().unwrap().objects[CONFIGURATION].clone();
    let (old, new) = (triple(&authority()), triple(&authority()));
    mount.write(&old);
    registrar.certificates.refresh(now()).await;
    registrar.register().await.unwrap();
    let mut before = configuration();
    let bundle = |object: &mut Value| object["webhooks"][0]["clientConfig"]["caBundle"].take();
    assert_eq!(bundle(&mut before), STANDARD.encode(&old.ca_bundle));
    log.take();

    mount.write(&new);
    for words in [
        [
            "New client CA found, reloading and patching webhook",
            "New certificate found, reloading",
            "Successfully patched webhook with new client CA",
        ]
        .as_slice(),
        // Looked at again: nothing is new.
        &[],
    ] {
        registrar.certificates.refresh(now()).await;
        registrar.register().await.unwrap();
        let log = log.take();
        let said: Vec<_> = log.lines().collect();
        let in_order = said
            .iter()
            .zip(words)
            .all(|(line, word)| line.contains(word));
        assert!(in_order && said.len() == words.len(), "{log}");
        let mut after = configuration();
        assert_eq!(bundle(&mut after), STANDARD.encode(&new.ca_bundle));
        assert!(*known.borrow());
        for object in [&mut before, &mut after] {
            object["metadata"]["resourceVersion"].take();
        }
        assert_eq!(after, before, "more than the CA was changed");
    }
    assert_eq!(store.lock().unwrap().writes, 2);
}

/// The updater evicts only while the lease is renewed, so it must not be when a caller could not be served.
#[actix_web::test]
async fn the_lease_is_renewed_only_by_a_webhook_that_answers() {
    let (store, calls) = api_server();
    let good = material(triple(&authority()));
    let shown = Arc::new(Live::default());
    shown.replace(Arc::clone(&good));
    let running = start(&shown);
    let trusted = Arc::new(Live::default());
    trusted.replace(Arc::clone(&good));
    let (registered, known) = watch::channel(false);
    let (_stop, shutdown) = watch::channel(false);
    let lease = StatusLease {
        calls,
        namespace: "podfit".into(),
        name: "alive".into(),
        holder: "a".into(),
        duration: Duration::from_secs(10),
    };
    let proof = Proof {
        probe: Probe::new(running.address, NAME),
        live: Arc::clone(&trusted),
        registered: known,
        other_vpa: OtherVpa::never(),
    };
    let health = Health::new(Duration::from_mins(1));
    let mut life = SignOfLife::new(lease, proof, health.clone());
    let writes = || store.lock().unwrap().writes;

    life.beat(&shutdown).await;
    assert_eq!(writes(), 0, "the API server does not know the certificate");
    registered.send_replace(true);
    life.beat(&shutdown).await;
    assert_eq!((writes(), health.is_ready()), (1, true));
    // The server shows what no caller trusts.
    shown.replace(material(triple(&authority())));
    for ready in [true, true, false, false] {
        life.beat(&shutdown).await;
        assert_eq!((writes(), health.is_ready()), (1, ready));
    }
    shown.replace(good);
    life.beat(&shutdown).await;
    assert_eq!((writes(), health.is_ready()), (2, true), "at once");
    running.handle.stop(false).await;
    life.beat(&shutdown).await;
    assert_eq!(writes(), 2, "nobody listens");
}
