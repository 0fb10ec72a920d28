//! A request and the target of the horizontal autoscaler that divides by it, moved together.
//!
//! An HPA with target T (percent) holds pods at a use of A = T·R/100 each, where R is what a pod requests. A is what its
//! owner chose, the *scale point*, and it is to stay: when a pod requests R1, the target is to be T1 = 100·A/R1. While
//! pods of several sizes live side by side the HPA divides the sum of use by the sum of requests, and the target that
//! keeps the scale point is `100·A·N / ΣRᵢ`. Every target is worked out from the pair (T, R) as it was found, never from
//! the last one, or roundings would add up.
//!
//! The order matters, because an HPA adds pods at once and takes them away only after its stabilisation window (300 s):
//! on the way down the target goes first, by less than the HPA's tolerance, and pods follow; on the way up requests go
//! first, and the target follows.

mod anchor;
mod kept;
mod plan;
mod reach;
mod stability;
mod step;
mod told;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

pub use anchor::{Anchor, AnchorChange, NoAnchor, Requested};
pub use kept::{Aligned, Covers, Kept, NotAligned, SCALE_POINT_ANNOTATION, aligned, movable};
pub use plan::{Move, Retarget, Situation, SizedPod, request_of, retarget, targets};
pub use reach::{OutOfReach, out_of_reach};
pub use stability::{Stability, Verdict, stability};
pub use step::{Live, Metric, Next};
pub use told::told;

/// The lowest target that podfit sets. Lower ones mean requests of more than twice what is used.
pub const LEAST_TARGET: i64 = 50;

/// The highest target that podfit sets. A container that may use no more than it requests never gets far above.
pub const MOST_TARGET: i64 = 90;

/// The lowest target of an owner that podfit takes up: a step and the rounding to a percent must stay within the HPA's
/// tolerance together.
pub const COARSEST_TARGET: i64 = 20;

/// By how many hundredths a target may lead what is right for the pods that live, and a pod go below what it has, in one
/// step on the way down. Less than the HPA's tolerance of ten, so that an HPA whose pods use what they are to use asks for
/// no other number of them.
const STEP: i128 = 7;

/// What an owner chose: a target, and the requests it was chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalePoint {
    target: i64,
    request: i64,
}

/// A target, and what a pod requests in all containers that the metric covers, such that both make the scale point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Percent.
    pub target: i64,
    /// Millicores or bytes.
    pub request: i64,
}

/// The live pods that an HPA looks at, as far as its target depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// How many.
    pub pods: i64,
    /// What they request together in the containers that the metric covers, in millicores or bytes.
    pub requested: i64,
}

impl ScalePoint {
    /// `target` in percent, at least [`COARSEST_TARGET`]; `request` in millicores or bytes, above zero. `None` otherwise.
    pub fn new(target: i64, request: i64) -> Option<Self> {
        (target >= COARSEST_TARGET && request > 0).then_some(Self { target, request })
    }

    /// The target as it was found, percent.
    pub fn target(self) -> i64 {
        self.target
    }

    /// The request as it was found, millicores or bytes.
    pub fn request(self) -> i64 {
        self.request
    }

    /// A: the use of a pod at which the HPA is content, in millicores or bytes. The `averageValue` that does the same.
    pub fn usage(self) -> i64 {
        whole(self.product() / 100)
    }

    /// The targets that podfit may set: 50 to 90, and up or down to what the owner chose himself.
    pub fn targets(self) -> RangeInclusive<i64> {
        LEAST_TARGET.min(self.target)..=MOST_TARGET.max(self.target)
    }

    /// The request that makes the scale point with a target: 100·A/T, rounded up.
    pub fn request_at(self, target: i64) -> i64 {
        whole(div_up(self.product(), i128::from(target.max(1))))
    }

    /// The target that makes the scale point with what a pod requests: the highest whose request is not below it, within
    /// bounds. So it gives back the target that [`ScalePoint::request_at`] was asked for.
    pub fn target_of(self, request: i64) -> i64 {
        let below = i128::from(request.saturating_sub(1).max(1));
        let target = whole(div_up(self.product(), below) - 1);
        let targets = self.targets();
        target.clamp(*targets.start(), *targets.end())
    }

    /// What podfit would have, when a pod is recommended `recommended` in the containers that the metric covers: the
    /// nearest request not below that for which the target is a whole number within bounds.
    pub fn wanted(self, recommended: i64) -> Pair {
        let targets = self.targets();
        let target = whole(self.product() / i128::from(recommended.max(1)));
        let target = target.clamp(*targets.start(), *targets.end());
        let request = self.request_at(target);
        Pair { target, request }
    }

    /// The target that keeps the scale point for the pods that live: `100·A·N / ΣRᵢ`, rounded, within bounds. `None` without
    /// pods, or where they request nothing.
    pub fn mixed_target(self, mix: Mix) -> Option<i64> {
        let requested = Some(i128::from(mix.requested)).filter(|sum| *sum > 0)?;
        let pods = Some(i128::from(mix.pods)).filter(|pods| *pods > 0)?;
        let targets = self.targets();
        let target = whole((2 * self.product() * pods + requested) / (2 * requested));
        Some(target.clamp(*targets.start(), *targets.end()))
    }

    /// The target to set next. `down_to` is what is wanted while pods wait to get less; `None` when none does. Then the
    /// target follows the pods, and else it leads them by less than the HPA's tolerance.
    pub fn next_target(self, mix: Mix, down_to: Option<i64>) -> Option<i64> {
        let follows = self.mixed_target(mix)?;
        let Some(wanted) = down_to.filter(|wanted| *wanted > follows) else {
            return Some(follows);
        };
        // The HPA rounds utilisation down before it divides by the target; requests were rounded up by less than one each.
        let (pods, requested) = (i128::from(mix.pods), i128::from(mix.requested));
        let seen = self.product() * pods / (requested - pods).max(1);
        let leads = whole(seen * (100 + STEP) / 100);
        let targets = self.targets();
        Some(wanted.min(leads).clamp(follows, *targets.end()))
    }

    /// The least that a live pod goes down to in one step, from `request` in the containers that the metric covers, while
    /// `in_force` is the target. Pods of one size stop at what the target allows. Where there are smaller ones the mean would
    /// fall below that when the larger ones went there at once.
    pub fn least_request(self, request: i64, in_force: i64) -> i64 {
        let step = whole(div_up(i128::from(request) * 100, 100 + STEP));
        self.request_at(in_force).max(step)
    }

    /// True when pods that may use `limit` at most in the containers that the metric covers never get far enough above the
    /// scale point for the HPA to add one: A above nine tenths of the limit.
    pub fn is_out_of_reach(self, limit: i64) -> bool {
        self.product() > 90 * i128::from(limit)
    }

    /// 100·A.
    fn product(self) -> i128 {
        i128::from(self.target) * i128::from(self.request)
    }
}

/// What each container of a pod is to request so that those of `movable` and what is `fixed` sum up to `total`: in
/// proportion. As they are where nothing is left for them.
pub fn share_out(total: i64, fixed: i64, movable: &[i64]) -> Vec<i64> {
    let sum: i128 = movable.iter().copied().map(i128::from).sum();
    let rest = i128::from(total) - i128::from(fixed);
    if sum <= 0 || rest <= 0 {
        return movable.to_vec();
    }
    let mut before = 0;
    let shares = movable.iter().map(|amount| {
        let start = before * rest / sum;
        before += i128::from(*amount);
        // Cut off of the running sum, so that nothing is lost to rounding.
        whole(before * rest / sum - start)
    });
    shares.collect()
}

fn div_up(a: i128, b: i128) -> i128 {
    a / b + i128::from(a % b > 0)
}

fn whole(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
