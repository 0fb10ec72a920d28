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
    case.config.gates.in_place = true;
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
    for row in rows(include_str!("../../../testdata/in_place_decisions.csv")) {
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
        ] = row[..]
        else {
            panic!("{row:?}")
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
            "{row:?}"
        );
    }
}

#[test]
fn without_a_recommendation_or_the_gate_nothing_happens() {
    let mut silent = case(InPlace, 3, 0.5, 3, ResizeState::None);
    silent.vpa.recommendation = None;
    assert_eq!(codes(&silent.decisions()), ["NoRecommendation"; 3]);
    let mut gated = case(InPlace, 5, 1.0, 5, ResizeState::None);
    gated.config.gates.in_place = false;
    assert_eq!(codes(&gated.decisions()), ["ModeNotEnabled"; 5]);
}

#[test]
fn resizes_keep_the_budget_unless_they_disrupt_nothing() {
    for row in rows(include_str!("../../../testdata/in_place_budgets.csv")) {
        let [
            name,
            min_replicas,
            configured,
            tolerance,
            pods,
            policies,
            skip,
            want,
        ] = row[..]
        else {
            panic!("{row:?}")
        };
        let mut case = case(
            InPlaceOrRecreate,
            number(configured).unwrap(),
            number(tolerance).unwrap(),
            number(pods).unwrap(),
            ResizeState::None,
        );
        case.config.min_replicas = number(min_replicas).unwrap();
        case.config.in_place_skip_disruption_budget = skip == "yes";
        let with_policy = |(i, policy): (usize, &str)| Container {
            restarts_on_cpu_resize: policy.starts_with('r'),
            restarts_on_memory_resize: policy.ends_with('r'),
            ..container(&format!("c{i}"), FAR)
        };
        let containers: Vec<_> = policies.split(' ').enumerate().map(with_policy).collect();
        let all = containers
            .iter()
            .map(|c| recommendation(&c.name, [TARGET; 3]));
        case.vpa.recommendation = Some(all.collect());
        for pod in &mut case.pods {
            pod.containers.clone_from(&containers);
        }
        assert_eq!(letters(&case.decisions()), want, "{name}");
    }
}

/// Once refused, evicted where the mode lets it. Upstream has no such memory then: there the eviction is in the same loop.
#[test]
fn a_refused_resize_becomes_an_eviction_in_mode_in_place_or_recreate() {
    let mut case = case(InPlaceOrRecreate, 3, 0.5, 3, ResizeState::None);
    let Action::Resize(changes) = case.decision_on(0).action else {
        panic!("a resize was due")
    };
    case.memory.refuse("uid-p0", &changes);
    assert_eq!(letter(&case.decision_on(0)), 'E');
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
    case.memory.refuse("uid-p1", &[]);
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
