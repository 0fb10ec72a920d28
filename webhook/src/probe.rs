//! A real question to our own TLS port, to know that what the API server will send gets an answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use kube::{Client, Config};
use podfit_cluster::api::time;
use serde_json::{Value, json};

use crate::certificates::material::{self, BadMaterial, Material};

/// Longer than an answer ever takes, and well within a lease's life.
const TIMEOUT: Duration = Duration::from_secs(3);

const UID: &str = "podfit-self-probe";

/// Asks the server at `address`.
#[derive(Clone, Debug)]
pub struct Probe {
    address: SocketAddr,
    server_name: String,
    review: Vec<u8>,
}

/// Why the server counts as not answering.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The CA bundle in force.
    #[error(transparent)]
    Material(#[from] BadMaterial),
    /// Connection, handshake, verification or HTTP.
    #[error("{}", podfit_cluster::calls::explain(.0))]
    Call(Box<kube::Error>),
    /// The request could not be built.
    #[error("cannot build the request: {0}")]
    Request(#[from] http::Error),
    /// No answer.
    #[error("no answer within {TIMEOUT:?}")]
    TimedOut,
    /// An answer that an API server would not take.
    #[error("unexpected answer: {0}")]
    Answer(Value),
}

impl Probe {
    /// Of the server that listens on `listening`, whose certificate must be for `server_name`.
    pub fn new(listening: SocketAddr, server_name: &str) -> Self {
        // An address that stands for all is reached by loopback.
        let ip = match listening.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": UID, "operation": "CREATE", "namespace": "default",
                // Nothing is stored, so it does not count as an admitted pod.
                "dryRun": true,
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "object": {"metadata": {"generateName": "podfit-self-probe-"}, "spec": {"containers": []}},
            }
        });
        Self {
            address: SocketAddr::new(ip, listening.port()),
            server_name: server_name.into(),
            review: review.to_string().into_bytes(),
        }
    }

    /// Ok when the server answers as an API server expects, over TLS that verifies against the CA bundle in force.
    pub async fn check(&self, in_force: &Material) -> Result<(), ProbeError> {
        self.check_against(&in_force.source.ca_bundle).await
    }

    /// The same against a CA bundle (PEM).
    pub async fn check_against(&self, ca_bundle: &str) -> Result<(), ProbeError> {
        let answer = tokio::time::timeout(TIMEOUT, self.ask(ca_bundle))
            .await
            .map_err(|_| ProbeError::TimedOut)??;
        if answer["response"] == json!({"uid": UID, "allowed": true}) {
            Ok(())
        } else {
            Err(ProbeError::Answer(answer))
        }
    }

    async fn ask(&self, ca_bundle: &str) -> Result<Value, ProbeError> {
        let call = |error| ProbeError::Call(Box::new(error));
        let uri: http::Uri = format!("https://{}", self.address)
            .parse()
            .map_err(http::Error::from)?;
        let mut config = Config::new(uri);
        let bundle = material::authorities(ca_bundle, time::now())?;
        config.root_cert = Some(bundle.into_iter().map(|der| der.to_vec()).collect());
        config.tls_server_name = Some(self.server_name.clone());
        config.default_retry = false;
        // A new client each time: the point is a new handshake, with the certificate of this moment.
        let client = Client::try_from(config).map_err(call)?;
        let request = http::Request::post("/")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(self.review.clone())?;
        client.request(request).await.map_err(call)
    }
}
