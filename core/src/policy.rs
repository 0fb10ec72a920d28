//! What a VPA, and its namespace's `LimitRanges`, let a recommendation be.
//!
//! Two steps at two times: [`cap`] shapes what the recommender publishes, knowing no pod; [`cap_for_pod`] fits the
//! published recommendation to one pod, whose limits and namespace are known.

mod align;
pub mod change;
pub(crate) mod limit;
pub mod limit_range;
pub mod limits;
pub mod note;
pub mod pod;
mod pod_range;
pub mod rules;
pub mod scale_down;

pub use align::{WaitsForTarget, wanted_targets};
pub(crate) use align::{hold_to_targets, is_behind};
pub use change::{ContainerChange, changes};
pub use limit_range::{LimitRangeItem, LimitRangeScope, Ratios};
pub use limits::{LIMITS_ANNOTATION, LimitPolicies, LimitPolicy};
pub use note::Note;
pub use pod::{PodRecommendation, cap_for_pod};
pub use rules::{Rules, Surroundings};
pub use scale_down::{SCALE_DOWN_ANNOTATION, ScaleDown};

use crate::explanation::Cause;
use crate::quantity::{Resource, ResourceList};
use crate::vpa::{ContainerPolicy, ContainerRecommendation};

/// The policy of a container: the first one that names it, wherever it stands, else the last `*`.
pub fn for_container<'a>(
    policies: &'a [ContainerPolicy],
    name: &str,
) -> Option<&'a ContainerPolicy> {
    policies
        .iter()
        .find(|p| p.container_name == name)
        .or_else(|| policies.iter().rev().find(|p| p.container_name == "*"))
}

/// What binds a resource of a container, in order: up to `minAllowed`, then down to `maxAllowed`, so that the maximum
/// wins where the two contradict. `global_max` stands in for each resource without a `maxAllowed`.
///
/// A boundary that is absent, zero or negative does not bind.
pub fn caps(
    policy: Option<&ContainerPolicy>,
    resource: Resource,
    global_max: ResourceList,
) -> impl Iterator<Item = Cause> {
    let min = min_allowed(policy, resource).map(Cause::MinAllowed);
    let max = policy.and_then(|p| boundary(p.max_allowed, resource));
    let max = max
        .map(Cause::MaxAllowed)
        .or_else(|| boundary(global_max, resource).map(Cause::GlobalMax));
    min.into_iter().chain(max)
}

/// Brings target and bounds into what `policy` allows. The uncapped target stays as it is.
pub fn cap(
    recommendation: &mut ContainerRecommendation,
    policy: Option<&ContainerPolicy>,
    global_max: ResourceList,
) {
    for resource in Resource::ALL {
        for list in bounds_mut(recommendation) {
            if let Some(amount) = list.get(resource) {
                let capped =
                    caps(policy, resource, global_max).fold(amount, |a, cap| cap.capped(a));
                list.set(resource, Some(capped));
            }
        }
    }
}

/// The policy's `minAllowed` of a resource, when it can bind.
pub fn min_allowed(policy: Option<&ContainerPolicy>, resource: Resource) -> Option<i64> {
    policy.and_then(|p| boundary(p.min_allowed, resource))
}

/// True when the policy lets this resource of its container be sized. No policy lets everything be.
pub fn controls(policy: Option<&ContainerPolicy>, resource: Resource) -> bool {
    policy.is_none_or(|p| {
        !p.off
            && p.controlled_resources
                .as_ref()
                .is_none_or(|list| list.contains(&resource))
    })
}

/// An amount that can bind: present and above zero.
pub(crate) fn boundary(list: ResourceList, resource: Resource) -> Option<i64> {
    list.get(resource).filter(|amount| *amount > 0)
}

/// The lists of a recommendation that policies apply to; the target first.
fn bounds_mut(recommendation: &mut ContainerRecommendation) -> [&mut ResourceList; 3] {
    [
        &mut recommendation.target,
        &mut recommendation.lower_bound,
        &mut recommendation.upper_bound,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Bytes, Millicores};
    use crate::rows::{number, rows};

    const MI: i64 = 1 << 20;

    fn list(cpu: i64, mebibytes: i64) -> ResourceList {
        let set = |amount: i64| (amount != 0).then_some(amount);
        ResourceList {
            cpu: set(cpu).map(Millicores),
            memory: set(mebibytes).map(|m| Bytes(m * MI)),
        }
    }

    fn policy(name: &str) -> ContainerPolicy {
        ContainerPolicy {
            container_name: name.into(),
            ..ContainerPolicy::default()
        }
    }

    #[test]
    fn published_recommendations_are_capped() {
        for row in rows(include_str!("../testdata/capping.csv")) {
            let pair = |i: usize| ResourceList {
                cpu: number(row[i]).map(Millicores),
                memory: number(row[i + 1]).map(|mebibytes: i64| Bytes(mebibytes * MI)),
            };
            let mut got = ContainerRecommendation {
                container_name: "foo".into(),
                target: list(42, 42),
                lower_bound: list(31, 31),
                upper_bound: list(53, 53),
                uncapped_target: list(42, 42),
            };
            let allowed = ContainerPolicy {
                min_allowed: pair(0),
                max_allowed: pair(2),
                ..policy("foo")
            };
            let policy = Some(&allowed).filter(|p| **p != policy("foo"));
            cap(&mut got, policy, pair(4));
            let capped = [got.target, got.lower_bound, got.upper_bound];
            assert_eq!(capped, [pair(6), pair(8), pair(10)], "{row:?}");
            assert_eq!(got.uncapped_target, list(42, 42));
        }
    }

    /// Vectors 10.7, container policies.
    #[test]
    fn an_exact_name_beats_every_wildcard() {
        let named = |i: usize, name: &str| ContainerPolicy {
            min_allowed: list(i as i64, 0),
            ..policy(name)
        };
        let policies = [
            named(1, "a"),
            named(2, "*"),
            named(3, "b"),
            named(4, "*"),
            named(5, "b"),
        ];
        let found = |policies: &[ContainerPolicy], name: &str| {
            for_container(policies, name).and_then(|p| p.min_allowed.get(Resource::Cpu))
        };
        assert_eq!(found(&policies, "a"), Some(1));
        assert_eq!(found(&policies, "b"), Some(3));
        assert_eq!(found(&policies, "c"), Some(4));
        assert_eq!(found(&policies[..1], "c"), None);
        assert_eq!(found(&[], "a"), None);
    }

    #[test]
    fn controlled_resources() {
        for row in rows(include_str!("../testdata/controlled_resources.csv")) {
            let [mode, listed, cpu, memory] = row[..] else {
                panic!("{row:?}")
            };
            let list = Resource::ALL
                .into_iter()
                .filter(|r| listed.contains(r.name()));
            let policy = ContainerPolicy {
                off: mode == "Off",
                controlled_resources: (listed != "not set").then(|| list.collect()),
                ..policy("a")
            };
            let policy = Some(&policy).filter(|_| mode != "none");
            let got = Resource::ALL.map(|r| controls(policy, r));
            assert_eq!(got, [cpu, memory].map(|cell| cell == "yes"), "{row:?}");
        }
    }
}
