//! Fits a published recommendation to one pod: its limits, its policies, its namespace's `LimitRanges`.

use super::align::to_scale_points;
use super::limit::{Own, scale};
use super::note::Note;
use super::pod_range::fit_sums;
use super::{LimitPolicy, Rules, boundary, bounds_mut, controls, for_container};
use crate::pod::{Container, Pod};
use crate::quantity::{Resource, ResourceList};
use crate::vpa::ContainerRecommendation;

/// What one container of a pod should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRecommendation {
    /// The container's position among those of the pod.
    pub index: usize,
    /// The recommendation after all caps.
    pub recommendation: ContainerRecommendation,
    /// What was capped in the target, and why.
    pub notes: Vec<Note>,
}

/// The recommendations that apply to the containers of `pod`, in the order of its spec.
///
/// Profile `safe`: each container is brought into its policy, then into what the API server lets it be: LimitRanges for
/// containers, limits that stay, LimitRanges for the sums over the pod. Profile `upstream`: first the sums over the pod,
/// then each container into LimitRanges and then into the policy, which therefore wins, and below a limit that stays.
/// Recommendations for containers that the pod lacks, for what policies take out of control, and for what is an HPA's, are
/// dropped.
pub fn cap_for_pod(
    pod: &Pod,
    recommendations: &[ContainerRecommendation],
    rules: &Rules<'_>,
) -> Vec<PodRecommendation> {
    let mut fitted: Vec<_> = pod
        .containers
        .iter()
        .enumerate()
        .filter_map(|(index, c)| controlled(index, c, recommendations, rules))
        .collect();
    to_scale_points(pod, &mut fitted, rules.claims.aligned(), rules.is_new);
    if !rules.profile.is_safe() {
        fit_sums(pod, &mut fitted, rules);
    }
    for one in &mut fitted {
        fit_container(one, &pod.containers[one.index], rules);
    }
    if rules.profile.is_safe() {
        fit_sums(pod, &mut fitted, rules);
        for one in &mut fitted {
            finish(one, &pod.containers[one.index], rules);
        }
    }
    fitted
}

/// The published recommendation of a container, without what its policy takes out of control, and what an HPA claims.
fn controlled(
    index: usize,
    container: &Container,
    recommendations: &[ContainerRecommendation],
    rules: &Rules<'_>,
) -> Option<PodRecommendation> {
    let mut recommendation = recommendations
        .iter()
        .find(|r| r.container_name == container.name)?
        .clone();
    let policy = for_container(rules.containers, &container.name);
    let mut notes = Vec::new();
    let sizes = |r: &Resource| rules.sizes(&container.name, *r);
    for resource in Resource::ALL.into_iter().filter(|r| !sizes(r)) {
        if controls(policy, resource) {
            notes.push(Note::LeftToHpa(resource));
        }
        for list in bounds_mut(&mut recommendation) {
            list.set(resource, None);
        }
    }
    (!recommendation.target.is_empty()).then_some(PodRecommendation {
        index,
        recommendation,
        notes,
    })
}

/// One boundary that a container's amount is brought to.
#[derive(Clone, Copy)]
enum Step {
    AtLeast(i64, Note),
    AtMost(i64, Note),
}

impl Step {
    fn apply(self, amount: i64) -> (i64, Note) {
        match self {
            Self::AtLeast(min, note) => (amount.max(min), note),
            Self::AtMost(max, note) => (amount.min(max), note),
        }
    }
}

fn fit_container(one: &mut PodRecommendation, container: &Container, rules: &Rules<'_>) {
    for resource in Resource::ALL {
        let [range, kept] = imposed(container, rules, resource);
        let allowed = allowed(container, rules, resource);
        let steps = if rules.profile.is_safe() {
            [allowed, range, kept].concat()
        } else {
            [range, allowed, kept].concat()
        };
        for (bound, list) in bounds_mut(&mut one.recommendation).into_iter().enumerate() {
            let Some(mut amount) = list.get(resource) else {
                continue;
            };
            for step in &steps {
                let (capped, note) = step.apply(amount);
                // The target comes first, and only its notes are kept.
                if bound == 0 && capped != amount {
                    one.notes.push(note);
                }
                amount = capped;
            }
            list.set(resource, Some(amount));
        }
    }
}

/// After the sums over the pod were fitted: still within what the API server lets one container be, and whole cores where
/// the pod had them.
pub(super) fn finish(one: &mut PodRecommendation, container: &Container, rules: &Rules<'_>) {
    for resource in Resource::ALL {
        let steps = imposed(container, rules, resource).concat();
        for list in bounds_mut(&mut one.recommendation) {
            let amount = list.get(resource);
            let bounded = amount.map(|amount| steps.iter().fold(amount, |a, step| step.apply(a).0));
            list.set(resource, bounded);
        }
    }
    let before = one.recommendation.target.cpu;
    for list in bounds_mut(&mut one.recommendation) {
        let whole = list
            .get(Resource::Cpu)
            .map(|cpu| whole_cores(container, rules, cpu));
        list.set(Resource::Cpu, whole);
    }
    if one.recommendation.target.cpu != before {
        one.notes.push(Note::WholeCores);
    }
}

const CORE: i64 = 1000;

/// CPU in whole cores for a container that may have them for its own: one of a Guaranteed pod that requests whole cores
/// now (the kubelet's static CPU policy). Rounded up, or down where there is no room; as it is where no whole core fits.
pub(crate) fn whole_cores(container: &Container, rules: &Rules<'_>, cpu: i64) -> i64 {
    let now = container.requests.get(Resource::Cpu).unwrap_or(0);
    if !rules.guaranteed || now <= 0 || now % CORE != 0 || cpu % CORE == 0 {
        return cpu;
    }
    let allowed = allowed(container, rules, Resource::Cpu);
    let imposed = imposed(container, rules, Resource::Cpu).concat();
    let most = allowed
        .iter()
        .chain(&imposed)
        .filter_map(|step| match step {
            Step::AtMost(most, _) => Some(*most),
            Step::AtLeast(..) => None,
        });
    // Policy's minimum may be missed by a part of a core; what the API server asks for may not.
    let least = imposed.iter().filter_map(|step| match step {
        Step::AtLeast(least, _) => Some(*least),
        Step::AtMost(..) => None,
    });
    let sums_are_bound = rules
        .pod_range
        .is_some_and(|range| boundary(range.max, Resource::Cpu).is_some());
    let down = cpu - cpu.rem_euclid(CORE);
    let up = down.saturating_add(CORE);
    if !sums_are_bound && most.min().is_none_or(|most| up <= most) {
        up
    } else if down > 0 && least.max().is_none_or(|least| down >= least) {
        down
    } else {
        cpu
    }
}

/// What the VPA's policy allows.
fn allowed(container: &Container, rules: &Rules<'_>, resource: Resource) -> Vec<Step> {
    let Some(policy) = for_container(rules.containers, &container.name) else {
        return Vec::new();
    };
    let least = boundary(policy.min_allowed, resource)
        .map(|a| Step::AtLeast(a, Note::CappedToMinAllowed(resource)));
    let most = boundary(policy.max_allowed, resource)
        .map(|a| Step::AtMost(a, Note::CappedToMaxAllowed(resource)));
    least.into_iter().chain(most).collect()
}

/// What the API server would refuse to go beyond: first the LimitRanges for containers, then a limit that stays.
fn imposed(container: &Container, rules: &Rules<'_>, resource: Resource) -> [Vec<Step>; 2] {
    let policy = rules.limit_policy(&container.name, resource);
    let own = Own::new(container.effective(), rules.default_limit(), resource);
    let range = |side: fn(&super::LimitRangeItem) -> ResourceList| {
        rules
            .container_range
            .and_then(|r| boundary(side(&r), resource))
    };
    // A limit that stays does not bind the request here; upstream scales all the same, and so pins a request under a
    // LimitRange that its limit just fits.
    let least = range(|r| r.min)
        .map(|min| own.request_at(min, policy).map_or(min, |at| at.max(min)))
        .map(|a| Step::AtLeast(a, Note::CappedToLimitRangeMin(resource)));
    // Headroom gives way to the minimum: the limit is cut later.
    let floor = match policy {
        LimitPolicy::Headroom(_) => range(|r| r.min).unwrap_or(0),
        _ => 0,
    };
    let most = range(|r| r.max)
        .and_then(|max| own.request_at(max, policy))
        .map(|at| at.max(floor))
        .map(|a| Step::AtMost(a, Note::CappedToLimitRangeMax(resource)));
    let kept = own.limit.filter(|l| *l > 0 && policy == LimitPolicy::Keep);
    let ratio = kept.zip(rules.max_ratio(resource)).map(|(limit, ratio)| {
        let least = scale(limit, 1000, ratio).unwrap_or(limit);
        let exact = scale(least, ratio, 1000).is_ok_and(|back| back >= limit);
        let least = if exact {
            least
        } else {
            least.saturating_add(1)
        };
        Step::AtLeast(least, Note::CappedToLimitRangeRatio(resource))
    });
    let below = kept.map(|a| Step::AtMost(a, Note::CappedToContainerLimit(resource)));
    let pinned = kept
        .filter(|_| rules.guaranteed)
        .map(|a| Step::AtLeast(a, Note::StaysGuaranteed(resource)));
    [
        least.into_iter().chain(most).chain(ratio).collect(),
        below.into_iter().chain(pinned).collect(),
    ]
}

#[cfg(test)]
mod tests;
