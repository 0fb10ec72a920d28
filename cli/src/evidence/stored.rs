//! Histories as they are stored in checkpoints, upstream's too, and what the recommender's flags make of them.

use clap::Parser;
use podfit_cluster::api::time::now;
use podfit_cluster::calls::Calls;
use podfit_cluster::checkpoints::{self, Stored};
use podfit_cluster::explanation::to_json;
use podfit_cluster::index::Index;
use podfit_cluster::options::{ClusterOptions, EstimateOptions, HistoryOptions, MethodOptions};
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::{HistoryConfig, PodContainerWindow};
use podfit_core::ownership::{ControllerKey, unsupported};
use podfit_core::recommendation::recommend;
use podfit_core::vpa::Vpa;
use serde_json::Value;

use crate::flags;

/// Those of the recommender's flags that numbers depend on.
#[derive(Parser)]
struct RecommenderFlags {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    method: MethodOptions,
    #[command(flatten)]
    estimate: EstimateOptions,
    #[command(flatten)]
    history: HistoryOptions,
}

/// All that is stored, and how it is read.
pub struct Histories {
    stored: Vec<Stored>,
    flags: RecommenderFlags,
}

impl Histories {
    /// Reads the checkpoints of a namespace, or of all when it is empty.
    pub async fn read(
        calls: &Calls,
        namespace: &str,
        arguments: &[String],
    ) -> Result<Self, String> {
        let flags = flags::read(arguments).map_err(|error| error.to_string())?;
        let stored = checkpoints::list(calls, namespace).await;
        let stored = stored.map_err(|error| error.to_string())?;
        Ok(Self { stored, flags })
    }

    /// What the recommender would say of a VPA with these histories.
    pub fn explain(&self, vpa: &Vpa, index: &Index) -> Result<Value, String> {
        let config = self.flags.method.apply(HistoryConfig {
            profile: self.flags.cluster.profile.into(),
            per_vpa: self.flags.cluster.gates().per_vpa_config,
            ..self.flags.history.config()
        });
        let now = now();
        let mut histories = Vec::new();
        for one in self.stored.iter().filter(|one| is_of(one, vpa)) {
            let history = one.content.decode(&config, now);
            let mut history = history.map_err(|error| format!("{}: {error}", one.name))?;
            // Peaks of windows that were open are stored beside the histogram.
            for open in one.beside.open.values() {
                PodContainerWindow::reopen(open, &mut history);
            }
            histories.push((one.container.as_str(), history));
        }
        let histories: Vec<_> = histories
            .iter()
            .map(|(name, history)| (*name, history))
            .collect();
        let estimator = EstimatorConfig {
            method: self.flags.method.estimator,
            ..self.flags.estimate.config(config)
        };
        let recommended = recommend(&histories, vpa, &estimator, now);
        let problem = unsupported(vpa, &index.owners);
        Ok(to_json(vpa, problem.as_deref(), &recommended, now))
    }
}

/// True for a history of the VPA's target; upstream does not say whose it is.
fn is_of(one: &Stored, vpa: &Vpa) -> bool {
    let target = vpa.target.as_ref();
    let target = target.map(|target| ControllerKey::of(&vpa.namespace, target));
    let same_target = match (&one.beside.target, &target) {
        (Some(of), Some(target)) => of.kind == target.kind && of.name == target.name,
        _ => true,
    };
    one.namespace == vpa.namespace && one.vpa == vpa.name && same_target
}
