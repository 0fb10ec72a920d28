//! Command-line options that several binaries share, with upstream's names and value syntax.

mod arguments;
mod disruption;
mod estimate;
mod history;
mod leader_election;
mod logs;
mod method;
pub mod upstream;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use podfit_core::feature_gates::{FeatureGates, GateSetting};

pub use self::arguments::arguments;
pub use self::disruption::{BudgetOptions, DisruptionOptions, ResizeOptions};
pub use self::estimate::EstimateOptions;
pub use self::history::HistoryOptions;
pub use self::leader_election::LeaderElectionOptions;
pub use self::logs::{LogFormat, LogOptions};
pub use self::method::MethodOptions;
pub use crate::flag_values::GoDuration;

/// How to reach the cluster, and what of it to look at.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterOptions {
    /// Path of a kubeconfig file. Empty: the service account of the pod this runs in.
    #[arg(long, env = "PODFIT_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// API requests per second that this process allows itself, above 0. Watches do not count.
    #[arg(
        long,
        env = "PODFIT_KUBE_API_QPS",
        default_value_t = 50.0,
        value_name = "N"
    )]
    pub kube_api_qps: f64,

    /// How many API requests may be made at once before that rate holds, 1 or more.
    #[arg(
        long,
        env = "PODFIT_KUBE_API_BURST",
        default_value_t = 100.0,
        value_name = "N"
    )]
    pub kube_api_burst: f64,

    /// How long one API request may take before it is given up. The next loop tries again.
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

    /// Whose rules hold where podfit's and upstream's differ. The same for all three programs.
    #[arg(long, env = "PODFIT_PROFILE", value_enum, default_value_t = Profile::Safe)]
    pub profile: Profile,

    /// Compute for every VPA, whatever its mode and whoever recommends for it, and show that, but write nothing: no status, no
    /// history, no pod, no event, no lease, no registration. For a look beside another VPA installation.
    #[arg(long, env = "PODFIT_SHADOW", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub shadow: bool,

    /// Act also while another VPA is seen to act in this cluster. Only where it was made sure that the two have nothing to do
    /// with the same VPAs and pods: else each undoes what the other does.
    #[arg(long, env = "PODFIT_ACT_BESIDE_ANOTHER_VPA", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub act_beside_another_vpa: bool,

    /// Features to switch on or off, as NAME=BOOL,NAME=BOOL: `CPUStartupBoost`, `InPlace`, `PerVPAConfig`, and `AllAlpha` for
    /// all of them. All are off, but `InPlace` is on in profile safe.
    #[arg(long, env = "PODFIT_FEATURE_GATES", value_delimiter = ',', action = clap::ArgAction::Append, value_name = "GATES")]
    pub feature_gates: Vec<GateSetting>,
}

impl ClusterOptions {
    /// What is switched on.
    pub fn gates(&self) -> FeatureGates {
        let defaults = FeatureGates {
            in_place: self.profile == Profile::Safe,
            ..FeatureGates::default()
        };
        defaults.with(&self.feature_gates)
    }

    /// True when nothing may be done while another VPA acts.
    pub fn looks_out(&self) -> bool {
        !self.shadow && !self.act_beside_another_vpa
    }

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

/// Whose rules hold where podfit's and upstream's differ: the flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// podfit's rules: no pointless eviction, no eviction of training runs, out-of-memory evidence first.
    Safe,
    /// Upstream's behaviour wins, for migrations with their own tests.
    Upstream,
}

impl From<Profile> for podfit_core::profile::Profile {
    fn from(flag: Profile) -> Self {
        match flag {
            Profile::Safe => Self::Safe,
            Profile::Upstream => Self::Upstream,
        }
    }
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
