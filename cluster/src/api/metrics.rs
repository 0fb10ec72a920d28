//! `metrics.k8s.io/v1beta1` pod metrics.

use kube::api::ObjectMeta;
use serde::Deserialize;

use super::quantity::QuantityMap;

/// The usage of one pod.
#[derive(Clone, Debug, Deserialize)]
pub struct PodMetricsObject {
    /// Name and namespace are the pod's.
    pub metadata: ObjectMeta,
    /// The end of the window it was measured in.
    #[serde(default)]
    pub timestamp: String,
    /// Per container.
    #[serde(default)]
    pub containers: Vec<ContainerMetrics>,
}

/// The usage of one container.
#[derive(Clone, Debug, Deserialize)]
pub struct ContainerMetrics {
    /// Its name.
    pub name: String,
    /// `cpu` in cores, `memory` in bytes.
    #[serde(default)]
    pub usage: QuantityMap,
}

namespaced_resource!(
    PodMetricsObject,
    "metrics.k8s.io",
    "v1beta1",
    "PodMetrics",
    "pods"
);
