//! The recommender's flags: upstream's names, defaults and value syntax, each with an environment twin.

use std::net::SocketAddr;

use clap::Parser;
use podfit_cluster::admin::parse_address;
use podfit_cluster::flag_values::{at_least_one, cpu, fraction, memory, not_negative, positive};
use podfit_cluster::options::{ClusterOptions, GoDuration, LeaderElectionOptions, LogOptions};
use podfit_core::estimator::{EstimatorConfig, Percentiles};
use podfit_core::history::HistoryConfig;
use podfit_core::quantity::{Bytes, Millicores, ResourceList, amount_from_float};

/// Measures what containers use and recommends what they should request.
///
/// Reads usage from metrics.k8s.io, keeps a decaying histogram per container of each workload that a
/// VerticalPodAutoscaler targets, and writes its recommendation into that object's status. Histories are stored as
/// VerticalPodAutoscalerCheckpoints, in upstream's encoding, and read back at start.
///
/// It never touches a pod: podfit-updater and podfit-webhook do.
#[derive(Parser, Clone, Debug)]
// A flag given twice: the last wins, as in upstream, so that the chart's extraArgs override its own flags.
#[command(name = "podfit-recommender", version = podfit_cluster::process::VERSION, args_override_self = true)]
pub struct Options {
    /// VPAs whose `spec.recommenders` names this are sized; `default` also takes those that name none.
    #[arg(
        long,
        env = "PODFIT_RECOMMENDER_NAME",
        default_value = "default",
        value_name = "NAME"
    )]
    pub recommender_name: String,

    /// How often usage is read and recommendations are computed.
    #[arg(
        long,
        env = "PODFIT_RECOMMENDER_INTERVAL",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub recommender_interval: GoDuration,

    /// Where /metrics, /healthz, /readyz and /health-check are served.
    #[arg(long, env = "PODFIT_ADDRESS", default_value = ":8942", value_parser = parse_address, value_name = "ADDRESS")]
    pub address: SocketAddr,

    /// How many statuses and checkpoints are written at once.
    #[arg(long, env = "PODFIT_UPDATE_WORKER_COUNT", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub update_worker_count: u16,

    #[command(flatten)]
    pub estimate: EstimateOptions,

    #[command(flatten)]
    pub history: HistoryOptions,

    #[command(flatten)]
    pub cluster: ClusterOptions,

    #[command(flatten)]
    pub leader_election: LeaderElectionOptions,

    #[command(flatten)]
    pub logs: LogOptions,
}

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

    /// Headroom added to every estimate, as a fraction of it.
    #[arg(long, env = "PODFIT_RECOMMENDATION_MARGIN_FRACTION", default_value_t = 0.15, value_parser = not_negative, value_name = "FRACTION")]
    pub recommendation_margin_fraction: f64,

    /// How much history gives the CPU bounds full confidence.
    #[arg(long, env = "PODFIT_CONFIDENCE_INTERVAL_CPU", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub confidence_interval_cpu: GoDuration,

    /// How much history gives the memory bounds full confidence.
    #[arg(long, env = "PODFIT_CONFIDENCE_INTERVAL_MEMORY", default_value = "24h", value_parser = positive, value_name = "DURATION")]
    pub confidence_interval_memory: GoDuration,

    /// The least CPU recommended for a pod, shared by its containers.
    #[arg(long, env = "PODFIT_POD_RECOMMENDATION_MIN_CPU_MILLICORES", default_value_t = 25.0, value_parser = not_negative, value_name = "MILLICORES")]
    pub pod_recommendation_min_cpu_millicores: f64,

    /// The least memory recommended for a pod, shared by its containers.
    #[arg(long, env = "PODFIT_POD_RECOMMENDATION_MIN_MEMORY_MB", default_value_t = 250.0, value_parser = not_negative, value_name = "MIB")]
    pub pod_recommendation_min_memory_mb: f64,

    /// The most CPU recommended for a container whose VPA sets no maxAllowed.
    #[arg(long, env = "PODFIT_CONTAINER_RECOMMENDATION_MAX_ALLOWED_CPU", value_parser = cpu, value_name = "QUANTITY")]
    pub container_recommendation_max_allowed_cpu: Option<Millicores>,

    /// The most memory recommended for a container whose VPA sets no maxAllowed.
    #[arg(long, env = "PODFIT_CONTAINER_RECOMMENDATION_MAX_ALLOWED_MEMORY", value_parser = memory, value_name = "QUANTITY")]
    pub container_recommendation_max_allowed_memory: Option<Bytes>,

    /// CPU recommendations are rounded up to a multiple of this.
    #[arg(long, env = "PODFIT_ROUND_CPU_MILLICORES", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..), value_name = "MILLICORES")]
    pub round_cpu_millicores: i64,

    /// Memory recommendations are rounded up to a multiple of this.
    #[arg(long, env = "PODFIT_ROUND_MEMORY_BYTES", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..), value_name = "BYTES")]
    pub round_memory_bytes: i64,
}

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

    /// How many of those intervals a history lives on without new samples.
    #[arg(long, env = "PODFIT_MEMORY_AGGREGATION_INTERVAL_COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub memory_aggregation_interval_count: u32,

    /// After an out-of-memory kill, memory is raised at least by this factor.
    #[arg(long, env = "PODFIT_OOM_BUMP_UP_RATIO", default_value_t = 1.2, value_parser = at_least_one, value_name = "FACTOR")]
    pub oom_bump_up_ratio: f64,

    /// After an out-of-memory kill, memory is raised at least by this much.
    #[arg(long, env = "PODFIT_OOM_MIN_BUMP_UP_BYTES", default_value_t = 104_857_600.0, value_parser = not_negative, value_name = "BYTES")]
    pub oom_min_bump_up_bytes: f64,

    /// How long one loop may spend on writing checkpoints; the rest is written in the next.
    #[arg(
        long,
        env = "PODFIT_CHECKPOINTS_TIMEOUT",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub checkpoints_timeout: GoDuration,

    /// How often checkpoints of VPAs that are gone are looked for. They are deleted once as old as a whole history.
    #[arg(
        long,
        env = "PODFIT_CHECKPOINTS_GC_INTERVAL",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub checkpoints_gc_interval: GoDuration,
}

impl Options {
    /// How histories are kept.
    pub fn history(&self) -> HistoryConfig {
        HistoryConfig {
            cpu_half_life: self.history.cpu_histogram_decay_half_life.0,
            memory_half_life: self.history.memory_histogram_decay_half_life.0,
            memory_interval: self.history.memory_aggregation_interval.0,
            memory_interval_count: self.history.memory_aggregation_interval_count,
            oom_bump_up_ratio: self.history.oom_bump_up_ratio,
            oom_min_bump_up: Bytes(amount_from_float(self.history.oom_min_bump_up_bytes)),
        }
    }

    /// How recommendations are computed.
    pub fn estimator(&self) -> EstimatorConfig {
        let options = &self.estimate;
        EstimatorConfig {
            cpu: Percentiles {
                target: options.target_cpu_percentile,
                lower: options.recommendation_lower_bound_cpu_percentile,
                upper: options.recommendation_upper_bound_cpu_percentile,
            },
            memory: Percentiles {
                target: options.target_memory_percentile,
                lower: options.recommendation_lower_bound_memory_percentile,
                upper: options.recommendation_upper_bound_memory_percentile,
            },
            margin: options.recommendation_margin_fraction,
            cpu_confidence_interval: options.confidence_interval_cpu.0,
            memory_confidence_interval: options.confidence_interval_memory.0,
            pod_minimum: ResourceList {
                cpu: Some(Millicores(amount_from_float(
                    options.pod_recommendation_min_cpu_millicores,
                ))),
                memory: Some(Bytes(amount_from_float(
                    options.pod_recommendation_min_memory_mb * 1_048_576.0,
                ))),
            },
            global_max: ResourceList {
                cpu: options.container_recommendation_max_allowed_cpu,
                memory: options.container_recommendation_max_allowed_memory,
            },
            round_cpu: Millicores(options.round_cpu_millicores),
            round_memory: Bytes(options.round_memory_bytes),
            oom_floor_lifetime: self.history().lifetime(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["podfit-recommender"], arguments].concat())
    }

    #[test]
    fn defaults_are_upstreams() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.recommender_interval.0.as_secs(), 60);
        assert_eq!(options.address.port(), 8942);
        assert!((options.estimate.recommendation_margin_fraction - 0.15).abs() < f64::EPSILON);
        assert_eq!(options.history.memory_aggregation_interval_count, 8);
        assert!(options.leader_election.leader_elect);
        assert_eq!(options.history(), HistoryConfig::default());
        assert_eq!(options.estimator(), EstimatorConfig::default());
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_wrong() {
        let cases = [
            ("--recommender-interval=10", "write it like"),
            ("--target-cpu-percentile=90", "between 0 and 1"),
            (
                "--recommendation-margin-fraction=-1",
                "must not be negative",
            ),
            ("--oom-bump-up-ratio=0.5", "1 or more"),
            ("--cpu-histogram-decay-half-life=0", "longer than nothing"),
            ("--container-recommendation-max-allowed-cpu=lots", "lots"),
            ("--round-cpu-millicores=0", "0"),
            ("--no-such-flag", "--no-such-flag"),
        ];
        for (argument, told) in cases {
            let error = parse(&[argument]).unwrap_err().to_string();
            assert!(error.contains(told), "{argument}: {error}");
        }
    }

    #[test]
    fn the_last_of_repeated_flags_wins() {
        let options = parse(&[
            "--recommender-interval=1s",
            "--v=4",
            "--v=6",
            "--recommender-interval=5s",
        ])
        .unwrap();
        assert_eq!(options.recommender_interval.0.as_secs(), 5);
        assert_eq!(options.logs.verbosity, 6);
    }
}
