//! Taking back startup boosts that are over, in place: never by eviction, and without regard to the update mode.

use std::time::Duration;

use super::act::take;
use super::group::{Groups, is_live};
use super::{Action, Setting, UpdateReason};
use crate::pod::{Container, Phase, Pod};
use crate::policy::{ContainerChange, Rules, cap_for_pod, changes, for_container};
use crate::quantity::Resource;
use crate::vpa::UpdateMode;

/// What becomes of a pod that has a startup boost, which nothing else changes until then; `None` for any other pod.
pub(super) fn unboost(
    pod: &Pod,
    groups: &mut Groups<'_>,
    setting: &Setting<'_>,
) -> Option<Result<(Action, UpdateReason), UpdateReason>> {
    let boosted = pod.containers.iter().any(|c| c.before_boost.is_some());
    (setting.config.gates.cpu_startup_boost && boosted).then(|| take_back(pod, groups, setting))
}

fn take_back(
    pod: &Pod,
    groups: &mut Groups<'_>,
    setting: &Setting<'_>,
) -> Result<(Action, UpdateReason), UpdateReason> {
    if !is_live(pod) {
        return Err(UpdateReason::NotLive);
    }
    if pod.has_pod_resources && setting.config.is_safe() {
        return Err(UpdateReason::PodLevelResources);
    }
    let over: Vec<usize> = (0..pod.containers.len())
        .filter(|index| is_over(pod, &pod.containers[*index], setting))
        .collect();
    let Some(first) = over.first().map(|index| &pod.containers[*index]) else {
        return Err(UpdateReason::StartupBoost);
    };
    if pod.phase == Phase::Pending || pod.is_resizing() {
        return Err(UpdateReason::StartupBoost);
    }
    let changes = without_boost(pod, &over, setting);
    if setting.memory.refuses(&pod.uid, &changes) {
        return Err(UpdateReason::ResizeRefused);
    }
    let group = groups.of_pod(pod).ok_or(UpdateReason::NoController)?;
    let restarts = over
        .iter()
        .any(|index| pod.containers[*index].restarts_on_cpu_resize);
    if setting.config.is_safe() && !restarts {
        // CPU shrinks in place without anybody noticing.
        group.count();
    } else {
        group.tolerates()?;
        take(pod, group, setting)?;
    }
    let due = UpdateReason::BoostOver {
        container: first.name.clone(),
    };
    Ok((Action::Unboost(changes), due))
}

fn is_over(pod: &Pod, container: &Container, setting: &Setting<'_>) -> bool {
    let (Some(ready), true) = (pod.ready_since, container.before_boost.is_some()) else {
        return false;
    };
    let own = for_container(&setting.vpa.container_policies, &container.name);
    let boost = own
        .and_then(|policy| policy.startup_boost)
        .or(setting.vpa.startup_boost);
    let lasts = boost
        .and_then(|boost| boost.cpu)
        .map_or(Duration::ZERO, |cpu| cpu.lasts);
    lasts.is_zero() || setting.now.since(ready) > lasts
}

/// What the containers whose boost is `over` are given instead: what admission would have given them without it. One
/// change for each of them, empty where there is nothing to change but the annotation.
fn without_boost(pod: &Pod, over: &[usize], setting: &Setting<'_>) -> Vec<ContainerChange> {
    // Limits keep the proportion that they had before the boost, which a cap may have changed.
    let mut before = pod.clone();
    for index in over {
        let container = &mut before.containers[*index];
        if let Some(own) = container.before_boost.as_deref().copied() {
            (container.requests, container.limits) = (own.requests, own.limits);
            container.status = None;
        }
    }
    let profile = setting.config.profile;
    let rules = Rules::new(&before, setting.vpa, setting.surroundings, profile)
        .of_class(pod.is_guaranteed());
    let recommended = match setting.vpa.update_mode {
        UpdateMode::Off => &[],
        _ => setting.vpa.recommendation.as_deref().unwrap_or_default(),
    };
    let sized = changes(&before, &cap_for_pod(&before, recommended, &rules), &rules);
    let of = |index: &usize| {
        let (own, was) = (&pod.containers[*index], &before.containers[*index]);
        let mut change = sized
            .iter()
            .find(|change| change.index == *index)
            .cloned()
            .unwrap_or_else(|| ContainerChange {
                index: *index,
                sidecar: own.sidecar,
                name: own.name.clone(),
                ..ContainerChange::default()
            });
        if change.requests.cpu.is_none() {
            change.requests.cpu = was.requests.cpu;
            change.limits.cpu = was.limits.cpu;
        }
        if setting.config.is_safe() {
            // Memory was not boosted: it changes when it is due.
            (change.requests.memory, change.limits.memory) = (None, None);
            change.removed_limits.retain(|r| *r == Resource::Cpu);
        }
        change = change.in_place(own);
        if !change.alters_spec(own) {
            (change.requests, change.limits) = Default::default();
        }
        change
    };
    over.iter().map(of).collect()
}
