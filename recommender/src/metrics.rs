//! What the recommender measures of itself, under upstream's names.

use podfit_cluster::metrics::{EXECUTION_BUCKETS, histogram, register};
use podfit_core::vpa::Vpa;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Seconds, from a VPA's creation to its first recommendation.
const FIRST_RECOMMENDATION_BUCKETS: [f64; 19] = [
    1.0, 2.0, 5.0, 7.5, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 90.0, 120.0, 150.0, 180.0, 240.0,
    300.0, 600.0, 900.0, 1800.0,
];

/// All metrics of the recommender.
#[derive(Clone)]
pub struct Metrics {
    /// Seconds per step of a loop.
    pub execution_latency: HistogramVec,
    /// From a VPA's creation to its first recommendation.
    pub recommendation_latency: Histogram,
    /// VPAs by what can be said of them.
    pub vpa_objects: IntGaugeVec,
    /// Container histories held.
    pub histories: IntGauge,
    /// Answers of the metrics API.
    pub usage_responses: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let objects = Opts::new(
            "vpa_recommender_vpa_objects_count",
            "VPA objects by what can be said of them.",
        );
        let object_labels = [
            "update_mode",
            "has_recommendation",
            "api",
            "matches_pods",
            "unsupported_config",
        ];
        let latency = HistogramOpts::new(
            "vpa_recommender_recommendation_latency_seconds",
            "Time from a VPA's creation to its first recommendation.",
        );
        let responses = Opts::new(
            "vpa_recommender_metric_server_responses",
            "Answers of the metrics API.",
        );
        Ok(Self {
            execution_latency: register(
                registry,
                histogram(
                    "vpa_recommender_execution_latency_seconds",
                    "Time spent in a step of the loop.",
                    &["step"],
                    &EXECUTION_BUCKETS,
                )?,
            )?,
            recommendation_latency: register(
                registry,
                Histogram::with_opts(latency.buckets(FIRST_RECOMMENDATION_BUCKETS.to_vec()))?,
            )?,
            vpa_objects: register(registry, IntGaugeVec::new(objects, &object_labels)?)?,
            histories: register(
                registry,
                IntGauge::new(
                    "vpa_recommender_aggregate_container_states_count",
                    "Container histories held.",
                )?,
            )?,
            usage_responses: register(
                registry,
                IntCounterVec::new(responses, &["is_error", "client_name"])?,
            )?,
        })
    }

    /// Counts one VPA.
    pub fn count_vpa(&self, vpa: &Vpa, has_recommendation: bool, pods: usize, supported: bool) {
        let text = |b: bool| if b { "true" } else { "false" };
        let labels = [
            vpa.update_mode.name(),
            text(has_recommendation),
            "v1",
            text(pods > 0),
            text(!supported),
        ];
        self.vpa_objects.with_label_values(&labels).inc();
    }

    /// Counts one answer of the metrics API.
    pub fn count_usage_response(&self, is_error: bool) {
        let is_error = if is_error { "true" } else { "false" };
        self.usage_responses
            .with_label_values(&[is_error, "default-metrics-client"])
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_can_be_registered_and_counted() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.count_vpa(&Vpa::default(), true, 0, true);
        metrics.count_usage_response(true);
        let names: Vec<_> = registry
            .gather()
            .iter()
            .map(|f| f.name().to_owned())
            .collect();
        assert!(
            names.contains(&"vpa_recommender_vpa_objects_count".to_owned()),
            "{names:?}"
        );
    }
}
