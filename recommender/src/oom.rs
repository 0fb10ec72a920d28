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
    /// The last kill told of, by pod uid and container.
    told: HashMap<String, HashMap<String, Timestamp>>,
}

impl Observer {
    /// The kills in `pod` that were not told of before.
    pub fn look(&mut self, pod: &Pod) -> Vec<Oom> {
        let mut found = Vec::new();
        for container in &pod.containers {
            let Some((at, memory)) = last_kill(container) else {
                continue;
            };
            let told = self.told.entry(pod.uid.clone()).or_default();
            if told.get(&container.name).is_some_and(|t| *t >= at) {
                continue;
            }
            told.insert(container.name.clone(), at);
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
        self.told.retain(|uid, _| keep(uid));
    }
}

fn last_kill(container: &Container) -> Option<(Timestamp, Bytes)> {
    let status = container.status.as_ref()?;
    let kills = [&status.terminated, &status.last_terminated];
    let at = kills
        .into_iter()
        .flatten()
        .filter(|t| t.is_oom())
        .filter_map(|t: &Termination| t.finished)
        .max()?;
    let allowed = container.effective();
    Some((
        at,
        allowed
            .limits
            .memory
            .or(allowed.requests.memory)
            .unwrap_or_default(),
    ))
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
                .look(&pod(status))
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
            (observer.look(&killed).len(), observer.look(&killed).len()),
            (1, 0)
        );
        observer.retain(|_| false);
        assert_eq!(observer.look(&killed).len(), 1);
    }
}
