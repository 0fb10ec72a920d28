//! When a new recommendation is worth a write, and what of the old one is kept.

use std::collections::BTreeSet;

use podfit_core::quantity::{Resource, ResourceList};
use podfit_core::vpa::ContainerRecommendation;

/// Bounds creep with every sample while confidence grows. Nothing acts on less than this change of a bound.
const BOUND_CHANGE: f64 = 0.05;

/// The recommendation to be published: the new entries, and the old ones of containers that pods still have but that
/// gave no sample yet (a restart without a checkpoint must not take a recommendation away).
pub fn combine(
    published: Option<&[ContainerRecommendation]>,
    fresh: Vec<ContainerRecommendation>,
    live_containers: &BTreeSet<&str>,
) -> Vec<ContainerRecommendation> {
    let kept = published.into_iter().flatten().filter(|old| {
        live_containers.contains(old.container_name.as_str())
            && !fresh
                .iter()
                .any(|new| new.container_name == old.container_name)
    });
    let mut combined: Vec<_> = kept.cloned().collect();
    combined.extend(fresh);
    combined.sort_by(|a, b| a.container_name.cmp(&b.container_name));
    combined
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
    use podfit_core::quantity::Millicores;

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
    fn a_container_without_samples_keeps_what_was_published() {
        let old = [
            recommendation("app", 100, 1000),
            recommendation("gone", 1, 1),
            recommendation("side", 5, 5),
        ];
        let fresh = vec![recommendation("app", 200, 2000)];
        let combined = combine(Some(&old), fresh, &BTreeSet::from(["app", "side"]));
        assert_eq!(
            combined,
            [
                recommendation("app", 200, 2000),
                recommendation("side", 5, 5)
            ]
        );
    }
}
