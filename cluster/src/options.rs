//! Command-line options that several binaries share, with upstream's names and value syntax.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use crate::flag_values::GoDuration;

/// How to reach the cluster, and what of it to look at.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterOptions {
    /// Path of a kubeconfig file. Empty: the service account of the pod this runs in.
    #[arg(long, env = "PODFIT_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// API requests per second that this process allows itself (watches do not count).
    #[arg(
        long,
        env = "PODFIT_KUBE_API_QPS",
        default_value_t = 50.0,
        value_name = "N"
    )]
    pub kube_api_qps: f64,

    /// How many API requests may be made at once before the rate above holds.
    #[arg(
        long,
        env = "PODFIT_KUBE_API_BURST",
        default_value_t = 100.0,
        value_name = "N"
    )]
    pub kube_api_burst: f64,

    /// How long one API request may take before it is given up (and tried again in the next loop).
    #[arg(
        long,
        env = "PODFIT_KUBE_API_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION"
    )]
    pub kube_api_timeout: GoDuration,

    /// Look only at VPAs and pods of this namespace. Empty: all.
    #[arg(
        long,
        env = "PODFIT_VPA_OBJECT_NAMESPACE",
        default_value = "",
        value_name = "NAMESPACE",
        hide_default_value = true
    )]
    pub vpa_object_namespace: String,

    /// Leave VPAs of these namespaces alone (a comma-separated list).
    #[arg(
        long,
        env = "PODFIT_IGNORED_VPA_OBJECT_NAMESPACES",
        value_delimiter = ',',
        conflicts_with = "vpa_object_namespace",
        value_name = "NAMESPACES"
    )]
    pub ignored_vpa_object_namespaces: Vec<String>,

    /// Whose rules hold where podfit's and upstream's differ.
    #[arg(long, env = "PODFIT_PROFILE", value_enum, default_value_t = Profile::Safe)]
    pub profile: Profile,
}

impl ClusterOptions {
    /// True when VPAs of `namespace` are to be looked at.
    pub fn covers(&self, namespace: &str) -> bool {
        if self.vpa_object_namespace.is_empty() {
            !self
                .ignored_vpa_object_namespaces
                .iter()
                .any(|n| n == namespace)
        } else {
            self.vpa_object_namespace == namespace
        }
    }
}

/// Whose rules hold where podfit's and upstream's differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// podfit's rules: no pointless eviction, no eviction of training runs, out-of-memory evidence first.
    Safe,
    /// Upstream's behaviour wins, for migrations with their own tests.
    Upstream,
}

/// What the process says of itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs, metrics and health")]
pub struct LogOptions {
    /// Log verbosity on upstream's scale: up to 1 warnings, 2 to 4 information, 5 and 6 debug, above that everything.
    /// The environment variable `RUST_LOG` (for example `info,podfit_updater=debug`) is finer and wins.
    #[arg(
        long = "v",
        env = "PODFIT_V",
        default_value_t = 4,
        value_name = "LEVEL"
    )]
    pub verbosity: u8,

    /// How log lines look.
    #[arg(long, env = "PODFIT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Accepted for upstream's manifests; logs always go to standard error.
    #[arg(long, hide = true, default_value = "info")]
    pub stderrthreshold: String,

    /// Accepted for upstream's manifests; logs always go to standard error.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", default_value = "true")]
    pub logtostderr: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Leader election: one replica acts, the others stay warm.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderElectionOptions {
    /// Act only while holding the lease. Without it exactly one replica may run.
    #[arg(long, env = "PODFIT_LEADER_ELECT", num_args = 0..=1, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub leader_elect: bool,

    /// How long a lease is good for after its last renewal.
    #[arg(
        long,
        env = "PODFIT_LEADER_ELECT_LEASE_DURATION",
        default_value = "15s",
        value_name = "DURATION"
    )]
    pub leader_elect_lease_duration: GoDuration,

    /// How long the holder keeps trying to renew before it gives up.
    #[arg(
        long,
        env = "PODFIT_LEADER_ELECT_RENEW_DEADLINE",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub leader_elect_renew_deadline: GoDuration,

    /// Pause between tries to take or renew the lease.
    #[arg(
        long,
        env = "PODFIT_LEADER_ELECT_RETRY_PERIOD",
        default_value = "2s",
        value_name = "DURATION"
    )]
    pub leader_elect_retry_period: GoDuration,

    /// The kind of lock. Only `leases` exists any more.
    #[arg(long, env = "PODFIT_LEADER_ELECT_RESOURCE_LOCK", default_value = "leases", value_parser = ["leases"], hide = true)]
    pub leader_elect_resource_lock: String,

    /// Name of the Lease. Empty: the component's own.
    #[arg(
        long,
        env = "PODFIT_LEADER_ELECT_RESOURCE_NAME",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub leader_elect_resource_name: String,

    /// Namespace of the Lease. Empty: the one in `NAMESPACE`, else kube-system.
    #[arg(
        long,
        env = "PODFIT_LEADER_ELECT_RESOURCE_NAMESPACE",
        default_value = "",
        hide_default_value = true,
        value_name = "NAMESPACE"
    )]
    pub leader_elect_resource_namespace: String,
}

/// The namespace this process runs in: `NAMESPACE`, else kube-system, as upstream has it.
pub fn own_namespace() -> String {
    std::env::var("NAMESPACE")
        .ok()
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| "kube-system".into())
}

/// `given`, or this process' own namespace when it is empty.
pub fn namespace_or_own(given: &str) -> String {
    if given.is_empty() {
        own_namespace()
    } else {
        given.into()
    }
}

/// The process' arguments with underscores in flag names turned into dashes, and Go's single dash into two, since
/// upstream's flag library takes both.
pub fn arguments() -> Vec<String> {
    std::env::args()
        .map(|argument| normalize(&argument))
        .collect()
}

fn normalize(argument: &str) -> String {
    let Some(flag) = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-').filter(|f| f.len() > 1))
    else {
        return argument.into();
    };
    if argument.starts_with('-')
        && !argument.starts_with("--")
        && !flag.contains('=')
        && flag.len() < 3
        && flag != "v"
    {
        return argument.into(); // -h, -V
    }
    match flag.split_once('=') {
        Some((name, value)) => format!("--{}={value}", name.replace('_', "-")),
        None => format!("--{}", flag.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_be_written_as_upstream_takes_them() {
        let cases = [
            ("--recommender_interval=5s", "--recommender-interval=5s"),
            ("-recommender-interval=a_b", "--recommender-interval=a_b"),
            ("--v=4", "--v=4"),
            ("-v=4", "--v=4"),
            ("-h", "-h"),
            ("value_with_underscore", "value_with_underscore"),
        ];
        for (given, normalized) in cases {
            assert_eq!(normalize(given), normalized);
        }
    }
}
