//! Upstream's bucket sets, and a timer for the steps of a loop. The only place that knows the metrics library's ways.

mod counters;

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramOpts, HistogramVec, IntGauge, Opts, Registry};

use crate::version::Version;

pub use self::counters::Counters;

/// Seconds, for steps of a loop.
pub const EXECUTION_BUCKETS: [f64; 23] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0,
    90.0, 100.0, 120.0, 150.0, 240.0, 300.0,
];

/// Seconds, for one request.
pub const LATENCY_BUCKETS: [f64; 21] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0,
    60.0, 120.0, 300.0,
];

/// A registry that tells of the process itself: its version, CPU time, memory, open files, start.
pub fn registry(version: Version) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let build = IntGauge::with_opts(
        Opts::new("podfit_build_info", "Always 1. What runs, by its labels.")
            .const_label("version", version.number())
            .const_label("revision", version.revision()),
    )?;
    build.set(1);
    add(&registry, build)?;
    add(&registry, ProcessCollector::for_self())?;
    Ok(registry)
}

/// Upstream's label for how many pods a VPA has: the whole part of the binary logarithm, 20 at most, 0 for no pods.
pub fn size_label(pods: usize) -> &'static str {
    const LABELS: [&str; 21] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19", "20",
    ];
    LABELS[pods.max(1).ilog2().min(20) as usize]
}

/// Registers a collector and hands it back.
pub fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    add(registry, collector.clone())?;
    Ok(collector)
}

#[allow(clippy::disallowed_methods, reason = "the one place")]
fn add(registry: &Registry, collector: impl Collector + 'static) -> Result<(), prometheus::Error> {
    #[cfg(any(test, feature = "reference"))]
    crate::reference::note(&collector);
    registry.register(Box::new(collector))
}

/// A histogram with labels.
pub fn histogram(
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(
        HistogramOpts::from(Opts::new(name, help)).buckets(buckets.to_vec()),
        labels,
    )
}

/// Times the steps of one loop into `<component>_execution_latency_seconds{step}`.
pub struct StepTimer {
    histogram: HistogramVec,
    started: Instant,
    last: Instant,
}

impl StepTimer {
    /// Starts with the loop.
    pub fn start(histogram: &HistogramVec) -> Self {
        let now = Instant::now();
        Self {
            histogram: histogram.clone(),
            started: now,
            last: now,
        }
    }

    /// Ends a step.
    pub fn step(&mut self, name: &str) {
        let now = Instant::now();
        self.histogram
            .with_label_values(&[name])
            .observe(now.duration_since(self.last).as_secs_f64());
        self.last = now;
    }

    /// Ends the loop.
    pub fn total(self) {
        self.histogram
            .with_label_values(&["total"])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_labelled_as_upstream_labels_them() {
        for (pods, label) in [
            (0, "0"),
            (1, "0"),
            (2, "1"),
            (4, "2"),
            (5, "2"),
            (10, "3"),
            (20, "4"),
            (1 << 22, "20"),
        ] {
            assert_eq!(size_label(pods), label);
        }
    }

    #[test]
    fn the_process_tells_of_itself() {
        let version = Version::new("0.1.0", Some("4f1c2d9a0b1e"));
        let families = registry(version).unwrap().gather();
        for name in [
            "podfit_build_info",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
        ] {
            assert!(families.iter().any(|f| f.name() == name), "{name}");
        }
    }
}
