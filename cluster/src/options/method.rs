//! Flags of which way histories become numbers.

use clap::Args;
use podfit_core::adaptive::Promises;
use podfit_core::estimator::Method;
use podfit_core::history::HistoryConfig;

use crate::flag_values::part;

/// Which way histories become numbers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Recommendation")]
pub struct MethodOptions {
    /// How histories become numbers: `histogram`, upstream's percentiles, or `adaptive`, which follows what would have cost
    /// least on the container's own past. A VPA's annotation `podfit.dev/estimator` wins.
    #[arg(
        long,
        env = "PODFIT_ESTIMATOR",
        default_value = "histogram",
        value_name = "histogram|adaptive"
    )]
    pub estimator: Method,

    /// What `adaptive` promises of CPU: the part of the time in which usage may be over the target, on average over workloads.
    #[arg(long, env = "PODFIT_CPU_VIOLATION_TARGET", default_value = "1%", value_parser = part, value_name = "PERCENT%")]
    pub cpu_violation_target: f64,

    /// What it promises of memory: the part of all days on which usage may be over the target, on average over workloads.
    #[arg(long, env = "PODFIT_MEMORY_OOM_DAYS_TARGET", default_value = "2%", value_parser = part, value_name = "PERCENT%")]
    pub memory_oom_days_target: f64,
}

impl MethodOptions {
    /// How histories are kept, then.
    pub fn apply(&self, history: HistoryConfig) -> HistoryConfig {
        HistoryConfig {
            adaptive: self.estimator == Method::Adaptive,
            promises: Promises {
                cpu_time: self.cpu_violation_target,
                memory_days: self.memory_oom_days_target,
            },
            ..history
        }
    }
}
