//! Asks our own server what the API server would ask: over TLS, under the name and the CA that it is registered with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use kube::{Client, Config};
use podfit_cluster::calls::explain;
use serde_json::{Value, json};

use crate::certificates::material::{BadMaterial, Material, certificates};

/// How long one question may take; the API server waits about as long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where we listen, and the name under which the API server asks.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where the server listens.
    pub socket: SocketAddr,
    /// A name of the certificate.
    pub name: String,
}

/// Why a probe failed: the API server would fail as well.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The CA bundle cannot be used.
    #[error(transparent)]
    Material(#[from] BadMaterial),
    /// The question could not be put together.
    #[error("cannot make a request: {0}")]
    Request(String),
    /// No connection, a certificate that does not verify, or a status other than 200.
    #[error("{0}")]
    Call(String),
    /// Nothing came.
    #[error("no answer within {PATIENCE:?}")]
    TimedOut,
    /// Something else came.
    #[error("the answer is not the expected one: {0}")]
    Answer(Value),
}

impl Probe {
    /// Asks about a pod that no VPA controls. Good when the answer is that it may be created.
    pub async fn ask(&self, material: &Material) -> Result<(), ProbeError> {
        let uri = format!("https://{}/", self.target());
        let uri: http::Uri = uri
            .parse()
            .map_err(|e: http::uri::InvalidUri| ProbeError::Request(e.to_string()))?;
        let mut config = Config::new(uri.clone());
        config.tls_server_name = Some(self.name.clone());
        let roots = certificates(&material.source.ca_bundle, "CA bundle")?;
        config.root_cert = Some(roots.iter().map(|der| der.to_vec()).collect());
        config.default_retry = false;
        // A client for one request, so that each probe makes a handshake with the certificate now in force.
        let client = Client::try_from(config).map_err(|e| ProbeError::Request(explain(&e)))?;
        let request = http::Request::post("/")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(question().to_string().into_bytes())
            .map_err(|e| ProbeError::Request(e.to_string()))?;
        let answer = tokio::time::timeout(PATIENCE, client.request::<Value>(request))
            .await
            .map_err(|_| ProbeError::TimedOut)?
            .map_err(|e| ProbeError::Call(explain(&e)))?;
        let response = &answer["response"];
        if response["allowed"] == true && response["uid"] == UID {
            Ok(())
        } else {
            Err(ProbeError::Answer(answer))
        }
    }

    /// The own socket, seen from this machine.
    fn target(&self) -> SocketAddr {
        let ip = match self.socket.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.socket.port())
    }
}

const UID: &str = "podfit-webhook-self-probe";

/// A dry run, so that it does not count as a pod in the metrics.
fn question() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "kube-system",
            "dryRun": true,
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": UID}, "spec": {"containers": []}}
        }
    })
}
