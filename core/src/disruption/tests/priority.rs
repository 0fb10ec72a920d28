//! Vectors 11.1 and 11.2.

use std::cmp::Ordering;

use super::super::priority::{Assessment, Priority, assess};
use super::*;
use crate::admission::OBSERVED_CONTAINERS_ANNOTATION;
use crate::policy::{Rules, cap_for_pod};
use crate::vpa::ContainerPolicy;

const M: i64 = 1_000_000;

fn measure(pod: &Pod, recommended: &[ContainerRecommendation]) -> Assessment {
    let (vpa, config, memory) = (
        Vpa::default(),
        Config::new(Profile::Upstream),
        Memory::default(),
    );
    let rules = Rules::new(pod, &vpa, &[], config.profile);
    let fitted = cap_for_pod(pod, recommended, &rules);
    let nodes = Nodes::default();
    let setting = Setting {
        vpa: &vpa,
        limit_ranges: &[],
        fits: &fit::Fits::new(&nodes, &config),
        memory: &memory,
        config: &config,
        now: hours(24),
        paused: None,
    };
    assess(pod, &fitted, &setting)
}

/// The requests of a container; its target, lower and upper bound.
type One = (Amounts, [Amounts; 3]);

/// Name, containers, whether outside of bounds, whether scaled up, relative change.
type Measured = (&'static str, Vec<One>, bool, bool, f64);

fn check(rows: Vec<Measured>) {
    for (name, containers, outside, scale_up, change) in rows {
        let names: Vec<_> = (0..containers.len()).map(|i| format!("c{i}")).collect();
        let all = || names.iter().zip(&containers);
        let pod = Pod {
            containers: all()
                .map(|(n, (requests, _))| container(n, *requests))
                .collect(),
            ..Pod::default()
        };
        let recommended: Vec<_> = all()
            .map(|(n, (_, bounds))| recommendation(n, *bounds))
            .collect();
        let got = measure(&pod, &recommended);
        assert_eq!(
            (got.outside.is_some(), got.priority.scale_up),
            (outside, scale_up),
            "{name}"
        );
        assert!(
            (got.priority.change - change).abs() < 1e-9,
            "{name}: {}",
            got.priority.change
        );
    }
}

fn cpu(request: i64, target: i64) -> One {
    ((request, 0), [(target, 0), NOTHING, NOTHING])
}

fn both(request: Amounts, target: Amounts) -> One {
    (request, [target, NOTHING, NOTHING])
}

/// Vectors 11.1.
#[test]
fn a_container_is_measured_against_its_recommendation() {
    let one_outside = (
        (4000, 20 * M),
        [(2000, 10 * M), (1000, 5 * M), (3000, 30 * M)],
    );
    check(vec![
        ("simple up", vec![cpu(2000, 10_000)], false, true, 4.0),
        ("simple down", vec![cpu(4000, 2000)], false, false, 0.5),
        ("no diff", vec![cpu(2000, 2000)], false, false, 0.0),
        ("millis", vec![cpu(10, 900)], false, true, 89.0),
        (
            "up outside",
            vec![((4000, 0), [(10_000, 0), (6000, 0), (14_000, 0)])],
            true,
            true,
            1.5,
        ),
        (
            "down outside",
            vec![((8000, 0), [(2000, 0), (1000, 0), (3000, 0)])],
            true,
            false,
            0.75,
        ),
        (
            "both up",
            vec![both((3000, 10 * M), (6000, 20 * M))],
            false,
            true,
            2.0,
        ),
        (
            "one up",
            vec![both((4000, 10 * M), (2000, 20 * M))],
            false,
            true,
            1.5,
        ),
        (
            "both down",
            vec![both((4000, 20 * M), (2000, 10 * M))],
            false,
            false,
            1.0,
        ),
        ("one outside", vec![one_outside], true, false, 1.0),
        // Not among upstream's rows, but its behaviour: a missing request is outside, and counts as one unit.
        ("no request", vec![cpu(0, 10)], true, true, 10.0),
    ]);
}

/// Vectors 11.1, continued.
#[test]
fn containers_are_measured_together() {
    let first = ((1000, 0), [(4000, 0), (1000, 0), NOTHING]);
    let outside = ((2000, 0), [(8000, 0), (3000, 0), (10_000, 0)]);
    let (up, cpu_up) = (
        both((6000, 10 * M), (8000, 20 * M)),
        both((4000, 30 * M), (7000, 30 * M)),
    );
    check(vec![
        (
            "2 containers up",
            vec![cpu(1000, 4000), cpu(2000, 8000)],
            false,
            true,
            3.0,
        ),
        (
            "2 containers down",
            vec![cpu(3000, 1000), cpu(7000, 2000)],
            false,
            false,
            0.7,
        ),
        (
            "2 containers, one outside",
            vec![first, outside],
            true,
            true,
            3.0,
        ),
        (
            "2 containers, 2 resources",
            vec![up, cpu_up],
            false,
            true,
            0.75,
        ),
    ]);
}

#[test]
fn the_status_wins_and_nothing_recommended_is_nothing_to_do() {
    let mut only = container("c", (10_000_000, 0));
    only.status = Some(ContainerStatus {
        resources: Some(EffectiveResources {
            requests: list((2000, 0)),
            limits: list(NOTHING),
        }),
        ..ContainerStatus::default()
    });
    let pod = Pod {
        containers: vec![only],
        ..Pod::default()
    };
    let up = measure(
        &pod,
        &[recommendation("c", [(10_000, 0), NOTHING, NOTHING])],
    );
    assert_eq!(
        up.priority,
        Priority {
            scale_up: true,
            change: 4.0,
            ..Priority::default()
        }
    );
    assert_eq!(measure(&pod, &[]), Assessment::default());
}

/// Vectors 11.1, last paragraph.
#[test]
fn containers_injected_after_admission_are_not_judged() {
    for (observed, change) in [
        (None, 9.0),
        (Some("c"), 9.0),
        (Some(""), 0.0),
        (Some("abcd;';"), 9.0),
    ] {
        let annotations = observed.map(|text| {
            BTreeMap::from([(OBSERVED_CONTAINERS_ANNOTATION.to_owned(), text.to_owned())])
        });
        let pod = Pod {
            annotations,
            ..pod("p", (1000, 0))
        };
        let got = measure(
            &pod,
            &[recommendation("c", [(10_000, 0), NOTHING, NOTHING])],
        );
        assert!(
            (got.priority.change - change).abs() < 1e-9,
            "{observed:?}: {}",
            got.priority.change
        );
    }
}

/// Vectors 11.2: the order, and Less.
#[test]
fn the_most_urgent_comes_first() {
    let priority = |scale_up: bool, change: f64| Priority {
        scale_up,
        change,
        ..Priority::default()
    };
    let rows = [
        (priority(false, 0.1), Priority::default(), Ordering::Greater),
        (priority(true, 0.1), Priority::default(), Ordering::Greater),
        (priority(true, 0.1), priority(true, 1.0), Ordering::Less),
        (
            priority(false, 0.9),
            priority(false, 0.1),
            Ordering::Greater,
        ),
        (
            priority(true, 0.25),
            priority(false, 0.5),
            Ordering::Greater,
        ),
        (priority(false, 0.25), priority(false, 0.5), Ordering::Less),
        (
            Priority {
                out_of_memory: true,
                ..Priority::default()
            },
            priority(true, 9.0),
            Ordering::Greater,
        ),
    ];
    for (a, b, want) in rows {
        assert_eq!(
            (a.cmp(&b), b.cmp(&a)),
            (want, want.reverse()),
            "{a:?} {b:?}"
        );
    }
    let mut queue = [
        priority(true, 4.0),
        priority(true, 1.5),
        priority(true, 9.0),
        priority(false, 2.33),
    ];
    queue.sort_by(|a, b| b.cmp(a));
    assert_eq!(
        queue.map(|p| (p.change * 100.0) as i64),
        [900, 400, 150, 233]
    );
}

/// Pods that request so much CPU, `age` hours after their start, under a recommendation of 1000 within 100 to 1200, with
/// an update threshold of `threshold`; the names of those evicted, in order.
fn evicted(threshold: f64, age: u64, requests: &[i64], change: impl Fn(&mut Case)) -> Vec<String> {
    let pods = requests
        .iter()
        .enumerate()
        .map(|(i, request)| pod(&format!("p{}", i + 1), (*request, 0)))
        .collect();
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, pods);
    case.vpa.recommendation = Some(vec![recommendation("c", [(1000, 0), (100, 0), (1200, 0)])]);
    case.vpa.min_replicas = Some(1);
    case.config.eviction_tolerance = 1.0;
    case.config.update_threshold = threshold;
    case.now = hours(age);
    change(&mut case);
    let decisions = case.plan();
    decisions
        .iter()
        .filter(|d| d.action != Action::Skip)
        .map(|d| d.pod.name.clone())
        .collect()
}

/// Vectors 11.2: which pods are due, and in which order. The rows' numbers are made with requests: 800 is up .25, 200 up
/// 4.0, 1334 down .25 and out of bounds.
#[test]
fn due_are_pods_out_of_bounds_and_old_ones_that_changed_enough() {
    type Row = (
        &'static str,
        f64,
        u64,
        &'static [i64],
        &'static [&'static str],
    );
    let plain = |_: &mut Case| {};
    let rows: [Row; 6] = [
        ("sort", 0.1, 24, &[200, 400, 100, 1100], &["p3", "p1", "p2"]),
        ("decrease", 0.1, 24, &[800, 1334, 2000], &["p1", "p3", "p2"]),
        ("not required", 0.1, 24, &[1000], &[]),
        ("long-lived", 0.5, 13, &[800, 200, 1334], &["p2", "p3"]),
        ("short-lived", 0.5, 11, &[800, 1000, 10_000], &["p3"]),
        ("no pods", 0.1, 24, &[], &[]),
    ];
    for (name, threshold, age, requests, want) in rows {
        assert_eq!(evicted(threshold, age, requests, plain), want, "{name}");
    }
    let unstarted = evicted(0.1, 24, &[800], |case| case.pods[0].started = None);
    assert_eq!(unstarted, [""; 0], "without a start there is no age");
}

/// Vectors 11.2, quick OOM: the pod of 800 is 11 hours old and within bounds.
#[test]
fn a_quick_oom_makes_a_young_pod_due() {
    let oom = |minutes: u64| {
        move |case: &mut Case| case.pods[0].containers[0].status = Some(oom_killed_after(minutes))
    };
    assert_eq!(evicted(0.5, 11, &[800], oom(2)), ["p1"]);
    assert_eq!(
        evicted(0.5, 11, &[1000], oom(2)),
        [""; 0],
        "nothing would change"
    );
    assert_eq!(
        evicted(0.5, 11, &[800], oom(10)),
        [""; 0],
        "ten minutes are no longer quick"
    );
    assert_eq!(
        evicted(0.5, 11, &[800], oom(57)),
        [""; 0],
        "it ran long before"
    );

    for (observed, due) in [(None, true), (Some("c"), true), (Some(""), false)] {
        let got = evicted(0.5, 11, &[800], |case| {
            oom(2)(case);
            case.pods[0].annotations = observed.map(|text| {
                BTreeMap::from([(OBSERVED_CONTAINERS_ANNOTATION.to_owned(), text.to_owned())])
            });
        });
        assert_eq!(got.len() == 1, due, "{observed:?}");
    }
    for (name, off, due) in [
        ("c", false, true),
        ("c", true, false),
        ("*", false, true),
        ("*", true, false),
    ] {
        let got = evicted(0.5, 11, &[800], |case| {
            oom(2)(case);
            case.vpa.container_policies = vec![ContainerPolicy {
                container_name: name.into(),
                off,
                ..ContainerPolicy::default()
            }];
        });
        assert_eq!(got.len() == 1, due, "{name} {off}");
    }
}

/// Vectors 11.2, infeasible attempts: mode, attempted before, recommended now; whether it is tried.
#[test]
fn what_was_refused_is_tried_again_when_less_is_asked() {
    use UpdateMode::{Auto, InPlace, Recreate};
    const LAST: Option<Amounts> = Some((200, 512 * MI));
    let rows: [(UpdateMode, Option<Amounts>, Amounts, bool); 8] = [
        (InPlace, None, (200, 512 * MI), true),
        (InPlace, LAST, (200, 512 * MI), false),
        (InPlace, LAST, (300, GI), false),
        (InPlace, LAST, (150, 512 * MI), true),
        (InPlace, LAST, (200, 256 * MI), true),
        (InPlace, LAST, (150, GI), true),
        (Recreate, LAST, (200, 512 * MI), true),
        (Auto, LAST, (200, 512 * MI), true),
    ];
    for (mode, last, now, tried) in rows {
        let mut case = Case::new(Profile::Safe, mode, pods(3));
        case.vpa.recommendation = Some(vec![recommendation("c", [now; 3])]);
        if let Some(last) = last {
            case.memory.refuse("uid-p0", attempt(&[("c", last)]));
        }
        let decision = case.decision_on(0);
        assert_eq!(
            decision.action != Action::Skip,
            tried,
            "{mode:?} {last:?} {now:?}: {}",
            decision.reason
        );
    }
}

fn attempt(requests: &[(&str, Amounts)]) -> Vec<ContainerChange> {
    let change = |(index, (name, requests)): (usize, &(&str, Amounts))| ContainerChange {
        index,
        name: (*name).into(),
        requests: list(*requests),
        ..ContainerChange::default()
    };
    requests.iter().enumerate().map(change).collect()
}

/// Vectors 11.2, lower than the last attempt: before, now; whether something is lower.
#[test]
fn lower_than_before() {
    type Attempt = &'static [(&'static str, Amounts)];
    let rows: [(Attempt, Attempt, bool); 11] = [
        (&[], &[], false),
        (&[], &[("c", (100, 0))], false),
        (&[("c", (100, 0))], &[], false),
        (&[("c", (200, 0))], &[("c", (100, 0))], true),
        (&[("c", (0, 512))], &[("c", (0, 256))], true),
        (&[("c", (100, 256))], &[("c", (200, 512))], false),
        (&[("c", (100, 256))], &[("c", (100, 256))], false),
        (&[("c", (200, 0))], &[("other", (100, 0))], false),
        (&[("c", (200, 256))], &[("c", (100, 512))], true),
        (&[("c", (100, 512))], &[("c", (200, 256))], true),
        (
            &[("a", (1, 1)), ("b", (2, 2))],
            &[("a", (1, 1)), ("b", (2, 1))],
            true,
        ),
    ];
    for (before, now, lower) in rows {
        let mut memory = Memory::default();
        memory.refuse("uid", attempt(before));
        assert_eq!(
            memory.refuses("uid", &attempt(now)),
            !lower,
            "{before:?} {now:?}"
        );
        assert!(!memory.refuses("another", &attempt(now)));
    }
}
