//! The server on a loopback port: chains, swapped certificates, and peers that waste its time.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use podfit_cluster::api::time::now;
use podfit_cluster::index::SharedIndex;
use podfit_core::feature_gates::FeatureGates;
use podfit_webhook::admission::Webhook;
use podfit_webhook::certificates::authority::{
    KeyedCertificate, new_authority, new_server_certificate,
};
use podfit_webhook::certificates::files::CertificateFiles;
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::material::{Material, PemTriple, roots};
use podfit_webhook::metrics::Metrics;
use podfit_webhook::probe::Probe;
use podfit_webhook::tls::MinTlsVersion;
use podfit_webhook::upkeep::{Certificates, Source};
use podfit_webhook::{server, tls};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

const NAME: &str = "hook.podfit.svc";
const DAY: Duration = Duration::from_hours(24);

fn triple(authority: &KeyedCertificate) -> PemTriple {
    let leaf = new_server_certificate(authority, &[NAME.into()], now(), DAY).unwrap();
    PemTriple {
        ca_bundle: authority.certificate.clone(),
        certificate: leaf.certificate,
        key: leaf.key,
    }
}

fn material(triple: PemTriple) -> Arc<Material> {
    Arc::new(Material::check(triple, &tls::provider(""), now()).unwrap())
}

fn authority() -> KeyedCertificate {
    new_authority(now(), DAY * 9).unwrap()
}

/// A running server that shows what `live` holds.
struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    webhook: web::Data<Webhook>,
}

fn start(live: &Arc<Live>) -> Running {
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let webhook = web::Data::new(Webhook::new(
        SharedIndex::default(),
        metrics,
        FeatureGates::default(),
    ));
    let listener = server::listen(Some([127, 0, 0, 1].into()), 0).unwrap();
    let address = listener.local_addr().unwrap();
    let config =
        tls::server_config(tls::provider(""), MinTlsVersion::Tls12, Arc::clone(live)).unwrap();
    let server = server::serve(listener, config, webhook.clone()).unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Running {
        address,
        handle,
        webhook,
    }
}

/// A connection that trusts `ca_bundle`, kept open between requests.
struct Caller(StreamOwned<ClientConnection, TcpStream>);

impl Caller {
    fn connect(address: SocketAddr, ca_bundle: &str) -> Self {
        let config = ClientConfig::builder_with_provider(tls::provider(""))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(ca_bundle, now()).unwrap())
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), NAME.try_into().unwrap()).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(StreamOwned::new(connection, stream))
    }

    /// Sends a request and returns the head of the answer with what came along of its body.
    fn post(&mut self, body: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // A server that has answered early may close before it has read everything.
        let _ = self
            .0
            .write_all(head.as_bytes())
            .and_then(|()| self.0.write_all(body.as_bytes()))
            .and_then(|()| self.0.flush());
        let mut buffer = [0; 8192];
        let length = self.0.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

const REVIEW: &str =
    r#"{"request": {"uid": "u", "resource": {"group": "", "version": "v1", "resource": "pods"}}}"#;

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
        running
            .webhook
            .metrics
            .pods
            .with_label_values(&["false"])
            .get(),
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

/// Peers that never finish a handshake or a request, idle connections, and a body too large: the next is still answered.
#[actix_web::test]
async fn peers_that_waste_time_do_not_stop_others() {
    let live = Arc::new(Live::default());
    let running = start(&live);
    let good = material(triple(&authority()));
    live.replace(Arc::clone(&good));
    let (address, bundle) = (running.address, good.source.ca_bundle.clone());
    let held = web::block(move || {
        let silent: Vec<_> = (0..600).map(|_| TcpStream::connect(address).unwrap()).collect();
        let idle: Vec<_> = (0..50)
            .map(|_| {
                let mut caller = Caller::connect(address, &bundle);
                assert!(caller.post(REVIEW).starts_with("HTTP/1.1 200"));
                caller
            })
            .collect();
        let mut slow = Caller::connect(address, &bundle);
        slow.0.write_all(b"POST / HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{").unwrap();
        slow.0.flush().unwrap();
        let large = Caller::connect(address, &bundle).post(&"x".repeat((5 << 20) + 1));
        assert!(large.starts_with("HTTP/1.1 413"), "{large}");
        (silent, idle, slow)
    })
    .await
    .unwrap();
    Probe::new(address, NAME).check(&good).await.unwrap();
    drop(held);
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

/// Files replaced by bad ones and then by good ones: the old pair holds meanwhile.
#[actix_web::test]
async fn files_are_reloaded_by_content_and_only_when_they_are_good() {
    let folder = std::env::temp_dir().join(format!("podfit-webhook-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = CertificateFiles {
        client_ca: folder.join("ca"),
        certificate: folder.join("cert"),
        key: folder.join("key"),
    };
    let write = |triple: &PemTriple| {
        std::fs::write(&files.client_ca, &triple.ca_bundle).unwrap();
        std::fs::write(&files.certificate, &triple.certificate).unwrap();
        std::fs::write(&files.key, &triple.key).unwrap();
    };
    let live = Arc::new(Live::default());
    let gauge = prometheus::Gauge::new("days", "Days.").unwrap();
    let mut certificates = Certificates::new(
        Source::Files(files.clone()),
        tls::provider(""),
        Arc::clone(&live),
        gauge.clone(),
    );
    certificates.refresh(now()).await;
    assert!(live.current().is_none(), "no file is there yet");
    let (first, second) = (triple(&authority()), triple(&authority()));
    write(&first);
    certificates.refresh(now()).await;
    assert_eq!(live.current().unwrap().source, first);
    assert!((0.9..1.1).contains(&gauge.get()), "{} days", gauge.get());
    let half_written = PemTriple {
        certificate: second.certificate[..99].into(),
        ..second.clone()
    };
    let mixed = PemTriple {
        key: first.key.clone(),
        ..second.clone()
    };
    for bad in [half_written, mixed] {
        write(&bad);
        certificates.refresh(now()).await;
        assert_eq!(live.current().unwrap().source, first);
    }
    std::fs::remove_file(&files.key).unwrap();
    certificates.refresh(now()).await;
    assert_eq!(live.current().unwrap().source, first);
    write(&second);
    certificates.refresh(now()).await;
    assert_eq!(live.current().unwrap().source, second);
    std::fs::remove_dir_all(&folder).unwrap();
}
