//! What Prometheus reads, and HPA and KEDA scale on.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::Collector,
};

/// Seconds. The sample HPA's target is 0.2, so the buckets lie close around it.
const LATENCIES: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1.0, 2.5];

/// The metrics of a server.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Inference requests, by the HTTP status of the answer.
    pub requests: IntCounterVec,
    /// Seconds from an inference request to its answer.
    pub latency: Histogram,
    /// Connections that are open.
    pub connections: IntGauge,
    /// Items that wait for a batch worker.
    pub queue: IntGauge,
}

impl Metrics {
    /// All of them at zero.
    pub fn new() -> prometheus::Result<Self> {
        let requests = Opts::new(
            "http_requests_total",
            "Inference requests, by status of the answer",
        );
        let latency = HistogramOpts::new(
            "inference_latency_seconds",
            "Time from an inference request to its answer",
        );
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(requests, &["code"])?,
            latency: Histogram::with_opts(latency.buckets(LATENCIES.to_vec()))?,
            connections: IntGauge::new("active_connections", "Connections that are open")?,
            queue: IntGauge::new(
                "inference_queue_length",
                "Items that wait for a batch worker",
            )?,
        };
        let registry = &metrics.registry;
        register(registry, metrics.requests.clone())?;
        register(registry, metrics.latency.clone())?;
        register(registry, metrics.connections.clone())?;
        register(registry, metrics.queue.clone())?;
        // A rate needs a first value: without one the first requests are not seen.
        metrics.requests.with_label_values(&["200"]);
        Ok(metrics)
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> prometheus::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rule is for podfit's own metrics; a sample does not use podfit's crates"
)]
fn register(registry: &Registry, metric: impl Collector + 'static) -> prometheus::Result<()> {
    registry.register(Box::new(metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_from_the_start() {
        let text = Metrics::new().and_then(|metrics| metrics.text());
        let text = text.unwrap_or_default();
        for line in [
            "http_requests_total{code=\"200\"} 0",
            "inference_latency_seconds_bucket{le=\"0.2\"} 0",
            "active_connections 0",
            "inference_queue_length 0",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }
}
