//! How the numbers came about: as the recommender says, or computed again from what it stored.

use clap::Parser;
use http::{Request, Uri};
use kube::{Client, Config};
use podfit_cluster::api::time::now;
use podfit_cluster::calls::Calls;
use podfit_cluster::checkpoints;
use podfit_cluster::explanation::to_json;
use podfit_cluster::index::Index;
use podfit_cluster::options::{ClusterOptions, EstimateOptions, HistoryOptions};
use podfit_core::history::{HistoryConfig, PodContainerWindow};
use podfit_core::ownership::{ControllerKey, unsupported};
use podfit_core::recommendation::recommend;
use podfit_core::vpa::Vpa;
use serde_json::Value;

use crate::connection::Connection;
use crate::flags;
use crate::installation::Installation;
use crate::objects::{self, Answer};

/// Those of the recommender's flags that numbers depend on.
#[derive(Parser)]
struct RecommenderFlags {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    estimate: EstimateOptions,
    #[command(flatten)]
    history: HistoryOptions,
}

/// An explanation, and where it is from.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// For people: who told.
    pub source: String,
    /// As /explain has it; null when there is none.
    pub explanation: Value,
}

/// What to ask about, and whom.
pub struct Question<'a> {
    /// The cluster.
    pub connection: &'a Connection,
    /// Where the recommender is.
    pub installation: &'a Installation,
    /// The same, said by the operator.
    pub address: Option<&'a Uri>,
    /// The VPA.
    pub vpa: &'a Vpa,
    /// What is known of its target.
    pub index: &'a Index,
}

impl Question<'_> {
    /// Asks the recommender, and else the stored histories.
    pub async fn ask(&self) -> Evidence {
        let why = match self.recommender().await {
            Ok(evidence) => return evidence,
            Err(why) => why,
        };
        match self.stored().await {
            Ok(explanation) => Evidence {
                source: format!(
                    "stored histories, which are up to an hour old: the recommender cannot be asked ({why})"
                ),
                explanation,
            },
            Err(error) => Evidence {
                source: format!(
                    "nobody: the recommender cannot be asked ({why}), nor histories read ({error})"
                ),
                explanation: Value::Null,
            },
        }
    }

    async fn recommender(&self) -> Result<Evidence, String> {
        let about = format!("/explain/{}/{}", self.vpa.namespace, self.vpa.name);
        if let Some(address) = self.address {
            let explanation = direct(address, &about, &self.connection.calls).await?;
            let source = format!("the recommender at {address}");
            return Ok(Evidence {
                source,
                explanation,
            });
        }
        let calls = &self.connection.calls;
        let mut why = "none of its pods is ready".to_owned();
        for pod in self.leader_first().await {
            let path = self.installation.proxy("recommender", &pod) + &about;
            match objects::get(calls, &path).await {
                Answer::Found(explanation) => {
                    let source = format!("recommender pod {pod}");
                    return Ok(Evidence {
                        source,
                        explanation,
                    });
                }
                Answer::Absent => why = format!("pod {pod} knows no such VPA, or is gone"),
                Answer::Denied(words) | Answer::Failed(words) => why = words,
            }
        }
        Err(why)
    }

    /// The recommender's pods; the one that acts, if that is known, before the others.
    async fn leader_first(&self) -> Vec<String> {
        let pods = self.installation.ready_pods("recommender");
        let mut pods: Vec<_> = pods.map(String::from).collect();
        let name = self.installation.flag(
            "recommender",
            "leader-elect-resource-name",
            "vpa-recommender-lease",
        );
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{name}",
            self.installation.namespace
        );
        let lease = objects::get(&self.connection.calls, &path).await;
        let holder = lease
            .found()
            .and_then(|lease| lease["spec"]["holderIdentity"].as_str());
        let holder = holder.unwrap_or_default().to_owned();
        pods.sort_by_key(|pod| !holder.starts_with(pod.as_str()));
        pods
    }

    /// Computed here, with the recommender's flags, from its checkpoints.
    async fn stored(&self) -> Result<Value, String> {
        let flags: RecommenderFlags = flags::read(&self.installation.arguments("recommender"))
            .map_err(|error| error.to_string())?;
        let config = HistoryConfig {
            profile: flags.cluster.profile.into(),
            per_vpa: flags.cluster.gates().per_vpa_config,
            ..flags.history.config()
        };
        let calls = &self.connection.calls;
        let stored = checkpoints::list(calls, &self.vpa.namespace).await;
        let stored = stored.map_err(|error| error.to_string())?;
        let target = self.vpa.target.as_ref();
        let target = target.map(|target| ControllerKey::of(&self.vpa.namespace, target));
        let now = now();
        let mut histories = Vec::new();
        for one in &stored {
            let same_target = match (&one.beside.target, &target) {
                (Some(of), Some(target)) => of.kind == target.kind && of.name == target.name,
                _ => true,
            };
            if one.vpa != self.vpa.name || !same_target {
                continue;
            }
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
        let recommended = recommend(&histories, self.vpa, &flags.estimate.config(config), now);
        let problem = unsupported(self.vpa, &self.index.owners);
        Ok(to_json(self.vpa, problem.as_deref(), &recommended, now))
    }
}

/// Asks an address that is reached without the API server.
async fn direct(address: &Uri, path: &str, calls: &Calls) -> Result<Value, String> {
    let client = Client::try_from(Config::new(address.clone())).map_err(|e| e.to_string())?;
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = calls.run("ask the recommender", client.request::<Value>(request));
    answer.await.map_err(|error| error.to_string())
}
