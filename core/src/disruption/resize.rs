//! Resizing in place as a state machine, for profile `safe`. The kubelet's word and the container statuses are the state,
//! so nothing is lost with the updater's memory but since when, and what was refused.
//!
//! ```text
//! spec as in force ─ ask ─► asked ─► in progress ─► spec as in force: applied; held against OOM kills: verified
//!       ▲                     ├─► deferred ──┐ too long
//!       │                     └─► infeasible ┴─► evicted, where that can be done, or
//!       └──────────────────── taken back: the refused resource alone, tried again when the node has room
//! ```

mod refused;

use super::act::{Outcome, evict, resize, stuck};
use super::consider::{Candidate, changes_in_mode};
use super::fit::cap_to;
use super::group::{Group, is_live};
use super::{Action, CRASH_LOOP, Setting, UpdateReason, protection};
use crate::node::Room;
use crate::pod::{Phase, Pod, ResizeState};
use crate::policy::{ContainerChange, Rules};
use crate::quantity::Resource;
use crate::vpa::UpdateMode;

pub(super) use refused::Refused;

/// What becomes of a due change in the modes that resize in place.
pub(super) fn act(
    candidate: Candidate<'_>,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    let pod = candidate.pod;
    if pod.phase == Phase::Pending {
        return Err(UpdateReason::NotStarted);
    }
    let may_evict = setting.vpa.update_mode == UpdateMode::InPlaceOrRecreate;
    // A resize now would not reach the pod's cgroup (see `resized_in_vain`). Most come up again at once; one in a crash
    // loop is better made anew.
    if let Some((container, restarts)) = pod.down_after_oom() {
        if may_evict && restarts >= CRASH_LOOP && protection::of_evictions(pod, group).is_none() {
            return evict(&candidate, candidate.due.clone(), group, setting);
        }
        return Err(match candidate.due {
            due @ UpdateReason::ResizedInVain { .. } => due,
            _ => UpdateReason::ContainerDown {
                container: container.name.clone(),
            },
        });
    }
    if pod.is_resizing() {
        let due = stuck(pod, setting)?.unwrap_or_else(|| candidate.due.clone());
        // To evict a pod because it could not be made smaller would help nobody.
        return if may_evict && asks_more(pod) {
            evict(&candidate, due, group, setting)
        } else {
            Err(due)
        };
    }
    ask(candidate, may_evict, group, setting)
}

/// Asks for what the pod's node can do. The pod is evicted where another node can do more.
fn ask(
    mut candidate: Candidate<'_>,
    may_evict: bool,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    let pod = candidate.pod;
    let held = setting.memory.held_back(pod, &candidate.changes, setting);
    let too_small = too_small(&candidate, setting);
    if held.is_empty() && too_small.is_none() {
        return what_fits(candidate, group, setting);
    }
    if may_evict
        && let Ok(eviction) = evict(&candidate, UpdateReason::ResizeRefused, group, setting)
    {
        return Ok(eviction);
    }
    if let Some(room) = too_small {
        let profile = setting.config.profile;
        let rules = Rules::new(pod, setting.vpa, setting.surroundings, profile);
        cap_to(room, pod, &mut candidate.recommended, &rules);
        candidate.changes =
            changes_in_mode(pod, &candidate.recommended, &rules, setting.vpa.update_mode);
    }
    for resource in held {
        for change in &mut candidate.changes {
            change.leave(resource);
        }
    }
    if candidate.alters_spec() {
        what_fits(candidate, group, setting)
    } else {
        Err(UpdateReason::ResizeRefused)
    }
}

/// Asks first for what fits beside the node's other pods: the kubelet defers a resize as a whole. The rest follows.
fn what_fits(
    mut candidate: Candidate<'_>,
    group: &mut Group<'_>,
    setting: &Setting<'_>,
) -> Outcome {
    let pod = candidate.pod;
    let beside = setting
        .fits
        .nodes()
        .and_then(|nodes| nodes.room_beside_others(pod));
    let waits = |r: &Resource| {
        let (now, then) = sums(pod, &candidate.changes, *r);
        then > now && beside.is_some_and(|room| then > room.get(*r))
    };
    let later: Vec<_> = Resource::ALL.into_iter().filter(waits).collect();
    if let [one] = later[..] {
        let whole = candidate.changes.clone();
        candidate
            .changes
            .iter_mut()
            .for_each(|change| change.leave(one));
        if !candidate.alters_spec() {
            candidate.changes = whole;
        }
    }
    resize(candidate, group, setting)
}

/// What the pod's own node has, when that is less than it is to grow to.
fn too_small(candidate: &Candidate<'_>, setting: &Setting<'_>) -> Option<Room> {
    let pod = candidate.pod;
    let room = setting.fits.nodes()?.own_room(pod)?;
    let grows = |r: Resource| {
        let (now, then) = sums(pod, &candidate.changes, r);
        then > now && then > room.get(r)
    };
    Resource::ALL.into_iter().any(grows).then_some(room)
}

/// What a pod's spec requests of a resource now, and after `changes`.
pub(super) fn sums(pod: &Pod, changes: &[ContainerChange], resource: Resource) -> (i64, i64) {
    let mut sums = (0_i64, 0_i64);
    for (index, container) in pod.containers.iter().enumerate() {
        let now = container.requests.get(resource).unwrap_or(0);
        let change = changes.iter().find(|change| change.index == index);
        let then = change.and_then(|c| c.requests.get(resource)).unwrap_or(now);
        sums = (sums.0.saturating_add(now), sums.1.saturating_add(then));
    }
    sums
}

/// True when the pod's spec asks for more of something than is in force.
fn asks_more(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| {
        let own = container.effective();
        Resource::ALL.into_iter().any(|r| {
            container.requests.get(r) > own.requests.get(r)
                || container.limits.get(r) > own.limits.get(r)
        })
    })
}

/// Puts the spec of a pod back to what is in force where the kubelet cannot, or did not in time, do what it asks for.
/// For whatever else is decided on it is nothing: so no request stays in a spec that no node holds.
pub(super) fn take_back(pod: &Pod, setting: &Setting<'_>) -> Option<(Action, UpdateReason)> {
    if !setting.config.is_safe() || !setting.vpa.update_mode.is_in_place() || !is_live(pod) {
        return None;
    }
    let waited = match stuck(pod, setting) {
        Ok(Some(UpdateReason::ResizeTimedOut { waited, .. })) => Some(waited),
        Ok(Some(_)) => None,
        _ => return None,
    };
    let changes = back_to_force(pod, refused_resource(pod));
    let reason = UpdateReason::ResizeTakenBack {
        state: pod.resize.clone(),
        waited,
    };
    (!changes.is_empty()).then_some((Action::Resize(changes), reason))
}

/// The one resource for which the kubelet refuses a resize, where it names one that was asked for.
fn refused_resource(pod: &Pod) -> Option<Resource> {
    let (ResizeState::Deferred { message } | ResizeState::Infeasible { message }) = &pod.resize
    else {
        return None;
    };
    named_resource(message).filter(|r| !back_to_force(pod, Some(*r)).is_empty())
}

/// The resource that a refusal is about: "… enough capacity: memory, requested: …" in the words of the kubelet, "… enough
/// allocatable resources: cpu …" in those of the API server.
pub(super) fn named_resource(message: &str) -> Option<Resource> {
    let (_, rest) = message.split_once(" enough ")?;
    let (_, rest) = rest.split_once(": ")?;
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    Resource::ALL.into_iter().find(|r| r.name() == word)
}

/// What brings the specs of containers to what is in force, of one resource or of both.
fn back_to_force(pod: &Pod, only: Option<Resource>) -> Vec<ContainerChange> {
    let back = pod.containers.iter().enumerate().map(|(index, container)| {
        let own = container.effective();
        let mut change = ContainerChange {
            index,
            sidecar: container.sidecar,
            name: container.name.clone(),
            ..ContainerChange::default()
        };
        for resource in Resource::ALL
            .into_iter()
            .filter(|r| only.is_none_or(|only| only == *r))
        {
            let set = |spec: Option<i64>, own: Option<i64>| own.filter(|_| spec.is_some());
            let requests = set(container.requests.get(resource), own.requests.get(resource));
            let limits = set(container.limits.get(resource), own.limits.get(resource));
            change.requests.set(resource, requests);
            change.limits.set(resource, limits);
        }
        change
    });
    back.filter(|change| change.alters_spec(&pod.containers[change.index]))
        .collect()
}
