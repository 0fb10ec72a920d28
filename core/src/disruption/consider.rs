//! Is a change to a pod due?

use super::fit::CappedByNode;
use super::group::is_live;
use super::priority::{Assessment, Priority, assess};
use super::shrink::Care;
use super::{CRASH_LOOP, IN_PLACE_ANNOTATION, Setting, UpdateReason, requirements};
use crate::pod::{Container, Pod};
use crate::policy::{
    ContainerChange, PodRecommendation, Rules, cap_for_pod, changes, hold_to_targets, is_behind,
};
use crate::vpa::UpdateMode;

/// A pod whose change is due.
pub(super) struct Candidate<'a> {
    pub pod: &'a Pod,
    pub changes: Vec<ContainerChange>,
    /// What they are made from.
    pub recommended: Vec<PodRecommendation>,
    pub priority: Priority,
    /// What makes it due.
    pub due: UpdateReason,
    /// What no node can hold of what is recommended, and so is not asked for. A replacement would be given it.
    pub capped: Vec<CappedByNode>,
}

impl Candidate<'_> {
    /// Takes out of the change what would be lowered.
    pub(super) fn raise_only(&mut self) {
        let own = |change: &ContainerChange| self.pod.containers.get(change.index);
        self.changes = std::mem::take(&mut self.changes)
            .into_iter()
            .filter_map(|change| own(&change).map(|own| change.raised_only(own)))
            .collect();
    }

    /// True when the pod's spec would read differently afterwards.
    pub(super) fn alters_spec(&self) -> bool {
        self.changes.iter().any(|change| {
            let own = self.pod.containers.get(change.index);
            own.is_some_and(|own| change.alters_spec(own))
        })
    }
}

/// The change that is due to a pod, or why none is.
pub(super) fn consider<'a>(
    pod: &'a Pod,
    setting: &Setting<'_>,
) -> Result<Candidate<'a>, UpdateReason> {
    is_updatable(pod, setting)?;
    let profile = setting.config.profile;
    let rules = Rules::new(pod, setting.vpa, setting.surroundings, profile);
    let published = setting.vpa.recommendation.as_deref().unwrap_or_default();
    let mut recommended = cap_for_pod(pod, published, &rules);
    if recommended.is_empty() {
        return Err(match setting.surroundings.claims.iter().next() {
            Some(claim) if !published.is_empty() => UpdateReason::LeftToHpa {
                hpa: claim.hpa.name.clone(),
            },
            _ => UpdateReason::NoRecommendation,
        });
    }
    let care = Care::take(pod, &mut recommended, &rules, setting);
    let mode = setting.vpa.update_mode;
    let capped = setting.fits.cap(pod, &mut recommended, &rules, mode);
    let assessment = assess(pod, &recommended, setting);
    care.one_step(&mut recommended);
    let requirements = &setting.vpa.eviction_requirements;
    let meets_requirements = requirements::are_met(pod, &recommended, requirements);
    let behind = is_behind(pod, &recommended, &rules);
    let waits = hold_to_targets(pod, &mut recommended, &rules, mode.is_in_place());
    let changes = changes_in_mode(pod, &recommended, &rules, mode);
    let priority = assessment.priority;
    let due = match (is_changed(pod, &changes), care.rollback) {
        (Ok(()), Some(rollback)) => rollback,
        (Ok(()), None) => {
            let due = accept(pod, assessment, setting);
            due.or_else(|not| behind.map(UpdateReason::behind).ok_or(not))?
        }
        (Err(UpdateReason::UpToDate), _)
            if waits.is_some() && meets_requirements && setting.closed.is_none() =>
        {
            accept(pod, assessment, setting)?;
            return Err(waits.map_or(UpdateReason::UpToDate, UpdateReason::WaitsForTarget));
        }
        (Err(UpdateReason::UpToDate), _) => {
            resized_in_vain(pod, setting).map_err(|up_to_date| care.held.unwrap_or(up_to_date))?
        }
        (Err(reason), _) => return Err(reason),
    };
    if !meets_requirements {
        return Err(UpdateReason::RequirementsNotMet);
    }
    Ok(Candidate {
        pod,
        changes,
        recommended,
        priority,
        due,
        capped,
    })
}

/// What the containers of a pod are given: a new one, or this one where the mode is to resize in place.
pub(super) fn changes_in_mode(
    pod: &Pod,
    recommended: &[PodRecommendation],
    rules: &Rules<'_>,
    mode: UpdateMode,
) -> Vec<ContainerChange> {
    let changes = changes(pod, recommended, rules);
    if !mode.is_in_place() {
        return changes;
    }
    let in_place = |c: ContainerChange| pod.containers.get(c.index).map(|own| c.in_place(own));
    changes.into_iter().filter_map(in_place).collect()
}

/// Rules out pods, and modes, in which nothing is ever updated.
fn is_updatable(pod: &Pod, setting: &Setting<'_>) -> Result<(), UpdateReason> {
    let mode = setting.vpa.update_mode;
    match mode {
        UpdateMode::Off | UpdateMode::Initial => {
            return Err(UpdateReason::ModeLeavesPodsAlone { mode });
        }
        UpdateMode::InPlace if !setting.config.gates.in_place => {
            return Err(UpdateReason::ModeNotEnabled { mode });
        }
        _ => {}
    }
    if setting.vpa.is_of_runs() {
        return Err(UpdateReason::SizedAtCreation);
    }
    if !is_live(pod) {
        return Err(UpdateReason::NotLive);
    }
    if pod.has_pod_resources && setting.config.is_safe() {
        return Err(UpdateReason::PodLevelResources);
    }
    pod.owner
        .as_ref()
        .map(|_| ())
        .ok_or(UpdateReason::NoController)
}

/// Rules out pods that would read the same afterwards. One in the middle of a resize may, as long as what is in force in
/// it would not.
fn is_changed(pod: &Pod, changes: &[ContainerChange]) -> Result<(), UpdateReason> {
    let any = |alters: fn(&ContainerChange, &Container) -> bool| {
        changes.iter().any(|change| {
            pod.containers
                .get(change.index)
                .is_some_and(|c| alters(change, c))
        })
    };
    match (
        any(ContainerChange::alters_spec),
        any(ContainerChange::alters_effective),
    ) {
        (true, _) => Ok(()),
        (false, true) if pod.is_resizing() => Ok(()),
        (false, true) => Err(UpdateReason::NotInForceYet),
        (false, false) => Err(UpdateReason::UpToDate),
    }
}

/// The kubelet does not raise the memory of a pod's cgroup when it resizes a container that is down (1.36): in a pod that
/// has what is recommended, such a container is killed at the old limit time and again. Only a new pod helps.
fn resized_in_vain(pod: &Pod, setting: &Setting<'_>) -> Result<UpdateReason, UpdateReason> {
    let resized = pod.annotation(IN_PLACE_ANNOTATION).is_some();
    match pod.down_after_oom() {
        Some((container, restarts))
            if resized && restarts >= CRASH_LOOP && setting.config.is_safe() =>
        {
            Ok(UpdateReason::ResizedInVain {
                container: container.name.clone(),
                restarts,
            })
        }
        _ => Err(UpdateReason::UpToDate),
    }
}

/// What makes the update of a pod due, or why it is not.
fn accept(
    pod: &Pod,
    assessment: Assessment,
    setting: &Setting<'_>,
) -> Result<UpdateReason, UpdateReason> {
    let change = assessment.priority.change;
    let Assessment { outside, oom, .. } = assessment;
    // Upstream lets a pod die of its OOM kills when the sum of its requests would stay.
    let oom = oom.filter(|_| setting.config.is_safe() || change > 0.0);
    if let Some(due) = oom.or(outside) {
        return Ok(due);
    }
    let config = setting.config;
    let age = pod.started.map(|started| setting.now.since(started));
    match age {
        Some(age) if age >= config.lifetime_threshold && change >= config.update_threshold => {
            Ok(UpdateReason::Drifted { change, age })
        }
        _ => Err(UpdateReason::WithinBounds {
            change,
            age,
            update_threshold: config.update_threshold,
            lifetime_threshold: config.lifetime_threshold,
        }),
    }
}
