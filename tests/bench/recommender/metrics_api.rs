//! metrics.k8s.io of a cluster without nodes: an aggregated API that makes usage up as it is asked.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use podfit_tests::bench::fixture::{Size, labels, namespace, pod_name};
use podfit_tests::bench::usage;
use podfit_tests::cluster::Cluster;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The last number of the Service's address, on which this process listens: that makes it the Service.
const ADDRESS: u8 = 10;

/// Usage is measured every so many seconds, as metrics-server does by default.
const RESOLUTION: u64 = 15;

/// What the API tells of.
#[derive(Debug)]
pub struct MetricsApi {
    namespaces: usize,
    vpas: AtomicUsize,
    pods: AtomicUsize,
    lists: AtomicUsize,
}

impl MetricsApi {
    /// Starts serving and registers the API.
    pub async fn start(cluster: &Cluster, namespaces: usize) -> Result<Arc<Self>> {
        let api = Arc::new(Self {
            namespaces,
            vpas: AtomicUsize::new(0),
            pods: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((cluster.address(ADDRESS), 443)).await?;
        tokio::spawn(serve(listener, acceptor(&cluster.pki())?, Arc::clone(&api)));
        let objects = registration(&cluster.address(ADDRESS)).to_string();
        cluster
            .kubectl(&["apply", "--server-side", "-f", "-"], &objects)
            .await?;
        let available = [
            "wait",
            "--for=condition=Available",
            "--timeout=60s",
            "apiservice/v1beta1.metrics.k8s.io",
        ];
        cluster.kubectl(&available, "").await?;
        Ok(api)
    }

    /// From now on these workloads have pods.
    pub fn set(&self, size: Size) {
        self.vpas.store(size.vpas, Ordering::Relaxed);
        self.pods.store(size.replicas(), Ordering::Relaxed);
    }

    /// How often all pods were listed.
    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }

    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let body = match path.strip_prefix("/apis/metrics.k8s.io/v1beta1") {
            Some("/pods") => {
                self.lists.fetch_add(1, Ordering::Relaxed);
                self.list()
            }
            Some("") => json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1",
                "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]}],
            })
            .to_string(),
            _ => {
                let mut missing = Response::new(Full::default());
                *missing.status_mut() = http::StatusCode::NOT_FOUND;
                return missing;
            }
        };
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(Full::new(body.into())).unwrap_or_default()
    }

    /// The usage of all pods, as metrics-server writes it.
    fn list(&self) -> String {
        let seconds = Timestamp::now().as_second().unsigned_abs() / RESOLUTION * RESOLUTION;
        let time = Timestamp::from_second(seconds as i64).unwrap_or_default();
        let (vpas, replicas) = (
            self.vpas.load(Ordering::Relaxed),
            self.pods.load(Ordering::Relaxed),
        );
        let mut text = String::with_capacity(200 + vpas * replicas * 340);
        text.push_str(r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":["#);
        for workload in 0..vpas {
            let (namespace, labels) = (namespace(workload, self.namespaces), labels(workload));
            for pod in 0..replicas {
                let (name, usage) = (pod_name(workload, pod), usage::at(workload, pod, seconds));
                let (cpu, memory) = ((usage.cpu * 1e9) as u64, (usage.memory / 1024.0) as u64);
                let comma = if text.ends_with('[') { "" } else { "," };
                let _ = write!(
                    text,
                    r#"{comma}{{"metadata":{{"name":"{name}","namespace":"{namespace}","creationTimestamp":"{time}","labels":{labels}}},"timestamp":"{time}","window":"15.012s","containers":[{{"name":"app","usage":{{"cpu":"{cpu}n","memory":"{memory}Ki"}}}}]}}"#,
                );
            }
        }
        text.push_str("]}");
        text
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, api: Arc<MetricsApi>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, api) = (tls.clone(), Arc::clone(&api));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let answer = service_fn(|request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(api.answer(request.uri().path())))
            });
            // A client that goes away is no trouble.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

fn acceptor(pki: &Path) -> Result<TlsAcceptor> {
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
fn registration(address: &str) -> serde_json::Value {
    let meta = json!({"name": "metrics", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "metrics"}});
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
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": {"name": "metrics", "namespace": "kube-system"},
            },
        },
    ]})
}
