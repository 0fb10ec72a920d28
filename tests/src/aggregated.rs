//! An aggregated API whose answers a test or a benchmark makes up: what a vendor's metrics adapter is to the API server.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cluster::Cluster;

/// The version of every API here.
const VERSION: &str = "v1beta1";

/// JSON for what is asked; `None` is a 404.
type Answer = dyn Fn(&Uri) -> Option<String> + Send + Sync;

/// Registers `v1beta1` of a group and answers for it, as long as this process lives. `resources` are its discovery
/// document's. `address` is the last number of the Service's address, on which this process listens: that makes it the
/// Service.
pub async fn serve(
    cluster: &Cluster,
    (group, resources): (&str, Value),
    address: u8,
    answer: impl Fn(&Uri) -> Option<String> + Send + Sync + 'static,
) -> Result<()> {
    let root = format!("/apis/{group}/{VERSION}");
    let discovery = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/{VERSION}"),
        "resources": resources,
    })
    .to_string();
    let answer = move |uri: &Uri| {
        if uri.path() == root {
            return Some(discovery.clone());
        }
        answer(uri)
    };
    let address = cluster.address(address);
    let listener = TcpListener::bind((address.as_str(), 443)).await?;
    tokio::spawn(accept(
        listener,
        acceptor(&cluster.pki())?,
        Arc::new(answer),
    ));
    let objects = registration(group, &address).to_string();
    cluster
        .kubectl(&["apply", "--server-side", "-f", "-"], &objects)
        .await?;
    let service = format!("apiservice/{VERSION}.{group}");
    let available = [
        "wait",
        "--for=condition=Available",
        "--timeout=60s",
        &service,
    ];
    cluster.kubectl(&available, "").await.map(drop)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, answer: Arc<Answer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answer) = (tls.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let answer = service_fn(|request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(respond(answer(request.uri()))))
            });
            // A client that goes away is no trouble.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

fn respond(body: Option<String>) -> Response<Full<Bytes>> {
    let Some(body) = body else {
        let mut missing = Response::new(Full::default());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    let answer = Response::builder().header("content-type", "application/json");
    answer.body(Full::new(body.into())).unwrap_or_default()
}

/// Shows the certificate that the cluster's CA issued for all its addresses.
pub(crate) fn acceptor(pki: &Path) -> Result<TlsAcceptor> {
    let read = |name: &str| {
        fs::read(pki.join(name)).with_context(|| format!("no {name} in {}", pki.display()))
    };
    let certificate = CertificateDer::from_pem_slice(&read("serving.crt")?)?;
    let key = PrivateKeyDer::from_pem_slice(&read("serving.key")?)?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The Service, the slice without which the aggregator takes it for empty (see `tests/local-cluster`), the `APIService`.
fn registration(group: &str, address: &str) -> Value {
    let name = group.replace('.', "-");
    let meta = json!({"name": name, "namespace": "kube-system", "labels": {"kubernetes.io/service-name": name}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"clusterIP": address, "ports": [{"name": "https", "port": 443}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
            "ports": [{"name": "https", "port": 443}],
            "endpoints": [{"addresses": ["198.51.100.1"], "conditions": {"ready": true}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{VERSION}.{group}")},
            "spec": {
                "group": group, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": {"name": name, "namespace": "kube-system"},
            },
        },
    ]})
}
