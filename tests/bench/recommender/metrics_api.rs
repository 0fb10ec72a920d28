//! metrics.k8s.io of a cluster without nodes: an aggregated API that makes usage up as it is asked.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use http::Uri;
use jiff::Timestamp;
use podfit_tests::aggregated;
use podfit_tests::bench::fixture::{Size, labels, namespace, pod_name};
use podfit_tests::bench::usage;
use podfit_tests::cluster::Cluster;
use serde_json::json;

/// The last number of the Service's address.
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
        let resources = json!([
            {"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]},
        ]);
        let answering = Arc::clone(&api);
        let answer = move |uri: &Uri| answering.answer(uri.path());
        aggregated::serve(cluster, ("metrics.k8s.io", resources), ADDRESS, answer).await?;
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

    fn answer(&self, path: &str) -> Option<String> {
        (path == "/apis/metrics.k8s.io/v1beta1/pods").then(|| {
            self.lists.fetch_add(1, Ordering::Relaxed);
            self.list()
        })
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
