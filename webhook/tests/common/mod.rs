//! A server on a loopback port with certificates of its own, and a client for it.

// Each test file uses its part of this, and functions here are called by tests only; clippy knows that of `#[test]`
// functions alone.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod api_server;
pub mod files;
pub mod log;
pub mod reviews;

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
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::material::{Material, PemTriple, roots};
use podfit_webhook::metrics::Metrics;
use podfit_webhook::tls::MinTlsVersion;
use podfit_webhook::{server, tls};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

pub const NAME: &str = "hook.podfit.svc";
pub const DAY: Duration = Duration::from_hours(24);

pub fn triple(authority: &KeyedCertificate) -> PemTriple {
    let leaf = new_server_certificate(authority, &[NAME.into()], now(), DAY).unwrap();
    PemTriple {
        ca_bundle: authority.certificate.clone(),
        certificate: leaf.certificate,
        key: leaf.key,
    }
}

pub fn material(triple: PemTriple) -> Arc<Material> {
    Arc::new(Material::check(triple, &tls::provider(""), now()).unwrap())
}

pub fn authority() -> KeyedCertificate {
    new_authority(now(), DAY * 9).unwrap()
}

/// A running server that shows what `live` holds.
pub struct Running {
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub webhook: web::Data<Webhook>,
}

pub fn start(live: &Arc<Live>) -> Running {
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

/// Trusts `ca_bundle`, and resumes sessions.
pub fn client(ca_bundle: &str) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(tls::provider(""))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(ca_bundle, now()).unwrap())
        .with_no_client_auth();
    Arc::new(config)
}

/// A connection that trusts `ca_bundle`, kept open between requests.
pub struct Caller(pub StreamOwned<ClientConnection, TcpStream>);

impl Caller {
    pub fn connect(address: SocketAddr, ca_bundle: &str) -> Self {
        Self::open(address, &client(ca_bundle))
    }

    pub fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let name = NAME.try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        Self(stream)
    }

    /// Sends a request and returns the head of the answer with what came along of its body.
    pub fn post(&mut self, body: &str) -> String {
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

pub const REVIEW: &str =
    r#"{"request": {"uid": "u", "resource": {"group": "", "version": "v1", "resource": "pods"}}}"#;
