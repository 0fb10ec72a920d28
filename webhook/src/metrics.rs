//! The webhook's metrics: upstream's names and buckets, and one of our own.

use podfit_cluster::metrics::{EXECUTION_BUCKETS, LATENCY_BUCKETS, histogram, register};
use prometheus::{Gauge, HistogramVec, IntCounterVec, Opts, Registry};

/// All of them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Pods admitted, by whether a VPA sized them. Dry runs and self-probes do not count.
    pub pods: IntCounterVec,
    /// Seconds from request to answer, by `status` (applied, skipped, error) and `resource` (Pod, VPA, unknown).
    pub admission: HistogramVec,
    /// Seconds of one step: `read_request`, `admit`, `build_response`, `total`. Upstream's `write_response` is missing:
    /// the server writes after the handler has returned.
    pub steps: HistogramVec,
    /// Days until the certificate in force ends; negative once it has.
    pub days_to_expiry: Gauge,
}

impl Metrics {
    /// Makes and registers them. Fails when `registry` has one of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = |rest: &str| format!("vpa_admission_controller_{rest}");
        let pods = Opts::new(
            name("admission_pods_total"),
            "Pods admitted, by whether a recommendation was applied.",
        );
        Ok(Self {
            pods: register(registry, IntCounterVec::new(pods, &["applied"])?)?,
            admission: register(
                registry,
                histogram(
                    &name("admission_latency_seconds"),
                    "Time from request to answer.",
                    &["status", "resource"],
                    &LATENCY_BUCKETS,
                )?,
            )?,
            steps: register(
                registry,
                histogram(
                    &name("execution_latency_seconds"),
                    "Time of one step of an admission.",
                    &["step"],
                    &EXECUTION_BUCKETS,
                )?,
            )?,
            days_to_expiry: register(
                registry,
                Gauge::new(
                    "podfit_webhook_certificate_days_to_expiry",
                    "Days until the certificate in force ends; negative once it has.",
                )?,
            )?,
        })
    }
}
