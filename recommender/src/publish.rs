//! When a new recommendation is worth a write, and what of the old one is kept.

use std::collections::BTreeSet;

use podfit_core::quantity::{Resource, ResourceList};
use podfit_core::reason::RecommendationReason;
use podfit_core::recommendation::Recommended;
use podfit_core::vpa::ContainerRecommendation;

/// The recommendation to be published: what was computed, and of what was published before, the amounts for which
/// there is no sample yet (a restart must not take a recommendation away, nor put a guess in its place).
///
/// `live_containers` are those that pods have: of others nothing is kept, nor of those whose policy is Off. `None` while
/// there is no pod to tell: then all is kept for the next one.
pub fn combine(
    published: Option<&[ContainerRecommendation]>,
    fresh: Recommended,
    live_containers: Option<&BTreeSet<&str>>,
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
        if live_containers.is_none_or(|live| live.contains(name)) && !off {
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

/// From which difference on a new number is written.
///
/// It is always held against what stands published, not against the loop before: a number that creeps is written once it
/// has crept that far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteThreshold {
    /// For targets, as a fraction of the published number.
    pub target: f64,
}

/// Bounds creep with every sample while confidence grows, and nothing acts on little changes of theirs.
const BOUNDS: f64 = 5.0;

impl WriteThreshold {
    /// True when `new` is to be written: other containers or resources, or a number that is off by more than the threshold
    /// (a bound, by more than five times that).
    pub fn differs(
        self,
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
                .any(|(old, new)| self.container_differs(old, new))
    }

    fn container_differs(
        self,
        old: &ContainerRecommendation,
        new: &ContainerRecommendation,
    ) -> bool {
        let bound = self.target * BOUNDS;
        old.container_name != new.container_name
            || moved(old.target, new.target, self.target)
            || moved(old.uncapped_target, new.uncapped_target, self.target)
            || moved(old.lower_bound, new.lower_bound, bound)
            || moved(old.upper_bound, new.upper_bound, bound)
    }
}

fn moved(old: ResourceList, new: ResourceList, threshold: f64) -> bool {
    Resource::ALL
        .iter()
        .any(|resource| match (old.get(*resource), new.get(*resource)) {
            (Some(old), Some(new)) => (new - old).abs() as f64 > old.abs() as f64 * threshold,
            (old, new) => old != new,
        })
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Bytes, Millicores};

    use super::*;
    use crate::rows::rows;

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

    const ONE_PERCENT: WriteThreshold = WriteThreshold { target: 0.01 };

    #[test]
    fn little_changes_are_not_written() {
        let old = [recommendation("app", 1000, 1000)];
        let with = |target, upper| vec![recommendation("app", target, upper)];
        let uncapped = ContainerRecommendation {
            uncapped_target: cpu(1011),
            ..recommendation("app", 1000, 1000)
        };
        let unbounded = ContainerRecommendation {
            upper_bound: ResourceList::default(),
            ..recommendation("app", 1000, 1000)
        };
        let two = vec![
            recommendation("app", 1000, 1000),
            recommendation("side", 1, 1),
        ];
        // New numbers; written at a threshold of 1 %; written at 0.
        let cases = [
            (with(1000, 1000), false, false),
            (with(1010, 1000), false, true),
            (with(990, 1000), false, true),
            (with(1011, 1000), true, true),
            (with(989, 1000), true, true),
            (with(1000, 1050), false, true),
            (with(1000, 1051), true, true),
            (vec![uncapped], true, true),
            (vec![unbounded], true, true),
            (vec![recommendation("other", 1000, 1000)], true, true),
            (two, true, true),
            (vec![], true, true),
        ];
        for (new, at_one_percent, at_zero) in cases {
            assert_eq!(
                ONE_PERCENT.differs(Some(&old), &new),
                at_one_percent,
                "{new:?}"
            );
            let zero = WriteThreshold { target: 0.0 };
            assert_eq!(zero.differs(Some(&old), &new), at_zero, "{new:?}");
        }
        assert!(ONE_PERCENT.differs(None, &old));
        assert!(!ONE_PERCENT.differs(None, &[]));
    }

    #[test]
    fn slow_creep_is_written_in_steps_of_the_threshold() {
        let mut published = vec![recommendation("app", 10_000, 10_000)];
        let mut writes = 0;
        for target in (10_000..=11_000).step_by(10) {
            let new = vec![recommendation("app", target, 10_000)];
            if ONE_PERCENT.differs(Some(&published), &new) {
                published = new;
                writes += 1;
            }
            let off = (target - published[0].target.cpu.unwrap().0) as f64;
            assert!(off <= 0.01 * 11_000.0);
        }
        assert_eq!(writes, 9);
    }

    #[test]
    fn only_what_was_computed_anew_is_replaced() {
        let read = |cell: &str| -> Vec<ContainerRecommendation> {
            let one = |word: &str| {
                let (name, amounts) = word.split_once('=').unwrap();
                let (cpu, memory) = amounts.split_once('/').unwrap();
                ContainerRecommendation {
                    container_name: name.into(),
                    target: ResourceList {
                        cpu: cpu.parse().ok().map(Millicores),
                        memory: memory.parse().ok().map(Bytes),
                    },
                    ..ContainerRecommendation::default()
                }
            };
            cell.split_whitespace().map(one).collect()
        };
        for row in rows(include_str!("../testdata/published.csv")) {
            let fresh = Recommended {
                recommendations: read(row[1]),
                ..Recommended::default()
            };
            let live = BTreeSet::from(["container1", "container2"]);
            let combined = combine(Some(&read(row[0])), fresh, Some(&live));
            assert_eq!(combined, read(row[2]), "{row:?}");
        }
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
        let live = BTreeSet::from(["app", "off", "side"]);
        let combined = combine(Some(&old), fresh.clone(), Some(&live));
        let mut app = recommendation("app", 200, 2000);
        app.target.memory = Some(Bytes(1 << 30));
        assert_eq!(combined, [app.clone(), old[3].clone()]);
        // Scaled to zero, nobody knows which containers the next pod has.
        let at_zero = combine(Some(&old), fresh, None);
        assert_eq!(at_zero, [app, old[1].clone(), old[3].clone()]);
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
        let live = BTreeSet::from(["app"]);
        let combined = combine(Some(&[old]), fresh, Some(&live));
        assert_eq!(combined, [recommendation("app", 200, 2000)]);
    }
}
