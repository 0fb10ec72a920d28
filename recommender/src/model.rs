//! All histories: per target and container, with the open memory window of every pod's container.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use podfit_cluster::usage::PodUsage;
use podfit_core::history::{ContainerHistory, HistoryConfig, PodContainerWindow};
use podfit_core::ownership::ControllerKey;
use podfit_core::time::Timestamp;

use crate::oom::Oom;
use crate::view::View;

/// The histories of all targets. One task owns it.
#[derive(Debug)]
pub struct Model {
    config: HistoryConfig,
    targets: HashMap<ControllerKey, Target>,
}

/// What is known of one target's containers.
#[derive(Debug, Default)]
struct Target {
    containers: BTreeMap<String, ContainerHistory>,
    /// By pod uid and container.
    windows: HashMap<(String, String), PodContainerWindow>,
    /// Containers whose history changed since it was stored.
    unsaved: BTreeSet<String>,
}

impl Target {
    /// The history of a container and the window of one pod's; both are made when there are none.
    fn parts(
        &mut self,
        uid: &str,
        container: &str,
        config: &HistoryConfig,
        now: Timestamp,
    ) -> (&mut ContainerHistory, &mut PodContainerWindow) {
        let history = self
            .containers
            .entry(container.to_owned())
            .or_insert_with(|| ContainerHistory::new(config, now));
        (
            history,
            self.windows
                .entry((uid.to_owned(), container.to_owned()))
                .or_default(),
        )
    }
}

impl Model {
    /// Without any history.
    pub fn new(config: HistoryConfig) -> Self {
        Self {
            config,
            targets: HashMap::new(),
        }
    }

    /// How many container histories there are.
    pub fn len(&self) -> usize {
        self.targets.values().map(|t| t.containers.len()).sum()
    }

    /// The histories of a target's containers, in order of their names.
    pub fn histories(&self, target: &ControllerKey) -> Vec<(&str, &ContainerHistory)> {
        let containers = self.targets.get(target).map(|t| &t.containers);
        containers
            .into_iter()
            .flatten()
            .map(|(name, history)| (name.as_str(), history))
            .collect()
    }

    /// Adds one pod's usage, if the pod is under a target. Containers that its spec does not list (init containers) are
    /// left out; a sample that cannot be is told in the log.
    pub fn add_usage(&mut self, view: &View, usage: &PodUsage, now: Timestamp) {
        let Some((pod, target)) = view.pods.get(&(usage.namespace.clone(), usage.pod.clone()))
        else {
            return;
        };
        let target = self.targets.entry(target.clone()).or_default();
        for container in usage
            .containers
            .iter()
            .filter(|c| pod.container(&c.name).is_some())
        {
            let (history, window) = target.parts(&pod.uid, &container.name, &self.config, now);
            let cpu = container
                .cpu
                .map(|cpu| window.add_cpu(history, cpu, (usage.at, now)));
            let memory = container
                .memory
                .map(|memory| window.add_memory(history, memory, (usage.at, now), &self.config));
            let mut changed = false;
            for result in [cpu, memory].into_iter().flatten() {
                match result {
                    Ok(()) => changed = true,
                    Err(rejected) => {
                        tracing::debug!(pod = pod.name, namespace = pod.namespace, container = container.name, %rejected, "sample left out");
                    }
                }
            }
            if changed {
                target.unsaved.insert(container.name.clone());
            }
        }
    }

    /// Adds an out-of-memory kill of a pod under `target`. One that a stored history holds already changes nothing.
    pub fn record_oom(&mut self, target: &ControllerKey, oom: &Oom, now: Timestamp) {
        let state = self.targets.entry(target.clone()).or_default();
        let (history, window) = state.parts(&oom.pod.uid, &oom.container, &self.config, now);
        match window.record_oom(history, oom.memory, (oom.at, now), &self.config) {
            Ok(()) => {
                state.unsaved.insert(oom.container.clone());
                tracing::info!(
                    target = %target, pod = oom.pod.name, container = oom.container, memory = %oom.memory,
                    "container was killed for memory"
                );
            }
            Err(rejected) => {
                tracing::debug!(target = %target, container = oom.container, %rejected, "kill left out");
            }
        }
    }

    /// Merges a stored history into what is known.
    pub fn restore(&mut self, target: &ControllerKey, container: &str, stored: ContainerHistory) {
        let state = self.targets.entry(target.clone()).or_default();
        match state.containers.get_mut(container) {
            Some(known) => known.merge(&stored),
            None => {
                state.containers.insert(container.into(), stored);
            }
        }
    }

    /// The histories of a target that changed since they were stored, without the memory peaks of windows still open.
    pub fn unsaved(
        &self,
        target: &ControllerKey,
        now: Timestamp,
    ) -> Vec<(String, ContainerHistory)> {
        let Some(state) = self.targets.get(target) else {
            return Vec::new();
        };
        state
            .unsaved
            .iter()
            .filter_map(|name| {
                let mut history = state.containers.get(name)?.clone();
                for ((_, container), window) in &state.windows {
                    if container == name {
                        window.subtract_open(&mut history, now);
                    }
                }
                Some((name.clone(), history))
            })
            .collect()
    }

    /// The history was stored.
    pub fn saved(&mut self, target: &ControllerKey, container: &str) {
        if let Some(state) = self.targets.get_mut(target) {
            state.unsaved.remove(container);
        }
    }

    /// Forgets the windows of pods that are gone. Their samples stay.
    pub fn keep_pods(&mut self, view: &View) {
        for (target, state) in &mut self.targets {
            let alive: HashSet<_> = view
                .pods_of(target)
                .iter()
                .map(|p| p.uid.as_str())
                .collect();
            state
                .windows
                .retain(|(uid, _), _| alive.contains(uid.as_str()));
        }
    }

    /// Drops histories that ended longer ago than a history lasts, of containers that no pod has any more.
    pub fn collect(&mut self, view: &View, now: Timestamp) {
        let lasts = self.config.lifetime();
        self.targets.retain(|target, state| {
            let live = view.containers_of(target);
            state.containers.retain(|name, history| {
                live.contains(name.as_str()) || now.since(history.last_activity()) < lasts
            });
            !state.containers.is_empty()
        });
    }
}
