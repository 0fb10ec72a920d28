//! What the recommender measures of itself, under upstream's names, and a few of its own.

mod promises;
mod quality;
mod totals;

use podfit_cluster::metrics::{EXECUTION_BUCKETS, histogram, register};
use podfit_core::pod::Container;
use podfit_core::vpa::{UpdateMode, Vpa};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use promises::Kept;
pub use quality::{Key, Quality, Samples};
pub use totals::{Totals, Used};

/// Seconds, from a VPA's creation to its first recommendation.
const FIRST_RECOMMENDATION_BUCKETS: [f64; 19] = [
    1.0, 2.0, 5.0, 7.5, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 90.0, 120.0, 150.0, 180.0, 240.0,
    300.0, 600.0, 900.0, 1800.0,
];

const BOOLS: [&str; 2] = ["false", "true"];

/// All metrics of the recommender.
#[derive(Clone)]
pub struct Metrics {
    /// Seconds per step of a loop.
    pub execution_latency: HistogramVec,
    /// From a VPA's creation to its first recommendation.
    pub recommendation_latency: Histogram,
    /// Container histories held.
    pub histories: IntGauge,
    /// How recommendations fit what is used.
    pub quality: Quality,
    /// What the estimator `adaptive` promises, and how it keeps that.
    pub kept: Kept,
    /// What all containers use, ask for and would get.
    pub totals: Totals,
    /// Statuses that the last loop wrote.
    pub loop_status_writes: IntGauge,
    /// Status writes by `outcome`.
    status_writes: IntCounterVec,
    vpa_objects: IntGaugeVec,
    usage_responses: IntCounterVec,
    resource_sources: IntCounterVec,
}

/// How a status write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It stands there.
    Written,
    /// The object changed, or went, since it was read.
    Outdated,
    /// It was refused, or nobody answered.
    Failed,
}

impl Metrics {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name, help| register(registry, IntGauge::new(name, help)?);
        let counter = |name, help, labels| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let latency = HistogramOpts::new(
            "vpa_recommender_recommendation_latency_seconds",
            "Time from a VPA's creation to its first recommendation.",
        );
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
            histories: gauge(
                "vpa_recommender_aggregate_container_states_count",
                "Container histories held.",
            )?,
            quality: Quality::new(registry)?,
            kept: Kept::new(registry)?,
            totals: Totals::new(registry)?,
            loop_status_writes: gauge(
                "podfit_recommender_loop_status_writes",
                "VPA statuses that the last loop wrote.",
            )?,
            status_writes: counter(
                "podfit_recommender_status_writes_total",
                "Writes of VPA statuses by outcome: written, outdated, failed.",
                &["outcome"],
            )?,
            vpa_objects: register(registry, IntGaugeVec::new(objects, &object_labels)?)?,
            usage_responses: counter(
                "vpa_recommender_metric_server_responses",
                "Answers of the metrics API.",
                &["is_error", "client_name"],
            )?,
            resource_sources: counter(
                "vpa_resources_get_resources_count",
                "Where a container's resources were read.",
                &["source"],
            )?,
        })
    }

    /// Sets all counts of VPAs to zero: those of every combination of labels that upstream has.
    pub fn clear_vpas(&self) {
        self.vpa_objects.reset();
        for (_, mode) in UpdateMode::NAMES {
            for api in ["v1beta1", "v1beta2", "v1"] {
                for bits in 0..8 {
                    let [has, matches, unsupported] = [0, 1, 2].map(|bit| BOOLS[bits >> bit & 1]);
                    let labels = [mode, has, api, matches, unsupported];
                    self.vpa_objects.with_label_values(&labels).set(0);
                }
            }
        }
    }

    /// Counts one VPA.
    pub fn count_vpa(&self, vpa: &Vpa, has_recommendation: bool, pods: usize, supported: bool) {
        let text = |truth: bool| BOOLS[usize::from(truth)];
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
        self.usage_responses
            .with_label_values(&[BOOLS[usize::from(is_error)], "default-metrics-client"])
            .inc();
    }

    /// Counts that a container's resources were read, by where they stand.
    pub fn count_resources_of(&self, container: &Container) {
        let reported = container
            .status
            .as_ref()
            .is_some_and(|s| s.resources.is_some());
        let source = if reported {
            "Pod.Status.ContainerStatuses"
        } else {
            "Pod.Spec.Containers"
        };
        self.resource_sources.with_label_values(&[source]).inc();
    }

    /// Counts a status write.
    pub fn count_status_write(&self, outcome: WriteOutcome) {
        let outcome = match outcome {
            WriteOutcome::Written => {
                self.loop_status_writes.inc();
                "written"
            }
            WriteOutcome::Outdated => "outdated",
            WriteOutcome::Failed => "failed",
        };
        self.status_writes.with_label_values(&[outcome]).inc();
    }
}

#[cfg(test)]
mod tests;
