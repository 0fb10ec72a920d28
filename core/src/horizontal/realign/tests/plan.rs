//! A change to a whole HPA.

use super::super::*;
use crate::horizontal::{self, HorizontalAutoscaler, Target};
use crate::pod::{Container, Pod};
use crate::quantity::{Bytes, Millicores, Resource, ResourceList};

const GI: i64 = 1 << 30;

fn covers(text: &str) -> Covers {
    Covers::parse(text).unwrap()
}

fn kept(text: &str, target: i64, request: i64, set: i64) -> (Covers, Anchor) {
    let point = ScalePoint::new(target, request).unwrap();
    (covers(text), Anchor { point, set })
}

/// Of CPU of all containers, and of memory of `app`.
fn hpa(cpu: i64, memory: i64, anchors: Vec<(Covers, Anchor)>) -> HorizontalAutoscaler {
    let metric = |resource, container: Option<&str>, percent| horizontal::Metric::Resource {
        resource,
        container: container.map(String::from),
        target: Target::Utilization(percent),
    };
    HorizontalAutoscaler {
        metrics: vec![
            horizontal::Metric::Other,
            metric(Resource::Cpu, None, cpu),
            metric(Resource::Memory, Some("app"), memory),
        ],
        kept: Kept {
            anchors,
            ..Kept::default()
        },
        ..HorizontalAutoscaler::default()
    }
}

/// A pod of `app` with so much CPU and a Gi of memory, and of a sidecar with 100m.
fn pod(app: i64) -> Pod {
    let container = |name: &str, cpu, memory| Container {
        name: name.into(),
        requests: ResourceList {
            cpu: Some(Millicores(cpu)),
            memory: Some(Bytes(memory)),
        },
        ..Container::default()
    };
    Pod {
        containers: vec![container("app", app, GI), container("side", 100, GI / 8)],
        ..Pod::default()
    }
}

fn next(
    hpa: &HorizontalAutoscaler,
    pods: &[Pod],
    realigns: bool,
    waits: &[(Covers, i64)],
) -> Option<Retarget> {
    let sized = pods.iter().map(|pod| SizedPod {
        pod,
        wanted: Vec::new(),
    });
    let pods: Vec<_> = sized.collect();
    let situation = Situation {
        realigns,
        pods: &pods,
        waits,
    };
    retarget(hpa, &situation)
}

#[test]
fn requests_are_summed_over_what_a_metric_covers() {
    let pod = pod(400);
    let rows = [
        ("cpu", Some(500)),
        ("cpu/app", Some(400)),
        ("memory/app", Some(GI)),
        ("cpu/other", None),
    ];
    for (text, want) in rows {
        assert_eq!(request_of(&pod, &covers(text)), want, "{text}");
    }
    let mut without = pod;
    without.containers[1].requests.cpu = None;
    assert_eq!(request_of(&without, &covers("cpu")), None);
}

#[test]
fn both_metrics_are_taken_up_and_each_moves_alone() {
    let alike = [pod(400), pod(400)];
    let first = hpa(70, 80, vec![]);
    let both = vec![kept("cpu", 70, 500, 70), kept("memory/app", 80, GI, 80)];
    let taken = Retarget {
        moves: vec![],
        keep: both.clone(),
    };
    assert_eq!(next(&first, &alike, true, &[]), Some(taken));
    let known = hpa(70, 80, both);
    assert_eq!(next(&known, &alike, true, &[]), None);
    let moved = Retarget {
        moves: vec![Move {
            covers: covers("cpu"),
            from: 70,
            to: 74,
        }],
        keep: vec![kept("cpu", 70, 500, 74), kept("memory/app", 80, GI, 80)],
    };
    assert_eq!(
        next(&known, &alike, true, &[(covers("cpu"), 90)]),
        Some(moved)
    );
    // Nobody realigns it any more, and all pods are as they were.
    let forgotten = next(&known, &alike, false, &[]);
    assert_eq!(forgotten, Some(Retarget::default()));
}

#[test]
fn what_cannot_be_told_or_moved_is_left_alone() {
    let mixed = [pod(400), pod(300)];
    // The memory of both is the same.
    let some = next(&hpa(70, 80, vec![]), &mixed, true, &[]).unwrap();
    assert_eq!(some.keep, [kept("memory/app", 80, GI, 80)]);
    let managed = HorizontalAutoscaler {
        kept: Kept {
            managed_by: Some("Flux"),
            ..Kept::default()
        },
        ..hpa(70, 80, vec![])
    };
    assert_eq!(next(&managed, &[pod(400)], true, &[]), None);
    let mut twice = hpa(70, 80, vec![]);
    twice.metrics.push(horizontal::Metric::Resource {
        resource: Resource::Cpu,
        container: Some("app".into()),
        target: Target::Utilization(50),
    });
    let some = next(&twice, &[pod(400)], true, &[]).unwrap();
    assert_eq!(some.keep, [kept("memory/app", 80, GI, 80)]);
    assert_eq!(next(&hpa(70, 80, vec![]), &mixed, false, &[]), None);
}
