//! What the updater would do now: its own plan, made from a snapshot that is listed once.

use anyhow::{Result, bail};
use clap::Parser;
use podfit_cluster::api::time::now;
use podfit_cluster::index::{Index, Kinds, list_once};
use podfit_cluster::options::{BudgetOptions, ClusterOptions, DisruptionOptions};
use podfit_cluster::snapshot::snapshot;
use podfit_core::disruption::{Config, Decision, Limit, Limits, Memory, Snapshot, plan};

use crate::connection::Connection;
use crate::flags;
use crate::installation::Installation;
use crate::progress::Progress;

/// Those of the updater's flags that a plan depends on.
#[derive(Parser)]
struct UpdaterFlags {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    disruption: DisruptionOptions,
    #[command(flatten)]
    budgets: BudgetOptions,
}

/// A plan and what it was made from.
pub struct Foresight {
    /// The objects.
    pub index: Index,
    /// What the plan saw of them.
    pub snapshot: Snapshot,
    /// The updater's settings.
    pub config: Config,
    /// What would be done now.
    pub now: Vec<Decision>,
    /// What would be done without limits on how much at one time.
    pub in_the_end: Vec<Decision>,
    /// What could not be read, and so was not considered.
    pub remarks: Vec<String>,
}

impl Foresight {
    /// Lists what is there, and plans.
    pub async fn new(
        connection: &Connection,
        installation: &Installation,
        progress: &Progress,
    ) -> Result<Self> {
        let arguments = installation.arguments("updater");
        let mut remarks = Vec::new();
        if arguments.is_empty() {
            let namespace = &installation.namespace;
            remarks.push(format!(
                "the updater's Deployment is not seen in namespace {namespace}: planned with the defaults of its flags"
            ));
        }
        let UpdaterFlags {
            mut cluster,
            disruption,
            budgets,
        } = flags::read(&arguments)?;
        if let Some(namespace) = &connection.namespace {
            cluster.vpa_object_namespace.clone_from(namespace);
            cluster.ignored_vpa_object_namespaces.clear();
        }
        let mut config = disruption.config(&cluster);
        budgets.apply(&mut config);
        forget_the_past(&mut config);
        let tell = |what: &str| progress.say(&format!("listing {what}"));
        let (index, not_read) = list_once(&connection.calls, &cluster, Kinds::All, tell).await;
        for missing in not_read {
            if matches!(missing.what.as_str(), "pods" | "verticalpodautoscalers") {
                bail!("{}; without them nothing can be planned", missing.error);
            }
            remarks.push(format!("{}; planned as if there were none", missing.error));
        }
        progress.say("planning");
        let at = now();
        let snapshot = snapshot(&index, &config, at);
        let mut memory = Memory::default();
        memory.observe(&snapshot, at);
        let now = plan(&snapshot, &memory, &config, at);
        let in_the_end = plan(&snapshot, &memory, &without_limits(&config), at);
        Ok(Self {
            index,
            snapshot,
            config,
            now,
            in_the_end,
            remarks,
        })
    }
}

/// What depends on what the updater did before is unknown here: a plan is made as if it had run for long, and calmly.
fn forget_the_past(config: &mut Config) {
    config.warm_up = std::time::Duration::ZERO;
    config.breaker_factor = 0.0;
}

fn without_limits(config: &Config) -> Config {
    Config {
        eviction_tolerance: 1.0,
        limits: Limits {
            cluster: Limit::None,
            namespace: Limit::None,
            workload: Limit::None,
        },
        ..config.clone()
    }
}
