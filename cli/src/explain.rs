//! `explain`: where a recommendation comes from, what happens next, and what is in the way.

mod bars;
mod horizontal;
mod next;
mod runs;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use podfit_cluster::explanation::horizontal::Beside;
use podfit_core::admission::{LeftAlone, Next};
use podfit_core::disruption::Decision;
use podfit_core::vpa::{UpdateMode, Vpa};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::evidence::{Evidence, Witness};
use crate::foresight::Foresight;
use crate::installation::Installation;
use crate::options::{ConnectionOptions, TextOrJson};
use crate::plan::decision_to_json;
use crate::progress::Progress;
use crate::target::Wanted;

/// Flags of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainOptions {
    /// A VPA (`web` or `vpa/web`), or the workload that one sizes (`deployment/web`, `sts web`, `rollout.argoproj.io/web`).
    #[arg(required = true, num_args = 1..=2, value_name = "NAME | KIND/NAME")]
    pub what: Vec<String>,

    /// How to write the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,

    /// Where the recommender serves /explain, for example a forwarded port. Not given: its pods, through the API server.
    #[arg(long, value_name = "http://HOST:PORT")]
    pub recommender_address: Option<http::Uri>,
}

/// All that is told.
pub struct Explained {
    /// The VPA.
    pub vpa: Arc<Vpa>,
    /// How the numbers came about.
    pub evidence: Evidence,
    /// What its running pods request, and the HPAs that scale them.
    pub beside: Beside,
    /// How many those are.
    pub pods: usize,
    /// What the next pod would be given, by what the newest of them has.
    pub next_pod: Result<Vec<Next>, LeftAlone>,
    /// What the updater would do with each now.
    pub decisions: Vec<Decision>,
    /// What could not be read.
    pub remarks: Vec<String>,
}

/// Explains each VPA that is meant.
pub async fn run(connection: &ConnectionOptions, options: &ExplainOptions) -> Result<ExitCode> {
    let connection = Connection::new(connection).await?;
    let Some(namespace) = &connection.namespace else {
        bail!("explain is about one VPA: give its namespace with -n");
    };
    let wanted = Wanted::parse(&options.what)?;
    let progress = Progress::new();
    progress.say("looking at podfit");
    let installation = Installation::find(&connection.calls, &connection.podfit_namespace).await;
    let foresight = Foresight::new(&connection, &installation, None, &progress).await?;
    let vpas = wanted.find(namespace, &foresight.index)?;
    let address = options.recommender_address.as_ref();
    let witness = Witness::find(&connection, &installation, address).await?;
    let mut all = Vec::new();
    for vpa in vpas {
        progress.say(&format!("asking why {} is as it is", vpa.key()));
        let index = &foresight.index;
        let evidence = witness.ask(&vpa, index).await;
        let same = |other: &Vpa| other.uid == vpa.uid;
        let pods = index.pods.values();
        let pods: Vec<_> = pods
            .filter(|pod| index.controlling_vpa(pod, same).is_some())
            .cloned()
            .collect();
        let decisions = foresight.now.iter().filter(|d| d.vpa.uid == vpa.uid);
        let beside = Beside::new(index, &vpa, &pods, foresight.config.profile);
        all.push(Explained {
            next_pod: next::of(&pods, &vpa, &beside, &foresight),
            beside,
            pods: pods.len(),
            decisions: decisions.cloned().collect(),
            remarks: foresight.remarks.clone(),
            evidence,
            vpa,
        });
    }
    drop(progress);
    match options.output {
        TextOrJson::Text => {
            let texts: Vec<_> = all.iter().map(show::text).collect();
            print!("{}", texts.join("\n"));
        }
        TextOrJson::Json => {
            let all: Vec<_> = all.iter().map(to_json).collect();
            println!("{:#}", Value::from(all));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What becomes of pods in a mode.
pub fn mode_in_words(mode: UpdateMode) -> &'static str {
    match mode {
        UpdateMode::Off => "recommends only: no pod is touched",
        UpdateMode::Initial => "new pods are sized; running ones stay as they are",
        UpdateMode::Recreate | UpdateMode::Auto => {
            "new pods are sized; running ones are evicted when they are off"
        }
        UpdateMode::InPlaceOrRecreate => {
            "new pods are sized; running ones are resized in place, or evicted where that cannot be done"
        }
        UpdateMode::InPlace => {
            "new pods are sized; running ones are resized in place, never evicted"
        }
    }
}

fn to_json(explained: &Explained) -> Value {
    let vpa = &explained.vpa;
    let requests =
        explained
            .beside
            .requests
            .iter()
            .map(|((container, resource), (least, most))| {
                json!({
                    "container": container, "resource": resource.name(),
                    "least": resource.show(*least), "most": resource.show(*most),
                })
            });
    json!({
        "namespace": vpa.namespace,
        "vpa": vpa.name,
        "updateMode": vpa.update_mode.name(),
        "optedIn": vpa.managed.as_ref().map(|managed| &managed.mark),
        "source": explained.evidence.source,
        "explanation": explained.evidence.explanation,
        "pods": explained.pods,
        "requests": requests.collect::<Vec<_>>(),
        "nextPod": next::to_json(&explained.next_pod),
        "leftToHpas": explained.beside.left_to_json(),
        "hpaTargets": explained.beside.targets_to_json(&explained.evidence.explanation),
        "conditions": podfit_cluster::api::vpa::conditions_to_json(&vpa.conditions),
        "next": explained.decisions.iter().map(decision_to_json).collect::<Vec<_>>(),
        "remarks": explained.remarks,
    })
}

#[cfg(test)]
mod tests;
