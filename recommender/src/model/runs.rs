//! Histories in units of runs: which pod is which run, and when it is over.

use std::collections::HashSet;

use podfit_cluster::usage::ContainerUsage;
use podfit_core::history::ContainerHistory;
use podfit_core::ownership::{ControllerKey, is_of_runs};
use podfit_core::pod::Pod;
use podfit_core::quantity::Bytes;
use podfit_core::runs::{RunOf, Runs, id};
use podfit_core::time::Timestamp;

use super::{EndedRun, Model, Target, Unsaved, known};
use crate::view::View;

#[cfg(test)]
mod tests;

/// A pod's run.
pub(super) fn of(pod: &Pod, now: Timestamp) -> RunOf<'_> {
    RunOf {
        uid: &pod.uid,
        started: pod.started.or(pod.created).unwrap_or(now),
    }
}

/// Adds usage to the run of a pod, if its history is one of runs; true when no run used as much memory.
pub(super) fn add(
    history: &mut ContainerHistory,
    pod: &Pod,
    usage: &ContainerUsage,
    (at, now): (Timestamp, Timestamp),
) -> bool {
    let Some(runs) = history.runs_mut() else {
        return false;
    };
    let run = of(pod, now);
    if let Some(cpu) = usage.cpu {
        runs.add_cpu(run, cpu, at);
    }
    // Nothing that runs uses nothing.
    let memory = usage.memory.filter(|memory| *memory > Bytes(0));
    memory.is_some_and(|memory| runs.add_memory(run, memory, at))
}

/// Since when the runs of a target are remembered, while a VPA sizes it: the start of the first of them, of the container
/// that has run most lately. One that ran since then may run again, however long ago that was.
pub(super) fn remembered_since(
    view: &View,
    target: &ControllerKey,
    state: &Target,
) -> Option<Timestamp> {
    if !is_of_runs(&target.kind) || !view.is_named(target) {
        return None;
    }
    let runs = state.values().filter_map(|known| known.history.runs());
    let full = runs.filter(|runs| runs.ended().len() == runs.most());
    Some(full.filter_map(Runs::since).max().unwrap_or_default())
}

impl Model {
    /// Takes in the runs that ended, and ends those whose pods are gone without anybody having seen how.
    pub fn end_runs(&mut self, view: &View, ended: &[EndedRun], now: Timestamp) {
        for EndedRun {
            target,
            pod,
            how,
            at,
        } in ended
        {
            let state = self.targets.entry(target.as_ref().clone()).or_default();
            for container in &pod.containers {
                let policy = view.policy_of_history(target, &container.name);
                let config = view.history_of(target, &self.config).for_policy(policy);
                let known = known(state, &container.name, &config, now);
                known.history.keep_runs(&config);
                let Some(runs) = known.history.runs_mut() else {
                    continue;
                };
                if runs.end(of(pod, now), *how, *at) {
                    known.unsaved = known.unsaved.max(Unsaved::More);
                }
            }
        }
        for (target, state) in &mut self.targets {
            // Without its VPA nobody knows which pods are of it.
            if !is_of_runs(&target.kind) || !view.is_named(target) {
                continue;
            }
            let alive: HashSet<_> = view
                .pods_of(target)
                .iter()
                .map(|pod| id(&pod.uid))
                .collect();
            for (name, known) in state {
                let policy = view.policy_of_history(target, name);
                let config = view.history_of(target, &self.config).for_policy(policy);
                let missing = |runs: &mut Runs| runs.end_missing(|run| alive.contains(&run));
                if known.history.runs_mut().is_some_and(missing) {
                    known.unsaved = known.unsaved.max(Unsaved::More);
                }
                known.history.keep_runs(&config);
            }
        }
    }
}
