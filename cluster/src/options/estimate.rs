//! Flags of how numbers are made from a history.

use crate::flag_values::{cpu, fraction, memory, not_negative, positive};
use crate::options::GoDuration;
use podfit_core::estimator::{EstimatorConfig, Percentiles};
use podfit_core::history::HistoryConfig;
use podfit_core::quantity::{Bytes, Millicores, ResourceList, amount_from_float};

/// From a history to numbers.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Recommendation")]
pub struct EstimateOptions {
    /// CPU percentile of the target.
    #[arg(long, env = "PODFIT_TARGET_CPU_PERCENTILE", default_value_t = 0.9, value_parser = fraction, value_name = "0..1")]
    pub target_cpu_percentile: f64,

    /// Memory percentile of the target (of the peaks per aggregation interval).
    #[arg(long, env = "PODFIT_TARGET_MEMORY_PERCENTILE", default_value_t = 0.9, value_parser = fraction, value_name = "0..1")]
    pub target_memory_percentile: f64,

    /// CPU percentile of the lower bound.
    #[arg(long, env = "PODFIT_RECOMMENDATION_LOWER_BOUND_CPU_PERCENTILE", default_value_t = 0.5, value_parser = fraction, value_name = "0..1")]
    pub recommendation_lower_bound_cpu_percentile: f64,

    /// Memory percentile of the lower bound.
    #[arg(long, env = "PODFIT_RECOMMENDATION_LOWER_BOUND_MEMORY_PERCENTILE", default_value_t = 0.5, value_parser = fraction, value_name = "0..1")]
    pub recommendation_lower_bound_memory_percentile: f64,

    /// CPU percentile of the upper bound.
    #[arg(long, env = "PODFIT_RECOMMENDATION_UPPER_BOUND_CPU_PERCENTILE", default_value_t = 0.95, value_parser = fraction, value_name = "0..1")]
    pub recommendation_upper_bound_cpu_percentile: f64,

    /// Memory percentile of the upper bound.
    #[arg(long, env = "PODFIT_RECOMMENDATION_UPPER_BOUND_MEMORY_PERCENTILE", default_value_t = 0.95, value_parser = fraction, value_name = "0..1")]
    pub recommendation_upper_bound_memory_percentile: f64,

    /// Headroom added to every estimate, as a fraction of it, 0 or more.
    #[arg(long, env = "PODFIT_RECOMMENDATION_MARGIN_FRACTION", default_value_t = 0.15, value_parser = not_negative, value_name = "FRACTION")]
    pub recommendation_margin_fraction: f64,

    /// How much history gives the CPU bounds full confidence.
    #[arg(long, env = "PODFIT_CONFIDENCE_INTERVAL_CPU", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub confidence_interval_cpu: GoDuration,

    /// How much history gives the memory bounds full confidence.
    #[arg(long, env = "PODFIT_CONFIDENCE_INTERVAL_MEMORY", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub confidence_interval_memory: GoDuration,

    /// The least CPU recommended for a pod, shared by its containers, 0 or more.
    #[arg(long, env = "PODFIT_POD_RECOMMENDATION_MIN_CPU_MILLICORES", default_value_t = 25.0, value_parser = not_negative, value_name = "MILLICORES")]
    pub pod_recommendation_min_cpu_millicores: f64,

    /// The least memory recommended for a pod, shared by its containers, 0 or more.
    #[arg(long, env = "PODFIT_POD_RECOMMENDATION_MIN_MEMORY_MB", default_value_t = 250.0, value_parser = not_negative, value_name = "MIB")]
    pub pod_recommendation_min_memory_mb: f64,

    /// The most CPU recommended for a container whose VPA sets no maxAllowed.
    #[arg(long, env = "PODFIT_CONTAINER_RECOMMENDATION_MAX_ALLOWED_CPU", value_parser = cpu, value_name = "QUANTITY")]
    pub container_recommendation_max_allowed_cpu: Option<Millicores>,

    /// The most memory recommended for a container whose VPA sets no maxAllowed.
    #[arg(long, env = "PODFIT_CONTAINER_RECOMMENDATION_MAX_ALLOWED_MEMORY", value_parser = memory, value_name = "QUANTITY")]
    pub container_recommendation_max_allowed_memory: Option<Bytes>,

    /// CPU recommendations are rounded up to a multiple of this, 1 or more.
    #[arg(long, env = "PODFIT_ROUND_CPU_MILLICORES", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..), value_name = "MILLICORES")]
    pub round_cpu_millicores: i64,

    /// Memory recommendations are rounded up to a multiple of this, 1 or more.
    #[arg(long, env = "PODFIT_ROUND_MEMORY_BYTES", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..), value_name = "BYTES")]
    pub round_memory_bytes: i64,

    /// Round memory to two decimals of Ki, Mi, Gi or Ti. Deprecated by upstream: use --round-memory-bytes.
    #[arg(long, env = "PODFIT_HUMANIZE_MEMORY", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub humanize_memory: bool,

    /// Recommend whole cores, rounded up, where a VPA asks for them with the annotation
    /// `vpa-post-processor.kubernetes.io/<container>_integerCPU: "true"`.
    #[arg(long, env = "PODFIT_CPU_INTEGER_POST_PROCESSOR_ENABLED", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub cpu_integer_post_processor_enabled: bool,
}

impl EstimateOptions {
    /// How recommendations are computed from histories that are kept as `history` says.
    pub fn config(&self, history: HistoryConfig) -> EstimatorConfig {
        EstimatorConfig {
            cpu: Percentiles {
                target: self.target_cpu_percentile,
                lower: self.recommendation_lower_bound_cpu_percentile,
                upper: self.recommendation_upper_bound_cpu_percentile,
            },
            memory: Percentiles {
                target: self.target_memory_percentile,
                lower: self.recommendation_lower_bound_memory_percentile,
                upper: self.recommendation_upper_bound_memory_percentile,
            },
            margin: self.recommendation_margin_fraction,
            cpu_confidence_interval: self.confidence_interval_cpu.0,
            memory_confidence_interval: self.confidence_interval_memory.0,
            pod_minimum: ResourceList {
                cpu: Some(Millicores(amount_from_float(
                    self.pod_recommendation_min_cpu_millicores,
                ))),
                memory: Some(Bytes(amount_from_float(
                    self.pod_recommendation_min_memory_mb * 1_048_576.0,
                ))),
            },
            global_max: ResourceList {
                cpu: self.container_recommendation_max_allowed_cpu,
                memory: self.container_recommendation_max_allowed_memory,
            },
            round_cpu: Millicores(self.round_cpu_millicores),
            round_memory: Bytes(self.round_memory_bytes),
            humanize_memory: self.humanize_memory,
            integer_cpu: self.cpu_integer_post_processor_enabled,
            history,
            ..EstimatorConfig::default()
        }
    }
}
