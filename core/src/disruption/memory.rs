//! What one plan must know of earlier ones.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use super::Snapshot;
use crate::pod::ResizeState;
use crate::policy::ContainerChange;
use crate::quantity::Resource;
use crate::time::Timestamp;

/// What is remembered of pods, by their uid, and forgotten with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The state of each pod's resize, and since when it has been in that state.
    resizing: HashMap<String, (Discriminant<ResizeState>, Timestamp)>,
    /// What each pod was to be resized to when the API server or its node refused.
    refused: HashMap<String, Vec<ContainerChange>>,
}

impl Memory {
    /// Takes note of the pods' resizes, and forgets pods that are gone. Call it with each snapshot before planning.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
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

    /// Takes note that a pod could not be resized: its node cannot hold it (403 or "infeasible").
    pub fn refuse(&mut self, pod_uid: &str, changes: Vec<ContainerChange>) {
        self.refused.insert(pod_uid.to_owned(), changes);
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
        self.refused.get(pod_uid).is_some_and(|refused| {
            !changes.iter().any(|change| {
                refused
                    .iter()
                    .any(|r| r.name == change.name && lower_in(change.requests, r.requests))
            })
        })
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
