//! The command line. How to reach the cluster is said as to kubectl.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use podfit_cluster::options::GoDuration;

use crate::diff::DiffOptions;
use crate::doctor::DoctorOptions;
use crate::explain::ExplainOptions;
use crate::plan::PlanOptions;
use crate::replay::ReplayOptions;

/// Looks after podfit: is it well, why is a recommendation what it is, and what would be done next.
///
/// It only reads: no command changes anything in the cluster.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "kubectl-podfit",
    bin_name = "kubectl podfit",
    version = podfit_cluster::version!().to_string(),
)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How to reach the cluster.
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Check that podfit and what it needs are well; each line that is not OK says what to do.
    Doctor(Box<DoctorOptions>),
    /// Tell why a recommendation is what it is, what is done next with the pods, and what is in the way.
    Explain(ExplainOptions),
    /// Tell what the updater would do now, and what CPU and memory that frees or adds.
    Plan(PlanOptions),
    /// Tell what would have been recommended for usage from files or a Prometheus, and how well that would have fitted. Asks no
    /// API server.
    Replay(Box<ReplayOptions>),
    /// Put podfit's numbers beside those that are published, for every VPA.
    Diff(DiffOptions),
}

/// Which cluster, as whom, and which namespaces: kubectl's flags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub struct ConnectionOptions {
    /// Path of a kubeconfig file. Not given: the files in KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The kubeconfig context to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig cluster to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,

    /// The kubeconfig user to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,

    /// Act as this user.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,

    /// Act as this group; may be repeated.
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,

    /// The namespace. Not given: the context's.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// All namespaces.
    #[arg(short = 'A', long, global = true, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// The namespace in which podfit is installed.
    #[arg(
        long,
        global = true,
        default_value = "podfit",
        value_name = "NAMESPACE"
    )]
    pub podfit_namespace: String,

    /// How long one API request may take.
    #[arg(long, global = true, default_value = "30s", value_name = "DURATION")]
    pub request_timeout: GoDuration,
}

/// How to write the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How to write an answer that is a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Text,
    /// All there is to tell, for programs.
    Json,
    /// A line a row, for spreadsheets.
    Csv,
    /// Tables for a page or a ticket.
    Md,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_kubectls() {
        Options::command().debug_assert();
        let options = Options::try_parse_from([
            "kubectl-podfit",
            "doctor",
            "--context",
            "prod",
            "-n",
            "shop",
            "--strict",
            "-o",
            "json",
        ])
        .unwrap();
        assert_eq!(options.connection.context.as_deref(), Some("prod"));
        assert_eq!(options.connection.namespace.as_deref(), Some("shop"));
        assert!(Options::try_parse_from(["kubectl-podfit", "doctor", "-A", "-n", "x"]).is_err());
    }
}
