use std::sync::Arc;

use super::realign::{Anchor, Covers, Kept, NotAligned, ScalePoint};
use super::*;
use crate::ownership::ControllerKey;
use crate::profile::Profile;

fn on(resource: Resource, container: Option<&str>, target: Target) -> Metric {
    Metric::Resource {
        resource,
        container: container.map(String::from),
        target,
    }
}

fn hpa(name: &str, metrics: Vec<Metric>) -> HorizontalAutoscaler {
    HorizontalAutoscaler {
        namespace: "shop".into(),
        name: name.into(),
        target: Some(OwnerRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "web".into(),
        }),
        metrics,
        ..HorizontalAutoscaler::default()
    }
}

#[test]
fn the_annotation_is_read() {
    let rows = [
        ("yield", Some(Horizontal::Yield)),
        (" realign ", Some(Horizontal::Realign)),
        ("ignore", Some(Horizontal::Ignore)),
        ("", None),
        ("Yield", None),
    ];
    for (text, want) in rows {
        assert_eq!(Horizontal::parse(text).ok(), want, "{text}");
    }
    let defaults = [Profile::Safe, Profile::Upstream].map(Horizontal::of_profile);
    assert_eq!(defaults, [Horizontal::Yield, Horizontal::Ignore]);
}

#[test]
fn what_is_scaled_on_by_utilization_is_claimed() {
    use Resource::{Cpu, Memory};
    use Target::{AverageValue, Utilization};
    // The metrics; whether app's CPU, app's memory, side's CPU and side's memory are claimed.
    let rows = [
        (vec![], [false; 4]),
        (
            vec![on(Cpu, None, Utilization(70))],
            [true, false, true, false],
        ),
        (
            vec![on(Memory, None, Utilization(70))],
            [false, true, false, true],
        ),
        (
            vec![on(Cpu, Some("app"), Utilization(70))],
            [true, false, false, false],
        ),
        (vec![on(Cpu, None, AverageValue(350))], [false; 4]),
        (vec![on(Cpu, None, Target::Unknown)], [false; 4]),
        (vec![Metric::Other], [false; 4]),
        (
            vec![
                Metric::Other,
                on(Cpu, None, AverageValue(350)),
                on(Memory, Some("side"), Utilization(80)),
            ],
            [false, false, false, true],
        ),
    ];
    for (metrics, want) in rows {
        let hpas = [Arc::new(hpa("web", metrics.clone()))];
        for (stance, holds) in [
            (Horizontal::Yield, true),
            (Horizontal::Realign, true),
            (Horizontal::Ignore, false),
        ] {
            let claims = Claims::new(&hpas, stance);
            let got = [
                ("app", Cpu),
                ("app", Memory),
                ("side", Cpu),
                ("side", Memory),
            ];
            let got = got.map(|(container, resource)| claims.on(container, resource).is_some());
            assert_eq!(got, want.map(|claimed| claimed && holds), "{metrics:?}");
        }
    }
}

#[test]
fn each_of_two_claims_names_its_own() {
    let hpas = [
        Arc::new(hpa(
            "a",
            vec![on(Resource::Cpu, None, Target::Utilization(50))],
        )),
        Arc::new(hpa(
            "b",
            vec![on(Resource::Memory, None, Target::Utilization(80))],
        )),
    ];
    let claims = Claims::new(&hpas, Horizontal::Yield);
    let names = Resource::ALL.map(|r| claims.on("app", r).unwrap().hpa.name.clone());
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn hpas_are_found_by_what_they_scale() {
    let web = ControllerKey::new("shop", "Deployment", "web");
    let other = ControllerKey::new("shop", "StatefulSet", "web");
    let mut known = Horizontals::default();
    let names = |known: &Horizontals, key: &ControllerKey| -> Vec<_> {
        known.of(key).iter().map(|hpa| hpa.name.clone()).collect()
    };
    assert!(known.of_chain(std::slice::from_ref(&web)).is_empty() && known.is_empty());
    known.apply(hpa("b", vec![]));
    known.apply(hpa("a", vec![]));
    known.apply(HorizontalAutoscaler {
        target: None,
        ..hpa("nothing", vec![])
    });
    assert_eq!(names(&known, &web), ["a", "b"]);
    assert_eq!(known.of_chain(&[other.clone(), web.clone()]).len(), 2);
    let mut moved = hpa("a", vec![Metric::Other]);
    if let Some(target) = &mut moved.target {
        target.kind = "StatefulSet".into();
    }
    known.apply(moved);
    assert_eq!(
        (names(&known, &web), names(&known, &other)),
        (vec!["b".into()], vec!["a".into()])
    );
    known.retain(|(_, name)| name == "b");
    assert_eq!((known.iter().count(), names(&known, &other)), (1, vec![]));
    known.delete("shop", "b");
    assert!(known.is_empty() && known.of(&web).is_empty());
}

#[test]
fn a_target_moves_with_the_requests_where_it_can() {
    let kept = |covers: &str, set| Kept {
        anchors: vec![(
            Covers::parse(covers).unwrap(),
            Anchor {
                point: ScalePoint::new(70, 1000).unwrap(),
                set,
            },
        )],
        ..Kept::default()
    };
    let cpu = |target| vec![on(Resource::Cpu, None, Target::Utilization(target))];
    let of = |kept, metrics| HorizontalAutoscaler {
        kept,
        ..hpa("web", metrics)
    };
    let mut both = cpu(80);
    both.push(on(Resource::Cpu, Some("app"), Target::Utilization(80)));
    let unreadable = Kept {
        problem: Some("why".into()),
        ..kept("cpu", 80)
    };
    let managed = Kept {
        managed_by: Some("Flux"),
        ..kept("cpu", 80)
    };
    let short = HorizontalAutoscaler {
        down_stabilization: Some(Duration::ZERO),
        ..of(kept("cpu", 80), cpu(80))
    };
    // The HPA; its scale point's target and its target in force, or why it does not move.
    let rows = [
        (of(kept("cpu", 80), cpu(80)), Ok((70, 80))),
        // Its owner has spoken since.
        (of(kept("cpu", 80), cpu(60)), Ok((60, 60))),
        (of(kept("cpu", 80), cpu(10)), Err(NotAligned::TooCoarse(10))),
        (of(Kept::default(), cpu(80)), Err(NotAligned::NoScalePoint)),
        (
            of(kept("memory", 80), cpu(80)),
            Err(NotAligned::NoScalePoint),
        ),
        (of(kept("cpu", 80), both), Err(NotAligned::SeveralTargets)),
        (
            of(unreadable, cpu(80)),
            Err(NotAligned::Unreadable("why".into())),
        ),
        (of(managed, cpu(80)), Err(NotAligned::Managed("Flux"))),
        (short, Err(NotAligned::ShortWindow(Duration::ZERO))),
    ];
    for (hpa, want) in rows {
        let hpas = [Arc::new(hpa)];
        let claims = Claims::new(&hpas, Horizontal::Realign);
        let left = claims.iter().next().and_then(|claim| claim.stays.clone());
        let aligned = claims.aligned().first();
        let got = aligned.map(|a| (a.point.target(), a.in_force)).ok_or(left);
        assert_eq!(got, want.map_err(Some), "{hpas:?}");
        assert_eq!(claims.on("app", Resource::Cpu).is_some(), got.is_err());
        let others = [Horizontal::Yield, Horizontal::Ignore];
        let others = others.map(|stance| Claims::new(&hpas, stance));
        assert!(others.iter().all(|claims| claims.aligned().is_empty()));
    }
}
