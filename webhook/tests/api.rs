//! What the webhook writes into the cluster, against an API server of a few lines: two replicas, one certificate; a
//! registration that is mended; a lease that is renewed.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use common::{NAME, authority, material, start, triple};
use kube::{Client, Config};
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

/// Objects by path, each with the resourceVersion of its last write. Writes are checked as an API server checks them.
#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    writes: u64,
    /// Refuse everything.
    refusing: bool,
}

impl Store {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if self.refusing {
            return refusal(403);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match *method {
            Method::GET => self
                .objects
                .get(path)
                .map_or_else(|| refusal(404), |object| (200, object.clone())),
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    refusal(409)
                } else {
                    self.write(&path, body)
                }
            }
            Method::PUT | Method::PATCH => {
                let Some(stored) = self.objects.get(path) else {
                    return refusal(404);
                };
                if stored["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                    return refusal(409);
                }
                let mut new = stored.clone();
                if method == Method::PUT {
                    new = body;
                } else {
                    json_patch::merge(&mut new, &body);
                }
                self.write(path, new)
            }
            _ => refusal(405),
        }
    }

    fn write(&mut self, path: &str, mut object: Value) -> (u16, Value) {
        self.writes += 1;
        object["metadata"]["resourceVersion"] = self.writes.to_string().into();
        self.objects.insert(path.into(), object.clone());
        (200, object)
    }
}

fn refusal(code: u16) -> (u16, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "MethodNotAllowed",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (code, status)
}

type Shared = web::Data<Mutex<Store>>;

async fn answer(request: HttpRequest, body: web::Bytes, store: Shared) -> HttpResponse {
    let (code, object) = store
        .lock()
        .unwrap()
        .answer(request.method(), request.path(), &body);
    HttpResponse::build(code.try_into().unwrap()).json(object)
}

/// Starts the API server, and a way to call it.
fn api_server() -> (Shared, Calls) {
    let store = Shared::default();
    let shared = store.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .default_service(web::to(answer))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let uri = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    let client = Client::try_from(Config::new(uri.parse().unwrap())).unwrap();
    (store, Calls::new(client, &options(&[]).cluster))
}

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
