//! Flags of `replay`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Arg, Args, ValueEnum};
use podfit_cluster::flag_values::part;
use podfit_cluster::options::{EstimateOptions, GoDuration, HistoryOptions, Profile};
use podfit_cluster::prometheus::PrometheusOptions;
use podfit_core::adaptive::Promises;
use podfit_core::disruption::Config;
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::HistoryConfig;

use super::estimators::Estimator;
use super::fleet::Rules;

/// Flags of `replay`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  kubectl podfit replay --usage usage.csv.gz
  kubectl podfit replay --usage usage.csv --estimator histogram,krr,last-hour --report report.html
  kubectl podfit replay --usage usage.csv --target-cpu-percentile 0.98 --recommendations targets.csv
  kubectl podfit replay --prometheus http://127.0.0.1:9090 --prometheus-preset kube-prometheus-stack --since 14d -n shop")]
#[command(mut_args(as_of_replay))]
pub struct ReplayOptions {
    /// A file of recorded usage, plain or gzip; several may be given. Its first line is a header with the columns `series`,
    /// `timestamp_s`, and `cpu_cores` or `memory_bytes` or both. A row is a sample; an empty field was not measured. The rows of
    /// a series are in order of time. Columns `cpu_request_cores` and `memory_request_bytes` may say what is requested: the last
    /// row that has one counts.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub usage: Vec<PathBuf>,

    /// Keep what Prometheus answered in this file, which --usage reads; gzip when its name ends in `.gz`.
    #[arg(long, value_name = "FILE")]
    pub save_usage: Option<PathBuf>,

    /// What is to size the workloads. Several are compared.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "histogram",
        value_name = "NAME,…"
    )]
    pub estimator: Vec<Estimator>,

    /// What `adaptive` promises of CPU: the part of the time in which usage may be over the target, on average over workloads.
    #[arg(long, default_value = "1%", value_parser = part, value_name = "PERCENT%")]
    pub cpu_violation_target: f64,

    /// What `adaptive` promises of memory: the part of all days on which usage may be over the target, on average over workloads.
    #[arg(long, default_value = "2%", value_parser = part, value_name = "PERCENT%")]
    pub memory_oom_days_target: f64,

    /// How often sizes are computed. Not given: each hour for samples five minutes apart or more over a day or longer, else
    /// each minute.
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<GoDuration>,

    /// Whose rules win where podfit differs from upstream.
    #[arg(long, value_enum, default_value = "safe", value_name = "PROFILE")]
    pub profile: Profile,

    /// Write the sizes that were in force, and from when on, to this file.
    #[arg(long, value_name = "FILE")]
    pub recommendations: Option<PathBuf>,

    /// Write a page with figures and plots to this file. It needs no network.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// How many series the report plots: so many that waste the most, and as many that run over the most.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "report")]
    pub report_workloads: usize,

    /// Tell, workload by workload, what switching from the first of two estimators to the second would change.
    #[arg(long)]
    pub apply_preview: bool,

    /// Compare estimators at equal violation, too: every target is multiplied by the least factor that keeps a goal.
    #[arg(long)]
    pub matched: bool,

    /// Lines `series,group` of series that are replicas of each other: they stay together when --matched draws series at
    /// random.
    #[arg(long, value_name = "FILE", requires = "matched")]
    pub groups: Option<PathBuf>,

    /// How to write the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,

    /// Fail when a row cannot be read, instead of leaving it out.
    #[arg(long)]
    pub strict: bool,

    /// From a history to numbers: the recommender's flags.
    #[command(flatten)]
    pub estimate: EstimateOptions,

    /// How histories are kept: the recommender's flags.
    #[command(flatten)]
    pub history: HistoryOptions,

    /// A Prometheus to ask: the recommender's flags.
    #[command(flatten)]
    pub prometheus: PrometheusOptions,
}

/// The recommender's flags, as far as they mean something else here.
fn as_of_replay(flag: Arg) -> Arg {
    match flag.get_id().as_str() {
        "prometheus_preset" => said(
            flag,
            "How a Prometheus was installed whose usage is replayed. Says where it is, what the kubelets' job and its labels are \
             called; the flags below say otherwise",
        ),
        "prometheus_address" => said(
            flag.long("prometheus").alias("prometheus-address"),
            "Base of the address of a Prometheus' API, or of what speaks it, whose usage is replayed: of all namespaces, or of \
             that of -n. Not given: the preset's",
        ),
        "history_length" => flag
            .long("since")
            .alias("history-length")
            .default_value("14d"),
        "history_resolution" => said(
            flag.default_value("5m"),
            "The time that one point stands for",
        ),
        _ => flag,
    }
}

fn said(flag: Arg, help: &'static str) -> Arg {
    flag.help(help).long_help(None::<&str>)
}

/// How to write the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Text,
    /// All figures, for programs.
    Json,
    /// Tables for a page.
    Md,
}

impl ReplayOptions {
    /// Says what does not go together.
    pub fn check(&self) -> Result<()> {
        if self.recommendations.is_some() && self.estimator.len() > 1 {
            bail!("--recommendations holds the sizes of one estimator; name one with --estimator");
        }
        if self.apply_preview && self.estimator.len() != 2 {
            bail!(
                "--apply-preview compares two: --estimator histogram,adaptive, or request,adaptive"
            );
        }
        if self.usage.is_empty() && !self.prometheus.is_given() {
            bail!("say what to replay: files with --usage, or a Prometheus with --prometheus");
        }
        if self.save_usage.is_some() && !self.prometheus.is_given() {
            bail!("--save-usage keeps what a Prometheus answers; name one with --prometheus");
        }
        Ok(())
    }

    /// What sizes: what was asked for, and beside it what is requested now, unless sizes are written or two are compared.
    pub fn estimators(&self) -> Vec<Estimator> {
        let mut estimators = self.estimator.clone();
        let alone = self.recommendations.is_some() || self.apply_preview;
        if !alone && !estimators.contains(&Estimator::Request) {
            estimators.push(Estimator::Request);
        }
        estimators
    }

    /// How the replay goes.
    pub fn rules(&self) -> Rules {
        Rules {
            estimators: self.estimators(),
            interval: self.interval.map(|interval| interval.0),
            config: self.config(),
            updater: Config::new(self.profile.into()),
            curves: self.matched || self.report.is_some(),
            sketches: self.report.is_some(),
        }
    }

    /// How the recommender would make numbers.
    fn config(&self) -> EstimatorConfig {
        self.estimate.config(HistoryConfig {
            profile: self.profile.into(),
            promises: Promises {
                cpu_time: self.cpu_violation_target,
                memory_days: self.memory_oom_days_target,
            },
            ..self.history.config()
        })
    }
}
