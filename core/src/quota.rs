//! Would the API server refuse a pod that is made anew? `ResourceQuotas` and `LimitRanges` of its namespace, held against
//! the size that it is to get.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::pod::{Container, Pod};
use crate::policy::{ContainerChange, LimitRangeItem, LimitRangeScope};
use crate::quantity::{Resource, ResourceList};

/// A `ResourceQuota` that counts every pod, or every one that requests something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// The most that all pods may have together; what is absent is not bounded.
    pub hard: Totals,
    /// What they have.
    pub used: Totals,
    /// True when there are more pods than there may be.
    pub too_many_pods: bool,
}

/// Requests and limits, of a pod or of all pods of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// `requests.cpu` and `requests.memory`.
    pub requests: ResourceList,
    /// `limits.cpu` and `limits.memory`.
    pub limits: ResourceList,
}

/// What a quota bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `requests.…`
    Requests,
    /// `limits.…`
    Limits,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// Everything that quotas bound.
const BOUNDED: [(Kind, Resource); 4] = [
    (Kind::Requests, Resource::Cpu),
    (Kind::Requests, Resource::Memory),
    (Kind::Limits, Resource::Cpu),
    (Kind::Limits, Resource::Memory),
];

impl Totals {
    /// One amount, in base units.
    pub fn get(&self, kind: Kind, resource: Resource) -> Option<i64> {
        match kind {
            Kind::Requests => self.requests.get(resource),
            Kind::Limits => self.limits.get(resource),
        }
    }
}

/// Why a pod could not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A quota has too little left.
    Exceeded {
        /// The quota.
        quota: String,
        /// What of.
        kind: Kind,
        /// What of.
        resource: Resource,
        /// What the pod would need, in base units.
        needed: i64,
        /// What would be left for it.
        left: i64,
    },
    /// A quota counts something that a container does not set.
    Unset {
        /// The quota.
        quota: String,
        /// What.
        kind: Kind,
        /// What.
        resource: Resource,
        /// The container.
        container: String,
    },
    /// A quota has no room for one more pod.
    TooManyPods {
        /// The quota.
        quota: String,
    },
    /// A `LimitRange` does not allow it.
    LimitRange {
        /// The container; `None` for the pod as a whole.
        container: Option<String>,
        /// What of.
        resource: Resource,
        /// The words for the bound: `max`, `min`, `maxLimitRequestRatio`.
        bound: &'static str,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exceeded {
                quota,
                kind,
                resource,
                needed,
                left,
            } => write!(
                f,
                "ResourceQuota {quota} would refuse its replacement: {}.{} of {} needed, {} left",
                kind.name(),
                resource.name(),
                resource.show(*needed),
                resource.show(*left)
            ),
            Self::Unset {
                quota,
                kind,
                resource,
                container,
            } => write!(
                f,
                "ResourceQuota {quota} would refuse its replacement: container {container} sets no {}.{}",
                kind.name(),
                resource.name()
            ),
            Self::TooManyPods { quota } => write!(
                f,
                "ResourceQuota {quota} would refuse its replacement: there are more pods than it allows"
            ),
            Self::LimitRange {
                container,
                resource,
                bound,
            } => {
                let whose = container
                    .as_ref()
                    .map_or_else(|| "the pod".to_owned(), |name| format!("container {name}"));
                write!(
                    f,
                    "a LimitRange would refuse its replacement: {} of {whose} is beyond its {bound}",
                    resource.name()
                )
            }
        }
    }
}

/// What a container sets.
#[derive(Clone, Copy)]
struct Sets<'a> {
    container: &'a Container,
    requests: ResourceList,
    limits: ResourceList,
}

impl Sets<'_> {
    fn get(&self, kind: Kind, resource: Resource) -> Option<i64> {
        match kind {
            Kind::Requests => self.requests.get(resource),
            Kind::Limits => self.limits.get(resource),
        }
    }
}

/// The containers of a pod after `changes`, sidecars among them; and its other init containers.
fn containers<'a>(
    pod: &'a Pod,
    changes: &'a [ContainerChange],
) -> impl Iterator<Item = Sets<'a>> + Clone {
    pod.containers
        .iter()
        .enumerate()
        .map(move |(i, container)| {
            let mut sets = as_it_is(container);
            if let Some(change) = changes.iter().find(|change| change.index == i) {
                for r in Resource::ALL {
                    let (request, limit) = (change.requests.get(r), change.limits.get(r));
                    sets.requests.set(r, request.or(sets.requests.get(r)));
                    let limit = limit.or(sets.limits.get(r));
                    let removed = change.removed_limits.contains(&r);
                    sets.limits.set(r, limit.filter(|_| !removed));
                }
            }
            sets
        })
}

fn as_it_is(container: &Container) -> Sets<'_> {
    Sets {
        container,
        requests: container.requests,
        limits: container.limits,
    }
}

/// What a pod counts for: all its containers and sidecars together, or an init container with the sidecars before it.
fn total(pod: &Pod, changes: &[ContainerChange], kind: Kind, resource: Resource) -> i64 {
    let all = containers(pod, changes);
    let amount = |sets: &Sets<'_>| sets.get(kind, resource).unwrap_or(0);
    let running = all
        .clone()
        .fold(0_i64, |sum, sets| sum.saturating_add(amount(&sets)));
    let sidecars = || all.clone().filter(|sets| sets.container.sidecar.is_some());
    let is_sidecar = |place: usize| sidecars().any(|s| s.container.sidecar == Some(place));
    let places = (0..).filter(|place| !is_sidecar(*place));
    let starting = pod.init_containers.iter().zip(places).map(|(init, place)| {
        let before = sidecars().filter(|s| s.container.sidecar < Some(place));
        before.fold(amount(&as_it_is(init)), |sum, s| {
            sum.saturating_add(amount(&s))
        })
    });
    starting.max().unwrap_or(0).max(running)
}

/// The quotas of all namespaces, and what a plan has taken of them already.
#[derive(Debug)]
pub struct Headroom<'a> {
    quotas: &'a BTreeMap<String, Vec<Quota>>,
    taken: RefCell<HashMap<(&'a str, Kind, Resource), i64>>,
}

impl<'a> Headroom<'a> {
    /// Nothing is taken yet.
    pub fn new(quotas: &'a BTreeMap<String, Vec<Quota>>) -> Self {
        Self {
            quotas,
            taken: RefCell::default(),
        }
    }

    /// Why `pod` could not come back with `changes` after it was evicted, which frees what it has; `None` when it could.
    pub fn obstacle(
        &self,
        pod: &Pod,
        changes: &[ContainerChange],
        limit_ranges: &[LimitRangeItem],
    ) -> Option<Obstacle> {
        let (namespace, quotas) = match self.quotas.get_key_value(&pod.namespace) {
            Some((namespace, quotas)) => (namespace.as_str(), quotas.as_slice()),
            None => ("", &[][..]),
        };
        let mut of_quotas = quotas
            .iter()
            .filter_map(|quota| self.exceeded(quota, (namespace, pod), changes, limit_ranges));
        of_quotas
            .next()
            .or_else(|| out_of_range(pod, changes, limit_ranges))
    }

    fn exceeded(
        &self,
        quota: &Quota,
        (namespace, pod): (&'a str, &Pod),
        changes: &[ContainerChange],
        limit_ranges: &[LimitRangeItem],
    ) -> Option<Obstacle> {
        if quota.too_many_pods {
            return Some(Obstacle::TooManyPods {
                quota: quota.name.clone(),
            });
        }
        BOUNDED.into_iter().find_map(|(kind, resource)| {
            let hard = quota.hard.get(kind, resource)?;
            let init = pod.init_containers.iter().map(as_it_is);
            let mut all = containers(pod, changes).chain(init);
            let default = |item: &LimitRangeItem| item.default.get(resource).is_some();
            if let Some(unset) = all.find(|sets| sets.get(kind, resource).is_none())
                && !limit_ranges.iter().any(default)
            {
                return Some(Obstacle::Unset {
                    quota: quota.name.clone(),
                    kind,
                    resource,
                    container: unset.container.name.clone(),
                });
            }
            let taken = self
                .taken
                .borrow()
                .get(&(namespace, kind, resource))
                .copied();
            let used = quota.used.get(kind, resource).unwrap_or(0);
            let left = hard
                .saturating_sub(used)
                .saturating_add(total(pod, &[], kind, resource))
                .saturating_sub(taken.unwrap_or(0));
            let needed = total(pod, changes, kind, resource);
            (needed > 0 && needed > left).then(|| Obstacle::Exceeded {
                quota: quota.name.clone(),
                kind,
                resource,
                needed,
                left: left.max(0),
            })
        })
    }

    /// Takes note that `pod` is evicted, to come back with `changes`.
    pub fn take(&self, pod: &Pod, changes: &[ContainerChange]) {
        let Some((namespace, _)) = self.quotas.get_key_value(&pod.namespace) else {
            return;
        };
        let mut taken = self.taken.borrow_mut();
        for (kind, resource) in BOUNDED {
            let more =
                total(pod, changes, kind, resource).saturating_sub(total(pod, &[], kind, resource));
            let sum = taken.entry((namespace, kind, resource)).or_default();
            // What one pod gives up counts once it is gone: another may be created before.
            *sum = sum.saturating_add(more.max(0));
        }
    }
}

/// What a `LimitRange` would refuse. What a container does not set it fills in itself.
fn out_of_range(
    pod: &Pod,
    changes: &[ContainerChange],
    limit_ranges: &[LimitRangeItem],
) -> Option<Obstacle> {
    let item = |scope| LimitRangeItem::merge(limit_ranges, scope);
    let of_containers = || {
        let range = item(LimitRangeScope::Container)?;
        let init = pod.init_containers.iter().map(as_it_is);
        containers(pod, changes).chain(init).find_map(|sets| {
            Resource::ALL.into_iter().find_map(|resource| {
                let set = [Kind::Requests, Kind::Limits].map(|kind| sets.get(kind, resource));
                let bound = beyond(&range, resource, set)?;
                Some(Obstacle::LimitRange {
                    container: Some(sets.container.name.clone()),
                    resource,
                    bound,
                })
            })
        })
    };
    let of_pod = || {
        let range = item(LimitRangeScope::Pod)?;
        Resource::ALL.into_iter().find_map(|resource| {
            let set = [Kind::Requests, Kind::Limits]
                .map(|kind| Some(total(pod, changes, kind, resource)).filter(|total| *total > 0));
            let bound = beyond(&range, resource, set)?;
            Some(Obstacle::LimitRange {
                container: None,
                resource,
                bound,
            })
        })
    };
    of_containers().or_else(of_pod)
}

fn beyond(
    range: &LimitRangeItem,
    resource: Resource,
    [request, limit]: [Option<i64>; 2],
) -> Option<&'static str> {
    let set = || [request, limit].into_iter().flatten();
    if let Some(max) = range.max.get(resource)
        && set().any(|amount| amount > max)
    {
        return Some("max");
    }
    if let Some(min) = range.min.get(resource)
        && set().any(|amount| amount < min)
    {
        return Some("min");
    }
    let (ratio, request, limit) = (range.max_ratio.get(resource)?, request?, limit?);
    let most = i128::from(request) * i128::from(ratio);
    (i128::from(limit) * 1000 > most).then_some("maxLimitRequestRatio")
}

#[cfg(test)]
mod tests;
