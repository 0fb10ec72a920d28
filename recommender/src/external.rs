//! Usage from external.metrics.k8s.io, workload by workload: trouble with one leaves the others alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::external_metrics::ExternalMetrics;
use podfit_cluster::selectors;
use podfit_cluster::usage::PodUsage;
use podfit_core::ownership::ControllerKey;

use crate::view::View;

/// Of so many workloads usage is read at once.
const WORKLOADS_AT_ONCE: usize = 10;

/// Selectors are read again after so long: they hardly ever change.
const SELECTORS_LAST: Duration = Duration::from_mins(10);

/// Reads external metrics.
pub struct External {
    metrics: ExternalMetrics,
    /// How the pods of a target are selected, and when that was read.
    selectors: HashMap<ControllerKey, (String, Instant)>,
    /// The trouble that was told of a target.
    told: HashMap<ControllerKey, String>,
}

/// What was read for one target.
struct Answer {
    target: ControllerKey,
    /// The selector, when it was read anew.
    selector: Option<String>,
    usage: Result<Vec<PodUsage>, CallError>,
}

impl External {
    /// Nothing is known yet.
    pub fn new(metrics: ExternalMetrics) -> Self {
        Self {
            metrics,
            selectors: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// The usage of all pods in view. An error when there is trouble with every workload: the first one's.
    pub async fn usage(&mut self, calls: &Calls, view: &View) -> Result<Vec<PodUsage>, CallError> {
        self.selectors.retain(|target, _| view.is_named(target));
        self.told.retain(|target, _| view.is_named(target));
        let mut targets: Vec<_> = view.targets().map(|(_, target)| target).collect();
        targets.sort();
        targets.dedup();
        targets.retain(|target| !view.pods_of(target).is_empty());
        let answers: Vec<_> = stream::iter(targets)
            .map(|target| self.of_target(calls, view, target))
            .buffered(WORKLOADS_AT_ONCE)
            .collect()
            .await;
        let (mut all, mut first_error, mut good) = (Vec::new(), None, 0);
        for answer in answers {
            if let Some(selector) = answer.selector {
                let read = (selector, Instant::now());
                self.selectors.insert(answer.target.clone(), read);
            }
            match answer.usage {
                Ok(usage) => {
                    good += 1;
                    self.told.remove(&answer.target);
                    all.extend(usage);
                }
                Err(error) => {
                    self.tell(answer.target, &error);
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.filter(|_| good == 0).map_or(Ok(all), Err)
    }

    async fn of_target(&self, calls: &Calls, view: &View, target: &ControllerKey) -> Answer {
        let mut answer = Answer {
            target: target.clone(),
            selector: None,
            usage: Ok(Vec::new()),
        };
        let known = self.selectors.get(target);
        let selector = match known.filter(|(_, read)| read.elapsed() < SELECTORS_LAST) {
            Some((selector, _)) => selector.clone(),
            None => match selectors::of(calls, target).await {
                Ok(selector) => answer.selector.insert(selector).clone(),
                Err(error) => {
                    answer.usage = Err(error);
                    return answer;
                }
            },
        };
        let mut usage = Vec::new();
        for pod in view.pods_of(target) {
            let of = (pod.namespace.as_str(), pod.name.as_str());
            match self.metrics.of_pod(calls, of, &selector).await {
                Ok(pod) => usage.extend(pod),
                Err(error) => {
                    answer.usage = Err(error);
                    return answer;
                }
            }
        }
        answer.usage = Ok(usage);
        answer
    }

    fn tell(&mut self, target: ControllerKey, error: &CallError) {
        let text = error.to_string();
        if self.told.get(&target) != Some(&text) {
            let todo = "does external.metrics.k8s.io serve these metrics, and may podfit-recommender list them?";
            tracing::warn!(%target, error = text, todo, "no external metrics of this workload");
            self.told.insert(target, text);
        }
    }
}

#[cfg(test)]
mod tests;
