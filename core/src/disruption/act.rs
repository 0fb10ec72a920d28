//! How a due change reaches a pod: in place, by eviction, or not yet. See `resize` for how profile `safe` resizes.

use super::consider::Candidate;
use super::group::{Group, Groups};
use super::memory::lower_in;
use super::{Action, CRASH_LOOP, Setting, UpdateReason, protection};
use crate::pod::{Container, Phase, Pod, ResizeState};
use crate::policy::ContainerChange;
use crate::quantity::Resource;
use crate::vpa::UpdateMode;

/// An action and why, or why there is none.
pub(super) type Outcome = Result<(Action, UpdateReason), UpdateReason>;

pub(super) fn act(
    candidate: Candidate<'_>,
    groups: &mut Groups<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    let group = groups
        .of_pod(candidate.pod)
        .ok_or(UpdateReason::NoController)?;
    match setting.vpa.update_mode {
        UpdateMode::InPlace | UpdateMode::InPlaceOrRecreate if setting.config.is_safe() => {
            super::resize::act(candidate, group, setting)
        }
        UpdateMode::InPlace | UpdateMode::InPlaceOrRecreate => {
            as_upstream(candidate, group, setting)
        }
        _ => {
            let due = stuck(candidate.pod, setting)?.unwrap_or_else(|| candidate.due.clone());
            evict(&candidate, due, group, setting)
        }
    }
}

fn as_upstream(candidate: Candidate<'_>, group: &mut Group<'_>, setting: &Setting<'_>) -> Outcome {
    let pod = candidate.pod;
    if pod.phase == Phase::Pending {
        return Err(UpdateReason::NotStarted);
    }
    let may_evict = setting.vpa.update_mode == UpdateMode::InPlaceOrRecreate;
    if setting.memory.refuses(&pod.uid, &candidate.changes) {
        return if may_evict {
            evict(&candidate, UpdateReason::ResizeRefused, group, setting)
        } else {
            Err(UpdateReason::ResizeRefused)
        };
    }
    match (&pod.resize, may_evict) {
        (ResizeState::None, _) => resize(candidate, group, setting),
        (_, true) => {
            let due = stuck(pod, setting)?.unwrap_or_else(|| candidate.due.clone());
            evict(&candidate, due, group, setting)
        }
        // What the node can never hold stays in the spec; asking for less may succeed.
        (ResizeState::Infeasible { .. }, false) if asks_less(&candidate) => {
            resize(candidate, group, setting)
        }
        (state, false) => Err(UpdateReason::ResizeStuck {
            state: state.clone(),
        }),
    }
}

/// True when some target is lower than what the pod's spec already asks for.
fn asks_less(candidate: &Candidate<'_>) -> bool {
    let spec = |index: usize| candidate.pod.containers.get(index).map(|c| c.requests);
    candidate
        .changes
        .iter()
        .any(|change| spec(change.index).is_some_and(|old| lower_in(change.requests, old)))
}

pub(super) fn resize(
    mut candidate: Candidate<'_>,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    if let Some(reason) = only_grows(&candidate, group, setting) {
        candidate.raise_only();
        if !candidate.alters_spec() {
            return Err(reason);
        }
    }
    if setting.config.is_safe()
        && restarts_a_container(candidate.pod, &candidate.changes)
        && let Some(reason) = protection::of_the_running(candidate.pod, group)
    {
        return Err(reason);
    }
    if restarts_a_container(candidate.pod, &candidate.changes) {
        is_time(&candidate, setting)?;
    }
    if setting.config.in_place_skip_disruption_budget
        && !restarts_a_container(candidate.pod, &candidate.changes)
    {
        group.count();
    } else {
        disrupt(candidate.pod, group, setting)?;
    }
    Ok((Action::Resize(candidate.changes), candidate.due))
}

/// A target does not go ahead of a pod that would not follow: then the reason is why not.
pub(super) fn unless_in_vain(
    pod: &Pod,
    reason: UpdateReason,
    groups: &mut Groups<'_>,
    setting: &Setting<'_>,
) -> UpdateReason {
    let UpdateReason::WaitsForTarget(_) = reason else {
        return reason;
    };
    let Some(group) = groups.of_pod(pod) else {
        return UpdateReason::NoController;
    };
    let in_place = setting.vpa.update_mode.is_in_place();
    let protected = match setting.config.is_safe() {
        true if in_place => protection::of_work(pod, group).map(|_| UpdateReason::OnlyGrows),
        true => protection::of_evictions(pod, group),
        false => None,
    };
    let few = || group.available().err().filter(|_| !in_place);
    protected.or_else(few).unwrap_or(reason)
}

/// Why nothing of a pod is to be lowered.
fn only_grows(
    candidate: &Candidate<'_>,
    group: &Group<'_>,
    setting: &Setting<'_>,
) -> Option<UpdateReason> {
    let long = setting.config.is_safe() && protection::of_work(candidate.pod, group).is_some();
    if long {
        return Some(UpdateReason::OnlyGrows);
    }
    setting.closed.clone()
}

/// Disruptions wait for the end of the warm-up, and for the VPA's maintenance window, save for pods that memory kills.
fn is_time(candidate: &Candidate<'_>, setting: &Setting<'_>) -> Result<(), UpdateReason> {
    let killed = candidate.priority.out_of_memory
        || matches!(candidate.due, UpdateReason::ResizedInVain { .. });
    if let Some(reason) = setting.closed.as_ref().filter(|_| !killed) {
        return Err(reason.clone());
    }
    match setting.warm_up {
        Some(left) => Err(UpdateReason::WarmingUp { left }),
        None => Ok(()),
    }
}

/// Plans the disruption of a pod that serves, or says why that cannot be.
fn disrupt(pod: &Pod, group: &mut Group<'_>, setting: &Setting<'_>) -> Result<(), UpdateReason> {
    group.available()?;
    group.tolerates()?;
    take(pod, group, setting)
}

/// Takes one disruption out of all budgets, or says which of them is spent.
pub(super) fn take(
    pod: &Pod,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Result<(), UpdateReason> {
    let ready = pod.ready_since.is_some();
    let namespace = &setting.vpa.namespace;
    setting.budgets.take(namespace, &group.workload, ready)?;
    group.count();
    Ok(())
}

/// True for a pod that is down, and that memory keeps down.
fn is_kept_down(pod: &Pod) -> bool {
    let down = pod.down_after_oom();
    down.is_some_and(|(_, restarts)| restarts >= CRASH_LOOP)
}

/// True when a change in place alters a resource whose `resizePolicy` is to restart the container.
fn restarts_a_container(pod: &Pod, changes: &[ContainerChange]) -> bool {
    let restarts = |change: &ContainerChange, own: &Container| {
        Resource::ALL
            .into_iter()
            .any(|r| own.restarts_on_resize(r) && change.alters_resource(own, r))
    };
    changes.iter().any(|change| {
        let own = pod.containers.get(change.index);
        own.is_some_and(|own| restarts(change, own))
    })
}

/// True when an action takes down a pod, or a container of it, that served until then.
pub(super) fn disrupts(pod: &Pod, action: &Action) -> bool {
    match action {
        Action::Evict(_) => pod.phase != Phase::Pending && !is_kept_down(pod),
        Action::Resize(changes) | Action::Unboost(changes) => restarts_a_container(pod, changes),
        Action::Skip => false,
    }
}

/// Why a pod in the middle of a resize is to be evicted instead; an error while it is to be waited for, nothing when it
/// is not being resized.
pub(super) fn stuck(
    pod: &Pod,
    setting: &Setting<'_>,
) -> Result<Option<UpdateReason>, UpdateReason> {
    let timeout = match pod.resize {
        ResizeState::None => return Ok(None),
        ResizeState::Deferred { .. } => setting.config.deferred_timeout,
        ResizeState::InProgress => setting.config.in_progress_timeout,
        // The kubelet tries again by itself, and what it could not do may pass.
        ResizeState::Error { .. } | ResizeState::Unknown { .. } if setting.config.is_safe() => {
            setting.config.deferred_timeout
        }
        _ => {
            return Ok(Some(UpdateReason::ResizeStuck {
                state: pod.resize.clone(),
            }));
        }
    };
    let waited = setting
        .memory
        .resizing_since(&pod.uid, &pod.resize)
        .map(|since| setting.now.since(since))
        .unwrap_or_default();
    if waited > timeout {
        return Ok(Some(UpdateReason::ResizeTimedOut {
            state: pod.resize.clone(),
            waited,
        }));
    }
    Err(UpdateReason::ResizeUnderWay {
        state: pod.resize.clone(),
        waited,
        timeout,
    })
}

pub(super) fn evict(
    candidate: &Candidate<'_>,
    due: UpdateReason,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    if setting.config.is_safe()
        && let Some(reason) = protection::of_evictions(candidate.pod, group)
    {
        return Err(reason);
    }
    // The webhook knows no nodes: the replacement would wait for one that is large enough.
    if let Some(capped) = candidate.capped.first() {
        return Err(UpdateReason::LargerThanNodes(capped.clone()));
    }
    if !is_kept_down(candidate.pod) || !setting.config.is_safe() {
        is_time(candidate, setting)?;
    }
    if let Some(reason) = &setting.paused {
        return Err(reason.clone());
    }
    if setting.config.is_safe() {
        could_come_back(candidate, setting)?;
    }
    if is_kept_down(candidate.pod) && setting.config.is_safe() {
        // Down already, whatever the number of its replicas: nothing is disrupted. PodDisruptionBudgets decide.
        group.count();
    } else if candidate.pod.phase == Phase::Pending {
        // It serves nobody yet.
        group.available()?;
    } else {
        disrupt(candidate.pod, group, setting)?;
    }
    setting.headroom.take(candidate.pod, &candidate.changes);
    Ok((Action::Evict(candidate.changes.clone()), due))
}

/// An error when a budget would not let the pod go, or a quota would not let it come back.
fn could_come_back(candidate: &Candidate<'_>, setting: &Setting<'_>) -> Result<(), UpdateReason> {
    let Candidate { pod, changes, .. } = candidate;
    if let Some(refused) = setting.memory.refusals.hold_back(pod, setting.now) {
        return Err(refused);
    }
    let obstacle = setting
        .headroom
        .obstacle(pod, changes, setting.surroundings.limit_ranges);
    obstacle.map_or(Ok(()), |obstacle| {
        Err(UpdateReason::CouldNotComeBack(obstacle))
    })
}
