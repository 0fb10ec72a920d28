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
    /// The last CPU sample in what was restored of a container. The metrics API may still show it after a restart.
    restored_until: HashMap<String, Timestamp>,
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
            let restored = target.restored_until.get(&container.name).copied();
            let (history, window) = target.parts(&pod.uid, &container.name, &self.config, now);
            let cpu = container
                .cpu
                .filter(|_| restored.is_none_or(|until| usage.at > until))
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
        if let Some(last) = stored.last_sample() {
            state.restored_until.insert(container.to_owned(), last);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use podfit_cluster::index::Index;
    use podfit_cluster::usage::ContainerUsage;
    use podfit_core::ownership::Controller;
    use podfit_core::pod::{Container, OwnerRef, Pod};
    use podfit_core::quantity::{Bytes, Millicores};
    use podfit_core::vpa::Vpa;

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

    fn target() -> ControllerKey {
        ControllerKey::new("ns", "StatefulSet", "db")
    }

    fn pod(name: &str) -> Pod {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: "db".into(),
        };
        let container = Container {
            name: "app".into(),
            ..Container::default()
        };
        Pod {
            namespace: "ns".into(),
            name: name.into(),
            uid: name.into(),
            owner: Some(owner),
            containers: vec![container],
            ..Pod::default()
        }
    }

    fn view(pods: &[&str]) -> View {
        let mut index = Index::default();
        index.owners.apply(target(), Controller::default());
        index.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: "db".into(),
            target: pod("").owner,
            ..Vpa::default()
        });
        for name in pods {
            index
                .pods
                .insert(("ns".into(), (*name).into()), Arc::new(pod(name)));
        }
        View::of(&index, "default")
    }

    fn usage(pod: &str, container: &str, second: u64) -> PodUsage {
        PodUsage {
            namespace: "ns".into(),
            pod: pod.into(),
            at: T0 + Duration::from_secs(second),
            containers: vec![ContainerUsage {
                name: container.into(),
                cpu: Some(Millicores(100)),
                memory: Some(Bytes(1 << 30)),
            }],
        }
    }

    fn add(model: &mut Model, view: &View, usage: &PodUsage) {
        model.add_usage(view, usage, T0 + Duration::from_hours(1));
    }

    fn samples(model: &Model) -> u64 {
        model
            .histories(&target())
            .iter()
            .map(|(_, h)| h.total_samples())
            .sum()
    }

    #[test]
    fn only_usage_of_known_containers_of_pods_in_view_counts_and_once() {
        let (mut model, view) = (
            Model::new(HistoryConfig::default()),
            view(&["db-0", "db-1"]),
        );
        for usage in [
            usage("db-0", "app", 1),
            usage("db-0", "app", 1),
            usage("db-1", "app", 1),
            usage("db-0", "init", 1),
            usage("stranger", "app", 1),
        ] {
            add(&mut model, &view, &usage);
        }
        assert_eq!((samples(&model), model.len()), (2, 1));
    }

    #[test]
    fn what_changed_is_stored_once_and_without_open_windows() {
        let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
        add(&mut model, &view, &usage("db-0", "app", 1));
        let now = T0 + Duration::from_secs(2);
        let unsaved = model.unsaved(&target(), now);
        assert!(unsaved[0].1.memory().is_empty() && !unsaved[0].1.cpu().is_empty());
        model.saved(&target(), "app");
        assert!(model.unsaved(&target(), now).is_empty());
    }

    /// After a restart the metrics API still shows the sample that the stored history ends with.
    #[test]
    fn a_restored_history_continues_without_counting_its_end_twice() {
        let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
        add(&mut model, &view, &usage("db-0", "app", 1));
        let stored = model.unsaved(&target(), T0 + Duration::from_secs(2))[0]
            .1
            .clone();

        let mut restarted = Model::new(HistoryConfig::default());
        restarted.restore(&target(), "app", stored);
        add(&mut restarted, &view, &usage("db-0", "app", 1));
        assert_eq!(samples(&restarted), 1);
        add(&mut restarted, &view, &usage("db-0", "app", 11));
        let histories = restarted.histories(&target());
        assert_eq!(
            (
                histories[0].1.total_samples(),
                histories[0].1.first_sample()
            ),
            (2, Some(T0 + Duration::from_secs(1)))
        );
        assert!(
            !histories[0].1.memory().is_empty(),
            "the open window was not stored, so its peak must count"
        );
    }

    #[test]
    fn histories_outlive_pods_and_end_with_their_lifetime() {
        let (mut model, empty) = (Model::new(HistoryConfig::default()), view(&[]));
        add(&mut model, &view(&["db-0"]), &usage("db-0", "app", 1));
        let day = Duration::from_hours(24);
        for (days, left) in [(7, 1), (9, 0)] {
            model.keep_pods(&empty);
            model.collect(&empty, T0 + day * days);
            assert_eq!(model.len(), left);
        }
    }

    #[test]
    fn a_kill_counts_without_any_usage() {
        let mut model = Model::new(HistoryConfig::default());
        let oom = Oom {
            pod: pod("db-0"),
            container: "app".into(),
            at: T0,
            memory: Bytes(1 << 30),
        };
        model.record_oom(&target(), &oom, T0);
        assert!(!model.histories(&target())[0].1.is_empty());
        model.saved(&target(), "app");
        model.record_oom(&target(), &oom, T0);
        assert!(
            model.unsaved(&target(), T0).is_empty(),
            "the same kill again changes nothing"
        );
    }
}
