//! When a new recommendation is worth a write, and what of the old one is kept.

use std::collections::BTreeSet;

use podfit_core::quantity::{Resource, ResourceList};
use podfit_core::reason::RecommendationReason;
use podfit_core::recommendation::Recommended;
use podfit_core::vpa::ContainerRecommendation;

/// Bounds creep with every sample while confidence grows. Nothing acts on less than this change of a bound.
const BOUND_CHANGE: f64 = 0.05;

/// The recommendation to be published: what was computed, and of what was published before, the amounts for which
/// there is no sample yet (a restart must not take a recommendation away, nor put a guess in its place).
///
/// `live_containers` are those that pods have: of others nothing is kept, nor of those whose policy is Off.
pub fn combine(
    published: Option<&[ContainerRecommendation]>,
    fresh: Recommended,
    live_containers: &BTreeSet<&str>,
) -> Vec<ContainerRecommendation> {
    let Recommended {
        recommendations: mut combined,
        reasons,
        ..
    } = fresh;
    for old in published.into_iter().flatten() {
        let name = old.container_name.as_str();
        let known = combined.iter_mut().find(|r| r.container_name == name);
        let unsampled = |resource: Resource| {
            let unsampled = |r: &RecommendationReason| matches!(r, RecommendationReason::NoSamples { container, resource: of } if container == name && *of == resource);
            reasons.iter().any(unsampled)
        };
        if let Some(new) = known {
            keep(old, new, unsampled);
            continue;
        }
        let off = reasons.iter().any(
            |r| matches!(r, RecommendationReason::PolicyOff { container } if container == name),
        );
        if live_containers.contains(name) && !off {
            combined.push(old.clone());
        }
    }
    combined.sort_by(|a, b| a.container_name.cmp(&b.container_name));
    combined
}

/// Copies the amounts of the resources for which `unsampled` holds.
fn keep(
    old: &ContainerRecommendation,
    new: &mut ContainerRecommendation,
    unsampled: impl Fn(Resource) -> bool,
) {
    for resource in Resource::ALL.into_iter().filter(|r| unsampled(*r)) {
        let lists = [
            (&old.target, &mut new.target),
            (&old.lower_bound, &mut new.lower_bound),
            (&old.upper_bound, &mut new.upper_bound),
            (&old.uncapped_target, &mut new.uncapped_target),
        ];
        for (old, new) in lists {
            new.set(resource, old.get(resource));
        }
    }
}

/// True when somebody could act on the difference: other containers, another target, or bounds moved by 5 %.
pub fn differs(
    published: Option<&[ContainerRecommendation]>,
    new: &[ContainerRecommendation],
) -> bool {
    let Some(old) = published else {
        return !new.is_empty();
    };
    old.len() != new.len()
        || old
            .iter()
            .zip(new)
            .any(|(old, new)| container_differs(old, new))
}

fn container_differs(old: &ContainerRecommendation, new: &ContainerRecommendation) -> bool {
    old.container_name != new.container_name
        || old.target != new.target
        || old.uncapped_target != new.uncapped_target
        || moved(old.lower_bound, new.lower_bound)
        || moved(old.upper_bound, new.upper_bound)
}

fn moved(old: ResourceList, new: ResourceList) -> bool {
    Resource::ALL
        .iter()
        .any(|resource| match (old.get(*resource), new.get(*resource)) {
            (Some(old), Some(new)) => (new - old).abs() as f64 > old.abs() as f64 * BOUND_CHANGE,
            (old, new) => old != new,
        })
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Bytes, Millicores};

    use super::*;

    fn cpu(millicores: i64) -> ResourceList {
        ResourceList {
            cpu: Some(Millicores(millicores)),
            memory: None,
        }
    }

    fn recommendation(name: &str, target: i64, upper: i64) -> ContainerRecommendation {
        ContainerRecommendation {
            container_name: name.into(),
            target: cpu(target),
            lower_bound: cpu(10),
            upper_bound: cpu(upper),
            uncapped_target: cpu(target),
        }
    }

    #[test]
    fn only_what_somebody_could_act_on_is_written() {
        let old = [recommendation("app", 100, 1000)];
        let cases = [
            (vec![recommendation("app", 100, 1000)], false),
            (vec![recommendation("app", 100, 1050)], false),
            (vec![recommendation("app", 100, 1051)], true),
            (vec![recommendation("app", 101, 1000)], true),
            (
                vec![
                    recommendation("app", 100, 1000),
                    recommendation("side", 1, 1),
                ],
                true,
            ),
            (
                vec![ContainerRecommendation {
                    upper_bound: ResourceList::default(),
                    ..recommendation("app", 100, 1000)
                }],
                true,
            ),
            (vec![], true),
        ];
        for (new, expected) in cases {
            assert_eq!(differs(Some(&old), &new), expected, "{new:?}");
        }
        assert!(differs(None, &old));
        assert!(!differs(None, &[]));
    }

    #[test]
    fn what_has_no_samples_keeps_what_was_published() {
        let old = ["app", "gone", "off", "side"].map(|name| recommendation(name, 100, 1000));
        let old = old.map(|mut r| {
            r.target.memory = Some(Bytes(1 << 30));
            r
        });
        let no_memory = RecommendationReason::NoSamples {
            container: "app".into(),
            resource: Resource::Memory,
        };
        let fresh = Recommended {
            recommendations: vec![recommendation("app", 200, 2000)],
            reasons: vec![
                no_memory,
                RecommendationReason::PolicyOff {
                    container: "off".into(),
                },
            ],
            ..Recommended::default()
        };
        let combined = combine(Some(&old), fresh, &BTreeSet::from(["app", "off", "side"]));
        let mut app = recommendation("app", 200, 2000);
        app.target.memory = Some(Bytes(1 << 30));
        assert_eq!(combined, [app, old[3].clone()]);
    }

    /// A resource that policy took out of control has samples, and goes.
    #[test]
    fn what_policy_drops_is_not_kept() {
        let mut old = recommendation("app", 100, 1000);
        old.target.memory = Some(Bytes(1 << 30));
        let fresh = Recommended {
            recommendations: vec![recommendation("app", 200, 2000)],
            ..Recommended::default()
        };
        let combined = combine(Some(&[old]), fresh, &BTreeSet::from(["app"]));
        assert_eq!(combined, [recommendation("app", 200, 2000)]);
    }
}
