//! What the updater measures of itself, under upstream's names.

use podfit_cluster::metrics::{EXECUTION_BUCKETS, histogram, register};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// All metrics of the updater.
#[derive(Clone)]
pub struct Metrics {
    /// Seconds per step of a loop.
    pub execution_latency: HistogramVec,
    /// Pods under a VPA, by size of the VPA and mode.
    pub controlled_pods: IntGaugeVec,
    /// Pods that the last plan evicts.
    pub evictable_pods: IntGaugeVec,
    /// Evictions made.
    pub evicted_pods: IntCounterVec,
    /// Evictions refused, by reason.
    pub failed_evictions: IntCounterVec,
    /// Pods that the last plan resizes.
    pub in_place_updatable_pods: IntGaugeVec,
    /// Resizes asked for.
    pub in_place_updated_pods: IntCounterVec,
    /// Resizes refused, by reason.
    pub failed_in_place_updates: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(
                registry,
                IntGaugeVec::new(Opts::new(format!("vpa_updater_{name}"), help), labels)?,
            )
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(
                registry,
                IntCounterVec::new(Opts::new(format!("vpa_updater_{name}"), help), labels)?,
            )
        };
        let vpa = ["vpa_size_log2", "vpa_name", "vpa_namespace"];
        let vpa_mode = ["vpa_size_log2", "update_mode", "vpa_name", "vpa_namespace"];
        let failure = ["vpa_size_log2", "reason", "vpa_name", "vpa_namespace"];
        let failure_mode = [
            "vpa_size_log2",
            "update_mode",
            "reason",
            "vpa_name",
            "vpa_namespace",
        ];
        let size_mode = ["vpa_size_log2", "update_mode"];
        Ok(Self {
            execution_latency: register(
                registry,
                histogram(
                    "vpa_updater_execution_latency_seconds",
                    "Time spent in a step of the loop.",
                    &["step"],
                    &EXECUTION_BUCKETS,
                )?,
            )?,
            controlled_pods: gauge(
                "controlled_pods_total",
                "Live pods under a VPA.",
                &size_mode,
            )?,
            evictable_pods: gauge(
                "evictable_pods_total",
                "Pods that the last plan evicts.",
                &size_mode,
            )?,
            evicted_pods: counter("evicted_pods_total", "Pods evicted.", &vpa_mode)?,
            failed_evictions: counter(
                "failed_eviction_attempts_total",
                "Evictions refused.",
                &failure_mode,
            )?,
            in_place_updatable_pods: gauge(
                "in_place_updatable_pods_total",
                "Pods that the last plan resizes in place.",
                &["vpa_size_log2"],
            )?,
            in_place_updated_pods: counter(
                "in_place_updated_pods_total",
                "Pods resized in place.",
                &vpa,
            )?,
            failed_in_place_updates: counter(
                "failed_in_place_update_attempts_total",
                "Resizes refused.",
                &failure,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_can_be_registered() {
        Metrics::new(&Registry::new()).unwrap();
    }
}
