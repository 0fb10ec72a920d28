//! What can size a workload in a replay, by name.

use clap::ValueEnum;
use podfit_core::estimator::{EstimatorConfig, Method};
use podfit_core::replay::baseline::Baseline;
use podfit_core::replay::recorded::Recorded;
use podfit_core::replay::{Sample, Sizer, Sizes, median_step};
use podfit_core::time::Timestamp;

use super::usage::Series;

/// Something that sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Estimator {
    /// The recommender's, as its flags say.
    Histogram,
    /// The same with the 95th percentile as the target of CPU and memory.
    HistogramP95,
    /// The same with the 98th.
    HistogramP98,
    /// The recommender's with `--estimator=adaptive`: the rule and the margin that would have cost least on the container's own
    /// past, at the promised rate of breaches.
    Adaptive,
    /// KRR's simple strategy: of two weeks the 95th percentile of CPU, and the peak of memory and 15 %.
    Krr,
    /// Autopilot's moving window: percentiles by load, half-lives of 12 and 48 hours, the highest of the last hour.
    Autopilot,
    /// The highest of the last hour.
    LastHour,
    /// The highest there ever was.
    LongestPeak,
    /// The highest of the next day, which nobody can know: a bound, not a rival.
    Oracle,
    /// What pods request now, as if it had been so all the time, where that is known. It is always told beside the others.
    Request,
}

impl Estimator {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// One for a series.
    pub fn sizer<'a>(self, series: &'a Series, config: &EstimatorConfig) -> Box<dyn Sizer + 'a> {
        let samples = &series.samples;
        let recorded = |target: Option<f64>| -> Box<dyn Sizer + 'a> {
            let mut config = config.clone();
            for percentiles in [&mut config.cpu, &mut config.memory] {
                percentiles.target = target.unwrap_or(percentiles.target);
                percentiles.upper = percentiles.upper.max(percentiles.target);
            }
            Box::new(Recorded::new(config, median_step(samples)))
        };
        match self {
            Self::Histogram => recorded(None),
            Self::HistogramP95 => recorded(Some(0.95)),
            Self::HistogramP98 => recorded(Some(0.98)),
            Self::Adaptive => {
                let mut config = config.clone();
                config.method = Method::Adaptive;
                config.history.adaptive = true;
                Box::new(Recorded::new(config, median_step(samples)))
            }
            Self::Krr => Baseline::Krr.sizer(samples),
            Self::Autopilot => Baseline::Autopilot.sizer(samples),
            Self::LastHour => Baseline::LastHour.sizer(samples),
            Self::LongestPeak => Baseline::LongestPeak.sizer(samples),
            Self::Oracle => Baseline::Oracle.sizer(samples),
            Self::Request => Box::new(Constant(series.request)),
        }
    }
}

/// Always the same.
struct Constant(Sizes);

impl Sizer for Constant {
    fn observe(&mut self, _: &Sample) {}

    fn size(&mut self, _: Timestamp) -> Sizes {
        self.0
    }
}
