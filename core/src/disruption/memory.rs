//! What one plan must know of earlier ones.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use super::Snapshot;
use super::lately::Lately;
use super::outcome::Outcomes;
use super::refusals::Refusals;
use super::resize::Refused;
use super::shrink::Shrinks;
use super::{Config, Decision};
use crate::pod::{OwnerRef, ResizeState};
use crate::policy::ContainerChange;
use crate::quantity::Resource;
use crate::time::Timestamp;

/// What is remembered of pods, by their uid, and forgotten with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The state of each pod's resize, and since when it has been in that state.
    resizing: HashMap<String, (Discriminant<ResizeState>, Timestamp)>,
    /// What each pod was to be resized to when the API server or its node refused.
    pub(super) refused: HashMap<String, Refused>,
    /// What evictions led to.
    pub outcomes: Outcomes,
    /// What budgets refused.
    pub refusals: Refusals,
    /// How large groups were whose controllers cannot be asked.
    lately: Lately,
    /// What was lowered.
    pub(super) shrinks: Shrinks,
}

impl Memory {
    /// Takes note of the pods' resizes, and forgets pods that are gone. Call it with each snapshot before planning.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.lately.observe(snapshot, now);
        self.shrinks.observe(snapshot, now);
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
            let alive: HashSet<_> = pods().map(|pod| pod.uid.as_str()).collect();
            self.refused.retain(|uid, _| alive.contains(uid.as_str()));
        }
    }

    /// Takes note of a decision that was carried out.
    pub fn done(&mut self, decision: &Decision, config: &Config, now: Timestamp) {
        self.resized(decision, None, now);
        self.shrinks.note(decision, config.shrink_interval, now);
    }

    /// The most live pods that a group had lately; zero unless its controller cannot be asked.
    pub(super) fn most_lately(&self, namespace: &str, owner: &OwnerRef) -> i64 {
        self.lately.most(namespace, owner)
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
