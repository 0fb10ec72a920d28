//! All histories: per target and container, with the open memory window of every pod's container.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use podfit_cluster::usage::{ContainerUsage, PodUsage};
use podfit_core::adaptive::Promises;
use podfit_core::backfill::Backfilled;
use podfit_core::history::{
    ContainerHistory, HistoryConfig, Kill, OpenWindow, PodContainerWindow, RunningPod,
};
use podfit_core::ownership::ControllerKey;
use podfit_core::quantity::Resource;
use podfit_core::time::Timestamp;

use crate::oom::EndedRun;
use crate::oom::Oom;
use crate::view::View;

mod runs;

/// Without pods for so long, a workload counts as idle: what is known of it did not fade meanwhile.
const IDLE: Duration = Duration::from_hours(1);

/// The histories of all targets. One task owns it.
#[derive(Debug)]
pub struct Model {
    config: HistoryConfig,
    targets: HashMap<ControllerKey, Target>,
}

/// What is known of one target's containers, by their names. Boxed, because a map makes room for eleven at a time, and
/// most targets have one container.
type Target = BTreeMap<String, Box<Known>>;

/// What is known of one container of a target.
#[derive(Debug)]
struct Known {
    history: ContainerHistory,
    /// By pod uid.
    windows: HashMap<Arc<str>, PodContainerWindow>,
    unsaved: Unsaved,
}

/// What of a history is not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unsaved {
    Nothing,
    /// Samples like those before.
    More,
    /// What the recommendation would be lower without: a memory peak above all others, a kill.
    Peak,
}

/// A history as it is stored: without the peaks of open memory windows, which may still grow, and those beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredHistory {
    /// The history.
    pub history: ContainerHistory,
    /// The open windows by pod uid.
    pub open: BTreeMap<String, OpenWindow>,
}

/// A container whose history changed since it was stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToStore<'a> {
    /// The container's name.
    pub container: &'a str,
    /// True when it must not wait: without it the recommendation would be lower after a restart.
    pub urgent: bool,
    /// How much time its samples cover.
    pub covers: Duration,
}

/// What became of a stored history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absorbed {
    /// Nothing was known, or nothing of that time: it was added.
    Added,
    /// It knows more than what was known of the same time: it took its place.
    Replaced,
    /// It knows no more than what is known already.
    Left,
}

impl Known {
    fn new(config: &HistoryConfig, now: Timestamp) -> Self {
        Self {
            history: ContainerHistory::new(config, now),
            windows: HashMap::new(),
            unsaved: Unsaved::Nothing,
        }
    }

    fn to_be_stored(&self, now: Timestamp) -> StoredHistory {
        let mut history = self.history.clone();
        let mut open = BTreeMap::new();
        for (uid, window) in &self.windows {
            window.subtract_open(&mut history, now);
            open.extend(window.open(now).map(|window| (uid.to_string(), window)));
        }
        StoredHistory { history, open }
    }

    /// Adds what was stored of a time before everything known.
    fn add(&mut self, mut stored: StoredHistory) {
        for (uid, open) in &stored.open {
            let window = PodContainerWindow::reopen(open, &mut stored.history);
            self.windows.entry(uid.as_str().into()).or_insert(window);
        }
        if self.history.is_empty() {
            // The stored one may have been kept with other half-lives; the present ones were applied when it was read.
            self.history = stored.history;
        } else {
            self.history.merge(&stored.history);
        }
    }

    /// Puts what was stored in place of what is known, but for the memory windows that are open.
    fn replace(&mut self, stored: StoredHistory, now: Timestamp) {
        let mut open = stored.open;
        open.extend(
            self.windows
                .iter()
                .filter_map(|(uid, window)| Some((uid.to_string(), window.open(now)?))),
        );
        self.windows.clear();
        let ours = std::mem::replace(&mut self.history, stored.history);
        self.history.merge_runs(&ours);
        if let Some(floor) = ours.stored_oom_floor() {
            self.history.restore_oom_floor(floor.clone());
        }
        for (uid, open) in open {
            let window = PodContainerWindow::reopen(&open, &mut self.history);
            self.windows.insert(uid.into(), window);
        }
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
        self.targets.values().map(BTreeMap::len).sum()
    }

    /// What the estimator `adaptive` promises.
    pub fn promises(&self) -> &Promises {
        &self.config.promises
    }

    /// All histories.
    pub fn all(&self) -> impl Iterator<Item = &ContainerHistory> {
        let containers = self.targets.values().flat_map(BTreeMap::values);
        containers.map(|known| &known.history)
    }

    /// The histories of a target's containers, in order of their names.
    pub fn histories(&self, target: &ControllerKey) -> Vec<(&str, &ContainerHistory)> {
        self.targets
            .get(target)
            .into_iter()
            .flatten()
            .map(|(name, known)| (name.as_str(), &known.history))
            .collect()
    }

    /// As of when a target without pods is to be looked at: when something was last known of it, so that neither its samples
    /// nor its out-of-memory evidence age while there is nothing to measure.
    pub fn last_known(&self, target: &ControllerKey) -> Option<Timestamp> {
        let state = self.targets.get(target)?;
        state.values().map(|k| k.history.last_activity()).max()
    }

    /// Adds one pod's usage, if the pod is under a target. Containers that its spec does not list (init containers) are
    /// left out; a sample that cannot be is told in the log, and `added` of each that can.
    pub fn add_usage(
        &mut self,
        view: &View,
        usage: &PodUsage,
        now: Timestamp,
        mut added: impl FnMut(&ControllerKey, &ContainerUsage, Resource),
    ) {
        let Some((pod, key)) = view.pods.get(&(usage.namespace.clone(), usage.pod.clone())) else {
            return;
        };
        let state = self.targets.entry(key.as_ref().clone()).or_default();
        let kept = view.history_of(key, &self.config);
        for container in usage
            .containers
            .iter()
            .filter(|c| pod.container(&c.name).is_some())
        {
            let config = &kept.for_policy(view.policy_of_history(key, &container.name));
            let known = known(state, &container.name, config, now);
            known.history.keep_adaptive(config);
            known.history.keep_runs(config);
            let window = known.windows.entry(pod.uid.clone()).or_default();
            let history = &mut known.history;
            let highest = history.memory().percentile(1.0);
            let cpu = container
                .cpu
                .map(|cpu| window.add_cpu(history, cpu, (usage.at, now)));
            let memory = container
                .memory
                .map(|memory| window.add_memory(history, memory, (usage.at, now), config));
            let good = |result: &Option<Result<(), _>>| matches!(result, Some(Ok(())));
            let taken = ContainerUsage {
                name: String::new(),
                cpu: container.cpu.filter(|_| good(&cpu)),
                memory: container.memory.filter(|_| good(&memory)),
            };
            if runs::add(history, pod, &taken, (usage.at, now)) {
                known.unsaved = Unsaved::Peak;
            }
            for (resource, result) in [(Resource::Cpu, cpu), (Resource::Memory, memory)] {
                match result {
                    None => {}
                    Some(Ok(())) => {
                        known.unsaved = known.unsaved.max(Unsaved::More);
                        added(key, container, resource);
                    }
                    Some(Err(rejected)) => {
                        tracing::debug!(pod = pod.name, namespace = pod.namespace, container = container.name, %rejected, "sample left out");
                    }
                }
            }
            if known.history.memory().percentile(1.0) > highest {
                known.unsaved = Unsaved::Peak;
            }
        }
    }

    /// Adds an out-of-memory kill of a pod under `target`; true when that was new.
    pub fn record_oom(
        &mut self,
        view: &View,
        target: &ControllerKey,
        oom: &Oom,
        now: Timestamp,
    ) -> bool {
        let state = self.targets.entry(target.clone()).or_default();
        let config = &view
            .history_of(target, &self.config)
            .for_policy(view.policy_of_history(target, &oom.container));
        let known = known(state, &oom.container, config, now);
        let kill = Kill {
            at: oom.at,
            allowed: oom.memory,
            template: oom.pod.template(),
        };
        let recorded = if config.by_runs {
            known.history.keep_runs(config);
            known
                .history
                .kill_run(runs::of(&oom.pod, now), &kill, now, config)
        } else if known.history.knows_kill(oom.at) {
            Ok(false)
        } else {
            let window = known.windows.entry(oom.pod.uid.clone()).or_default();
            let recorded = window.record_oom(&mut known.history, &kill, now, config);
            recorded.map(|()| true)
        };
        match recorded {
            Ok(false) => false,
            Ok(true) => {
                known.unsaved = Unsaved::Peak;
                tracing::info!(
                    target = %target, pod = oom.pod.name, container = oom.container, memory = %oom.memory,
                    "container was killed for memory"
                );
                true
            }
            Err(rejected) => {
                tracing::debug!(target = %target, container = oom.container, %rejected, "kill left out");
                false
            }
        }
    }

    /// Drops the out-of-memory floors that a new pod template has outlived.
    pub fn release_oom_floors(&mut self, view: &View, now: Timestamp) {
        for (target, state) in &mut self.targets {
            let killed = |known: &Known| known.history.stored_oom_floor().is_some();
            if !state.values().any(|known| killed(known)) {
                continue;
            }
            let pods = view.pods_of(target);
            for (name, known) in state {
                let running: Vec<_> = pods
                    .iter()
                    .filter(|pod| pod.container(name).is_some())
                    .map(|pod| RunningPod {
                        template: pod.template(),
                        since: pod.started.or(pod.created).unwrap_or(now),
                    })
                    .collect();
                let config = self.config.for_policy(view.policy_of_history(target, name));
                if let Some(floor) = known.history.release_oom_floor(&running, &config, now) {
                    known.unsaved = known.unsaved.max(Unsaved::More);
                    tracing::info!(
                        target = %target, container = name, memory = %floor.bytes,
                        "a new pod template needs less memory than killed the old one"
                    );
                }
            }
        }
    }

    /// Takes in a stored history, unless what is known is as rich already.
    pub fn absorb(
        &mut self,
        target: &ControllerKey,
        container: &str,
        stored: StoredHistory,
        now: Timestamp,
    ) -> Absorbed {
        let state = self.targets.entry(target.clone()).or_default();
        let known = known(state, container, &self.config, now);
        let ours = &known.history;
        let earlier = match (stored.history.last_sample(), ours.first_sample()) {
            (Some(last), Some(first)) => last < first,
            _ => false,
        };
        let nothing = ours.is_empty() && ours.total_samples() == 0;
        if nothing || earlier {
            known.add(stored);
            return Absorbed::Added;
        }
        if stored.history.total_samples() > ours.total_samples() {
            known.replace(stored, now);
            return Absorbed::Replaced;
        }
        Absorbed::Left
    }

    /// Puts a past before what is known of a target's containers, and notes that there is no more of it.
    pub fn add_past(
        &mut self,
        view: &View,
        target: &ControllerKey,
        past: BTreeMap<String, Backfilled>,
        now: Timestamp,
    ) {
        let state = self.targets.entry(target.clone()).or_default();
        for (container, past) in past {
            let known = known(state, &container, &self.config, now);
            known.history.merge(&past.history);
            for pod in view.pods_of(target) {
                if let Some(before) = past.windows.get(&pod.name) {
                    let window = known.windows.entry(pod.uid.clone()).or_default();
                    window.follow(*before, &mut known.history);
                }
            }
        }
        for known in state.values_mut() {
            known.history.note_past();
            known.unsaved = Unsaved::Peak;
        }
    }

    /// True when a target's history begins before `since`, or had its past added.
    pub fn has_past(&self, target: &ControllerKey, since: Timestamp) -> bool {
        let has = |known: &Known| {
            let begins = known.history.first_sample();
            known.history.has_past() || begins.is_some_and(|first| first <= since)
        };
        self.targets
            .get(target)
            .is_some_and(|state| state.values().any(|known| has(known)))
    }

    /// Begins the histories of `to` with those of `from`, where it has none: its VPA now names another kind of controller
    /// for the same workload.
    pub fn carry_over(&mut self, from: &ControllerKey, to: &ControllerKey, now: Timestamp) {
        let Some(state) = self.targets.get(from) else {
            return;
        };
        let carried: Vec<_> = state
            .iter()
            .map(|(name, known)| (name.clone(), known.to_be_stored(now)))
            .collect();
        let state = self.targets.entry(to.clone()).or_default();
        for (name, stored) in carried {
            let known = known(state, &name, &self.config, now);
            if known.history.is_empty() {
                known.add(stored);
                known.unsaved = Unsaved::Peak;
            }
        }
    }

    /// What of a target is not stored yet.
    pub fn unsaved(&self, target: &ControllerKey) -> impl Iterator<Item = ToStore<'_>> {
        let state = self.targets.get(target).into_iter().flatten();
        let unsaved = state.filter(|(_, known)| known.unsaved > Unsaved::Nothing);
        unsaved.map(|(name, known)| {
            let history = &known.history;
            let covers = match (history.first_sample(), history.last_sample()) {
                (Some(first), Some(last)) => last.since(first),
                _ => Duration::ZERO,
            };
            ToStore {
                container: name,
                urgent: known.unsaved == Unsaved::Peak,
                covers,
            }
        })
    }

    /// A history in the form in which it is stored.
    pub fn to_be_stored(
        &self,
        target: &ControllerKey,
        container: &str,
        now: Timestamp,
    ) -> Option<StoredHistory> {
        let known = self.targets.get(target)?.get(container)?;
        Some(known.to_be_stored(now))
    }

    /// The history was stored.
    pub fn saved(&mut self, target: &ControllerKey, container: &str) {
        if let Some(known) = self
            .targets
            .get_mut(target)
            .and_then(|state| state.get_mut(container))
        {
            known.unsaved = Unsaved::Nothing;
        }
    }

    /// Lets histories of workloads that had no pod for a while go on where they stopped: a workload scaled to zero does
    /// not age.
    ///
    /// The gap is told from the histories and the pods themselves, so that a restart in between changes nothing. Jobs
    /// come and go by nature: of each gap they age by one memory interval, so that the newest runs count most.
    pub fn wake(&mut self, view: &View) {
        for (target, state) in &mut self.targets {
            let starts = view.pods_of(target).iter().filter_map(|pod| pod.created);
            let (Some(first_pod), Some(last)) = (
                starts.min(),
                state.values().map(|k| k.history.last_activity()).max(),
            ) else {
                continue;
            };
            let mut idle = first_pod.since(last);
            if matches!(&*target.kind, "Job" | "CronJob") {
                idle = idle.saturating_sub(self.config.memory_interval);
            }
            if idle < IDLE {
                continue;
            }
            tracing::info!(target = %target, ?idle, "workload is back; its history did not age");
            for known in state.values_mut() {
                known.history.skip(idle);
            }
        }
    }

    /// Forgets the windows of pods that are gone. Their samples stay.
    pub fn keep_pods(&mut self, view: &View) {
        for (target, state) in &mut self.targets {
            let alive: HashSet<_> = view.pods_of(target).iter().map(|p| &*p.uid).collect();
            for known in state.values_mut() {
                known.windows.retain(|uid, _| alive.contains(&**uid));
            }
        }
    }

    /// Drops histories that nobody needs: those without a VPA that ended longer ago than a history lasts, and such of
    /// containers that the pods of a target do not have any more. Without pods, what a VPA sizes is kept for their return.
    pub fn collect(&mut self, view: &View, now: Timestamp) {
        let config = self.config;
        self.targets.retain(|target, state| {
            let live = view.containers_of(target);
            let waits = live.is_empty() && view.is_named(target);
            let remembered = runs::remembered_since(view, target, state);
            state.retain(|name, known| {
                waits
                    || live.contains(name.as_str())
                    || remembered.is_some_and(|since| known.history.last_activity() >= since)
                    || now.since(known.history.last_activity())
                        < config
                            .for_policy(view.policy_of_history(target, name))
                            .lifetime()
            });
            !state.is_empty()
        });
    }
}

fn known<'a>(
    state: &'a mut Target,
    container: &str,
    config: &HistoryConfig,
    now: Timestamp,
) -> &'a mut Known {
    state
        .entry(container.to_owned())
        .or_insert_with(|| Box::new(Known::new(config, now)))
}

#[cfg(test)]
mod tests;
