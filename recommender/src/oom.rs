//! Out-of-memory kills, seen in pods' container statuses, and evictions for memory, told by events.

mod sightings;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use podfit_core::pod::{Container, Pod};
use podfit_core::profile::Profile;
use podfit_core::quantity::Bytes;
use podfit_core::time::Timestamp;

pub use self::sightings::{EndedRun, Sightings};

/// One out-of-memory kill, or the eviction of one container's pod for memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Oom {
    /// The pod.
    pub pod: Pod,
    /// The container's name.
    pub container: String,
    /// When it was killed.
    pub at: Timestamp,
    /// What it was allowed: its limit, else its request. Zero when it had neither. Of an eviction: what it used.
    pub memory: Bytes,
}

/// Finds kills in successive states of pods, each kill once.
///
/// A kill is told from its end time, not from a change between two states: so none is missed that happened before
/// this process started, and a restarted watch repeats none.
#[derive(Debug, Default)]
pub struct Observer {
    /// Upstream counts from the request, however much the limit allows.
    profile: Profile,
    /// What is remembered of each pod's containers, by the pod's uid.
    pods: HashMap<Arc<str>, Vec<Seen>>,
}

/// What is remembered of a container of a pod.
#[derive(Debug)]
struct Seen {
    name: String,
    /// The last kill told of.
    kill: Option<Timestamp>,
    /// The least memory allowed since the pod was first seen.
    least: Bytes,
}

impl Observer {
    /// With nothing seen yet.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            pods: HashMap::new(),
        }
    }

    /// The kills in `pod` that were not told of before.
    ///
    /// A limit raised in place may not be in force: the kubelet (1.36) leaves the pod's own cgroup as it was when the
    /// container is down at that moment, and the kernel goes on killing at the old limit. Taken at its word, such a limit
    /// would grow with each kill. So of a pod that is `replaceable` the least it was allowed counts; once it is made
    /// anew, its limit is certain. A pod that is never evicted has no other way to grow.
    pub fn look(&mut self, pod: &Pod, replaceable: bool) -> Vec<Oom> {
        let mut found = Vec::new();
        let room = || Vec::with_capacity(pod.containers.len());
        let of_pod = self.pods.entry(pod.uid.clone()).or_insert_with(room);
        for container in &pod.containers {
            let allowed = allowed_memory(container, self.profile);
            let seen = seen(of_pod, &container.name, allowed);
            seen.least = allowed.min(seen.least);
            let memory = match self.profile {
                Profile::Safe if replaceable => seen.least,
                _ => allowed,
            };
            let Some(at) = last_kill(container) else {
                continue;
            };
            if seen.kill.is_some_and(|t| t >= at) {
                continue;
            }
            seen.kill = Some(at);
            found.push(Oom {
                pod: pod.clone(),
                container: container.name.clone(),
                at,
                memory,
            });
        }
        found
    }

    /// Forgets the pods whose uid is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.pods.retain(|uid, _| keep(uid));
    }
}

/// What is remembered of the container called `name`; of a new one, that it is allowed `allowed`.
fn seen<'a>(of_pod: &'a mut Vec<Seen>, name: &str, allowed: Bytes) -> &'a mut Seen {
    let at = of_pod.iter().position(|seen| seen.name == name);
    let at = at.unwrap_or_else(|| {
        of_pod.push(Seen {
            name: name.into(),
            kill: None,
            least: allowed,
        });
        of_pod.len() - 1
    });
    &mut of_pod[at]
}

fn last_kill(container: &Container) -> Option<Timestamp> {
    let status = container.status.as_ref()?;
    let ends = [&status.terminated, &status.last_terminated];
    let kills = ends.into_iter().flatten().filter(|t| t.is_oom());
    kills.filter_map(|t| t.finished).max()
}

/// The limit, else the request; zero when there is neither. Profile `upstream`: the request alone.
fn allowed_memory(container: &Container, profile: Profile) -> Bytes {
    let allowed = container.effective();
    let limit = allowed.limits.memory.filter(|_| profile.is_safe());
    limit.or(allowed.requests.memory).unwrap_or_default()
}
