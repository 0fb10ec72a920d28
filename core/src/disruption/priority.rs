//! How far a pod is from its recommendation, and how urgent that makes its update.

use std::cmp::Ordering;

use super::{Setting, UpdateReason};
use crate::admission::observed_containers;
use crate::pod::{Container, Pod};
use crate::policy::PodRecommendation;
use crate::quantity::{Bytes, Resource, ResourceList};
use crate::vpa::ContainerRecommendation;

/// What sets one pod's update before another's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Priority {
    /// Memory that is too small has killed it.
    pub out_of_memory: bool,
    /// Some target lies above its request, or there is no request.
    pub scale_up: bool,
    /// The sum over resources of the relative change of the pod's requests.
    pub change: f64,
}

impl Priority {
    /// Greater is more urgent: first what memory killed, then what needs more, then what changes most.
    pub fn cmp(&self, other: &Self) -> Ordering {
        (self.out_of_memory, self.scale_up)
            .cmp(&(other.out_of_memory, other.scale_up))
            .then(self.change.total_cmp(&other.change))
    }
}

/// A pod measured against its recommendation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Assessment {
    pub priority: Priority,
    /// The first request that lies outside of its bounds, or is missing.
    pub outside: Option<UpdateReason>,
    /// The OOM kill that makes the update due.
    pub oom: Option<UpdateReason>,
}

/// The recommendations by which a pod is judged: those for containers that it had when it was admitted.
fn observed<'a>(
    pod: &'a Pod,
    recommended: &'a [PodRecommendation],
) -> impl Iterator<Item = (&'a Container, &'a ContainerRecommendation)> {
    let known = observed_containers(pod);
    recommended
        .iter()
        .filter_map(|fitted| Some((pod.containers.get(fitted.index)?, &fitted.recommendation)))
        .filter(move |(container, _)| {
            known
                .as_ref()
                .is_none_or(|names| names.contains(&container.name.as_str()))
        })
}

/// Measures a pod by the requests in force.
pub(super) fn assess(
    pod: &Pod,
    recommended: &[PodRecommendation],
    setting: &Setting<'_>,
) -> Assessment {
    let mut assessment = Assessment::default();
    let mut totals = [(0_i128, 0_i128); 2];
    for (container, recommendation) in observed(pod, recommended) {
        let requests = container.effective().requests;
        for (resource, total) in Resource::ALL.into_iter().zip(&mut totals) {
            let Some(target) = recommendation.target.get(resource) else {
                continue;
            };
            let request = requests.get(resource);
            total.0 += i128::from(request.unwrap_or(0));
            total.1 += i128::from(target);
            assessment.priority.scale_up |= request.is_none_or(|r| target > r);
            if assessment.outside.is_none() {
                assessment.outside = outside(container, recommendation, resource, request, setting);
            }
        }
        if assessment.oom.is_none() {
            assessment.oom = if setting.config.is_safe() {
                oom_growth(
                    container,
                    requests,
                    recommendation,
                    setting.config.update_threshold,
                )
            } else {
                quick_oom(container, setting)
            };
        }
    }
    assessment.priority.change = totals.into_iter().map(relative_change).sum();
    assessment.priority.out_of_memory = setting.config.is_safe() && assessment.oom.is_some();
    assessment
}

/// |before − after| / before, in millicores or bytes; a pod that requests nothing counts as requesting one.
fn relative_change((before, after): (i128, i128)) -> f64 {
    (before - after).unsigned_abs() as f64 / before.max(1) as f64
}

fn outside(
    container: &Container,
    recommendation: &ContainerRecommendation,
    resource: Resource,
    request: Option<i64>,
    setting: &Setting<'_>,
) -> Option<UpdateReason> {
    let lower = recommendation.lower_bound.get(resource);
    // What a young history has not seen yet may still be needed. The bounds of profile `upstream` are wide enough then.
    let too_young = setting.config.is_safe() && setting.vpa.has_low_confidence();
    let upper = recommendation
        .upper_bound
        .get(resource)
        .filter(|_| !too_young);
    let within =
        request.is_some_and(|r| lower.is_none_or(|l| r >= l) && upper.is_none_or(|u| r <= u));
    (!within).then(|| UpdateReason::OutsideBounds {
        container: container.name.clone(),
        resource,
        request,
        lower,
        upper,
    })
}

/// Profile `upstream`: a container that was killed for memory soon after its start, whatever it is to get.
fn quick_oom(container: &Container, setting: &Setting<'_>) -> Option<UpdateReason> {
    let last = container
        .status
        .as_ref()?
        .last_terminated
        .as_ref()
        .filter(|t| t.is_oom())?;
    let own = setting.vpa.evict_after_oom;
    let threshold = own
        .filter(|_| setting.config.gates.per_vpa_config)
        .unwrap_or(setting.config.oom_threshold);
    let ran = last.ran_for().filter(|ran| *ran < threshold)?;
    Some(UpdateReason::QuickOom {
        container: container.name.clone(),
        ran,
    })
}

/// Profile `safe`: a container that was killed for memory, however long it ran, and is to get more.
fn oom_growth(
    container: &Container,
    requests: ResourceList,
    recommendation: &ContainerRecommendation,
    update_threshold: f64,
) -> Option<UpdateReason> {
    let status = container.status.as_ref()?;
    let mut ends = [&status.terminated, &status.last_terminated]
        .into_iter()
        .flatten();
    let (request, target) = (requests.memory, recommendation.target.memory?);
    // The kill stays in the status for as long as the container runs: growth too small to matter must not make every
    // later recommendation due.
    let enough = |r: Bytes| target.0 as f64 >= r.0 as f64 * (1.0 + update_threshold);
    (ends.any(|end| end.is_oom()) && request.is_none_or(enough)).then(|| {
        UpdateReason::OutOfMemory {
            container: container.name.clone(),
            request,
            target,
        }
    })
}
