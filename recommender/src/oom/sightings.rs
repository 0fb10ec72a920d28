//! What the watches saw of kills and evictions, until the loop looks: a pod may be gone by then.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podfit_cluster::api::event::{EventObject, Eviction, NoEviction};
use podfit_cluster::api::time;
use podfit_cluster::index::Index;
use podfit_cluster::options::Profile;
use podfit_cluster::watch::Change;
use podfit_core::ownership::{ControllerKey, is_of_runs};
use podfit_core::pod::{Phase, Pod};
use podfit_core::recent::Recent;
use podfit_core::runs::End;
use podfit_core::time::Timestamp;

use super::{Observer, Oom, last_kill};
use crate::view::View;

/// How many kills, and how many evictions, wait for the loop at most: as many as upstream lets wait.
const MOST: usize = 5000;

/// How long ago an eviction may have been that is told at the start: as long as the API server keeps events by default.
const RECENT: Duration = Duration::from_hours(1);

/// Shared by the watches, which add, and the loop, which takes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sightings(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Pods with a kill, by their uid and the time of their last one: a pod that is killed twice between two loops, or ends
    /// otherwise after it, is there twice.
    killed: BTreeMap<(Arc<str>, Timestamp), Sighting>,
    evictions: Vec<Eviction>,
    /// The uids of the pods whose evictions were taken in: events are listed again, and repeated.
    evicted: Recent<String, (), MOST>,
    /// How many kills and evictions found no place.
    dropped: usize,
    /// Runs that ended: how, and when.
    ended: Vec<(Sighting, End, Timestamp)>,
    /// The uids of the pods of those that were seen: an ended pod may change, and is deleted later.
    ended_before: Recent<Arc<str>, (), MOST>,
    /// Pods that went, by their uid: the event of an eviction may come later.
    gone: Recent<Arc<str>, Sighting, 2000>,
}

/// A run that ended.
pub struct EndedRun {
    /// What it is a run of.
    pub target: Arc<ControllerKey>,
    /// Its pod.
    pub pod: Arc<Pod>,
    /// How it ended.
    pub how: End,
    /// When.
    pub at: Timestamp,
}

/// A pod in the state in which it was seen, and the controllers above it then, nearest first.
#[derive(Clone, Debug)]
struct Sighting {
    pod: Arc<Pod>,
    chain: Vec<ControllerKey>,
}

impl Sighting {
    fn of(pod: Arc<Pod>, index: &Index) -> Self {
        let chain = index.owners.chain(&pod);
        Self { pod, chain }
    }
}

impl Sightings {
    /// Takes in a change of pods, before the index does.
    pub fn pods(&self, change: &Change<Pod>, index: &Index) {
        let (pod, ended) = match change {
            Change::Apply(pod) => (pod, pod.is_finished()),
            Change::Delete(pod) => (pod, true),
            Change::Listed(there) => {
                let missing = index.pods.iter().filter(|(key, _)| !there.contains(*key));
                for (_, pod) in missing {
                    let uid = pod.uid.clone();
                    let sighting = Sighting::of(Arc::clone(pod), index);
                    self.lock().gone.insert(uid, sighting);
                }
                return;
            }
        };
        let gone = ended && pod.phase != Phase::Succeeded;
        if ended {
            self.end_of(pod, index);
        }
        let kill = pod.containers.iter().filter_map(last_kill).max();
        if kill.is_none() && !gone {
            return;
        }
        let sighting = Sighting::of(Arc::new(pod.clone()), index);
        let mut seen = self.lock();
        if gone {
            seen.gone.insert(pod.uid.clone(), sighting.clone());
        }
        if let Some(at) = kill {
            let key = (pod.uid.clone(), at);
            if seen.killed.len() < MOST || seen.killed.contains_key(&key) {
                seen.killed.insert(key, sighting);
            } else {
                seen.dropped += 1;
            }
        }
    }

    /// Takes note of the end of a pod that is a run.
    fn end_of(&self, pod: &Pod, index: &Index) {
        let chain = index.owners.chain(pod);
        if !chain.iter().any(|key| is_of_runs(&key.kind)) {
            return;
        }
        let statuses = pod.containers.iter().filter_map(|c| c.status.as_ref());
        let ends = statuses.filter_map(|status| status.terminated.as_ref()?.finished);
        let at = ends.max().unwrap_or_else(time::now);
        let how = match pod.phase {
            Phase::Failed => End::Failed,
            _ => End::Whole,
        };
        let mut seen = self.lock();
        if seen.ended_before.get(&*pod.uid).is_some() {
            return;
        }
        seen.ended_before.insert(pod.uid.clone(), ());
        if seen.ended.len() < MOST {
            let pod = Arc::new(pod.clone());
            seen.ended.push((Sighting { pod, chain }, how, at));
        } else {
            seen.dropped += 1;
        }
    }

    /// The runs that ended since the last call, of pods that are, or were, under a target.
    pub fn ended(&self, view: &View) -> Vec<EndedRun> {
        let ended = std::mem::take(&mut self.lock().ended);
        let under = |(sighting, how, at): (Sighting, End, Timestamp)| {
            Some(EndedRun {
                target: Arc::clone(view.target_in(&sighting.chain)?),
                pod: sighting.pod,
                how,
                at,
            })
        };
        ended.into_iter().filter_map(under).collect()
    }

    /// Takes in an event. One of long ago was counted before this process started.
    pub fn event(&self, event: &EventObject, profile: Profile, now: Timestamp) {
        let eviction = match event.eviction(profile) {
            Ok(eviction) => eviction,
            Err(NoEviction::Other) => return,
            Err(error) => {
                let name = event.metadata.name.as_deref();
                tracing::warn!(event = name, namespace = event.metadata.namespace, %error, "an eviction was left out");
                return;
            }
        };
        if now.since(eviction.at) > RECENT {
            return;
        }
        let mut seen = self.lock();
        if seen.evicted.get(&eviction.uid).is_some() {
            return;
        }
        if seen.evictions.len() < MOST {
            seen.evicted.insert(eviction.uid.clone(), ());
            seen.evictions.push(eviction);
        } else {
            seen.dropped += 1;
        }
    }

    /// The kills and evictions since the last call, of pods that are, or were, under a target; and those of live pods, so
    /// that a kill from before its VPA was made counts as well.
    pub fn kills(&self, view: &View, observer: &mut Observer) -> Vec<(Arc<ControllerKey>, Oom)> {
        let mut seen = self.lock();
        let killed = std::mem::take(&mut seen.killed);
        let evictions = std::mem::take(&mut seen.evictions);
        let dropped = std::mem::take(&mut seen.dropped);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "more kills and evictions than can be kept until the loop looks"
            );
        }
        let mut found = Vec::new();
        let killed = killed
            .values()
            .filter_map(|s| Some((&s.pod, view.target_in(&s.chain)?)));
        let live = view.pods.values().map(|(pod, target)| (pod, target));
        for (pod, target) in killed.chain(live) {
            let kills = observer.look(pod, view.is_replaceable(pod, target));
            found.extend(kills.into_iter().map(|oom| (Arc::clone(target), oom)));
        }
        for eviction in &evictions {
            let live = view
                .pods
                .get(&(eviction.namespace.clone(), eviction.pod.clone()))
                .filter(|(pod, _)| *pod.uid == *eviction.uid)
                .map(|(pod, target)| (pod, target));
            let gone = || {
                let sighting = seen.gone.get(eviction.uid.as_str())?;
                Some((&sighting.pod, view.target_in(&sighting.chain)?))
            };
            if let Some((pod, target)) = live.or_else(gone) {
                found.extend(of_eviction(eviction, pod).map(|oom| (Arc::clone(target), oom)));
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an eviction tells: here the memory is what was used, be that more or less than any limit.
fn of_eviction<'a>(eviction: &'a Eviction, pod: &'a Pod) -> impl Iterator<Item = Oom> + 'a {
    let known = |(name, _): &&(String, _)| pod.container(name).is_some();
    eviction
        .containers
        .iter()
        .filter(known)
        .map(|(container, used)| Oom {
            pod: pod.clone(),
            container: container.clone(),
            at: eviction.at,
            memory: *used,
        })
}
