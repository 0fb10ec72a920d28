//! The requests and limits that a container is given.

use super::limit::{NewLimit, Own, scale};
use super::note::Note;
use super::{LimitPolicy, PodRecommendation, Rules, boundary};
use crate::pod::{Container, Pod};
use crate::quantity::{Resource, ResourceList};

/// What one container of a pod is to be given. A resource that is absent here stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerChange {
    /// The container's position among those of [`Pod`], which is that in the spec, and sidecars come after.
    pub index: usize,
    /// Of a native sidecar: its position in `spec.initContainers`.
    pub sidecar: Option<usize>,
    /// The container's name.
    pub name: String,
    /// Its new requests.
    pub requests: ResourceList,
    /// Its new limits.
    pub limits: ResourceList,
    /// The limits that it has and is not to have.
    pub removed_limits: Vec<Resource>,
    /// What was capped, what could not be done, and last what is set: the words of the `vpaUpdates` annotation.
    pub notes: Vec<Note>,
}

impl ContainerChange {
    /// True when `container`'s spec would read differently afterwards.
    pub fn alters_spec(&self, container: &Container) -> bool {
        Resource::ALL
            .into_iter()
            .any(|resource| self.alters_resource(container, resource))
    }

    /// True when one resource would read differently in `container`'s spec afterwards.
    pub fn alters_resource(&self, container: &Container, resource: Resource) -> bool {
        self.differs(container.requests, container.limits, resource)
    }

    /// True when the resources in force in `container` would be others afterwards.
    pub fn alters_effective(&self, container: &Container) -> bool {
        let own = container.effective();
        Resource::ALL
            .into_iter()
            .any(|resource| self.differs(own.requests, own.limits, resource))
    }

    fn differs(&self, requests: ResourceList, limits: ResourceList, resource: Resource) -> bool {
        let differ = |new: ResourceList, old: ResourceList| {
            new.get(resource)
                .is_some_and(|amount| old.get(resource) != Some(amount))
        };
        let removes = self.removed_limits.contains(&resource) && limits.get(resource).is_some();
        differ(self.requests, requests) || differ(self.limits, limits) || removes
    }

    /// The same for a running container: its limits cannot be taken away, so they stay, raised where the request needs it.
    pub fn in_place(mut self, container: &Container) -> Self {
        for resource in std::mem::take(&mut self.removed_limits) {
            let limit = container.limits.get(resource);
            let limit = limit.max(self.requests.get(resource).filter(|_| limit.is_some()));
            self.limits.set(resource, limit);
        }
        self
    }

    /// The same with nothing lowered: what `container`'s spec has more of stays, and it gets no limit where it has none.
    pub fn raised_only(mut self, container: &Container) -> Self {
        for resource in Resource::ALL {
            let request = self.requests.get(resource);
            let more = request.map(|new| container.requests.get(resource).unwrap_or(0).max(new));
            self.requests.set(resource, more);
            let own = container.limits.get(resource);
            let limit = self.limits.get(resource);
            self.limits
                .set(resource, limit.and_then(|new| own.map(|own| own.max(new))));
        }
        self.removed_limits.clear();
        self
    }

    /// Takes one resource out of the change: it stays as it is.
    pub fn leave(&mut self, resource: Resource) {
        self.requests.set(resource, None);
        self.limits.set(resource, None);
        self.removed_limits.retain(|r| *r != resource);
    }

    /// Makes the change.
    pub(crate) fn apply(&self, container: &mut Container) {
        for resource in Resource::ALL {
            if let Some(amount) = self.requests.get(resource) {
                container.requests.set(resource, Some(amount));
            }
            if let Some(amount) = self.limits.get(resource) {
                container.limits.set(resource, Some(amount));
            }
            if self.removed_limits.contains(&resource) {
                container.limits.set(resource, None);
            }
        }
    }
}

/// What the containers of `pod` are to be given, in their order; containers that get nothing are left out.
pub fn changes(
    pod: &Pod,
    recommendations: &[PodRecommendation],
    rules: &Rules<'_>,
) -> Vec<ContainerChange> {
    recommendations
        .iter()
        .filter(|fitted| !fitted.recommendation.target.is_empty())
        .filter_map(|fitted| Some(change(pod.containers.get(fitted.index)?, fitted, rules)))
        .collect()
}

fn change(container: &Container, fitted: &PodRecommendation, rules: &Rules<'_>) -> ContainerChange {
    let requests = fitted.recommendation.target;
    let mut change = ContainerChange {
        index: fitted.index,
        sidecar: container.sidecar,
        name: container.name.clone(),
        requests,
        notes: fitted.notes.clone(),
        ..ContainerChange::default()
    };
    let mut remarks = Vec::new();
    let mut set = Vec::new();
    for resource in Resource::ALL {
        let policy = rules.limit_policy(&container.name, resource);
        let request = requests.get(resource);
        let own = Own::new(container.effective(), rules.default_limit(), resource);
        let (limit, remark) = own.limit_beside(request, policy);
        remarks.extend(remark);
        match limit {
            NewLimit::Stays => {}
            NewLimit::Removed if own.limit.is_none() => {}
            NewLimit::Removed => change.removed_limits.push(resource),
            NewLimit::Is(limit) => {
                let request = request.unwrap_or(limit);
                let (limit, capped) = within_ranges(limit, request, rules, (policy, resource));
                remarks.extend(capped);
                change.limits.set(resource, Some(limit));
                set.extend((policy == LimitPolicy::Ratio).then_some(Note::LimitSet(resource)));
            }
        }
        if rules.refuses_no_limit(resource) && request.is_some() {
            remarks.push(Note::LimitAskedFor(resource));
        }
    }
    // As upstream: that a limit could not follow is told only beside one that did.
    let nothing_follows = |note: &Note| {
        matches!(
            note,
            Note::NoOriginalLimit(_) | Note::NoRecommendedRequest(_)
        )
    };
    if change.limits.is_empty() {
        remarks.retain(|note| !nothing_follows(note));
    }
    let requested = |r: &Resource| requests.get(*r).is_some();
    let requested = Resource::ALL.into_iter().filter(requested);
    change.notes.extend(remarks);
    change.notes.extend(requested.map(Note::RequestSet));
    change.notes.extend(set);
    change
}

/// A limit that LimitRanges let stand beside its request: requests were fitted before with the limits in mind, so only
/// headroom, and a ratio that shrinks, is left to cut.
fn within_ranges(
    limit: i64,
    request: i64,
    rules: &Rules<'_>,
    (policy, resource): (LimitPolicy, Resource),
) -> (i64, Option<Note>) {
    let most = rules
        .container_range
        .and_then(|range| boundary(range.max, resource))
        .filter(|_| policy != LimitPolicy::Ratio)
        .map(|most| (most, Note::CappedToLimitRangeMax(resource)));
    let ratio = rules.max_ratio(resource).map(|ratio| {
        let most = scale(request, ratio, 1000).unwrap_or(i64::MAX);
        (most, Note::CappedToLimitRangeRatio(resource))
    });
    let cuts = [most, ratio].into_iter().flatten();
    let cut = cuts.filter(|(most, _)| *most < limit).min_by_key(|c| c.0);
    match cut {
        Some((most, note)) => (most.max(request), Some(note)),
        None => (limit, None),
    }
}
