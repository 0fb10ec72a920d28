//! Vectors 11.3.

use super::super::requirements::are_met;
use super::*;
use crate::policy::{Rules, cap_for_pod};
use crate::quantity::Resource;
use crate::vpa::ChangeRequirement::{
    TargetHigherThanRequests as Higher, TargetLowerThanRequests as Lower,
};
use crate::vpa::EvictionRequirement;

/// `cpu memory H; memory L`.
fn requirements(cell: &str) -> Vec<EvictionRequirement> {
    let requirement = |text: &str| {
        let change = if text.ends_with('H') { Higher } else { Lower };
        let named = |r: &Resource| text.contains(r.name());
        EvictionRequirement {
            resources: Resource::ALL.into_iter().filter(named).collect(),
            change,
        }
    };
    let texts = cell.split(';').filter(|text| !text.is_empty());
    texts.map(requirement).collect()
}

#[test]
fn one_container_moves_as_required() {
    for row in rows(include_str!("../../../testdata/eviction_requirements.csv")) {
        let [case, required, containers, want] = row[..] else {
            panic!("{row:?}")
        };
        let mut pod = Pod::default();
        let mut published = Vec::new();
        for (i, cell) in containers.split(" + ").enumerate() {
            let lists: Vec<_> = cell.split(' ').map(amounts).collect();
            let name = format!("c{i}");
            let mut container = container(&name, lists[0]);
            container.status = lists.get(2).map(|requests| ContainerStatus {
                resources: Some(EffectiveResources {
                    requests: list(*requests),
                    limits: list(NOTHING),
                }),
                ..ContainerStatus::default()
            });
            pod.containers.push(container);
            if lists[1] != NOTHING {
                published.push(recommendation(&name, [lists[1]; 3]));
            }
        }
        let vpa = Vpa::default();
        let rules = Rules::new(&pod, &vpa, &[], Profile::Upstream);
        let fitted = cap_for_pod(&pod, &published, &rules);
        let met = are_met(&pod, &fitted, &requirements(required));
        assert_eq!(met, want == "yes", "{case}");
    }
}

#[test]
fn requirements_hold_back_both_kinds_of_update() {
    for (mode, allowed) in [
        (UpdateMode::Recreate, "E--"),
        (UpdateMode::InPlaceOrRecreate, "RRR"),
    ] {
        let mut case = Case::new(Profile::Safe, mode, pods(3));
        case.vpa.eviction_requirements = requirements("cpu H");
        assert_eq!(letters(&case.decisions()), allowed, "{mode:?}");
        case.vpa.eviction_requirements = requirements("cpu L");
        assert_eq!(
            codes(&case.decisions()),
            ["RequirementsNotMet"; 3],
            "{mode:?}"
        );
    }
}
