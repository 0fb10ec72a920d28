//! The webhook's metrics: upstream's names and buckets, and one of our own.
//!
//! Every series is looked up once, at the start: a request only counts.

use podfit_cluster::metrics::{EXECUTION_BUCKETS, LATENCY_BUCKETS, histogram, register};
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// All of them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Days until the certificate in force ends; negative once it has.
    pub days_to_expiry: Gauge,
    pods: [IntCounter; 2],
    admission: [[Histogram; 3]; 3],
    steps: [Histogram; 5],
}

/// How an admission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object was changed.
    Applied,
    /// It was let through as it is.
    Skipped,
    /// It could not be understood, or was refused.
    Error,
}

/// What an admission was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A `VerticalPodAutoscaler`.
    Vpa,
    /// Anything else, or nothing that can be read.
    Unknown,
}

/// A part of the work for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Receiving and decoding.
    ReadRequest,
    /// Deciding.
    Admit,
    /// Encoding.
    BuildResponse,
    /// Handing the answer over to the connection.
    WriteResponse,
    /// All of it.
    Total,
}

impl Metrics {
    /// Makes and registers them. Fails when `registry` has one of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = |rest: &str| format!("vpa_admission_controller_{rest}");
        let pods = IntCounterVec::new(
            Opts::new(
                name("admission_pods_total"),
                "Pods admitted, by whether a recommendation was applied. Dry runs and self-probes do not count.",
            ),
            &["applied"],
        )?;
        let admission = histogram(
            &name("admission_latency_seconds"),
            "Time from request to answer.",
            &["status", "resource"],
            &LATENCY_BUCKETS,
        )?;
        let steps = histogram(
            &name("execution_latency_seconds"),
            "Time of one step of an admission.",
            &["step"],
            &EXECUTION_BUCKETS,
        )?;
        let days_to_expiry = Gauge::new(
            "podfit_webhook_certificate_days_to_expiry",
            "Days until the certificate in force ends; negative once it has.",
        )?;
        let by_kind = |all: &HistogramVec, status: &str| {
            ["Pod", "VPA", "unknown"].map(|kind| all.with_label_values(&[status, kind]))
        };
        let steps_in_order = [
            "read_request",
            "admit",
            "build_response",
            "write_response",
            "total",
        ];
        let metrics = Self {
            pods: ["false", "true"].map(|applied| pods.with_label_values(&[applied])),
            admission: ["applied", "skipped", "error"].map(|status| by_kind(&admission, status)),
            steps: steps_in_order.map(|step| steps.with_label_values(&[step])),
            days_to_expiry: register(registry, days_to_expiry)?,
        };
        register(registry, pods)?;
        register(registry, admission)?;
        register(registry, steps)?;
        Ok(metrics)
    }

    /// Counts pods, by whether a VPA sized them.
    pub fn pods(&self, applied: bool) -> &IntCounter {
        &self.pods[usize::from(applied)]
    }

    /// Seconds from request to answer.
    pub fn admission(&self, outcome: Outcome, kind: Kind) -> &Histogram {
        &self.admission[outcome as usize][kind as usize]
    }

    /// Seconds of one step.
    pub fn step(&self, step: Step) -> &Histogram {
        &self.steps[step as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream's names, types, labels and buckets, and ours.
    #[test]
    fn names_labels_and_buckets_are_upstreams() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.pods(true).inc();
        metrics.admission(Outcome::Error, Kind::Vpa).observe(3.0);
        metrics.step(Step::WriteResponse).observe(0.03);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let pods = "vpa_admission_controller_admission_pods_total";
        let admission = "vpa_admission_controller_admission_latency_seconds";
        let steps = "vpa_admission_controller_execution_latency_seconds";
        let mut expected = vec![
            format!("# TYPE {pods} counter"),
            format!("{pods}{{applied=\"false\"}} 0"),
            format!("{pods}{{applied=\"true\"}} 1"),
            format!("# TYPE {admission} histogram"),
            format!("{admission}_bucket{{resource=\"VPA\",status=\"error\",le=\"2\"}} 0"),
            format!("{admission}_bucket{{resource=\"VPA\",status=\"error\",le=\"5\"}} 1"),
            format!("# TYPE {steps} histogram"),
            format!("{steps}_bucket{{step=\"write_response\",le=\"0.02\"}} 0"),
            format!("{steps}_bucket{{step=\"write_response\",le=\"0.05\"}} 1"),
            "# TYPE podfit_webhook_certificate_days_to_expiry gauge".into(),
        ];
        for (status, count) in [("applied", 0), ("skipped", 0), ("error", 1)] {
            for resource in ["Pod", "VPA", "unknown"] {
                let count = if resource == "VPA" { count } else { 0 };
                expected.push(format!(
                    "{admission}_count{{resource=\"{resource}\",status=\"{status}\"}} {count}"
                ));
            }
        }
        for step in ["read_request", "admit", "build_response", "total"] {
            expected.push(format!("{steps}_count{{step=\"{step}\"}} 0"));
        }
        for line in &expected {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
        let types = text.lines().filter(|l| l.starts_with("# TYPE")).count();
        assert_eq!(types, 4);
        let bounds = |name: &str| {
            let start = format!("{name}_bucket{{");
            text.lines().filter(|l| l.starts_with(&start)).count()
        };
        assert_eq!(bounds(admission), 9 * (LATENCY_BUCKETS.len() + 1));
        assert_eq!(bounds(steps), 5 * (EXECUTION_BUCKETS.len() + 1));
    }
}
