//! The recommender's flags: upstream's names, defaults and value syntax, each with an environment twin.

mod backfill;
mod external;
mod opt_in;

use std::net::SocketAddr;

use clap::Parser;
use podfit_cluster::admin::parse_address;
use podfit_cluster::flag_values::fraction;
use podfit_cluster::options::{
    ClusterOptions, EstimateOptions, GoDuration, HistoryOptions, LeaderElectionOptions, LogOptions,
    MethodOptions,
};
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::HistoryConfig;

use self::backfill::BackfillOptions;
use self::external::ExternalOptions;
use self::opt_in::OptInOptions;
use crate::view::Serves;

/// Measures what containers use and recommends what they should request.
///
/// Reads usage from metrics.k8s.io, keeps a decaying histogram per container of each workload that a
/// VerticalPodAutoscaler targets, and writes its recommendation into that object's status. Histories are stored as
/// VerticalPodAutoscalerCheckpoints, in upstream's encoding, and read back at start.
///
/// It never touches a pod: podfit-updater and podfit-webhook do.
#[derive(Parser, Clone, Debug)]
// A flag given twice: the last wins, as in upstream, so that the chart's extraArgs override its own flags.
#[command(name = "podfit-recommender", version = podfit_cluster::version!().to_string(), args_override_self = true)]
pub struct Options {
    /// VPAs whose `spec.recommenders` names this are sized; `default` also takes those that name none.
    #[arg(
        long,
        env = "PODFIT_RECOMMENDER_NAME",
        default_value = "default",
        value_name = "NAME"
    )]
    pub recommender_name: String,

    /// How often usage is read and recommendations are computed. Usage is no newer than what the metrics API has.
    #[arg(
        long,
        env = "PODFIT_RECOMMENDER_INTERVAL",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub recommender_interval: GoDuration,

    /// Where /metrics, /healthz (also as /health-check), /readyz and /explain are served, as [IP]:PORT.
    #[arg(long, env = "PODFIT_ADDRESS", default_value = ":8942", value_parser = parse_address, value_name = "ADDRESS")]
    pub address: SocketAddr,

    /// How many statuses and checkpoints are written at once, 1 or more.
    #[arg(long, env = "PODFIT_UPDATE_WORKER_COUNT", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub update_worker_count: u16,

    /// Numbers that are off from the published ones by no more than this fraction are not written. 0: every change is.
    #[arg(long, env = "PODFIT_STATUS_WRITE_THRESHOLD", default_value_t = 0.01, value_parser = fraction, value_name = "0..1")]
    pub status_write_threshold: f64,

    /// Where histories come from at the start. Checkpoints are written, and read, with either.
    #[arg(long, env = "PODFIT_STORAGE", default_value = "checkpoint", value_parser = storage, value_name = "checkpoint|prometheus")]
    pub storage: Storage,

    /// Accepted for upstream's manifests: only what a VPA targets is ever kept in memory.
    #[arg(long, env = "PODFIT_MEMORY_SAVER", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub memory_saver: bool,

    /// Without effect, as in upstream.
    #[arg(
        long,
        env = "PODFIT_MIN_CHECKPOINTS",
        default_value_t = 10,
        hide = true
    )]
    pub min_checkpoints: i32,

    #[command(flatten)]
    pub method: MethodOptions,

    #[command(flatten)]
    pub estimate: EstimateOptions,

    #[command(flatten)]
    pub history: HistoryOptions,

    #[command(flatten)]
    pub backfill: BackfillOptions,

    #[command(flatten)]
    pub external: ExternalOptions,

    #[command(flatten)]
    pub opt_in: OptInOptions,

    #[command(flatten)]
    pub cluster: ClusterOptions,

    #[command(flatten)]
    pub leader_election: LeaderElectionOptions,

    #[command(flatten)]
    pub logs: LogOptions,
}

/// Where histories come from at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// From checkpoints.
    Checkpoint,
    /// From Prometheus as well.
    Prometheus,
}

/// Upstream takes any word but `prometheus` for checkpoints, so that a slip of the pen means no Prometheus.
fn storage(text: &str) -> Result<Storage, String> {
    match text {
        "" | "checkpoint" => Ok(Storage::Checkpoint),
        "prometheus" => Ok(Storage::Prometheus),
        _ => Err("write checkpoint or prometheus".into()),
    }
}

impl Options {
    /// Says in the log what was given in vain.
    pub fn warn(&self) {
        if self.min_checkpoints != 10 {
            tracing::warn!("--min-checkpoints has no effect; leave it out");
        }
    }

    /// Which VPAs are computed for.
    pub fn serves(&self) -> Serves {
        if self.cluster.shadow {
            Serves::All
        } else {
            Serves::Named(self.recommender_name.clone())
        }
    }

    /// True when nothing may be written while another VPA acts. A recommender of another name than upstream's serves VPAs that
    /// upstream's leaves alone: beside upstream is its place.
    pub fn looks_out(&self) -> bool {
        self.cluster.looks_out() && self.serves() == Serves::from("default")
    }

    /// True when labels are to be followed. Of several recommenders one makes VPAs; and where nothing is written, none does.
    pub fn opts_in(&self) -> bool {
        self.opt_in.opt_in && !self.cluster.shadow && self.recommender_name == "default"
    }

    /// How histories are kept.
    pub fn history(&self) -> HistoryConfig {
        self.method.apply(HistoryConfig {
            profile: self.cluster.profile.into(),
            per_vpa: self.cluster.gates().per_vpa_config,
            ..self.history.config()
        })
    }

    /// How recommendations are computed.
    pub fn estimator(&self) -> EstimatorConfig {
        EstimatorConfig {
            method: self.method.estimator,
            ..self.estimate.config(self.history())
        }
    }
}

#[cfg(test)]
mod tests;
