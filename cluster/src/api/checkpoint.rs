//! `VerticalPodAutoscalerCheckpoint`: upstream's stored histograms, both ways.

use kube::api::{ObjectMeta, TypeMeta};
use podfit_core::checkpoint::{Checkpoint, HistogramCheckpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time;

/// A `VerticalPodAutoscalerCheckpoint` of `autoscaling.k8s.io/v1`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct CheckpointObject {
    /// API version and kind, without which the API server takes no object.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
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
    /// Weights by decimal bucket index. Anything else in it is left out: the schema lets anything in.
    bucket_weights: Map<String, Value>,
    total_weight: f64,
}

namespaced_resource!(
    CheckpointObject,
    "autoscaling.k8s.io",
    "v1",
    "VerticalPodAutoscalerCheckpoint",
    "verticalpodautoscalercheckpoints"
);

impl CheckpointStatus {
    /// As a plain value, without the out-of-memory floor, which stands in an annotation.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let time = |text: &Option<String>| text.as_deref().and_then(time::parse);
        Checkpoint {
            version: self.version.clone(),
            last_update: time(&self.last_update_time),
            cpu: self.cpu_histogram.to_checkpoint(),
            memory: self.memory_histogram.to_checkpoint(),
            first_sample: time(&self.first_sample_start),
            last_sample: time(&self.last_sample_start),
            total_samples: self.total_samples_count,
            oom_floor: None,
            has_past: false,
            adaptive: None,
            adaptive_days: None,
            runs: None,
        }
    }
}

impl From<&Checkpoint> for CheckpointStatus {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            last_update_time: checkpoint.last_update.map(time::format),
            version: checkpoint.version.clone(),
            cpu_histogram: Histogram::from(&checkpoint.cpu),
            memory_histogram: Histogram::from(&checkpoint.memory),
            first_sample_start: checkpoint.first_sample.map(time::format),
            last_sample_start: checkpoint.last_sample.map(time::format),
            total_samples_count: checkpoint.total_samples,
        }
    }
}

impl Histogram {
    fn to_checkpoint(&self) -> HistogramCheckpoint {
        let weight = |(bucket, weight): (&String, &Value)| {
            Some((bucket.parse().ok()?, u32::try_from(weight.as_u64()?).ok()?))
        };
        HistogramCheckpoint {
            reference: self.reference_timestamp.as_deref().and_then(time::parse),
            bucket_weights: self.bucket_weights.iter().filter_map(weight).collect(),
            total_weight: self.total_weight,
        }
    }
}

impl From<&HistogramCheckpoint> for Histogram {
    fn from(checkpoint: &HistogramCheckpoint) -> Self {
        Self {
            reference_timestamp: checkpoint.reference.map(time::format),
            bucket_weights: checkpoint
                .bucket_weights
                .iter()
                .map(|(bucket, weight)| (bucket.to_string(), Value::from(*weight)))
                .collect(),
            total_weight: checkpoint.total_weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_upstream_writes_is_read_and_written_back() {
        let status = json!({
            "lastUpdateTime": "2026-11-24T10:11:12Z", "version": "v3",
            "cpuHistogram": {"referenceTimestamp": "2026-11-24T00:00:00Z", "bucketWeights": {"22": 10000, "3": 7}, "totalWeight": 4.5},
            "memoryHistogram": {"referenceTimestamp": null, "bucketWeights": {}, "totalWeight": 0.0},
            "firstSampleStart": "2026-11-24T10:00:00Z", "lastSampleStart": "2026-11-24T10:11:00Z", "totalSamplesCount": 12
        });
        let read: CheckpointStatus = serde_json::from_value(status.clone()).unwrap();
        let checkpoint = read.to_checkpoint();
        assert_eq!(
            checkpoint
                .cpu
                .bucket_weights
                .iter()
                .map(|(b, w)| (*b, *w))
                .collect::<Vec<_>>(),
            [(3, 7), (22, 10_000)]
        );
        assert_eq!(checkpoint.total_samples, 12);
        assert_eq!(
            serde_json::to_value(CheckpointStatus::from(&checkpoint)).unwrap(),
            status
        );
    }

    #[test]
    fn nonsense_in_a_stored_histogram_is_left_out() {
        let status = json!({"version": "v3", "cpuHistogram": {"bucketWeights": {"x": 1, "3": "7", "4": -1, "5": 2}}});
        let read: CheckpointStatus = serde_json::from_value(status).unwrap();
        assert_eq!(
            read.to_checkpoint()
                .cpu
                .bucket_weights
                .into_iter()
                .collect::<Vec<_>>(),
            [(5, 2)]
        );
    }
}
