//! Recommendations that a limit cuts off, time and again, because that limit stays.

use std::collections::BTreeMap;
use std::fmt;

use super::{Profile, Workload};
use crate::policy::{LimitPolicy, Note, Rules, Surroundings, cap_for_pod};
use crate::quantity::Resource;

/// A container that is recommended more than its limit, which is not podfit's to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CappedByLimit {
    /// The container.
    pub container: String,
    /// The resource.
    pub resource: Resource,
    /// The limit in force, in base units; the lowest of the pods'.
    pub limit: i64,
    /// True when that is the default of the namespace's LimitRange.
    pub is_default: bool,
}

/// For people. It names no recommendation: those change with every loop.
impl fmt::Display for CappedByLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = if self.is_default {
            ", the LimitRange's default,"
        } else {
            ""
        };
        write!(
            f,
            "container {} needs more {} than its limit of {}{origin} which stays",
            self.container,
            self.resource.name(),
            self.resource.show(self.limit)
        )
    }
}

/// What limits cut off in the live pods of a workload, one entry per container and resource.
pub fn capped_by_limit(
    workload: &Workload,
    surroundings: Surroundings<'_>,
    profile: Profile,
) -> Vec<CappedByLimit> {
    let vpa = &workload.vpa;
    let keeps = vpa.container_policies.iter().any(|p| p.requests_only)
        || Resource::ALL
            .iter()
            .any(|r| vpa.limits.get(*r) == LimitPolicy::Keep);
    if !keeps {
        return Vec::new();
    }
    let recommended = vpa.recommendation.as_deref().unwrap_or_default();
    let mut found: BTreeMap<(String, Resource), CappedByLimit> = BTreeMap::new();
    for pod in workload.pods.iter().filter(|pod| !pod.terminating) {
        let rules = Rules::new(pod, vpa, surroundings, profile);
        for fitted in cap_for_pod(pod, recommended, &rules) {
            let container = &pod.containers[fitted.index];
            let capped = |r: &Resource| fitted.notes.contains(&Note::CappedToContainerLimit(*r));
            for resource in Resource::ALL.into_iter().filter(capped) {
                let Some(limit) = container.effective().limits.get(resource) else {
                    continue;
                };
                let one = CappedByLimit {
                    container: container.name.clone(),
                    resource,
                    limit,
                    is_default: rules.default_limit().get(resource) == Some(limit),
                };
                found
                    .entry((container.name.clone(), resource))
                    .and_modify(|known| {
                        if limit < known.limit {
                            known.clone_from(&one);
                        }
                    })
                    .or_insert(one);
            }
        }
    }
    found.into_values().collect()
}
