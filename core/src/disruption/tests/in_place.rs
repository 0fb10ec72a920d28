//! Vectors 11.5.

use super::*;
use UpdateMode::{InPlace, InPlaceOrRecreate};

/// A group of `pods` running pods of `configured` replicas, the first of which is due and in `state`.
fn case(
    mode: UpdateMode,
    configured: i64,
    tolerance: f64,
    pods_: usize,
    state: ResizeState,
) -> Case {
    let mut case = Case::new(Profile::Upstream, mode, pods(pods_));
    case.pods[0].resize = state;
    if case.pods[0].is_resizing() {
        // The spec holds what was asked for, and the status what is in force.
        let container = &mut case.pods[0].containers[0];
        let resources = Some(EffectiveResources {
            requests: container.requests,
            limits: container.limits,
        });
        container.status = Some(ContainerStatus {
            resources,
            ..ContainerStatus::default()
        });
        container.requests = list(TARGET);
    }
    case.replicas = ConfiguredReplicas::Known(configured);
    case.config.eviction_tolerance = tolerance;
    case.config.in_place_mode = true;
    case
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

const HOUR: i64 = 3_600_000;

fn state(name: &str) -> ResizeState {
    match name {
        "none" => ResizeState::None,
        "deferred" => deferred(),
        "infeasible" => infeasible(),
        "in-progress" => ResizeState::InProgress,
        "error" => ResizeState::Error {
            message: "some error".into(),
        },
        _ => ResizeState::Unknown {
            message: String::new(),
        },
    }
}

#[test]
fn a_resize_is_started_awaited_or_given_up() {
    let table = include_str!("../../../testdata/in_place_decisions.csv");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(rows.len(), 26);
    for row in rows {
        let columns: Vec<_> = row.split(',').collect();
        let [
            mode,
            configured,
            tolerance,
            pods,
            resize,
            since,
            now,
            skip,
            action,
            code,
        ] = columns[..]
        else {
            panic!("columns: {row}")
        };
        let mut case = case(
            UpdateMode::from_name(mode).unwrap(),
            configured.parse().unwrap(),
            tolerance.parse().unwrap(),
            pods.parse().unwrap(),
            state(resize),
        );
        case.config.in_place_skip_disruption_budget = skip == "yes";
        case.memory
            .observe(&case.snapshot(), at(since.parse().unwrap()));
        case.now = at(now.parse().unwrap());
        let decision = case.decision_on(0);
        assert_eq!(
            (
                letter(&decision).to_string().as_str(),
                decision.reason.code()
            ),
            (action, code),
            "{row}"
        );
    }
}

#[test]
fn without_a_recommendation_or_the_gate_nothing_happens() {
    let mut silent = case(InPlace, 3, 0.5, 3, ResizeState::None);
    silent.vpa.recommendation = None;
    assert_eq!(codes(&silent.decisions()), ["NoRecommendation"; 3]);
    let mut gated = case(InPlace, 5, 1.0, 5, ResizeState::None);
    gated.config.in_place_mode = false;
    assert_eq!(codes(&gated.decisions()), ["ModeNotEnabled"; 5]);
}

/// Refused attempts: what was refused, what is recommended now; what happens in mode `InPlace` and in
/// `InPlaceOrRecreate`.
/// Upstream has no such memory in the latter, as there it evicts in the same loop.
#[test]
fn a_refused_resize_is_not_repeated() {
    let rows: [(Option<Amounts>, Amounts, char, char); 4] = [
        (Some((1000, GI)), (1000, GI), '-', 'E'),
        (Some((2000, 2 * GI)), (1000, 2 * GI), 'R', 'R'),
        (Some((1000, GI)), (2000, 2 * GI), '-', 'E'),
        (None, (1000, GI), 'R', 'R'),
    ];
    for (refused, target, in_place, or_recreate) in rows {
        for (mode, want) in [(InPlace, in_place), (InPlaceOrRecreate, or_recreate)] {
            let mut case = case(mode, 3, 0.5, 3, ResizeState::None);
            if let Some(refused) = refused {
                case.vpa.recommendation = Some(vec![recommendation("c", [refused; 3])]);
                let Action::Resize(changes) = case.decision_on(0).action else {
                    panic!("a resize was due")
                };
                case.memory.refuse("uid-p0", changes);
            }
            case.vpa.recommendation = Some(vec![recommendation("c", [target; 3])]);
            let decision = case.decision_on(0);
            assert_eq!(
                letter(&decision),
                want,
                "{mode:?} {refused:?} {target:?}: {}",
                decision.reason
            );
        }
    }
}

/// How many of a group are resized at once.
#[test]
fn resizes_keep_the_budget_unless_they_disrupt_nothing() {
    let rows = [
        ("too few", 10, 5, 0.5, 5, false, "-----"),
        ("much tolerance", 2, 5, 0.8, 5, false, "RRRR-"),
        ("budget skipped", 2, 5, 0.8, 5, true, "RRRRR"),
        ("little tolerance", 2, 5, 0.1, 5, false, "R----"),
        (
            "little tolerance, budget skipped",
            2,
            5,
            0.1,
            5,
            true,
            "RRRRR",
        ),
        ("4 missing, budget skipped", 2, 5, 0.5, 1, true, "R"),
        ("too few, budget skipped", 10, 5, 0.5, 5, true, "RRRRR"),
        ("3, half", 2, 3, 0.5, 3, false, "R--"),
        ("3, little", 2, 3, 0.1, 3, false, "R--"),
        ("single", 2, 1, 0.5, 1, false, "-"),
        ("single, one is enough", 1, 1, 0.5, 1, false, "R"),
    ];
    for (name, min_replicas, configured, tolerance, pods, skip, want) in rows {
        let mut case = case(
            InPlaceOrRecreate,
            configured,
            tolerance,
            pods,
            ResizeState::None,
        );
        case.config.min_replicas = min_replicas;
        case.config.in_place_skip_disruption_budget = skip;
        assert_eq!(letters(&case.decisions()), want, "{name}");
    }
}

#[test]
fn skipping_the_budget_in_place_does_not_skip_it_for_evictions() {
    let mut case = case(InPlaceOrRecreate, 5, 0.5, 1, infeasible());
    case.config.in_place_skip_disruption_budget = true;
    assert_eq!(codes(&case.decisions()), ["TooFewReplicas"]);
}

/// As upstream, so that a loop does not take down a pod while it changes the others.
#[test]
fn resizes_without_a_budget_count_against_evictions() {
    let mut case = case(InPlaceOrRecreate, 3, 0.5, 3, infeasible());
    case.config.in_place_skip_disruption_budget = true;
    assert_eq!(letters(&case.decisions()), "ERR");
    let container = &mut case.pods[0].containers[0];
    // Closer to its target than the others, and so after them.
    container
        .status
        .as_mut()
        .unwrap()
        .resources
        .as_mut()
        .unwrap()
        .requests = list((900, GI));
    assert_eq!(letters(&case.decisions()), "-RR");
}

/// Three pods, tolerance .1: one infeasible, one in progress, one plain. Each alone: evict, wait, resize.
#[test]
fn pods_of_one_group_stand_at_different_points() {
    let mut case = case(InPlaceOrRecreate, 3, 0.1, 3, infeasible());
    case.pods[1].resize = ResizeState::InProgress;
    case.memory.observe(&case.snapshot(), case.now);
    let alone: String = (0..3).map(|i| letter(&case.decision_on(i))).collect();
    assert_eq!(alone, "E-R");
    assert_eq!(
        letters(&case.decisions()),
        "E--",
        "together they share one budget"
    );
}

/// Containers by the resize policy of CPU and of memory (true: restart); resizes in one pass of 5 pods, tolerance .1.
#[test]
fn a_resize_that_restarts_a_container_is_a_disruption() {
    type Row = (&'static [(bool, bool)], bool, &'static str);
    let rows: [Row; 8] = [
        (&[(false, false)], true, "RRRRR"),
        (&[(false, false)], false, "R----"),
        (&[(true, false)], true, "R----"),
        (&[(false, true)], true, "R----"),
        (&[(false, false), (false, false)], true, "RRRRR"),
        (&[(false, false), (true, false)], true, "R----"),
        (&[(true, true), (false, false)], true, "R----"),
        (&[], true, "-----"),
    ];
    for (containers, skip, want) in rows {
        let mut case = case(InPlaceOrRecreate, 5, 0.1, 5, ResizeState::None);
        case.config.in_place_skip_disruption_budget = skip;
        let names: Vec<_> = (0..containers.len()).map(|i| format!("c{i}")).collect();
        for pod in &mut case.pods {
            let with_policy = |(name, (cpu, memory)): (&String, &(bool, bool))| Container {
                restarts_on_cpu_resize: *cpu,
                restarts_on_memory_resize: *memory,
                ..container(name, FAR)
            };
            pod.containers = names.iter().zip(containers).map(with_policy).collect();
        }
        case.vpa.recommendation = Some(
            names
                .iter()
                .map(|n| recommendation(n, [TARGET; 3]))
                .collect(),
        );
        assert_eq!(letters(&case.decisions()), want, "{containers:?} {skip}");
    }
}

/// Not upstream's rows: only what changes restarts a container.
#[test]
fn a_resource_that_stays_restarts_nothing() {
    let mut case = case(InPlaceOrRecreate, 5, 0.1, 5, ResizeState::None);
    case.config.in_place_skip_disruption_budget = true;
    for pod in &mut case.pods {
        pod.containers[0].restarts_on_memory_resize = true;
        pod.containers[0].requests.memory = list(TARGET).memory;
    }
    assert_eq!(letters(&case.decisions()), "RRRRR");
}

/// Upstream keys its clocks by name, and never resets them: a second resize then times out at once.
#[test]
fn each_resize_and_each_pod_has_its_own_clock() {
    let mut case = case(InPlaceOrRecreate, 3, 0.5, 3, ResizeState::InProgress);
    let observe = |case: &mut Case, now: i64| {
        case.memory.observe(&case.snapshot(), at(now));
        case.now = at(now);
        letter(&case.decision_on(0))
    };
    assert_eq!(observe(&mut case, 0), '-');
    case.pods[0].resize = deferred();
    assert_eq!(
        observe(&mut case, HOUR / 6),
        '-',
        "waiting has another clock than progress"
    );
    case.pods[0].resize = ResizeState::None;
    assert_eq!(observe(&mut case, HOUR), '-', "its spec is as recommended");
    case.pods[0].resize = deferred();
    assert_eq!(observe(&mut case, HOUR + 1), '-', "a second resize");
    assert_eq!(observe(&mut case, HOUR + 1 + HOUR / 6), 'E');
    case.pods[0].uid = "another".into();
    assert_eq!(
        observe(&mut case, HOUR + 2 + HOUR / 6),
        '-',
        "another pod of the same name"
    );
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut case = case(InPlace, 3, 0.5, 3, deferred());
    case.memory.observe(&case.snapshot(), at(0));
    case.memory.refuse("uid-p1", vec![]);
    assert_ne!(case.memory, Memory::default());
    case.pods.clear();
    case.memory.observe(&case.snapshot(), at(1));
    assert_eq!(case.memory, Memory::default());
}

#[test]
fn a_pod_that_has_not_started_is_not_resized() {
    let mut case = case(InPlaceOrRecreate, 3, 0.5, 3, ResizeState::None);
    case.pods[0].phase = Phase::Pending;
    assert_eq!(case.decision_on(0).reason.code(), "NotStarted");
}

#[test]
fn an_infeasible_resize_is_replaced_by_a_smaller_one_in_mode_in_place() {
    let mut case = case(InPlace, 3, 0.5, 3, infeasible());
    case.vpa.recommendation = Some(vec![recommendation("c", [(500, GI); 3])]);
    assert_eq!(letter(&case.decision_on(0)), 'R');
}

#[test]
fn a_resize_that_was_asked_for_is_not_asked_for_twice() {
    let mut case = case(InPlaceOrRecreate, 3, 0.5, 3, deferred());
    // The spec is changed, the status is not, and the kubelet has said nothing yet.
    case.pods[0].resize = ResizeState::None;
    assert_eq!(case.decision_on(0).reason.code(), "NotInForceYet");
}
