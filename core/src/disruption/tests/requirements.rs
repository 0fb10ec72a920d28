//! Vectors 11.3.

use super::super::requirements::are_met;
use super::*;
use crate::policy::{Rules, cap_for_pod};
use crate::quantity::Resource::{self, Cpu, Memory as Mem};
use crate::vpa::ChangeRequirement::{
    self, TargetHigherThanRequests as Higher, TargetLowerThanRequests as Lower,
};
use crate::vpa::EvictionRequirement;

type Requirement = (&'static [Resource], ChangeRequirement);

fn met(
    requirements: &[Requirement],
    containers: Vec<Container>,
    targets: &[(&str, Amounts)],
) -> bool {
    let pod = Pod {
        containers,
        ..Pod::default()
    };
    let published: Vec<_> = targets
        .iter()
        .map(|(name, target)| recommendation(name, [*target; 3]))
        .collect();
    let requirement = |(resources, change): &Requirement| EvictionRequirement {
        resources: resources.to_vec(),
        change: *change,
    };
    let requirements: Vec<_> = requirements.iter().map(requirement).collect();
    let vpa = Vpa::default();
    let rules = Rules::new(&pod, &vpa, &[], Profile::Upstream);
    let fitted = cap_for_pod(&pod, &published, &rules);
    are_met(&pod, &fitted, &requirements)
}

#[test]
fn one_container_moves_as_required() {
    let rows: [(&[Requirement], Amounts, bool); 12] = [
        (&[], (600, 10), true),
        (&[(&[Cpu], Higher)], (600, 10), true),
        (&[(&[Cpu], Lower)], (400, 10), true),
        (&[(&[Cpu, Mem], Higher)], (500, 10), false),
        (&[(&[Cpu, Mem], Higher)], (500, 11), true),
        (&[(&[Mem], Higher)], (500, 11), true),
        (&[(&[Mem], Lower)], (500, 9), true),
        (&[(&[Cpu, Mem], Higher)], (500, 9), false),
        (&[(&[Cpu], Higher), (&[Mem], Lower)], (600, 9), true),
        (&[(&[Cpu], Lower)], (1000, 9), false),
        (&[(&[Cpu], Higher), (&[Mem], Higher)], (600, 9), false),
        // Not upstream's row: what is not recommended counts as zero.
        (&[(&[Cpu], Lower)], (0, 9), true),
    ];
    for (requirements, (cpu, gib), want) in rows {
        let got = met(
            requirements,
            vec![container("c", (500, 10 * GI))],
            &[("c", (cpu, gib * GI))],
        );
        assert_eq!(got, want, "{requirements:?} {cpu} {gib}");
    }
}

#[test]
fn requests_that_are_missing_or_reported() {
    let higher: &[Requirement] = &[(&[Cpu], Higher)];
    assert!(
        met(&[], vec![container("c", (500, 10 * GI))], &[]),
        "nothing required, nothing recommended"
    );
    assert!(
        met(
            higher,
            vec![container("c", NOTHING)],
            &[("c", (600, 10 * GI))]
        ),
        "no request to compare with"
    );
    let mut reported = container("c", (500, 10 * GI));
    reported.status = Some(ContainerStatus {
        resources: Some(EffectiveResources {
            requests: list((100, GI)),
            limits: list(NOTHING),
        }),
        ..ContainerStatus::default()
    });
    assert!(
        met(
            &[(&[Cpu, Mem], Higher)],
            vec![reported],
            &[("c", (400, 4 * GI))]
        ),
        "the status wins"
    );
}

#[test]
fn one_of_two_containers_is_enough() {
    let rows: [(&[(&str, Amounts)], bool); 4] = [
        (&[("a", (600, 0)), ("b", (700, 0))], true),
        (&[("a", (200, 0)), ("b", (700, 0))], true),
        (&[("a", (200, 0)), ("b", (300, 0))], false),
        (&[("b", (300, 0))], false),
    ];
    for (targets, want) in rows {
        let containers = vec![
            container("a", (500, 10 * GI)),
            container("b", (500, 10 * GI)),
        ];
        assert_eq!(
            met(&[(&[Cpu], Higher)], containers, targets),
            want,
            "{targets:?}"
        );
    }
}

#[test]
fn requirements_hold_back_both_kinds_of_update() {
    for (mode, allowed) in [
        (UpdateMode::Recreate, "E--"),
        (UpdateMode::InPlaceOrRecreate, "RRR"),
    ] {
        let mut case = Case::new(Profile::Safe, mode, pods(3));
        case.vpa.eviction_requirements = vec![EvictionRequirement {
            resources: vec![Cpu],
            change: Higher,
        }];
        assert_eq!(letters(&case.decisions()), allowed, "{mode:?}");
        case.vpa.eviction_requirements[0].change = Lower;
        assert_eq!(
            codes(&case.decisions()),
            ["RequirementsNotMet"; 3],
            "{mode:?}"
        );
    }
}
