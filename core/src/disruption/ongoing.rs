//! Disruptions of ours that are not over: until a pod is ready in the place of the one that went.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::group::{Counts, is_live};
use super::lately::Lately;
use super::{Action, Decision, Snapshot, Workload};
use crate::pod::Pod;
use crate::vpa::Vpa;

/// What is not over, by namespace and name of the VPA.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ongoing(HashMap<String, HashMap<String, Disrupted>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Disrupted {
    /// Pods that were evicted, the first of them first.
    evicted: Vec<Arc<str>>,
    /// Pods with a container that is being restarted.
    restarted: HashSet<Arc<str>>,
    /// Pods that stand for no evicted one: they were there before, or stand for another.
    known: HashSet<Arc<str>>,
}

impl Ongoing {
    /// How many disruptions of a VPA's pods are not over.
    pub(super) fn of(&self, vpa: &Vpa) -> i64 {
        let of_vpa = self.0.get(&vpa.namespace).and_then(|n| n.get(&vpa.name));
        of_vpa.map_or(0, |d| (d.evicted.len() + d.restarted.len()) as i64)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let all = self.0.values().flat_map(HashMap::values);
        all.map(|d| d.evicted.len() + d.restarted.len()).sum()
    }

    /// Takes note of a disruption that was just made.
    pub(super) fn add(&mut self, workload: &Workload, decision: &Decision) {
        let Vpa {
            namespace, name, ..
        } = &*workload.vpa;
        let of_namespace = self.0.entry(namespace.clone()).or_default();
        let disrupted = of_namespace.entry(name.clone()).or_default();
        let uid = decision.pod.uid.clone();
        match decision.action {
            Action::Evict(_) => disrupted.evicted.push(uid),
            _ => {
                disrupted.restarted.insert(uid);
            }
        }
        // Those that came before this loop and stand for an earlier eviction were seen to be ready.
        let there = workload.pods.iter();
        let ready = there.filter(|pod| pod.ready_since.is_some() || disrupted.known.is_empty());
        let uids: Vec<_> = ready.map(|pod| pod.uid.clone()).collect();
        disrupted.known.extend(uids);
    }

    /// Forgets what is over.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, lately: &Lately) {
        if self.0.is_empty() {
            return;
        }
        let mut before = std::mem::take(&mut self.0);
        for workload in &snapshot.workloads {
            let vpa = &workload.vpa;
            let of_namespace = before.get_mut(&vpa.namespace);
            let Some(mut disrupted) = of_namespace.and_then(|n| n.remove(&vpa.name)) else {
                continue;
            };
            disrupted.observe(workload, lately);
            if !(disrupted.evicted.is_empty() && disrupted.restarted.is_empty()) {
                let of_namespace = self.0.entry(vpa.namespace.clone()).or_default();
                of_namespace.insert(vpa.name.clone(), disrupted);
            }
        }
    }
}

impl Disrupted {
    fn observe(&mut self, workload: &Workload, lately: &Lately) {
        let mut shaken = HashSet::new();
        for pod in workload.pods.iter().filter(|pod| is_live(pod)) {
            if self.evicted.contains(&pod.uid) {
                // Not gone yet, as far as is known here.
                shaken.insert(pod.uid.clone());
            } else if pod.ready_since.is_some() && !self.known.contains(&pod.uid) {
                self.known.insert(pod.uid.clone());
                if !self.evicted.is_empty() {
                    self.evicted.remove(0);
                }
            }
            if self.restarted.contains(&pod.uid) && !is_settled(pod) {
                shaken.insert(pod.uid.clone());
            }
        }
        // Nobody is missed any more, as the workload was scaled down, say.
        if Counts::of(workload, lately).missing() == 0 {
            self.evicted.retain(|uid| shaken.contains(uid));
        }
        self.restarted.retain(|uid| shaken.contains(uid));
    }
}

/// True when a resize is over, and the pod serves.
fn is_settled(pod: &Pod) -> bool {
    let in_force = |c: &crate::pod::Container| {
        let own = c.effective();
        (
            own.requests.cpu,
            own.requests.memory,
            own.limits.cpu,
            own.limits.memory,
        ) == (
            c.requests.cpu,
            c.requests.memory,
            c.limits.cpu,
            c.limits.memory,
        )
    };
    pod.ready_since.is_some() && !pod.is_resizing() && pod.containers.iter().all(in_force)
}
