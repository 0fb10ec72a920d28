//! The updater's flags: upstream's names, defaults and value syntax, each with an environment twin.

use std::net::SocketAddr;

use clap::Parser;
use podfit_cluster::admin::parse_address;
use podfit_cluster::flag_values::positive;
use podfit_cluster::lease::StatusLease;
use podfit_cluster::options::{
    BudgetOptions, ClusterOptions, DisruptionOptions, GoDuration, LeaderElectionOptions,
    LogOptions, namespace_or_own,
};

/// Brings running pods to what is recommended for them: resized in place where that can be done, evicted under their
/// PodDisruptionBudgets where it cannot.
///
/// It acts only while the webhook shows a sign of life, since an evicted pod that comes back unsized was evicted for
/// nothing. What it did, or why it did nothing, is told in events on pods and VPAs.
#[derive(Parser, Clone, Debug)]
// A flag given twice: the last wins, as in upstream, so that the chart's extraArgs override its own flags.
#[command(name = "podfit-updater", version = podfit_cluster::version!().to_string(), args_override_self = true)]
pub struct Options {
    /// How often pods are compared with their recommendations.
    #[arg(
        long,
        env = "PODFIT_UPDATER_INTERVAL",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub updater_interval: GoDuration,

    /// Where /metrics, /healthz (also as /health-check) and /readyz are served, as [IP]:PORT.
    #[arg(long, env = "PODFIT_ADDRESS", default_value = ":8943", value_parser = parse_address, value_name = "ADDRESS")]
    pub address: SocketAddr,

    #[command(flatten)]
    pub disruption: DisruptionOptions,

    #[command(flatten)]
    pub budgets: BudgetOptions,

    #[command(flatten)]
    pub webhook: WebhookOptions,

    #[command(flatten)]
    pub cluster: ClusterOptions,

    #[command(flatten)]
    pub leader_election: LeaderElectionOptions,

    #[command(flatten)]
    pub logs: LogOptions,
}

/// How the webhook's sign of life is read.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Webhook")]
pub struct WebhookOptions {
    /// Act only while the webhook renews its status lease.
    #[arg(long, env = "PODFIT_USE_ADMISSION_CONTROLLER_STATUS", num_args = 0..=1, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub use_admission_controller_status: bool,

    /// Name of that lease.
    #[arg(
        long,
        env = "PODFIT_ADMISSION_CONTROLLER_STATUS_LEASE_NAME",
        default_value = "vpa-admission-controller",
        value_name = "NAME"
    )]
    pub admission_controller_status_lease_name: String,

    /// Namespace of that lease. Empty: the one in `NAMESPACE`, else kube-system.
    #[arg(
        long,
        env = "PODFIT_ADMISSION_CONTROLLER_STATUS_LEASE_NAMESPACE",
        default_value = "",
        hide_default_value = true,
        value_name = "NAMESPACE"
    )]
    pub admission_controller_status_lease_namespace: String,

    /// For how long one renewal counts.
    #[arg(long, env = "PODFIT_ADMISSION_CONTROLLER_STATUS_LEASE_TIMEOUT", default_value = "1m", value_parser = positive, value_name = "DURATION")]
    pub admission_controller_status_lease_timeout: GoDuration,
}

impl WebhookOptions {
    /// The lease to look at; `None` when it is not to be looked at.
    pub fn status_lease(&self) -> Option<StatusLease> {
        self.use_admission_controller_status.then(|| StatusLease {
            namespace: namespace_or_own(&self.admission_controller_status_lease_namespace),
            name: self.admission_controller_status_lease_name.clone(),
            timeout: self.admission_controller_status_lease_timeout.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use podfit_cluster::options::upstream::differences;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["podfit-updater"], arguments].concat())
    }

    #[test]
    fn defaults_are_upstreams() {
        let components = ["common", "leader-election", "updater"];
        assert_eq!(
            differences(&Options::command(), &components),
            [] as [String; 0]
        );
        let options = parse(&[]).unwrap();
        assert_eq!(
            (options.updater_interval.0.as_secs(), options.address.port()),
            (60, 8943)
        );
        assert_eq!(
            (
                options.disruption.min_replicas,
                options.disruption.in_place_skip_disruption_budget
            ),
            (2, None)
        );
        let lease = options.webhook.status_lease().unwrap();
        assert_eq!(
            (lease.name.as_str(), lease.timeout.as_secs()),
            ("vpa-admission-controller", 60)
        );
    }

    #[test]
    fn values_are_taken_as_upstream_takes_them() {
        let options = parse(&[
            "--use-admission-controller-status=false",
            "--eviction-rate-limit=-1",
            "--in-place-skip-disruption-budget=true",
        ])
        .unwrap();
        assert!(options.webhook.status_lease().is_none());
        assert_eq!(
            options.disruption.in_place_skip_disruption_budget,
            Some(true)
        );
        for argument in [
            "--eviction-tolerance=2",
            "--admission-controller-status-lease-timeout=0s",
            "--pod-update-threshold=x",
        ] {
            assert!(parse(&[argument]).is_err(), "{argument}");
        }
    }

    #[test]
    fn the_last_of_repeated_flags_wins() {
        let options = parse(&[
            "--updater-interval=1s",
            "--v=4",
            "--v=6",
            "--updater-interval=5s",
        ])
        .unwrap();
        assert_eq!(options.updater_interval.0.as_secs(), 5);
        assert_eq!(options.logs.verbosity, 6);
    }
}
