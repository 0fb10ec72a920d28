//! Carrying out a plan: resizes and evictions, what the API server said to them, and telling about it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use podfit_cluster::admin::Health;
use podfit_cluster::api::quantity::to_json;
use podfit_cluster::calls::{Calls, RateLimiter};
use podfit_cluster::events::{Events, Notice, pod_reference, vpa_reference};
use podfit_cluster::metrics::size_label;
use podfit_cluster::writes;
use podfit_core::disruption::{Action, Decision, IN_PLACE_ANNOTATION};
use podfit_core::policy::ContainerChange;
use serde_json::{Map, Value, json};

use crate::metrics::Metrics;
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
    told: Mutex<HashMap<String, &'static str>>,
}

/// How many VPAs are served at once.
const PARALLEL_VPAS: usize = 10;

impl Actor {
    /// Evictions and resizes each have their own limit of `(per second, burst)`.
    pub fn new(
        calls: Calls,
        events: Events,
        metrics: Metrics,
        health: Health,
        rate: (f64, f64),
    ) -> Self {
        Self {
            calls,
            events,
            metrics,
            health,
            evictions: RateLimiter::new(rate.0, rate.1),
            resizes: RateLimiter::new(rate.0, rate.1),
            told: Mutex::default(),
        }
    }

    /// Carries out all decisions that are not to skip: those of one VPA in their order, several VPAs at once.
    /// `pods` is the number of live pods of each VPA.
    pub async fn carry_out<'a>(
        &self,
        decisions: &'a [Decision],
        pods: &HashMap<(String, String), usize>,
    ) -> Vec<(&'a Decision, Outcome)> {
        let due: Vec<_> = decisions
            .iter()
            .filter(|d| d.action != Action::Skip)
            .collect();
        let of_one_vpa =
            due.chunk_by(|a, b| (&a.vpa.namespace, &a.vpa.name) == (&b.vpa.namespace, &b.vpa.name));
        let served = of_one_vpa.map(|decisions| async move {
            let vpa = &decisions[0].vpa;
            let size = size_label(
                pods.get(&(vpa.namespace.clone(), vpa.name.clone()))
                    .copied()
                    .unwrap_or(0),
            );
            let mut outcomes = Vec::with_capacity(decisions.len());
            for decision in decisions {
                outcomes.push((*decision, self.one(decision, &size).await));
            }
            outcomes
        });
        futures::stream::iter(served)
            .buffer_unordered(PARALLEL_VPAS)
            .concat()
            .await
    }

    /// Forgets pods that are gone.
    pub fn retain(&self, alive: impl Fn(&str) -> bool) {
        self.told().retain(|uid, _| alive(uid));
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<String, &'static str>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn one(&self, decision: &Decision, size: &str) -> Outcome {
        let Decision {
            pod, vpa, reason, ..
        } = decision;
        let (verb, outcome) = match &decision.action {
            Action::Resize(changes) => ("resize", self.resize(decision, changes).await),
            Action::Evict(_) => ("evict", self.evict(decision).await),
            Action::Skip => return Outcome::Done,
        };
        self.health.active();
        self.count(decision, &outcome, size);
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

    async fn resize(
        &self,
        Decision { pod, .. }: &Decision,
        changes: &[ContainerChange],
    ) -> Outcome {
        self.resizes.acquire().await;
        let spec = resize_patch(changes);
        if let Err(error) = writes::resize(&self.calls, &pod.namespace, &pod.name, spec).await {
            return refusal::of_resize(&error);
        }
        let mark = json!({ IN_PLACE_ANNOTATION: "true" });
        if let Err(error) = writes::annotate_pod(&self.calls, &pod.namespace, &pod.name, mark).await
        {
            tracing::warn!(pod = pod.name, namespace = pod.namespace, %error, "resized pod not annotated");
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
        if matches!(action, Action::Resize(_)) {
            self.events.tell(pod_event(
                "InPlaceResizedByVPA",
                format!("Pod was resized in place by VPA Updater. Reason: {reason}"),
            ));
            return;
        }
        self.events.tell(pod_event(
            "EvictedByVPA",
            format!(
                "Pod was evicted by VPA Updater to apply resource recommendation. Reason: {reason}"
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

    fn count(&self, Decision { vpa, action, .. }: &Decision, outcome: &Outcome, size: &str) {
        let (metrics, mode) = (&self.metrics, vpa.update_mode.name());
        let (name, namespace) = (vpa.name.as_str(), vpa.namespace.as_str());
        let evicts = matches!(action, Action::Evict(_));
        let reason = match outcome {
            Outcome::Gone => return,
            Outcome::Done if evicts => {
                return metrics
                    .evicted_pods
                    .with_label_values(&[size, mode, name, namespace])
                    .inc();
            }
            Outcome::Done => {
                return metrics
                    .in_place_updated_pods
                    .with_label_values(&[size, name, namespace])
                    .inc();
            }
            Outcome::Infeasible(_) => "InPlaceUpdateInfeasible",
            _ if evicts => "EvictionError",
            _ => "InPlaceUpdateError",
        };
        if evicts {
            metrics
                .failed_evictions
                .with_label_values(&[size, mode, reason, name, namespace])
                .inc();
        } else {
            metrics
                .failed_in_place_updates
                .with_label_values(&[size, reason, name, namespace])
                .inc();
        }
    }
}

/// The `spec` of a strategic merge patch on `pods/resize`. Sidecars stand among the init containers.
fn resize_patch(changes: &[ContainerChange]) -> Value {
    let (sidecars, containers): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| change.sidecar.is_some());
    let mut spec = Map::new();
    for (list, changes) in [("containers", containers), ("initContainers", sidecars)] {
        if !changes.is_empty() {
            spec.insert(list.into(), changes.into_iter().map(resized).collect());
        }
    }
    spec.into()
}

fn resized(change: &ContainerChange) -> Value {
    json!({
        "name": change.name,
        "resources": { "requests": to_json(&change.requests), "limits": to_json(&change.limits) },
    })
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Millicores, ResourceList};

    use super::*;

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
            json!({"containers": part("app"), "initContainers": part("proxy")})
        );
        assert_eq!(resize_patch(&[app]), json!({"containers": part("app")}));
    }
}
