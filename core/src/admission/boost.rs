//! Startup boost: more CPU for a new pod until it has been ready for some time.

use super::Settings;
use crate::pod::{Container, EffectiveResources, Pod};
use crate::policy::limit::{NewLimit, Own};
use crate::policy::pod::whole_cores;
use crate::policy::{ContainerChange, LimitPolicy, Note, Rules, boundary, for_container};
use crate::quantity::{Millicores, Resource, ResourceList};
use crate::vpa::{BoostBy, Vpa};

/// A boost as an annotation of the pod has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boost {
    /// The container.
    pub container: String,
    /// What it had before it was sized and boosted, to be given back when nothing is recommended by then.
    pub before: EffectiveResources,
}

/// The pod as it was before an earlier admission boosted it: API servers call webhooks again after others changed the pod.
pub(super) fn without_boosts(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    for container in &mut pod.containers {
        if let Some(before) = container.before_boost.as_deref().copied() {
            (container.requests, container.limits) = (before.requests, before.limits);
        }
    }
    pod
}

/// Raises the CPU of all containers that are to be boosted, in `changes` and beyond them. None is boosted when the pod
/// would then not fit its namespace's LimitRange for pods.
pub(super) fn boost(
    pod: &Pod,
    vpa: &Vpa,
    rules: &Rules<'_>,
    settings: &Settings,
    changes: &mut Vec<ContainerChange>,
) -> Vec<Boost> {
    let mut boosted = changes.clone();
    let mut boosts = Vec::new();
    for (index, container) in pod.containers.iter().enumerate() {
        let at = boosted.iter().position(|change| change.index == index);
        let sized = at.map(|at| &boosted[at]);
        let base = sized
            .and_then(|change| change.requests.get(Resource::Cpu))
            .filter(|cpu| *cpu > 0)
            .or(boundary(container.requests, Resource::Cpu));
        let Some(base) = base else { continue };
        let Some((request, limit)) = raised(container, base, vpa, rules, settings) else {
            continue;
        };
        let mut change = sized.cloned().unwrap_or_else(|| ContainerChange {
            index,
            sidecar: container.sidecar,
            name: container.name.clone(),
            ..ContainerChange::default()
        });
        set(&mut change, request, limit);
        match at {
            Some(at) => boosted[at] = change,
            None => boosted.push(change),
        }
        boosts.push(Boost {
            container: container.name.clone(),
            before: EffectiveResources {
                requests: container.requests,
                limits: container.limits,
            },
        });
    }
    if !fits_pod_range(pod, &boosted, rules) {
        return Vec::new();
    }
    boosted.sort_by_key(|change| change.index);
    *changes = boosted;
    boosts
}

/// A container's boosted request and what becomes of its limit; `None` when there is no boost, or none that raises it.
fn raised(
    container: &Container,
    base: i64,
    vpa: &Vpa,
    rules: &Rules<'_>,
    settings: &Settings,
) -> Option<(i64, NewLimit)> {
    let policy = for_container(rules.containers, &container.name);
    // A boost raises what utilisation is measured by, just when there are to be more pods.
    let claimed = rules.claims.on(&container.name, Resource::Cpu).is_some();
    if claimed || policy.is_some_and(|p| p.off) {
        return None;
    }
    let boost = policy.and_then(|p| p.startup_boost).or(vpa.startup_boost)?;
    let mut request = match boost.cpu?.by {
        BoostBy::Factor(factor) => base.saturating_mul(factor.into()),
        BoostBy::Quantity(more) => base.saturating_add(more.0),
    };
    let most = settings.max_allowed_cpu_boost;
    let most = most.map_or(i64::MAX, |Millicores(most)| most);
    request = request.min(most);
    let resource = Resource::Cpu;
    let limits = rules.limit_policy(&container.name, resource);
    // Not the LimitRange's default, as upstream: the API server has put that into the pod where it applies.
    let own = Own::new(container.effective(), ResourceList::default(), resource);
    if limits == LimitPolicy::Keep {
        if rules.is_guaranteed() {
            return None;
        }
        // A milli below the limit, so that the pod stays Burstable.
        if let Some(limit) = own.limit.filter(|limit| request > *limit) {
            request = if limit > 1 { limit - 1 } else { limit };
        }
    }
    let most_limit = rules.most_limit(resource);
    if let Some(most) = most_limit {
        request = request.min(own.request_at(most, limits).unwrap_or(most));
    }
    request = Some(whole_cores(container, rules, request))
        .filter(|whole| *whole <= most)
        .unwrap_or(request - request.rem_euclid(1000));
    let limit = match own.limit_beside(Some(request), limits).0 {
        NewLimit::Is(limit) => {
            NewLimit::Is(most_limit.map_or(limit, |most| limit.min(most.max(request))))
        }
        other => other,
    };
    (request > base).then_some((request, limit))
}

fn set(change: &mut ContainerChange, request: i64, limit: NewLimit) {
    let resource = Resource::Cpu;
    change.requests.set(resource, Some(request));
    let mut notes = vec![Note::RequestSet(resource)];
    // They name the limit without the boost.
    change.notes.retain(|note| {
        !matches!(
            note,
            Note::LimitEqual(Resource::Cpu, _) | Note::LimitHeadroom(Resource::Cpu, _)
        )
    });
    match limit {
        NewLimit::Removed if !change.removed_limits.contains(&resource) => {
            change.removed_limits.push(resource);
        }
        NewLimit::Stays | NewLimit::Removed => {}
        NewLimit::Is(limit) => {
            change.limits.set(resource, Some(limit));
            notes.push(Note::LimitSet(resource));
        }
    }
    notes.retain(|note| !change.notes.contains(note));
    change.notes.extend(notes);
}

/// True when the limits of all containers together are no more than the LimitRange for pods lets them be.
fn fits_pod_range(pod: &Pod, changes: &[ContainerChange], rules: &Rules<'_>) -> bool {
    let Some(most) = rules.most_limit_of_pod(Resource::Cpu) else {
        return true;
    };
    let limits = pod.containers.iter().enumerate().map(|(index, container)| {
        let change = changes.iter().find(|change| change.index == index);
        let limit = change.and_then(|change| change.limits.get(Resource::Cpu));
        limit.or(container.limits.get(Resource::Cpu)).unwrap_or(0)
    });
    limits.map(i128::from).sum::<i128>() <= i128::from(most)
}
