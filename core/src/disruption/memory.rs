//! What one plan must know of earlier ones.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use super::lately::Lately;
use super::resize::Refused;
use super::shrink::Shrinks;
use super::trial::Trials;
use super::{Config, Decision, Snapshot, UpdateReason, Workload};
use crate::admission::UPDATES_ANNOTATION;
use crate::pod::{OwnerRef, Pod, ResizeState};
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
    /// The last eviction of each VPA, by namespace and name.
    evicted: HashMap<(String, String), Evicted>,
    /// How large groups were whose controllers cannot be asked.
    lately: Lately,
    /// What was lowered.
    pub(super) shrinks: Shrinks,
    /// What first evictions led to.
    pub trials: Trials,
}

/// What is remembered of a VPA's last eviction, to see whether it led to anything.
#[derive(Clone, Debug, PartialEq)]
struct Evicted {
    at: Timestamp,
    /// The pods there were: any other has come since.
    before: HashSet<String>,
    /// How many evictions in a row were followed by a pod that nobody had sized.
    misses: u32,
}

/// After an eviction that led to nothing, so long until the next; doubled with each that follows.
const FIRST_PAUSE: Duration = Duration::from_mins(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

impl Evicted {
    /// A pod that came since and was not sized at admission.
    fn unsized_replacement<'a>(&self, workload: &'a Workload) -> Option<&'a Pod> {
        let came_since = |pod: &&Arc<Pod>| !pod.terminating && !self.before.contains(&pod.uid);
        let pods = workload.pods.iter().filter(came_since);
        pods.map(Arc::as_ref)
            .find(|pod| pod.annotation(UPDATES_ANNOTATION).is_none())
    }

    fn pause(&self) -> Duration {
        FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(self.misses))
            .min(LONGEST_PAUSE)
    }
}

impl Memory {
    /// Takes note of the pods' resizes, and forgets pods that are gone. Call it with each snapshot before planning.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.lately.observe(snapshot, now);
        self.shrinks.observe(snapshot, now);
        self.trials.observe(snapshot, now);
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
        if !self.evicted.is_empty() {
            let there: HashSet<_> = snapshot
                .workloads
                .iter()
                .map(|w| (&w.vpa.namespace, &w.vpa.name))
                .collect();
            self.evicted
                .retain(|(namespace, name), _| there.contains(&(namespace, name)));
        }
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

    /// Takes note that a pod of a workload was evicted.
    pub fn evicted(&mut self, workload: &Workload, now: Timestamp) {
        let key = (workload.vpa.namespace.clone(), workload.vpa.name.clone());
        let last = self.evicted.get(&key);
        let in_vain = last.filter(|last| last.unsized_replacement(workload).is_some());
        let misses = in_vain.map_or(0, |last| last.misses + 1);
        let before = workload.pods.iter().map(|pod| pod.uid.clone()).collect();
        self.evicted.insert(
            key,
            Evicted {
                at: now,
                before,
                misses,
            },
        );
    }

    /// Why no pod of a workload is to be evicted for now: the last eviction led to a pod that nobody had sized.
    pub(super) fn paused(&self, workload: &Workload, now: Timestamp) -> Option<UpdateReason> {
        let key = (workload.vpa.namespace.clone(), workload.vpa.name.clone());
        let last = self.evicted.get(&key)?;
        let replacement = last.unsized_replacement(workload)?;
        let over = last.at + last.pause();
        (now < over).then(|| UpdateReason::ReplacementNotSized {
            pod: replacement.name.clone(),
            next_try: over.since(now),
        })
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
