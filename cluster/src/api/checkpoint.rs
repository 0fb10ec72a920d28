//! `VerticalPodAutoscalerCheckpoint`: upstream's stored histograms, both ways.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use podfit_core::checkpoint::{Checkpoint, HistogramCheckpoint};
use serde::{Deserialize, Serialize};

use super::time;

/// A `VerticalPodAutoscalerCheckpoint` of `autoscaling.k8s.io/v1`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct CheckpointObject {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Whose history it is.
    #[serde(default)]
    pub spec: CheckpointSpec,
    /// The history.
    #[serde(default)]
    pub status: CheckpointStatus,
}

/// Whose history a checkpoint holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckpointSpec {
    /// The VPA's name.
    pub vpa_object_name: String,
    /// The container's name.
    pub container_name: String,
}

/// The stored history of one container.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckpointStatus {
    last_update_time: Option<String>,
    version: String,
    cpu_histogram: Histogram,
    memory_histogram: Histogram,
    first_sample_start: Option<String>,
    last_sample_start: Option<String>,
    total_samples_count: i64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Histogram {
    reference_timestamp: Option<String>,
    bucket_weights: BTreeMap<String, serde_json::Number>,
    total_weight: f64,
}

namespaced_resource!(
    CheckpointObject,
    "autoscaling.k8s.io",
    "v1",
    "VerticalPodAutoscalerCheckpoint",
    "verticalpodautoscalercheckpoints"
);
