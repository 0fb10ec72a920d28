//! Out-of-memory kills, seen in pods' container statuses.

use std::collections::HashMap;

use podfit_core::pod::{Container, Pod, Termination};
use podfit_core::quantity::Bytes;
use podfit_core::time::Timestamp;

/// One out-of-memory kill.
#[derive(Clone, Debug, PartialEq)]
pub struct Oom {
    /// The pod.
    pub pod: Pod,
    /// The container's name.
    pub container: String,
    /// When it was killed.
    pub at: Timestamp,
    /// What it was allowed: its limit, else its request. Zero when it had neither.
    pub memory: Bytes,
}

/// Finds kills in successive states of pods, each kill once.
///
/// A kill is told from its end time, not from a change between two states: so none is missed that happened before
/// this process started, and a restarted watch repeats none.
#[derive(Debug, Default)]
pub struct Observer {
    /// What is remembered of each pod, by its uid.
    pods: HashMap<String, Seen>,
}

/// What is remembered of a pod's containers, by their names.
#[derive(Debug, Default)]
struct Seen {
    /// The last kill told of.
    kills: HashMap<String, Timestamp>,
    /// The least memory allowed since the pod was first seen.
    least: HashMap<String, Bytes>,
}

impl Observer {
    /// The kills in `pod` that were not told of before.
    ///
    /// A limit raised in place may not be in force: the kubelet (1.36) leaves the pod's own cgroup as it was when the
    /// container is down at that moment, and the kernel goes on killing at the old limit. Taken at its word, such a limit
    /// would grow with each kill. So of a pod that is `replaceable` the least it was allowed counts; once it is made
    /// anew, its limit is certain. A pod that is never evicted has no other way to grow.
    pub fn look(&mut self, pod: &Pod, replaceable: bool) -> Vec<Oom> {
        let mut found = Vec::new();
        for container in &pod.containers {
            let seen = self.pods.entry(pod.uid.clone()).or_default();
            let allowed = allowed_memory(container);
            let least = seen.least.entry(container.name.clone()).or_insert(allowed);
            *least = allowed.min(*least);
            let memory = if replaceable { *least } else { allowed };
            let Some(at) = last_kill(container) else {
                continue;
            };
            if seen.kills.get(&container.name).is_some_and(|t| *t >= at) {
                continue;
            }
            seen.kills.insert(container.name.clone(), at);
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

fn last_kill(container: &Container) -> Option<Timestamp> {
    let status = container.status.as_ref()?;
    let ends = [&status.terminated, &status.last_terminated];
    let kills = ends.into_iter().flatten().filter(|t| t.is_oom());
    kills.filter_map(|t: &Termination| t.finished).max()
}

/// The limit, else the request; zero when there is neither.
fn allowed_memory(container: &Container) -> Bytes {
    let allowed = container.effective();
    allowed
        .limits
        .memory
        .or(allowed.requests.memory)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use podfit_core::pod::{ContainerStatus, EffectiveResources};
    use podfit_core::quantity::ResourceList;

    use super::*;

    fn memory(bytes: i64) -> ResourceList {
        ResourceList {
            cpu: None,
            memory: Some(Bytes(bytes)),
        }
    }

    fn ended(reason: &str, second: i64) -> Termination {
        Termination {
            reason: reason.into(),
            started: None,
            finished: Some(Timestamp::from_unix_seconds(second)),
        }
    }

    fn pod(status: ContainerStatus) -> Pod {
        let container = Container {
            name: "app".into(),
            requests: memory(1024),
            status: Some(status),
            ..Container::default()
        };
        Pod {
            uid: "u".into(),
            containers: vec![container],
            ..Pod::default()
        }
    }

    #[test]
    fn each_kill_is_told_once_with_what_the_container_was_allowed() {
        let mut observer = Observer::default();
        let mut told = |status| {
            observer
                .look(&pod(status), false)
                .into_iter()
                .map(|o| (o.at.unix_seconds(), o.memory.0))
                .collect::<Vec<_>>()
        };
        let running = || ContainerStatus {
            running: true,
            ..ContainerStatus::default()
        };
        assert_eq!(told(running()), []);
        assert_eq!(
            told(ContainerStatus {
                terminated: Some(ended("Error", 1)),
                ..ContainerStatus::default()
            }),
            []
        );
        assert_eq!(
            told(ContainerStatus {
                terminated: Some(ended("OOMKilled", 5)),
                ..ContainerStatus::default()
            }),
            [(5, 1024)]
        );
        assert_eq!(
            told(ContainerStatus {
                last_terminated: Some(ended("OOMKilled", 5)),
                ..running()
            }),
            []
        );
        let grown = EffectiveResources {
            requests: memory(1024),
            limits: memory(4096),
        };
        let again = ContainerStatus {
            last_terminated: Some(ended("OOMKilled", 9)),
            resources: Some(grown),
            ..running()
        };
        assert_eq!(told(again), [(9, 4096)]);
    }

    #[test]
    fn a_forgotten_pod_starts_afresh() {
        let mut observer = Observer::default();
        let killed = pod(ContainerStatus {
            terminated: Some(ended("OOMKilled", 5)),
            ..ContainerStatus::default()
        });
        assert_eq!(
            (
                observer.look(&killed, true).len(),
                observer.look(&killed, true).len()
            ),
            (1, 0)
        );
        observer.retain(|_| false);
        assert_eq!(observer.look(&killed, true).len(), 1);
    }

    #[test]
    fn a_limit_raised_in_place_is_no_evidence_until_the_pod_is_made_anew() {
        let with_limit = |limit: i64, killed_at: Option<i64>| {
            pod(ContainerStatus {
                running: true,
                resources: Some(EffectiveResources {
                    requests: ResourceList::default(),
                    limits: memory(limit),
                }),
                last_terminated: killed_at.map(|second| ended("OOMKilled", second)),
                ..ContainerStatus::default()
            })
        };
        for (replaceable, expected) in [(true, [300, 300]), (false, [300, 488])] {
            let mut observer = Observer::default();
            let mut evidence =
                |pod: Pod| observer.look(&pod, replaceable).first().map(|o| o.memory.0);
            assert_eq!(evidence(with_limit(300, None)), None);
            let seen = [
                evidence(with_limit(300, Some(1))),
                evidence(with_limit(488, Some(2))),
            ];
            assert_eq!(seen, expected.map(Some), "{replaceable}");
            let anew = Pod {
                uid: "new".into(),
                ..with_limit(488, Some(3))
            };
            assert_eq!(evidence(anew), Some(488));
        }
    }
}
