//! Scale points that no pod gets to, by what its limits and its VPA's policy let it be.

use std::sync::Arc;

use super::{Covers, ScalePoint};
use crate::pod::{Container, Pod};
use crate::policy::{boundary, controls, for_container};
use crate::quantity::Resource;
use crate::vpa::Vpa;

/// Why an HPA will not hold pods at the use that its owner chose, with the amounts of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfReach {
    /// Their limits are not a tenth above that use: the HPA can hardly see that more pods are needed.
    Limit {
        /// Together, in the containers that the metric covers.
        limit: i64,
        /// A limit that would do.
        enough: i64,
    },
    /// They are never given the least that the highest target goes with.
    MaxAllowed {
        /// What they are given at most.
        most: i64,
        /// What that target goes with.
        needed: i64,
        /// That target, percent.
        target: i64,
    },
    /// They are never given as little as the lowest target goes with.
    MinAllowed {
        /// What they are given at least.
        least: i64,
        /// What that target goes with.
        needed: i64,
        /// That target, percent.
        target: i64,
    },
}

/// What keeps the pods of a VPA from the scale point of a metric; `None` when nothing does, or no pod lives. What LimitRanges
/// allow is not looked at.
pub fn out_of_reach(
    point: ScalePoint,
    covers: &Covers,
    vpa: &Vpa,
    pods: &[Arc<Pod>],
) -> Option<OutOfReach> {
    let mut live = pods.iter().filter(|pod| !pod.terminating).peekable();
    // Policies name containers, and pods of one workload have the same.
    let first = *live.peek()?;
    let [lowest, highest] = [*point.targets().start(), *point.targets().end()];
    let resource = covers.resource;
    let most = sum(first, covers, |container| {
        bounds(container, resource, vpa)[1]
    });
    let needed = point.request_at(highest);
    if let Some(most) = most.filter(|most| *most < needed) {
        return Some(OutOfReach::MaxAllowed {
            most,
            needed,
            target: highest,
        });
    }
    let least = sum(first, covers, |container| {
        bounds(container, resource, vpa)[0]
    });
    let needed = point.request_at(lowest);
    if let Some(least) = least.filter(|least| *least > needed) {
        return Some(OutOfReach::MinAllowed {
            least,
            needed,
            target: lowest,
        });
    }
    let limits = live.filter_map(|pod| sum(pod, covers, |c| boundary(c.limits, resource)));
    let limit = limits.min().filter(|limit| point.is_out_of_reach(*limit))?;
    Some(OutOfReach::Limit {
        limit,
        enough: point.request_at(90),
    })
}

/// The least and the most that a container is given: what it requests where the VPA leaves it alone.
fn bounds(container: &Container, resource: Resource, vpa: &Vpa) -> [Option<i64>; 2] {
    let policy = for_container(&vpa.container_policies, &container.name);
    if !controls(policy, resource) {
        return [container.requests.get(resource); 2];
    }
    let most = policy.and_then(|p| boundary(p.max_allowed, resource));
    let least = policy.and_then(|p| boundary(p.min_allowed, resource));
    [Some(least.unwrap_or(0)), most]
}

/// Over the containers that a metric covers; `None` when it is not known of one, or there is none.
fn sum(pod: &Pod, covers: &Covers, of: impl Fn(&Container) -> Option<i64>) -> Option<i64> {
    let mut covered = pod.containers.iter().filter(|c| covers.covers(&c.name));
    let first = of(covered.next()?)?;
    covered.try_fold(first, |sum, container| {
        Some(sum.saturating_add(of(container)?))
    })
}

impl OutOfReach {
    /// A part of a sentence, on a metric of `point`: what becomes of it, and what to do.
    pub fn told(self, point: ScalePoint, resource: Resource) -> String {
        let show = |amount: i64| resource.show(amount);
        let usage = show(point.usage());
        match self {
            Self::Limit { limit, enough } => format!(
                "but pods cannot use much more than the {usage} that it aims at, as their limit is {}, so it adds hardly any: \
                 let that be {} at least, or lower the target",
                show(limit),
                show(enough)
            ),
            Self::MaxAllowed {
                most,
                needed,
                target,
            } => format!(
                "but maxAllowed lets a pod request {} at most, and for {usage} of use it would be {} at {target} %, so there \
                 will be more pods: raise maxAllowed",
                show(most),
                show(needed)
            ),
            Self::MinAllowed {
                least,
                needed,
                target,
            } => format!(
                "but minAllowed lets a pod request no less than {}, and for {usage} of use it would be {} at {target} %, so there \
                 will be fewer pods: lower minAllowed",
                show(least),
                show(needed)
            ),
        }
    }
}
