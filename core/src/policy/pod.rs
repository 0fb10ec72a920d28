//! Fits a published recommendation to one pod: its limits, its policies, its namespace's `LimitRanges`.

use super::limit::{proportional_limit, scale};
use super::limit_range::{LimitRangeItem, LimitRangeScope};
use super::note::Note;
use super::{boundary, bounds_mut, controls, for_container};
use crate::pod::{Container, Pod};
use crate::quantity::{Resource, ResourceList};
use crate::vpa::{ContainerPolicy, ContainerRecommendation};

/// What one container of a pod should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRecommendation {
    /// The container's position in the pod's spec.
    pub index: usize,
    /// The recommendation after all caps.
    pub recommendation: ContainerRecommendation,
    /// What was capped in the target, and why.
    pub notes: Vec<Note>,
}

/// The recommendations that apply to the containers of `pod`, in the order of its spec.
///
/// First the sums over the pod are brought into the `LimitRanges` for pods, then each container into those for
/// containers, then into the policy (which therefore wins), and with `controlledValues: RequestsOnly` below the limit it
/// has. Recommendations for containers that the pod lacks, and for what policies take out of control, are dropped.
pub fn cap_for_pod(
    pod: &Pod,
    recommendations: &[ContainerRecommendation],
    policies: &[ContainerPolicy],
    limit_ranges: &[LimitRangeItem],
) -> Vec<PodRecommendation> {
    let mut fitted: Vec<_> = pod
        .containers
        .iter()
        .enumerate()
        .filter_map(|(index, c)| controlled(index, c, recommendations, policies))
        .collect();
    let container_range = LimitRangeItem::merge(limit_ranges, LimitRangeScope::Container);
    if let Some(range) = LimitRangeItem::merge(limit_ranges, LimitRangeScope::Pod) {
        let default_limit = container_range.map(|r| r.default).unwrap_or_default();
        fit_sums(
            pod,
            &mut fitted,
            policies,
            &LimitRangeItem {
                default: default_limit,
                ..range
            },
        );
    }
    for one in &mut fitted {
        let container = &pod.containers[one.index];
        fit_container(
            one,
            container,
            for_container(policies, &container.name),
            container_range,
        );
    }
    fitted
}

/// The published recommendation of a container, without what its policy takes out of control.
fn controlled(
    index: usize,
    container: &Container,
    recommendations: &[ContainerRecommendation],
    policies: &[ContainerPolicy],
) -> Option<PodRecommendation> {
    let mut recommendation = recommendations
        .iter()
        .find(|r| r.container_name == container.name)?
        .clone();
    let policy = for_container(policies, &container.name);
    for resource in Resource::ALL.into_iter().filter(|r| !controls(policy, *r)) {
        for list in bounds_mut(&mut recommendation) {
            list.set(resource, None);
        }
    }
    (!recommendation.target.is_empty()).then_some(PodRecommendation {
        index,
        recommendation,
        notes: Vec::new(),
    })
}

/// Scales each bound of all containers so that the pod's sums fit the `LimitRange` for pods.
fn fit_sums(
    pod: &Pod,
    fitted: &mut [PodRecommendation],
    policies: &[ContainerPolicy],
    range: &LimitRangeItem,
) {
    for bound in 0..3 {
        let sums = sums(pod, fitted, policies, range.default, bound);
        for (resource, sum) in Resource::ALL.into_iter().zip(sums) {
            let Some(factor) =
                sum.factor(boundary(range.min, resource), boundary(range.max, resource))
            else {
                continue;
            };
            for one in &mut *fitted {
                let list = &mut *bounds_mut(&mut one.recommendation)[bound];
                if let Some(amount) = list.get(resource) {
                    list.set(resource, Some(factor.apply(resource, amount)));
                }
            }
        }
    }
}

/// What the containers of a pod would request, and be limited to, of one resource together.
#[derive(Clone, Copy, Default)]
struct Sum {
    requests: i128,
    limits: i128,
}

/// The sums of CPU and of memory. A container without a recommendation counts with what it has.
fn sums(
    pod: &Pod,
    fitted: &[PodRecommendation],
    policies: &[ContainerPolicy],
    default_limit: ResourceList,
    bound: usize,
) -> [Sum; 2] {
    let mut sums = [Sum::default(); 2];
    for (index, container) in pod.containers.iter().enumerate() {
        let own = container.effective();
        let mut requests = own.requests;
        if let Some(one) = fitted.iter().find(|f| f.index == index) {
            let r = &one.recommendation;
            let recommended = [r.target, r.lower_bound, r.upper_bound][bound];
            requests = ResourceList {
                cpu: recommended.cpu.or(requests.cpu),
                memory: recommended.memory.or(requests.memory),
            };
        }
        let requests_only =
            for_container(policies, &container.name).is_some_and(|p| p.requests_only);
        let limits = if requests_only {
            own.limits
        } else {
            proportional_limit(own, requests, default_limit).0
        };
        for (resource, sum) in Resource::ALL.into_iter().zip(&mut sums) {
            sum.requests += i128::from(requests.get(resource).unwrap_or(0));
            sum.limits += i128::from(limits.get(resource).unwrap_or(0));
        }
    }
    sums
}

/// By how much every amount is multiplied, and whether a fraction of a millicore is rounded up.
#[derive(Clone, Copy)]
struct Factor {
    numerator: i128,
    denominator: i128,
    round_up: bool,
}

impl Sum {
    /// What brings the sums into the boundaries; `None` when nothing needs to, or can, be done: without limits there
    /// is no proportion to keep.
    fn factor(self, min: Option<i64>, max: Option<i64>) -> Option<Factor> {
        let (min, max) = (min.map_or(0, i128::from), max.map_or(i128::MAX, i128::from));
        if (min <= self.limits && min <= self.requests && max >= self.limits) || self.limits <= 0 {
            return None;
        }
        if min > self.requests {
            let raised = Factor {
                numerator: min,
                denominator: self.requests,
                round_up: true,
            };
            return (self.requests > 0).then_some(raised);
        }
        let total = self.limits.max(min).min(max);
        Some(Factor {
            numerator: total,
            denominator: self.limits,
            round_up: false,
        })
    }
}

impl Factor {
    /// Upstream rounds CPU as asked, and memory always down.
    fn apply(self, resource: Resource, amount: i64) -> i64 {
        let up = if self.round_up && resource == Resource::Cpu {
            self.denominator - 1
        } else {
            0
        };
        // Amounts are 64-bit and factors at most sums of a few of them.
        let product = i128::from(amount)
            .saturating_mul(self.numerator)
            .saturating_add(up);
        i64::try_from(product.div_euclid(self.denominator)).unwrap_or(i64::MAX)
    }
}

/// One boundary that a container's amount is brought to.
#[derive(Clone, Copy)]
enum Step {
    AtLeast(i64, Note),
    AtMost(i64, Note),
}

fn fit_container(
    one: &mut PodRecommendation,
    container: &Container,
    policy: Option<&ContainerPolicy>,
    range: Option<LimitRangeItem>,
) {
    for resource in Resource::ALL {
        let steps = steps(container, policy, range, resource);
        for (bound, list) in bounds_mut(&mut one.recommendation).into_iter().enumerate() {
            let Some(mut amount) = list.get(resource) else {
                continue;
            };
            for step in steps.into_iter().flatten() {
                let (capped, note) = match step {
                    Step::AtLeast(min, note) => (amount.max(min), note),
                    Step::AtMost(max, note) => (amount.min(max), note),
                };
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

/// The boundaries of one resource of a container, in the order in which they apply: later ones win.
fn steps(
    container: &Container,
    policy: Option<&ContainerPolicy>,
    range: Option<LimitRangeItem>,
    resource: Resource,
) -> [Option<Step>; 5] {
    let own = container.effective();
    let requests_only = policy.is_some_and(|p| p.requests_only);
    let range = |side: fn(&LimitRangeItem) -> ResourceList| {
        range.and_then(|r| boundary(side(&r), resource))
    };
    let limit = boundary(own.limits, resource).or_else(|| range(|r| r.default));
    // The request at which a limit that keeps its proportion meets the boundary. A limit that stays does not bind the
    // request; upstream scales here as well, and so pins a request under a LimitRange that its limit just fits.
    let request_at = |limit_boundary: i64| match (
        limit.filter(|_| !requests_only)?,
        boundary(own.requests, resource),
    ) {
        (_, None) => Some(limit_boundary),
        (limit, Some(request)) => Some(scale(limit_boundary, request, limit).unwrap_or(i64::MAX)),
    };
    let least = range(|r| r.min).map(|min| request_at(min).map_or(min, |at| at.max(min)));
    let most = range(|r| r.max).and_then(request_at);
    let allowed = |side: fn(&ContainerPolicy) -> ResourceList| {
        policy.and_then(|p| boundary(side(p), resource))
    };
    [
        least.map(|a| Step::AtLeast(a, Note::CappedToLimitRangeMin(resource))),
        most.map(|a| Step::AtMost(a, Note::CappedToLimitRangeMax(resource))),
        allowed(|p| p.min_allowed).map(|a| Step::AtLeast(a, Note::CappedToMinAllowed(resource))),
        allowed(|p| p.max_allowed).map(|a| Step::AtMost(a, Note::CappedToMaxAllowed(resource))),
        boundary(own.limits, resource)
            .filter(|_| requests_only)
            .map(|a| Step::AtMost(a, Note::CappedToContainerLimit(resource))),
    ]
}

#[cfg(test)]
mod tests;
