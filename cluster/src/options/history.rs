//! Flags of how histories are kept.

use std::time::Duration;

use crate::flag_values::{at_least_one, not_negative, positive};
use crate::options::GoDuration;
use podfit_core::history::HistoryConfig;
use podfit_core::quantity::{Bytes, amount_from_float};

/// How histories are kept.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "History")]
pub struct HistoryOptions {
    /// How long until a CPU sample counts half.
    #[arg(long, env = "PODFIT_CPU_HISTOGRAM_DECAY_HALF_LIFE", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub cpu_histogram_decay_half_life: GoDuration,

    /// How long until a memory peak counts half.
    #[arg(long, env = "PODFIT_MEMORY_HISTOGRAM_DECAY_HALF_LIFE", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub memory_histogram_decay_half_life: GoDuration,

    /// One memory peak is kept per container and this much time.
    #[arg(long, env = "PODFIT_MEMORY_AGGREGATION_INTERVAL", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub memory_aggregation_interval: GoDuration,

    /// How many of those intervals a history lives on without new samples, 1 or more.
    #[arg(long, env = "PODFIT_MEMORY_AGGREGATION_INTERVAL_COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub memory_aggregation_interval_count: u32,

    /// After an out-of-memory kill, memory is raised at least by this factor, 1 or more.
    #[arg(long, env = "PODFIT_OOM_BUMP_UP_RATIO", default_value_t = 1.2, value_parser = at_least_one, value_name = "FACTOR")]
    pub oom_bump_up_ratio: f64,

    /// After an out-of-memory kill, memory is raised at least by this much, 0 or more.
    #[arg(long, env = "PODFIT_OOM_MIN_BUMP_UP_BYTES", default_value_t = 104_857_600.0, value_parser = not_negative, value_name = "BYTES")]
    pub oom_min_bump_up_bytes: f64,

    /// How many runs of a family, or of a `ScaledJob`, are remembered, 1 to 200. They count however long ago they were.
    #[arg(long, env = "PODFIT_FAMILY_RUNS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200), value_name = "N")]
    pub family_runs: u16,

    /// How long one loop may spend on writing checkpoints; the rest is written in the next.
    #[arg(
        long,
        env = "PODFIT_CHECKPOINTS_TIMEOUT",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub checkpoints_timeout: GoDuration,

    /// How often checkpoints of VPAs that are gone are looked for.
    #[arg(
        long,
        env = "PODFIT_CHECKPOINTS_GC_INTERVAL",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub checkpoints_gc_interval: GoDuration,

    /// How long the history of a deleted VPA is kept, so that one made anew for the same workload goes on with it. Time in
    /// which the workload is scaled to zero does not count. Empty: as long as a history lives (aggregation interval times
    /// count).
    #[arg(long, env = "PODFIT_CHECKPOINT_RETENTION", value_parser = positive, value_name = "DURATION")]
    pub checkpoint_retention: Option<GoDuration>,
}

impl HistoryOptions {
    /// How long the history of a deleted VPA is kept, in time in which its workload runs.
    pub fn retention(&self) -> Duration {
        let given = self.checkpoint_retention.map(|d| d.0);
        given.unwrap_or_else(|| self.config().lifetime())
    }

    /// How histories are kept, as far as these flags say.
    pub fn config(&self) -> HistoryConfig {
        HistoryConfig {
            cpu_half_life: self.cpu_histogram_decay_half_life.0,
            memory_half_life: self.memory_histogram_decay_half_life.0,
            memory_interval: self.memory_aggregation_interval.0,
            memory_interval_count: self.memory_aggregation_interval_count,
            oom_bump_up_ratio: self.oom_bump_up_ratio,
            oom_min_bump_up: Bytes(amount_from_float(self.oom_min_bump_up_bytes)),
            runs: self.family_runs,
            ..HistoryConfig::default()
        }
    }
}
