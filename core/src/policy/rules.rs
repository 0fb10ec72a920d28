//! All that bounds the resources of one pod.

use super::limit_range::{LimitRangeItem, LimitRangeScope};
use super::limits::{LimitPolicies, LimitPolicy};
use super::{boundary, controls, for_container};
use crate::horizontal::Claims;
use crate::pod::Pod;
use crate::profile::Profile;
use crate::quantity::{Resource, ResourceList};
use crate::vpa::{ContainerPolicy, Vpa};

/// What besides its VPA bears on the resources of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The items of its namespace's LimitRanges.
    pub limit_ranges: &'a [LimitRangeItem],
    /// What HPAs claim of its workload.
    pub claims: &'a Claims,
}

/// A workload without an HPA.
impl<'a> From<&'a [LimitRangeItem]> for Surroundings<'a> {
    fn from(limit_ranges: &'a [LimitRangeItem]) -> Self {
        Self {
            limit_ranges,
            claims: Claims::NONE,
        }
    }
}

#[cfg(test)]
impl<'a, const N: usize> From<&'a [LimitRangeItem; N]> for Surroundings<'a> {
    fn from(limit_ranges: &'a [LimitRangeItem; N]) -> Self {
        limit_ranges.as_slice().into()
    }
}

#[cfg(test)]
impl<'a> From<&'a Vec<LimitRangeItem>> for Surroundings<'a> {
    fn from(limit_ranges: &'a Vec<LimitRangeItem>) -> Self {
        limit_ranges.as_slice().into()
    }
}

/// What a VPA, its namespace's LimitRanges, HPAs and the pod's own class let its containers be.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Whose rules win.
    pub profile: Profile,
    /// The VPA's policies.
    pub containers: &'a [ContainerPolicy],
    /// What HPAs claim.
    pub claims: &'a Claims,
    /// True for a pod that is about to be created.
    pub(super) is_new: bool,
    /// What becomes of limits.
    limits: LimitPolicies,
    /// For each container.
    pub(super) container_range: Option<LimitRangeItem>,
    /// For the sums over the pod.
    pub(super) pod_range: Option<LimitRangeItem>,
    /// True when the pod is of the class Guaranteed, and is to stay so.
    pub(super) guaranteed: bool,
}

impl<'a> Rules<'a> {
    /// The rules for `pod` under `vpa`.
    pub fn new(
        pod: &Pod,
        vpa: &'a Vpa,
        surroundings: impl Into<Surroundings<'a>>,
        profile: Profile,
    ) -> Self {
        let Surroundings {
            limit_ranges,
            claims,
        } = surroundings.into();
        Self {
            claims,
            is_new: false,
            profile,
            containers: &vpa.container_policies,
            limits: vpa.limits,
            container_range: LimitRangeItem::merge(limit_ranges, LimitRangeScope::Container),
            pod_range: LimitRangeItem::merge(limit_ranges, LimitRangeScope::Pod),
            guaranteed: profile.is_safe() && pod.is_guaranteed(),
        }
    }

    /// The same for a pod that is not of the class Guaranteed unless `may_be_guaranteed`, whatever its resources say.
    pub(crate) fn of_class(mut self, may_be_guaranteed: bool) -> Self {
        self.guaranteed &= may_be_guaranteed;
        self
    }

    /// The same for a pod that is about to be created.
    pub(crate) fn of_new_pod(mut self) -> Self {
        self.is_new = true;
        self
    }

    /// True when this resource of a container is podfit's to size: the policy lets it, and no HPA scales on it.
    pub(super) fn sizes(&self, container: &str, resource: Resource) -> bool {
        controls(for_container(self.containers, container), resource)
            && self.claims.on(container, resource).is_none()
    }

    /// What becomes of a container's limit.
    ///
    /// `controlledValues: RequestsOnly` is the more particular word and wins over the VPA's annotation. A pod of the class
    /// Guaranteed stays so. Where a LimitRange gives every container a limit, or asks for one, there cannot be none: the
    /// API server would put its own back in, which may be below the request, or refuse the pod.
    pub fn limit_policy(&self, container: &str, resource: Resource) -> LimitPolicy {
        if for_container(self.containers, container).is_some_and(|p| p.requests_only) {
            return LimitPolicy::Keep;
        }
        match self.limits.get(resource) {
            LimitPolicy::None | LimitPolicy::Headroom(_) if self.guaranteed => LimitPolicy::Equal,
            LimitPolicy::None if self.asks_for_limit(resource) => LimitPolicy::Ratio,
            policy => policy,
        }
    }

    /// True when the pod is of the class Guaranteed, and is to stay so.
    pub fn is_guaranteed(&self) -> bool {
        self.guaranteed
    }

    /// The most that LimitRanges let a container's limit be.
    pub(crate) fn most_limit(&self, resource: Resource) -> Option<i64> {
        boundary(self.container_range?.max, resource)
    }

    /// The most that LimitRanges let the limits of a pod be together.
    pub(crate) fn most_limit_of_pod(&self, resource: Resource) -> Option<i64> {
        boundary(self.pod_range?.max, resource)
    }

    /// True when the VPA wants no limit and cannot have that.
    pub(super) fn refuses_no_limit(&self, resource: Resource) -> bool {
        self.limits.get(resource) == LimitPolicy::None
            && !self.guaranteed
            && self.asks_for_limit(resource)
    }

    fn asks_for_limit(&self, resource: Resource) -> bool {
        let says = |list: ResourceList| list.get(resource).is_some();
        let ratio = self.max_ratio(resource).is_some();
        ratio
            || self
                .container_range
                .is_some_and(|r| says(r.default) || says(r.max))
            || self.pod_range.is_some_and(|r| says(r.max))
    }

    /// The limit of a container that sets none.
    pub(crate) fn default_limit(&self) -> ResourceList {
        self.container_range
            .map(|range| range.default)
            .unwrap_or_default()
    }

    /// How many thousandths of its request a limit may be: the LimitRanges' `maxLimitRequestRatio`. One for pods holds for
    /// each container, which is more than it asks and never less.
    pub(super) fn max_ratio(&self, resource: Resource) -> Option<i64> {
        [self.container_range, self.pod_range]
            .into_iter()
            .flatten()
            .filter_map(|range| range.max_ratio.get(resource))
            .filter(|ratio| *ratio >= 1000)
            .min()
    }
}
