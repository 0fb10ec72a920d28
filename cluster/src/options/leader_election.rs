//! Flags of leader election.

use clap::Args;

use super::GoDuration;

/// Leader election: one replica acts, the others stay warm.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderElectionOptions {
    /// Act only while holding the lease. Without it exactly one replica may run.
    #[arg(long, env = "PODFIT_LEADER_ELECT", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
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
