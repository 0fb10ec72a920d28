//! Brings the sums over a pod's containers into the `LimitRange` for pods.

use super::limit::{NewLimit, Own};
use super::note::Note;
use super::pod::PodRecommendation;
use super::{Rules, boundary, bounds_mut};
use crate::pod::Pod;
use crate::quantity::Resource;

/// Scales each bound of all containers so that the pod's sums fit.
///
/// Profile `upstream` scales as if every request and limit followed, which leaves pods outside of the range that have
/// containers without a recommendation, limits that stay, or no limits. Profile `safe` does the exact sum.
pub(super) fn fit_sums(pod: &Pod, fitted: &mut [PodRecommendation], rules: &Rules<'_>) {
    let Some(range) = rules.pod_range else { return };
    for bound in 0..3 {
        for resource in Resource::ALL {
            let (min, max) = (boundary(range.min, resource), boundary(range.max, resource));
            let sum = sum(pod, fitted, rules, (bound, resource));
            let factor = if rules.profile.is_safe() {
                sum.exact_factor(min, max)
            } else {
                sum.factor(min, max)
            };
            let Some(factor) = factor else { continue };
            for one in &mut *fitted {
                let list = &mut *bounds_mut(&mut one.recommendation)[bound];
                let Some(amount) = list.get(resource) else {
                    continue;
                };
                let scaled = factor.apply(amount);
                list.set(resource, Some(scaled));
                if bound == 0 && scaled != amount && rules.profile.is_safe() {
                    one.notes.push(Note::CappedToPodLimitRange(resource));
                }
            }
        }
    }
}

/// What the containers of a pod would request, and be limited to, of one resource together.
#[derive(Clone, Copy)]
struct Sum {
    resource: Resource,
    requests: i128,
    limits: i128,
    /// The part of the requests that no factor changes.
    fixed_requests: i128,
    /// The part of the limits that no factor changes.
    fixed_limits: i128,
}

/// A container without a recommendation counts with what it has.
fn sum(
    pod: &Pod,
    fitted: &[PodRecommendation],
    rules: &Rules<'_>,
    (bound, resource): (usize, Resource),
) -> Sum {
    let mut sum = Sum {
        resource,
        requests: 0,
        limits: 0,
        fixed_requests: 0,
        fixed_limits: 0,
    };
    for (index, container) in pod.containers.iter().enumerate() {
        let own = Own::new(container.effective(), rules.default_limit(), resource);
        let recommended = fitted.iter().find(|f| f.index == index).and_then(|one| {
            let r = &one.recommendation;
            [r.target, r.lower_bound, r.upper_bound][bound].get(resource)
        });
        let request = recommended.or(own.request);
        let policy = rules.limit_policy(&container.name, resource);
        let limit = match own.limit_beside(request, policy).0 {
            NewLimit::Is(limit) => limit,
            NewLimit::Removed => 0,
            NewLimit::Stays => own.limit.unwrap_or(0),
        };
        let (request, limit) = (i128::from(request.unwrap_or(0)), i128::from(limit));
        sum.requests += request;
        sum.limits += limit;
        if recommended.is_none() {
            sum.fixed_requests += request;
            sum.fixed_limits += limit;
        } else if own.request_at(1, policy).is_none() {
            sum.fixed_limits += limit;
        } else if let super::LimitPolicy::Headroom(room) = policy {
            sum.fixed_limits += i128::from(room);
        }
    }
    sum
}

/// By how much every amount is multiplied.
#[derive(Clone, Copy)]
struct Factor {
    numerator: i128,
    denominator: i128,
    round_up: bool,
}

impl Sum {
    /// What brings the sums into the boundaries; `None` when nothing needs to, or can, be done.
    fn exact_factor(self, min: Option<i64>, max: Option<i64>) -> Option<Factor> {
        let min = min.map_or(0, i128::from);
        let (free_requests, free_limits) = (
            self.requests - self.fixed_requests,
            self.limits - self.fixed_limits,
        );
        if self.requests < min {
            let raised = Factor {
                numerator: min - self.fixed_requests,
                denominator: free_requests,
                round_up: true,
            };
            return (free_requests > 0).then_some(raised);
        }
        let room = i128::from(max?) - self.fixed_limits;
        let lowered = Factor {
            numerator: room,
            denominator: free_limits,
            round_up: false,
        };
        (free_limits > room && room > 0).then_some(lowered)
    }

    /// Upstream's: without limits there is no proportion to keep, and what has no recommendation is scaled, too.
    fn factor(self, min: Option<i64>, max: Option<i64>) -> Option<Factor> {
        let (min, max) = (min.map_or(0, i128::from), max.map_or(i128::MAX, i128::from));
        if (min <= self.limits && min <= self.requests && max >= self.limits) || self.limits <= 0 {
            return None;
        }
        if min > self.requests {
            let raised = Factor {
                numerator: min,
                denominator: self.requests,
                // Upstream rounds memory down, whatever for.
                round_up: self.resource == Resource::Cpu,
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
    fn apply(self, amount: i64) -> i64 {
        let up = if self.round_up {
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
