//! Lowering with care, for profile `safe` and for VPAs that ask for it: up at once, down step by step, and not soon again where that went wrong.
//!
//! A step is one size that the pods of a workload go down to. It lasts for the shrink interval; until it is over no pod
//! goes lower, and those that have not been there yet still go.

mod record;

use std::fmt;

use super::{Setting, UpdateReason};
use crate::pod::{Container, Pod};
use crate::policy::limit::{NewLimit, Own};
use crate::policy::scale_down::slow_step;
use crate::policy::{PodRecommendation, Rules, ScaleDown};
use crate::quantity::Resource;
use crate::vpa::ContainerRecommendation;

pub(super) use record::{OfWorkload, Shrinks};

/// Why a request is not lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShrinkHold {
    /// The VPA's annotation says "never".
    Never,
    /// The VPA's annotation says "window", and that is not open.
    OutsideWindow,
    /// Its limit would fall below what was used lately.
    RecentPeak,
    /// The last step of the workload is too young.
    StepTooYoung,
    /// The last time a container was restarted soon after.
    WentWrong,
}

impl fmt::Display for ShrinkHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "the VPA's annotation podfit.dev/scale-down is \"never\"",
            Self::OutsideWindow => "the VPA's maintenance window is not open",
            Self::RecentPeak => "its limit would fall below recent peaks and their margin",
            Self::StepTooYoung => "the workload's last step down is younger than --shrink-interval",
            Self::WentWrong => "the last time a container was restarted soon after; it is put off",
        })
    }
}

/// What care makes of a pod's recommendation.
#[derive(Debug, Default)]
pub(super) struct Care {
    /// The first request that would be lowered, and is not.
    pub held: Option<UpdateReason>,
    /// What makes it due to give back what was taken.
    pub rollback: Option<UpdateReason>,
    /// Targets that are lower than one step: place in the recommendations, resource, how low this step goes.
    steps: Vec<(usize, Resource, i64)>,
}

impl Care {
    /// Raises targets to what stays, and to what is given back. Bounds follow, so that nothing held is due.
    pub(super) fn take(
        pod: &Pod,
        recommended: &mut [PodRecommendation],
        rules: &Rules<'_>,
        setting: &Setting<'_>,
    ) -> Self {
        let mut care = Self::default();
        if !setting.config.is_safe() && setting.vpa.scale_down == ScaleDown::Free {
            return care;
        }
        // What is made anew has used nothing yet.
        let in_place = setting.config.is_safe() && setting.vpa.update_mode.is_in_place();
        for (place, one) in recommended.iter_mut().enumerate() {
            let container = &pod.containers[one.index];
            let in_force = container.effective().requests;
            let record = setting.shrinks.and_then(|all| all.of(&container.name));
            for resource in Resource::ALL {
                let target = one.recommendation.target.get(resource);
                let (Some(target), Some(now)) = (target, in_force.get(resource)) else {
                    continue;
                };
                let had = record.and_then(|r| r.to_give_back(&pod.uid, resource));
                if let Some(had) = had.filter(|had| *had > now) {
                    one.recommendation
                        .target
                        .set(resource, Some(had.max(target)));
                    care.rollback = Some(UpdateReason::ShrunkTooFar {
                        container: container.name.clone(),
                        resource,
                    });
                    continue;
                }
                if target >= now {
                    continue;
                }
                let hold = match setting.vpa.scale_down {
                    ScaleDown::Never => Some(ShrinkHold::Never),
                    ScaleDown::Window if !setting.window_open => Some(ShrinkHold::OutsideWindow),
                    _ => record.and_then(|r| r.hold(resource, now, setting)),
                };
                let peak = Some(resource)
                    .filter(|r| *r == Resource::Memory && in_place)
                    .and_then(|_| least_by_peaks(container, &one.recommendation, rules, setting));
                let hold = hold.or(peak.filter(|p| *p >= now).map(|_| ShrinkHold::RecentPeak));
                if let Some(why) = hold {
                    hold_at(now, one, resource);
                    care.held.get_or_insert_with(|| UpdateReason::ShrinkHeld {
                        container: container.name.clone(),
                        resource,
                        why,
                    });
                    continue;
                }
                let floor = record.and_then(|r| r.floor(resource, setting));
                let mut least = floor.max(peak).unwrap_or(0);
                if setting.vpa.update_mode.is_in_place()
                    && setting.vpa.scale_down == ScaleDown::Slow
                {
                    let whole = resource == Resource::Cpu && rules.is_guaranteed();
                    least = least.max(slow_step(now, whole));
                }
                if target < least {
                    care.steps.push((place, resource, least));
                }
            }
        }
        care
    }

    /// Cuts down to one step what is lowered. After whether it is due was judged by how far it would go in the end.
    pub(super) fn one_step(&self, recommended: &mut [PodRecommendation]) {
        for (place, resource, least) in &self.steps {
            let target = &mut recommended[*place].recommendation.target;
            target.set(*resource, Some(*least));
        }
    }
}

fn hold_at(now: i64, one: &mut PodRecommendation, resource: Resource) {
    let recommendation = &mut one.recommendation;
    recommendation.target.set(resource, Some(now));
    let upper = recommendation.upper_bound.get(resource);
    recommendation
        .upper_bound
        .set(resource, upper.map(|upper| upper.max(now)));
}

/// The least request of memory whose limit is not below what the containers of a running pod used lately; nothing where
/// its limit is not lowered with the request.
///
/// The recommended upper bound stands for that: a high percentile of the memory peaks of the last days, with a margin.
/// Where it is not known nothing is lowered. The request stays up with its limit, so that their proportion stays.
fn least_by_peaks(
    container: &Container,
    recommendation: &ContainerRecommendation,
    rules: &Rules<'_>,
    setting: &Setting<'_>,
) -> Option<i64> {
    const MEMORY: Resource = Resource::Memory;
    let own = Own::new(container.effective(), rules.default_limit(), MEMORY);
    let limit = own.limit?;
    let peak = Some(recommendation)
        .filter(|_| !setting.vpa.has_low_confidence())
        .and_then(|r| r.upper_bound.get(MEMORY).max(r.uncapped_target.get(MEMORY)))
        .unwrap_or(i64::MAX);
    let least = limit.min(peak);
    let policy = rules.limit_policy(&container.name, MEMORY);
    let request = own.request_at(least, policy)?;
    let falls_short =
        matches!(own.limit_beside(Some(request), policy).0, NewLimit::Is(limit) if limit < least);
    Some(request + i64::from(falls_short))
}
