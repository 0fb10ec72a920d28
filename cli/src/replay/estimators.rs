//! What can size a workload in a replay, by name.

use clap::ValueEnum;
use podfit_core::estimator::{EstimatorConfig, Method};
use podfit_core::replay::baseline::Baseline;
use podfit_core::replay::recorded::Recorded;
use podfit_core::replay::{Sample, Sizer, median_step};

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
}

impl Estimator {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// One for these samples.
    pub fn sizer<'a>(self, samples: &'a [Sample], config: &EstimatorConfig) -> Box<dyn Sizer + 'a> {
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
        }
    }
}
