//! How recommendations came about: as the recommender says, or computed again from what it stored.

mod recommender;
mod stored;

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use futures::StreamExt;
use http::Uri;
use podfit_cluster::api::quantity::amount;
use podfit_cluster::api::vpa::recommendation_from_json;
use podfit_cluster::index::Index;
use podfit_core::quantity::{Resource, ResourceList};
use podfit_core::vpa::{ContainerRecommendation, Vpa};
use serde_json::Value;
use tokio::sync::OnceCell;

use self::recommender::Recommender;
use self::stored::Histories;
use crate::connection::Connection;
use crate::installation::Installation;
use crate::progress::Progress;

/// How many VPAs the recommender is asked about at once: half of the questions that may wait there.
const AT_ONCE: usize = 8;

/// An explanation, and where it is from.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// For people: who told.
    pub source: String,
    /// As /explain has it; null when there is none.
    pub explanation: Value,
}

/// Who can tell how recommendations came about.
pub struct Witness<'a> {
    connection: &'a Connection,
    installation: &'a Installation,
    recommender: Recommender<'a>,
    /// Read when the recommender does not answer for the first time.
    histories: OnceCell<Result<Histories, String>>,
}

impl<'a> Witness<'a> {
    /// Looks for the recommender: at `address`, else its pods, through the API server.
    pub async fn find(
        connection: &'a Connection,
        installation: &'a Installation,
        address: Option<&Uri>,
    ) -> Result<Self> {
        let calls = &connection.calls;
        let recommender = match address {
            Some(address) => Recommender::at(calls, address)?,
            None => Recommender::of(calls, installation).await,
        };
        Ok(Self {
            connection,
            installation,
            recommender,
            histories: OnceCell::new(),
        })
    }

    /// Asks about many VPAs, several at once; the answers are in their order.
    pub async fn ask_all(
        &self,
        vpas: &[Arc<Vpa>],
        index: &Index,
        progress: &Progress,
    ) -> Vec<Evidence> {
        let asked = futures::stream::iter(vpas).map(|vpa| self.ask(vpa, index));
        let mut answers = asked.buffered(AT_ONCE);
        let mut all = Vec::with_capacity(vpas.len());
        while let Some(evidence) = answers.next().await {
            all.push(evidence);
            progress.part("asking why", all.len() as u64, vpas.len() as u64);
        }
        all
    }

    /// Asks the recommender about a VPA, and else the stored histories. `index`: what is known of the VPA's target.
    pub async fn ask(&self, vpa: &Vpa, index: &Index) -> Evidence {
        let why = match self.recommender.explain(vpa).await {
            Ok(evidence) => return evidence,
            Err(why) => why,
        };
        let read = || async {
            let namespace = self.connection.namespace.as_deref().unwrap_or_default();
            let flags = self.installation.arguments("recommender");
            Histories::read(&self.connection.calls, namespace, &flags).await
        };
        let histories = self.histories.get_or_init(read).await;
        let explained = histories.as_ref().map_err(Clone::clone);
        match explained.and_then(|histories| histories.explain(vpa, index)) {
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
}

/// What podfit would publish, as an explanation has it: by a shadow's own words, else what the samples lead to. `None` before a
/// shadow's first loop.
pub fn recommendation(explanation: &Value) -> Option<Vec<ContainerRecommendation>> {
    if let Some(unpublished) = explanation.get("wouldPublish") {
        return recommendation_from_json(unpublished);
    }
    let containers = explanation["containers"].as_array().into_iter().flatten();
    Some(containers.filter_map(computed).collect())
}

/// What the samples of a container lead to.
fn computed(container: &Value) -> Option<ContainerRecommendation> {
    let list = |number: &str, field: &str| {
        let mut list = ResourceList::default();
        for resource in Resource::ALL {
            let of = &container["resources"][resource.name()];
            if of["controlled"] != false {
                list.set(resource, amount(resource, &of[number][field]).ok());
            }
        }
        list
    };
    Some(ContainerRecommendation {
        container_name: container["name"].as_str()?.into(),
        target: list("target", "amount"),
        lower_bound: list("lowerBound", "amount"),
        upper_bound: list("upperBound", "amount"),
        uncapped_target: list("target", "uncapped"),
    })
}

/// The way from the samples to one number of an explanation, in words.
pub fn derivation(resource: Resource, number: &Value) -> String {
    let shown = |value: &Value| {
        let amount = amount(resource, value);
        amount.map_or_else(|_| value.to_string(), |amount| resource.show(amount))
    };
    let percentile = number["percentile"].as_f64().unwrap_or(0.0) * 100.0;
    let mut words = match &number["ofSamples"] {
        Value::Null => "no sample".to_owned(),
        used => format!(
            "{} is the {percentile:.0}th percentile of what was used",
            shown(used)
        ),
    };
    for step in number["steps"].as_array().into_iter().flatten() {
        let why = step["why"].as_str().unwrap_or("for a reason not told");
        let _ = write!(words, "; {why} → {}", shown(&step["to"]));
    }
    words
}
