//! Carrying out a plan: resizes and evictions, what the API server said to them, and telling about it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use podfit_cluster::admin::Health;
use podfit_cluster::api::quantity::to_json;
use podfit_cluster::calls::{Calls, RateLimiter};
use podfit_cluster::events::{Events, Notice, pod_reference, vpa_reference};
use podfit_cluster::writes;
use podfit_core::admission::BOOST_ANNOTATION_PREFIX;
use podfit_core::disruption::{
    Action, Decision, IN_PLACE_ANNOTATION, Judgement, NotApplied, UpdateReason,
};
use podfit_core::policy::ContainerChange;
use podfit_core::profile::Profile;
use serde_json::{Map, Value, json};

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

/// The decisions to act on by VPA and direct owner of the pod, each group in its order.
fn groups(decisions: &[Decision]) -> Vec<Vec<&Decision>> {
    let mut groups: Vec<Vec<&Decision>> = Vec::new();
    let mut places = HashMap::new();
    for decision in decisions.iter().filter(|d| d.action != Action::Skip) {
        let Decision { pod, vpa, .. } = decision;
        let key = (&vpa.namespace, &vpa.name, &pod.owner);
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(decision),
            None => groups.push(vec![decision]),
        }
    }
    groups
}

/// What budgets said of pods of one group in this loop: of those that are not ready, and of those that are. The next one alike
/// would hear the same.
#[derive(Default)]
struct Said([Option<String>; 2]);

impl Said {
    /// What the eviction of a pod would be answered.
    fn to(&self, decision: &Decision) -> Option<&str> {
        let ready = usize::from(decision.pod.ready_since.is_some());
        self.0[ready].as_deref().filter(|_| decision.evicts())
    }

    fn note(&mut self, decision: &Decision, outcome: &Outcome) {
        if let Outcome::Budget(words) = outcome {
            self.0[usize::from(decision.pod.ready_since.is_some())] = Some(words.clone());
        }
    }
}

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
        sizes: &Sizes,
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

    /// Tells what would be done by the plan of a shadow; of each pod once.
    pub fn tell_planned(&self, decisions: &[Decision]) {
        for decision in decisions {
            let Decision {
                pod, vpa, reason, ..
            } = decision;
            let (verb, changes) = match &decision.action {
                Action::Resize(changes) => ("resize", changes),
                Action::Unboost(changes) => ("unboost", changes),
                Action::Evict(changes) => ("evict", changes),
                Action::Skip => continue,
            };
            if self.told().insert(pod.uid.clone(), verb) != Some(verb) {
                tracing::info!(pod = pod.name, namespace = pod.namespace, vpa = vpa.name, verb, %reason, ?changes, "in shadow: this pod would be updated");
            }
        }
    }

    /// Tells of a replacement that is not as asked.
    pub fn tell_not_applied(&self, missed: &NotApplied) {
        let NotApplied { vpa, pod, fault } = missed;
        tracing::warn!(pod, namespace = vpa.namespace, vpa = vpa.name, %fault, "update not applied");
        self.events.tell(Notice {
            about: vpa_reference(&vpa.namespace, &vpa.name, &vpa.uid),
            reason: "UpdateNotApplied",
            message: format!("Pod {pod} {fault}"),
            warning: true,
        });
    }

    /// Tells that the breaker opened or closed, in an event on this process' own pod.
    pub fn tell_breaker(&self, judgement: Judgement) {
        let Judgement {
            wanted, norm, open, ..
        } = judgement;
        if open {
            tracing::warn!(
                wanted,
                norm,
                "far more pods would be disrupted than is the norm; only the norm is, until that is over"
            );
        } else {
            tracing::info!(wanted, norm, "the plan is back to what is normal");
        }
        let message = format!(
            "{wanted} pods would be disrupted at once; the norm is {norm}. {}",
            if open {
                "Only so many are, in each loop, until that is over. Is what is recommended right?"
            } else {
                "All of them are from now on."
            }
        );
        let reason = if open {
            "DisruptionBreakerOpened"
        } else {
            "DisruptionBreakerClosed"
        };
        self.events.tell_of_self(reason, message, open);
    }

    /// Forgets pods that are gone.
    pub fn retain(&self, alive: impl Fn(&str) -> bool) {
        self.told().retain(|uid, _| alive(uid));
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

    fn tell_done(
        &self,
        Decision {
            pod,
            vpa,
            action,
            reason,
        }: &Decision,
    ) {
        let pod_event = |reason, message| Notice {
            about: pod_reference(&pod.namespace, &pod.name, &pod.uid),
            reason,
            message,
            warning: false,
        };
        if let (Action::Resize(_), UpdateReason::ResizeTakenBack { .. }) = (action, reason) {
            self.events.tell(Notice {
                warning: true,
                ..pod_event("InPlaceResizeTakenBack", reason.to_string())
            });
            return;
        }
        if !matches!(action, Action::Evict(_)) {
            self.events.tell(pod_event(
                "InPlaceResizedByVPA",
                self.with_reason("Pod was resized in place by VPA Updater.", reason),
            ));
            return;
        }
        self.events.tell(pod_event(
            "EvictedByVPA",
            self.with_reason(
                "Pod was evicted by VPA Updater to apply resource recommendation.",
                reason,
            ),
        ));
        self.events.tell(Notice {
            about: vpa_reference(&vpa.namespace, &vpa.name, &vpa.uid),
            reason: "EvictedPod",
            message: format!(
                "VPA Updater evicted Pod {} to apply resource recommendation.",
                pod.name
            ),
            warning: false,
        });
    }

    /// Tells of a pod that is not resized since its node refused as much before; once, not in every loop.
    pub fn tell_skipped(&self, Decision { pod, reason, .. }: &Decision) {
        const SKIPPED: &str = "InPlaceResizeSkipped";
        if self.told().insert(pod.uid.clone(), SKIPPED) != Some(SKIPPED) {
            self.events.tell(Notice {
                about: pod_reference(&pod.namespace, &pod.name, &pod.uid),
                reason: SKIPPED,
                message: format!("Pod was not resized in place by VPA Updater: {reason}"),
                warning: false,
            });
        }
    }

    /// Upstream's sentence, and beyond it why.
    fn with_reason(&self, sentence: &str, reason: &UpdateReason) -> String {
        if self.profile.is_safe() {
            format!("{sentence} Reason: {reason}")
        } else {
            sentence.into()
        }
    }

    fn tell_trouble(&self, Decision { pod, vpa, .. }: &Decision, reason: &'static str, why: &str) {
        if self.told().insert(pod.uid.clone(), reason) == Some(reason) {
            return;
        }
        tracing::warn!(
            pod = pod.name,
            namespace = pod.namespace,
            vpa = vpa.name,
            reason,
            why,
            "pod not updated"
        );
        self.events.tell(Notice {
            about: pod_reference(&pod.namespace, &pod.name, &pod.uid),
            reason,
            message: format!(
                "Resource recommendation of VPA {} not applied: {why}",
                vpa.name
            ),
            warning: true,
        });
    }
}

/// The `spec` of a strategic merge patch on `pods/resize`; `None` when nothing changes. Sidecars stand among the init
/// containers.
fn resize_patch(changes: &[ContainerChange]) -> Option<Value> {
    let changes = changes
        .iter()
        .filter(|change| !change.requests.is_empty() || !change.limits.is_empty());
    let (sidecars, containers): (Vec<_>, Vec<_>) =
        changes.partition(|change| change.sidecar.is_some());
    let mut spec = Map::new();
    for (list, changes) in [("containers", containers), ("initContainers", sidecars)] {
        if !changes.is_empty() {
            spec.insert(list.into(), changes.into_iter().map(resized).collect());
        }
    }
    (!spec.is_empty()).then(|| spec.into())
}

fn resized(change: &ContainerChange) -> Value {
    json!({
        "name": change.name,
        "resources": { "requests": to_json(&change.requests), "limits": to_json(&change.limits) },
    })
}

#[cfg(test)]
mod tests {

    use podfit_core::pod::{OwnerRef, Pod};
    use podfit_core::quantity::{Millicores, ResourceList};
    use podfit_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_budget_is_asked_once_for_pods_that_are_alike() {
        let decision = |ready: bool, action| Decision {
            pod: Arc::new(Pod {
                ready_since: ready.then(Timestamp::default),
                ..Pod::default()
            }),
            vpa: Arc::default(),
            action,
            reason: UpdateReason::UpToDate,
        };
        let evict = |ready| decision(ready, Action::Evict(vec![]));
        let mut said = Said::default();
        said.note(&evict(true), &Outcome::Done);
        assert_eq!(said.to(&evict(true)), None);
        said.note(&evict(true), &Outcome::Budget("no".into()));
        assert_eq!(said.to(&evict(true)), Some("no"));
        assert_eq!(said.to(&evict(false)), None);
        assert_eq!(said.to(&decision(true, Action::Resize(vec![]))), None);
    }

    /// Section 9, item 21: upstream serves one pod after another.
    #[test]
    fn groups_are_served_side_by_side_and_each_in_its_order() {
        let decision = |pod: &str, owner: &str, action| Decision {
            pod: Arc::new(Pod {
                name: pod.into(),
                owner: Some(OwnerRef {
                    api_version: String::new(),
                    kind: String::new(),
                    name: owner.into(),
                }),
                ..Pod::default()
            }),
            vpa: Arc::default(),
            action,
            reason: UpdateReason::UpToDate,
        };
        let evict = || Action::Evict(vec![]);
        let decisions = [
            decision("0", "a", Action::Skip),
            decision("1", "a", evict()),
            decision("2", "b", evict()),
            decision("3", "a", evict()),
        ];
        let groups = groups(&decisions);
        let names = |group: &Vec<&Decision>| -> String {
            group.iter().map(|d| d.pod.name.as_str()).collect()
        };
        assert_eq!(groups.iter().map(names).collect::<Vec<_>>(), ["13", "2"]);
    }

    #[test]
    fn sidecars_are_resized_among_the_init_containers() {
        let change = |name: &str, sidecar| ContainerChange {
            sidecar,
            name: name.into(),
            requests: ResourceList {
                cpu: Some(Millicores(250)),
                memory: None,
            },
            ..ContainerChange::default()
        };
        let part = |name: &str| json!([{"name": name, "resources": {"requests": {"cpu": "250m"}, "limits": {}}}]);
        let (app, proxy) = (change("app", None), change("proxy", Some(0)));
        assert_eq!(
            resize_patch(&[app.clone(), proxy]),
            Some(json!({"containers": part("app"), "initContainers": part("proxy")}))
        );
        let unchanged = ContainerChange::default();
        assert_eq!(
            resize_patch(&[unchanged.clone(), app]),
            Some(json!({"containers": part("app")}))
        );
        assert_eq!(resize_patch(&[unchanged]), None);
    }
}
