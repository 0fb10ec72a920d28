//! What one plan must know of earlier ones.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Breaker, Judgement};
use super::budget::{Budgets, Scope};
use super::lately::Lately;
use super::ongoing::Ongoing;
use super::outcome::Outcomes;
use super::refusals::Refusals;
use super::resize::Refused;
use super::shrink::Shrinks;
use super::{Config, Decision, Snapshot, UpdateReason, Workload};
use crate::pod::ResizeState;
use crate::policy::ContainerChange;
use crate::quantity::Resource;
use crate::time::Timestamp;
use crate::vpa::Vpa;

/// What is remembered of pods, by their uid, and forgotten with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The state of each pod's resize, and since when it has been in that state.
    resizing: HashMap<Arc<str>, (Discriminant<ResizeState>, Timestamp)>,
    /// What each pod was to be resized to when the API server or its node refused.
    pub(super) refused: HashMap<Arc<str>, Refused>,
    /// What evictions led to.
    pub outcomes: Outcomes,
    /// What budgets refused.
    pub refusals: Refusals,
    /// How large groups were whose controllers cannot be asked.
    lately: Lately,
    /// What was lowered.
    pub(super) shrinks: Shrinks,
    /// Disruptions that are not over.
    ongoing: Ongoing,
    /// How many disruptions a plan wants as a rule.
    breaker: Breaker,
    /// The VPA that the next plan begins with, by namespace and name: budgets were spent when its turn came.
    next: Option<(String, String)>,
    /// Since when this process leads.
    leading_since: Option<Timestamp>,
}

impl Memory {
    /// Takes note of the pods' resizes, and forgets pods that are gone. Call it with each snapshot before planning.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.lately.observe(snapshot, now);
        self.shrinks.observe(snapshot, now);
        self.ongoing.observe(snapshot, &self.lately);
        let pods = || snapshot.workloads.iter().flat_map(|w| &w.pods);
        self.resizing = pods()
            .filter(|pod| pod.is_resizing())
            .map(|pod| {
                let state = discriminant(&pod.resize);
                let known = self
                    .resizing
                    .get(&pod.uid)
                    .filter(|(before, _)| *before == state);
                (
                    pod.uid.clone(),
                    (state, known.map_or(now, |(_, since)| *since)),
                )
            })
            .collect();
        if !self.refused.is_empty() {
            let alive: HashSet<_> = pods().map(|pod| &*pod.uid).collect();
            self.refused.retain(|uid, _| alive.contains(&**uid));
        }
    }

    /// Takes note of a decision that was carried out.
    pub fn done(&mut self, decision: &Decision, config: &Config, now: Timestamp) {
        self.resized(decision, None, now);
        self.shrinks.note(decision, config.shrink_interval, now);
    }

    /// Takes note that this process begins to lead: its warm-up begins.
    pub fn lead(&mut self, now: Timestamp) {
        self.leading_since = Some(now);
    }

    /// Takes note of what a plan wanted, and says what the breaker made of it. Call it once with each plan.
    pub fn planned(
        &mut self,
        snapshot: &Snapshot,
        decisions: &[Decision],
        config: &Config,
    ) -> Judgement {
        let pods = Budgets::new(snapshot, self, config).pods;
        let judgement = self.breaker.judge(decisions, pods, config);
        self.breaker.observe(judgement, config);
        // Where the cluster's limit was reached those that come later had no chance at all.
        let held_up = |d: &&Decision| match d.reason {
            UpdateReason::DisruptionsSpent { scope, .. } => scope == Scope::Cluster,
            UpdateReason::BreakerOpen { .. } => true,
            _ => false,
        };
        let first = decisions.iter().find(held_up);
        self.next = first.map(|d| (d.vpa.namespace.clone(), d.vpa.name.clone()));
        judgement
    }

    /// Takes note that a pod was disrupted: evicted, or a container of it restarted.
    pub fn disrupted(&mut self, workload: &Workload, decision: &Decision) {
        self.ongoing.add(workload, decision);
    }

    /// How many disruptions are not over: no pod is ready yet in the place of those that went.
    pub fn disruptions(&self) -> usize {
        self.ongoing.len()
    }

    pub(super) fn ongoing(&self, vpa: &Vpa) -> i64 {
        self.ongoing.of(vpa)
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.breaker
    }

    /// The place of the workload that a plan begins with.
    pub(super) fn first(&self, snapshot: &Snapshot) -> usize {
        let Some((namespace, name)) = &self.next else {
            return 0;
        };
        let is_next = |w: &Workload| w.vpa.namespace == *namespace && w.vpa.name == *name;
        let place = snapshot.workloads.iter().position(is_next);
        place.unwrap_or(0)
    }

    /// How long nothing is to be disrupted yet, after this process began to lead.
    pub(super) fn warm_up(&self, config: &Config, now: Timestamp) -> Option<Duration> {
        let left = config.warm_up.checked_sub(now.since(self.leading_since?))?;
        (!left.is_zero()).then_some(left)
    }

    /// How large groups were lately whose controllers cannot be asked.
    pub(super) fn lately(&self) -> &Lately {
        &self.lately
    }

    /// Since when the pod's resize has been in its present state; `None` when it was not observed in it.
    pub(super) fn resizing_since(&self, pod_uid: &str, state: &ResizeState) -> Option<Timestamp> {
        self.resizing
            .get(pod_uid)
            .filter(|(s, _)| *s == discriminant(state))
            .map(|(_, since)| *since)
    }

    /// True when the pod was refused a resize, and `changes` ask for no less of anything.
    pub(super) fn refuses(&self, pod_uid: &str, changes: &[ContainerChange]) -> bool {
        let lower = |refused: &Refused| {
            Resource::ALL
                .into_iter()
                .any(|r| refused.is_lower(r, changes))
        };
        self.refused
            .get(pod_uid)
            .is_some_and(|refused| !lower(refused))
    }
}

/// True when some resource that both lists hold is strictly lower in `new`.
pub(super) fn lower_in(
    new: crate::quantity::ResourceList,
    old: crate::quantity::ResourceList,
) -> bool {
    Resource::ALL
        .iter()
        .any(|r| matches!((new.get(*r), old.get(*r)), (Some(new), Some(old)) if new < old))
}
