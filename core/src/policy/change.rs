//! The requests and limits that a container is given.

use super::limit::proportional_limit;
use super::limit_range::{LimitRangeItem, LimitRangeScope};
use super::note::Note;
use super::{PodRecommendation, for_container};
use crate::pod::{Container, Pod};
use crate::quantity::{Resource, ResourceList};
use crate::vpa::ContainerPolicy;

/// What one container of a pod is to be given. A resource that is absent here stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        differ(self.requests, requests) || differ(self.limits, limits)
    }
}

/// What the containers of `pod` are to be given, in the order of its spec; containers that get nothing are left out.
pub fn changes(
    pod: &Pod,
    recommendations: &[PodRecommendation],
    policies: &[ContainerPolicy],
    limit_ranges: &[LimitRangeItem],
) -> Vec<ContainerChange> {
    let default_limit = LimitRangeItem::merge(limit_ranges, LimitRangeScope::Container)
        .map(|range| range.default)
        .unwrap_or_default();
    recommendations
        .iter()
        .filter_map(|fitted| {
            let container = pod.containers.get(fitted.index)?;
            let requests = fitted.recommendation.target;
            let mut notes = fitted.notes.clone();
            let requests_only =
                for_container(policies, &container.name).is_some_and(|p| p.requests_only);
            let mut limits = ResourceList::default();
            if !requests_only {
                let (scaled, remarks) =
                    proportional_limit(container.effective(), requests, default_limit);
                limits = scaled;
                notes.extend(remarks);
            }
            let set = |list: ResourceList, note: fn(Resource) -> Note| {
                Resource::ALL
                    .into_iter()
                    .filter(move |r| list.get(*r).is_some())
                    .map(note)
            };
            notes.extend(set(requests, Note::RequestSet).chain(set(limits, Note::LimitSet)));
            (!requests.is_empty()).then(|| ContainerChange {
                index: fitted.index,
                sidecar: container.sidecar,
                name: container.name.clone(),
                requests,
                limits,
                notes,
            })
        })
        .collect()
}
