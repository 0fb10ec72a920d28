//! Evictions that a PodDisruptionBudget refused: not asked for again in each loop, but after a while, or once the budget or
//! the pods have changed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::{Snapshot, UpdateReason};
use crate::pod::{OwnerRef, Pod};
use crate::time::Timestamp;

/// So long until the first repetition; doubled with each that follows.
const FIRST_PAUSE: Duration = Duration::from_mins(2);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What a PodDisruptionBudget says, as far as it bears on a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Grows with each change of what is asked.
    pub generation: i64,
    /// How many pods may be evicted.
    pub allowed: i64,
}

/// Pods of one controller that budgets treat alike: a budget may let those go that are not ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    namespace: String,
    owner: Option<OwnerRef>,
    ready: bool,
}

impl Alike {
    fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            owner: pod.owner.clone(),
            ready: pod.ready_since.is_some(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Refusal {
    words: String,
    /// The budget's name, when the words tell it, and what it was like.
    budget: Option<(String, Option<Budget>)>,
    /// What the controller's pods were like.
    pods: u64,
    until: Timestamp,
    times: u32,
}

/// What is remembered of refusals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals(HashMap<Alike, Refusal>);

impl Refusals {
    /// Takes note that a budget refused to let `pod` go: the server's words, and the budget that they name.
    pub fn refused(
        &mut self,
        pod: &Pod,
        words: &str,
        budget: Option<(String, Option<Budget>)>,
        (snapshot, now): (&Snapshot, Timestamp),
    ) {
        let key = Alike::of(pod);
        if self.0.get(&key).is_some_and(|known| now < known.until) {
            // Another pod like it, in the same loop.
            return;
        }
        let owner = (key.namespace.as_str(), key.owner.as_ref());
        let pods = states(snapshot, |namespace, of| (namespace, of) == owner);
        let pods = pods.into_values().next().unwrap_or_default();
        let times = self.0.get(&key).map_or(0, |known| known.times + 1);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times));
        let refusal = Refusal {
            words: words.into(),
            budget,
            pods,
            until: now + pause.min(LONGEST_PAUSE),
            times,
        };
        self.0.insert(key, refusal);
    }

    /// The budgets that refused, by namespace and name.
    pub fn budgets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(alike, refusal)| {
            let (name, _) = refusal.budget.as_ref()?;
            Some((alike.namespace.as_str(), name.as_str()))
        })
    }

    /// Forgets what has changed since. `budget` tells what a budget is like by now.
    pub fn observe(&mut self, snapshot: &Snapshot, budget: impl Fn(&str, &str) -> Option<Budget>) {
        if self.0.is_empty() {
            return;
        }
        let known = |namespace: &str, owner: Option<&OwnerRef>| {
            let mut keys = self.0.keys();
            keys.any(|key| (key.namespace.as_str(), key.owner.as_ref()) == (namespace, owner))
        };
        let pods = states(snapshot, known);
        let same = |alike: &Alike, refusal: &Refusal| {
            let owner = (alike.namespace.as_str(), alike.owner.as_ref());
            let same_budget = match &refusal.budget {
                Some((name, then)) => budget(&alike.namespace, name) == *then,
                None => true,
            };
            same_budget && pods.get(&owner) == Some(&refusal.pods)
        };
        let gone: Vec<_> = self
            .0
            .iter()
            .filter(|(alike, refusal)| !same(alike, refusal))
            .map(|(alike, _)| alike.clone())
            .collect();
        for alike in gone {
            self.0.remove(&alike);
        }
    }

    /// Why the eviction of a pod is not asked for now.
    pub(super) fn hold_back(&self, pod: &Pod, now: Timestamp) -> Option<UpdateReason> {
        if self.0.is_empty() {
            return None;
        }
        let refusal = self.0.get(&Alike::of(pod))?;
        (now < refusal.until).then(|| UpdateReason::RefusedByBudget {
            words: refusal.words.clone(),
            next_try: refusal.until.since(now),
        })
    }
}

/// A number for the pods of each of some controllers, which changes when one comes, goes or turns ready or not.
fn states(
    snapshot: &Snapshot,
    wanted: impl Fn(&str, Option<&OwnerRef>) -> bool,
) -> HashMap<(&str, Option<&OwnerRef>), u64> {
    let mut states: HashMap<_, u64> = HashMap::new();
    for pod in snapshot.workloads.iter().flat_map(|w| &w.pods) {
        let owner = (pod.namespace.as_str(), pod.owner.as_ref());
        if states.contains_key(&owner) || wanted(owner.0, owner.1) {
            let mut hasher = DefaultHasher::new();
            (&pod.uid, pod.ready_since.is_some(), pod.terminating).hash(&mut hasher);
            let state = states.entry(owner).or_default();
            *state = state.wrapping_add(hasher.finish());
        }
    }
    states
}
