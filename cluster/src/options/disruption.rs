//! Flags for when and how much may be disrupted: the updater's, which others read to foresee what it does.

mod budgets;
mod resize;

use clap::Args;
use podfit_core::disruption;

pub use self::budgets::BudgetOptions;
pub use self::resize::ResizeOptions;
use super::{ClusterOptions, GoDuration};
use crate::flag_values::fraction;

/// When and how much may be disrupted.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Disruption")]
pub struct DisruptionOptions {
    /// Live pods a group must have before one may be evicted, unless its VPA says otherwise.
    #[arg(
        long,
        env = "PODFIT_MIN_REPLICAS",
        default_value_t = 2,
        value_name = "N"
    )]
    pub min_replicas: i64,

    /// The fraction of a group's replicas that may be disrupted at one time.
    #[arg(long, env = "PODFIT_EVICTION_TOLERANCE", default_value_t = 0.5, value_parser = fraction, value_name = "0..1")]
    pub eviction_tolerance: f64,

    /// Evictions, and resizes, per second. Zero or less: no limit.
    #[arg(long, env = "PODFIT_EVICTION_RATE_LIMIT", default_value_t = -1.0, allow_negative_numbers = true, value_name = "N")]
    pub eviction_rate_limit: f64,

    /// How many may happen at once before that rate holds, 1 or more.
    #[arg(
        long,
        env = "PODFIT_EVICTION_RATE_BURST",
        default_value_t = 1.0,
        value_name = "N"
    )]
    pub eviction_rate_burst: f64,

    /// A pod within its bounds is updated only when its requests are off by at least this fraction.
    #[arg(long, env = "PODFIT_POD_UPDATE_THRESHOLD", default_value_t = 0.1, value_parser = fraction, value_name = "0..1")]
    pub pod_update_threshold: f64,

    /// A pod within its bounds is updated only once it is this old.
    #[arg(
        long,
        env = "PODFIT_IN_RECOMMENDATION_BOUNDS_EVICTION_LIFETIME_THRESHOLD",
        default_value = "12h",
        value_name = "DURATION"
    )]
    pub in_recommendation_bounds_eviction_lifetime_threshold: GoDuration,

    /// A container killed for memory within this time of its start is updated at once.
    #[arg(
        long,
        env = "PODFIT_EVICT_AFTER_OOM_THRESHOLD",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub evict_after_oom_threshold: GoDuration,

    /// Resize in place without regard to --min-replicas and --eviction-tolerance where that restarts no container.
    /// Not given: true in profile safe, false in profile upstream.
    #[arg(long, env = "PODFIT_IN_PLACE_SKIP_DISRUPTION_BUDGET", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub in_place_skip_disruption_budget: Option<bool>,

    /// How far a pod is resized, and how.
    #[command(flatten)]
    pub resize: ResizeOptions,
}

impl DisruptionOptions {
    /// What plans are made by; [`BudgetOptions::apply`] adds the budgets.
    pub fn config(&self, cluster: &ClusterOptions) -> disruption::Config {
        let defaults = disruption::Config::new(cluster.profile.into());
        disruption::Config {
            min_replicas: self.min_replicas,
            eviction_tolerance: self.eviction_tolerance,
            update_threshold: self.pod_update_threshold,
            lifetime_threshold: self.in_recommendation_bounds_eviction_lifetime_threshold.0,
            oom_threshold: self.evict_after_oom_threshold.0,
            in_place_skip_disruption_budget: self
                .in_place_skip_disruption_budget
                .unwrap_or(defaults.in_place_skip_disruption_budget),
            deferred_timeout: self.resize.resize_deferred_timeout.0,
            in_progress_timeout: self.resize.resize_in_progress_timeout.0,
            shrink_interval: self.resize.shrink_interval.0,
            node_fit: self.resize.node_fit.unwrap_or(defaults.node_fit),
            gates: cluster.gates(),
            ..defaults
        }
    }
}
