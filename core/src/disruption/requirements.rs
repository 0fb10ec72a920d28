//! `spec.updatePolicy.evictionRequirements`.

use crate::pod::Pod;
use crate::policy::PodRecommendation;
use crate::quantity::Resource;
use crate::vpa::{ChangeRequirement, EvictionRequirement};

/// True when at least one container with a recommendation moves as all requirements ask, or when there are none.
///
/// A requirement holds for a container when one of its resources moves that way. As upstream, a container that lacks a
/// CPU or memory request passes, and a resource without a recommendation counts as zero.
pub(super) fn are_met(
    pod: &Pod,
    recommended: &[PodRecommendation],
    requirements: &[EvictionRequirement],
) -> bool {
    requirements.is_empty()
        || recommended
            .iter()
            .any(|fitted| container_meets(pod, fitted, requirements))
}

fn container_meets(
    pod: &Pod,
    fitted: &PodRecommendation,
    requirements: &[EvictionRequirement],
) -> bool {
    let Some(container) = pod.containers.get(fitted.index) else {
        return false;
    };
    let requests = container.effective().requests;
    if requests.cpu.is_none() || requests.memory.is_none() {
        return true;
    }
    let holds = |requirement: &EvictionRequirement, resource: &Resource| {
        let target = fitted.recommendation.target.get(*resource).unwrap_or(0);
        let request = requests.get(*resource).unwrap_or(0);
        match requirement.change {
            ChangeRequirement::TargetHigherThanRequests => target > request,
            ChangeRequirement::TargetLowerThanRequests => target < request,
        }
    };
    requirements
        .iter()
        .all(|requirement| requirement.resources.iter().any(|r| holds(requirement, r)))
}
