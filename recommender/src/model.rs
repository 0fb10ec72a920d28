//! All histories: per target and container, with the open memory window of every pod's container.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use podfit_cluster::usage::PodUsage;
use podfit_core::history::{ContainerHistory, HistoryConfig, OpenWindow, PodContainerWindow};
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

/// A history as it is stored: without the peaks of open memory windows, which may still grow, and those beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredHistory {
    /// The history.
    pub history: ContainerHistory,
    /// The open windows by pod uid.
    pub open: BTreeMap<String, OpenWindow>,
}

impl Target {
    fn to_be_stored(&self, container: &str, now: Timestamp) -> Option<StoredHistory> {
        let mut history = self.containers.get(container)?.clone();
        let mut open = BTreeMap::new();
        for ((uid, _), window) in self
            .windows
            .iter()
            .filter(|((_, name), _)| name == container)
        {
            window.subtract_open(&mut history, now);
            open.extend(window.open(now).map(|window| (uid.clone(), window)));
        }
        Some(StoredHistory { history, open })
    }

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
        if history.knows_kill(oom.at) {
            return;
        }
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

    /// Merges a stored history, and the windows that were open then, into what is known.
    pub fn restore(&mut self, target: &ControllerKey, container: &str, mut stored: StoredHistory) {
        let state = self.targets.entry(target.clone()).or_default();
        for (uid, open) in &stored.open {
            let window = PodContainerWindow::reopen(open, &mut stored.history);
            state
                .windows
                .insert((uid.clone(), container.to_owned()), window);
        }
        match state.containers.get_mut(container) {
            Some(known) => known.merge(&stored.history),
            None => {
                state.containers.insert(container.into(), stored.history);
            }
        }
    }

    /// What changed since it was stored, of all containers of a target.
    pub fn unsaved(&self, target: &ControllerKey, now: Timestamp) -> Vec<(String, StoredHistory)> {
        let Some(state) = self.targets.get(target) else {
            return Vec::new();
        };
        state
            .unsaved
            .iter()
            .filter_map(|name| Some((name.clone(), state.to_be_stored(name, now)?)))
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
    fn what_changed_is_stored_once_and_open_windows_beside_it() {
        let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
        add(&mut model, &view, &usage("db-0", "app", 1));
        let now = T0 + Duration::from_secs(2);
        let stored = model.unsaved(&target(), now)[0].1.clone();
        assert!(stored.history.memory().is_empty() && !stored.history.cpu().is_empty());
        assert_eq!(stored.open["db-0"].memory_peak, Some(Bytes(1 << 30)));
        model.saved(&target(), "app");
        assert!(model.unsaved(&target(), now).is_empty());
    }

    /// A restart in the middle of a memory window, before and after which the metrics API shows the same sample.
    #[test]
    fn a_restored_history_continues_as_if_there_had_been_no_restart() {
        let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
        add(&mut model, &view, &usage("db-0", "app", 1));
        let (name, stored) = model
            .unsaved(&target(), T0 + Duration::from_secs(2))
            .remove(0);

        let mut restarted = Model::new(HistoryConfig::default());
        restarted.restore(&target(), &name, stored);
        for model in [&mut model, &mut restarted] {
            add(model, &view, &usage("db-0", "app", 1));
            let mut less = usage("db-0", "app", 11);
            less.containers[0].memory = Some(Bytes(1 << 20));
            add(model, &view, &less);
        }
        assert_eq!(restarted.histories(&target()), model.histories(&target()));
        assert_eq!(samples(&restarted), 2);
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
