//! What the updater would do now: its own plan, made from a snapshot that is listed once.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Parser;
use podfit_cluster::api::time::now;
use podfit_cluster::index::{Index, Kinds, list_once};
use podfit_cluster::options::{BudgetOptions, ClusterOptions, DisruptionOptions};
use podfit_cluster::snapshot::snapshot;
use podfit_core::disruption::{Config, Decision, Limit, Limits, Memory, Snapshot, plan};
use podfit_core::vpa::{ContainerRecommendation, Vpa};

use crate::connection::Connection;
use crate::evidence::{Witness, recommendation};
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
    /// Lists what is there, and plans; with the numbers that are published, or with those that `podfit` tells.
    pub async fn new(
        connection: &Connection,
        installation: &Installation,
        podfit: Option<&Witness<'_>>,
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
        let (mut index, not_read) = list_once(&connection.calls, &cluster, Kinds::All, tell).await;
        for missing in not_read {
            if matches!(missing.what.as_str(), "pods" | "verticalpodautoscalers") {
                bail!("{}; without them nothing can be planned", missing.error);
            }
            remarks.push(format!("{}; planned as if there were none", missing.error));
        }
        if let Some(witness) = podfit {
            let recommender = installation.flag("recommender", "recommender-name", "default");
            remarks.extend(take_over(&mut index, &recommender, witness, progress).await);
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

/// Puts podfit's numbers in the place of those that are published for the VPAs which it would serve; who told them.
async fn take_over(
    index: &mut Index,
    recommender: &str,
    witness: &Witness<'_>,
    progress: &Progress,
) -> BTreeSet<String> {
    let served = |vpa: &&Arc<Vpa>| {
        let named = &vpa.recommenders;
        named.is_empty() && recommender == "default" || named.iter().any(|n| n == recommender)
    };
    let vpas: Vec<_> = index.vpas.iter().filter(served).cloned().collect();
    let told = witness.ask_all(&vpas, index, progress).await;
    for (vpa, evidence) in vpas.iter().zip(&told) {
        if let Some(ours) = recommendation(&evidence.explanation) {
            index.vpas.apply(taken_over(vpa, ours));
        }
    }
    let sources = told.into_iter().map(|evidence| evidence.source);
    sources
        .map(|source| format!("planned with podfit's numbers, told by {source}"))
        .collect()
}

/// A VPA with podfit's numbers; of what podfit has none for, those published stay.
fn taken_over(vpa: &Vpa, mut ours: Vec<ContainerRecommendation>) -> Vpa {
    for published in vpa.recommendation.iter().flatten() {
        if !ours
            .iter()
            .any(|c| c.container_name == published.container_name)
        {
            ours.push(published.clone());
        }
    }
    Vpa {
        recommendation: (!ours.is_empty()).then_some(ours),
        ..vpa.clone()
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

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Millicores, ResourceList};

    use super::*;

    #[test]
    fn podfits_numbers_take_the_place_of_those_published() {
        let of = |name: &str, cpu| ContainerRecommendation {
            container_name: name.into(),
            target: ResourceList {
                cpu: Some(Millicores(cpu)),
                memory: None,
            },
            ..ContainerRecommendation::default()
        };
        let vpa = Vpa {
            recommendation: Some(vec![of("app", 100), of("side", 10)]),
            ..Vpa::default()
        };
        let taken = taken_over(&vpa, vec![of("app", 200), of("new", 5)]);
        let expected = vec![of("app", 200), of("new", 5), of("side", 10)];
        assert_eq!(taken.recommendation, Some(expected));
        assert_eq!(taken_over(&Vpa::default(), vec![]).recommendation, None);
    }
}
