//! Carrying out a plan: resizes and evictions, and what the API server said to them.

mod groups;
mod patch;
mod tell;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use podfit_cluster::admin::Health;
use podfit_cluster::calls::{Calls, RateLimiter};
use podfit_cluster::events::Events;
use podfit_cluster::writes;
use podfit_core::admission::BOOST_ANNOTATION_PREFIX;
use podfit_core::disruption::{Action, Decision, IN_PLACE_ANNOTATION};
use podfit_core::policy::ContainerChange;
use podfit_core::profile::Profile;
use serde_json::{Map, Value};

use self::groups::{Said, groups};
use self::patch::resize_patch;
use crate::metrics::{Metrics, Sizes};
use crate::refusal;

/// What became of one decision.
#[derive(Debug)]
pub enum Outcome {
    /// The API server did as asked.
    Done,
    /// A PodDisruptionBudget forbids the eviction; the server's words name it.
    Budget(String),
    /// The node cannot hold the pod at that size: admission refused the resize.
    Infeasible(String),
    /// The pod is gone, or another of that name is there.
    Gone,
    /// Anything else; tried again in the next loop.
    Failed(String),
}

/// Acts on pods. One for the process.
pub struct Actor {
    calls: Calls,
    events: Events,
    metrics: Metrics,
    evictions: RateLimiter,
    resizes: RateLimiter,
    /// Told after each action: a long plan is not a dead process.
    health: Health,
    /// The last trouble told of each pod, by uid: an event is posted when it changes.
    told: Mutex<HashMap<Arc<str>, &'static str>>,
    profile: Profile,
}

/// How many replication groups are served at once. The API server takes a tenth of a second and more for an eviction, most
/// of which it waits for a look at the PodDisruptionBudgets that is fresh enough: only many at once reach the rate limit of
/// requests.
const PARALLEL_GROUPS: usize = 32;

impl Actor {
    /// Evictions and resizes each have their own limit of `(per second, burst)`.
    pub fn new(
        calls: Calls,
        events: Events,
        metrics: Metrics,
        health: Health,
        rate: (f64, f64),
        profile: Profile,
    ) -> Self {
        Self {
            calls,
            events,
            metrics,
            health,
            evictions: RateLimiter::new(rate.0, rate.1),
            resizes: RateLimiter::new(rate.0, rate.1),
            told: Mutex::default(),
            profile,
        }
    }

    /// Carries out all decisions that are not to skip: those on one replication group in their order, several groups at once.
    pub async fn carry_out<'a>(
        &self,
        decisions: &'a [Decision],
        sizes: &Sizes<'_>,
    ) -> Vec<(&'a Decision, Outcome)> {
        let served = groups(decisions).into_iter().map(|group| async move {
            let size = sizes.of(&group[0].vpa);
            let mut outcomes = Vec::with_capacity(group.len());
            let mut said = Said::default();
            for decision in group {
                let known = said.to(decision).filter(|_| self.profile.is_safe());
                let outcome = match known {
                    Some(words) => Outcome::Budget(words.into()),
                    None => self.one(decision, size).await,
                };
                said.note(decision, &outcome);
                outcomes.push((decision, outcome));
            }
            outcomes
        });
        futures::stream::iter(served)
            .buffer_unordered(PARALLEL_GROUPS)
            .concat()
            .await
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, &'static str>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn one(&self, decision: &Decision, size: &str) -> Outcome {
        let Decision {
            pod, vpa, reason, ..
        } = decision;
        let (verb, outcome) = match &decision.action {
            Action::Resize(changes) => ("resize", self.resize(decision, changes, false).await),
            Action::Unboost(changes) => ("unboost", self.resize(decision, changes, true).await),
            Action::Evict(_) => ("evict", self.evict(decision).await),
            Action::Skip => return Outcome::Done,
        };
        self.health.active();
        self.metrics.outcome(decision, &outcome, size);
        match &outcome {
            Outcome::Done => {
                self.told().remove(&pod.uid);
                tracing::info!(pod = pod.name, namespace = pod.namespace, vpa = vpa.name, verb, %reason, "pod updated");
                self.tell_done(decision);
            }
            Outcome::Gone => tracing::debug!(
                pod = pod.name,
                namespace = pod.namespace,
                "pod is gone already"
            ),
            Outcome::Budget(why) => self.tell_trouble(decision, "EvictionBlocked", why),
            Outcome::Infeasible(why) => self.tell_trouble(decision, "InPlaceResizeInfeasible", why),
            Outcome::Failed(why) => self.tell_trouble(decision, "UpdateFailed", why),
        }
        outcome
    }

    async fn evict(&self, Decision { pod, .. }: &Decision) -> Outcome {
        self.evictions.acquire().await;
        match writes::evict(&self.calls, &pod.namespace, &pod.name, &pod.uid).await {
            Ok(()) => Outcome::Done,
            Err(error) => refusal::of_eviction(&error),
        }
    }

    /// Changes a running pod, and notes that on it; an annotation that tells of a boost is taken away with the boost.
    async fn resize(
        &self,
        Decision { pod, .. }: &Decision,
        changes: &[ContainerChange],
        unboost: bool,
    ) -> Outcome {
        self.resizes.acquire().await;
        let (namespace, name) = (pod.namespace.as_str(), pod.name.as_str());
        let mut marks = Map::new();
        if let Some(spec) = resize_patch(changes) {
            if let Err(error) = writes::resize(&self.calls, namespace, name, spec).await {
                return refusal::of_resize(&error);
            }
            marks.insert(IN_PLACE_ANNOTATION.into(), "true".into());
        }
        if unboost {
            let of = |change: &ContainerChange| format!("{BOOST_ANNOTATION_PREFIX}{}", change.name);
            marks.extend(changes.iter().map(|change| (of(change), Value::Null)));
        }
        if let Err(error) = writes::annotate_pod(&self.calls, namespace, name, marks.into()).await {
            tracing::warn!(pod = name, namespace, %error, "resized pod not annotated");
        }
        Outcome::Done
    }
}
