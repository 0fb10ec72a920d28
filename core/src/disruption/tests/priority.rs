//! Vectors 11.1 and 11.2.

use std::cmp::Ordering;

use super::super::budget::Budgets;
use super::super::priority::{Assessment, Priority, assess};
use super::*;
use crate::admission::OBSERVED_CONTAINERS_ANNOTATION;
use crate::policy::{Rules, cap_for_pod};
use crate::vpa::ContainerPolicy;

fn measure(pod: &Pod, recommended: &[ContainerRecommendation]) -> Assessment {
    let (vpa, config, memory) = (
        Vpa::default(),
        Config::new(Profile::Upstream),
        Memory::default(),
    );
    let rules = Rules::new(pod, &vpa, &[], config.profile);
    let fitted = cap_for_pod(pod, recommended, &rules);
    let (nodes, snapshot) = (Nodes::default(), Snapshot::default());
    let no_quotas = BTreeMap::new();
    let headroom = crate::quota::Headroom::new(&no_quotas);
    let setting = Setting {
        vpa: &vpa,
        surroundings: (&[]).into(),
        fits: &fit::Fits::new(&nodes, &config),
        shrinks: None,
        window_open: false,
        headroom: &headroom,
        memory: &memory,
        config: &config,
        now: hours(24),
        paused: None,
        closed: None,
        warm_up: None,
        budgets: &Budgets::new(&snapshot, &memory, &config),
    };
    assess(pod, &fitted, &setting)
}

#[test]
fn pods_are_measured_against_their_recommendation() {
    for row in rows(include_str!("../../../testdata/update_priorities.csv")) {
        let [case, containers, outside, scale_up, change] = row[..] else {
            panic!("{row:?}")
        };
        let mut pod = Pod::default();
        let mut recommended = Vec::new();
        for (i, cell) in containers.split(" + ").enumerate() {
            let lists: Vec<_> = cell.split(' ').map(amounts).collect();
            let [request, target, lower, upper] = lists[..] else {
                panic!("{row:?}")
            };
            let name = format!("c{i}");
            pod.containers.push(container(&name, request));
            recommended.push(recommendation(&name, [target, lower, upper]));
        }
        let got = measure(&pod, &recommended);
        assert_eq!(
            (got.outside.is_some(), got.priority.scale_up),
            (outside == "yes", scale_up == "yes"),
            "{case}"
        );
        let change: f64 = number(change).unwrap();
        assert!(
            (got.priority.change - change).abs() < 1e-9,
            "{case}: {}",
            got.priority.change
        );
    }
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
        let annotations =
            observed.map(|text| vec![(OBSERVED_CONTAINERS_ANNOTATION.to_owned(), text.to_owned())]);
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

#[test]
fn the_most_urgent_comes_first() {
    let priority = |cell: &str| {
        let (scale_up, change) = cell.split_once(' ').unwrap();
        Priority {
            scale_up: scale_up == "yes",
            change: number(change).unwrap(),
            ..Priority::default()
        }
    };
    for row in rows(include_str!("../../../testdata/update_order.csv")) {
        let (a, b) = (priority(row[0]), priority(row[1]));
        let want = match row[2] {
            "less" => Ordering::Less,
            _ => Ordering::Greater,
        };
        assert_eq!((a.cmp(&b), b.cmp(&a)), (want, want.reverse()), "{row:?}");
    }
    let killed = Priority {
        out_of_memory: true,
        ..Priority::default()
    };
    assert_eq!(killed.cmp(&priority("yes 9.0")), Ordering::Greater);
}

/// A case of pods that request so much CPU, under a recommendation of 1 within 100m to 1200m.
fn queue(requests: &str) -> Case {
    let requests = requests.split_whitespace().enumerate();
    let pods = requests
        .map(|(i, cpu)| pod(&format!("p{}", i + 1), amounts(cpu)))
        .collect();
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, pods);
    case.vpa.recommendation = Some(vec![recommendation("c", [(1000, 0), (100, 0), (1200, 0)])]);
    case.vpa.min_replicas = Some(1);
    case.config.eviction_tolerance = 1.0;
    case
}

/// The names of the pods that are evicted, in their order.
fn evicted(case: &Case) -> String {
    let decisions = case.plan();
    let names = decisions.iter().filter(|d| d.evicts());
    let names: Vec<_> = names.map(|d| d.pod.name.as_str()).collect();
    names.join(" ")
}

#[test]
fn due_are_pods_out_of_bounds_old_ones_and_those_killed_for_memory() {
    for row in rows(include_str!("../../../testdata/update_queue.csv")) {
        let [name, threshold, age, requests, oom, observed, policy, order] = row[..] else {
            panic!("{row:?}")
        };
        let mut case = queue(requests);
        case.config.update_threshold = number(threshold).unwrap();
        case.now = hours(number(age).unwrap());
        for pod in &mut case.pods {
            pod.containers[0].status = number(oom).map(oom_killed_after);
            let text = observed.trim_start_matches("empty").to_owned();
            pod.annotations = (!observed.is_empty())
                .then(|| vec![(OBSERVED_CONTAINERS_ANNOTATION.to_owned(), text)]);
        }
        case.vpa
            .container_policies
            .extend(policy.split_once(' ').map(|(name, mode)| ContainerPolicy {
                container_name: name.into(),
                off: mode == "Off",
                ..ContainerPolicy::default()
            }));
        assert_eq!(evicted(&case), order, "{name}");
    }
    let mut unstarted = queue("800m");
    unstarted.pods[0].started = None;
    assert_eq!(evicted(&unstarted), "", "without a start there is no age");
}

/// `evictAfterOOMSeconds` of a VPA, with its feature gate.
#[test]
fn a_vpa_has_its_own_idea_of_a_quick_oom() {
    let mut case = queue("800m");
    case.now = hours(11);
    case.pods[0].containers[0].status = Some(oom_killed_after(15));
    case.vpa.evict_after_oom = Some(Duration::from_mins(20));
    assert_eq!(evicted(&case), "", "the gate is off");
    case.config.gates.per_vpa_config = true;
    assert_eq!(evicted(&case), "p1");
    case.vpa.evict_after_oom = Some(Duration::from_mins(15));
    assert_eq!(evicted(&case), "");
    case.vpa.evict_after_oom = None;
    case.config.oom_threshold = Duration::from_mins(16);
    assert_eq!(evicted(&case), "p1", "the flag stands in");
}

#[test]
fn what_was_refused_is_tried_again_when_less_is_asked() {
    for row in rows(include_str!("../../../testdata/refused_attempts.csv")) {
        let [mode, refused, now, tried] = row[..] else {
            panic!("{row:?}")
        };
        let mode = UpdateMode::from_name(mode).unwrap();
        let mut case = Case::new(Profile::Safe, mode, pods(3));
        case.vpa.recommendation = Some(vec![recommendation("c", [amounts(now); 3])]);
        if !refused.is_empty() {
            let attempt = attempt(&[("c", amounts(refused))]);
            case.memory.refuse("uid-p0", &attempt);
        }
        let decision = case.decision_on(0);
        let acted = decision.action != Action::Skip;
        assert_eq!(acted, tried == "yes", "{row:?}: {}", decision.reason);
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

#[test]
fn lower_than_before() {
    for row in rows(include_str!("../../../testdata/lower_attempts.csv")) {
        let read = |cell: &str| {
            let containers = cell.split_whitespace().map(|c| c.split_once(':').unwrap());
            let containers: Vec<_> = containers
                .map(|(name, a)| (name.to_owned(), amounts(a)))
                .collect();
            let borrowed: Vec<_> = containers.iter().map(|(n, a)| (n.as_str(), *a)).collect();
            attempt(&borrowed)
        };
        let mut memory = Memory::default();
        memory.refuse("uid", &read(row[0]));
        assert_eq!(
            memory.refuses("uid", &read(row[1])),
            row[2] == "no",
            "{row:?}"
        );
        assert!(!memory.refuses("another", &read(row[1])));
    }
}
