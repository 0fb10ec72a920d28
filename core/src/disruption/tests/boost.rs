//! Vectors 11.7, and how startup boosts end.

use super::*;
use crate::vpa::{BoostBy, ContainerPolicy, CpuBoost, StartupBoost};

const PROFILES: [Profile; 2] = [Profile::Safe, Profile::Upstream];

fn boost(seconds: u64) -> StartupBoost {
    StartupBoost {
        cpu: Some(CpuBoost {
            by: BoostBy::Factor(2),
            lasts: Duration::from_secs(seconds),
        }),
    }
}

/// One pod of containers with 1m CPU, ready for 5 minutes, with boosts over 100m that last so long.
fn case(profile: Profile, mode: UpdateMode, boosts: &[Option<u64>]) -> Case {
    let mut pod = pod("p0", NOTHING);
    pod.ready_since = Some(Timestamp::default());
    pod.containers.clear();
    let mut policies = Vec::new();
    for (i, lasts) in boosts.iter().enumerate() {
        let mut own = container(&format!("c{i}"), (1, 0));
        let before = EffectiveResources {
            requests: list((100, 0)),
            limits: list(NOTHING),
        };
        own.before_boost = lasts.map(|_| before.into());
        policies.push(ContainerPolicy {
            container_name: own.name.clone(),
            startup_boost: lasts.map(boost),
            ..ContainerPolicy::default()
        });
        pod.containers.push(own);
    }
    let mut case = Case::new(profile, mode, vec![pod]);
    case.vpa.container_policies = policies;
    case.vpa.recommendation = None;
    case.config.gates.cpu_startup_boost = true;
    case.now = Timestamp::default() + Duration::from_mins(5);
    case
}

fn recommend(case: &mut Case, target: Amounts) {
    let names = case.pods[0].containers.iter().map(|c| c.name.clone());
    case.vpa.recommendation = Some(names.map(|n| recommendation(&n, [target; 3])).collect());
}

#[test]
fn boosts_that_are_over_are_taken_back() {
    for row in rows(include_str!("../../../testdata/unboost.csv")) {
        let [name, mode, boosts, recommended, action, cpu] = row[..] else {
            panic!("{row:?}")
        };
        let boosts: Vec<_> = boosts.split(' ').map(|b| b.parse().ok()).collect();
        for profile in PROFILES {
            let mut case = case(profile, UpdateMode::from_name(mode).unwrap(), &boosts);
            if !recommended.is_empty() {
                recommend(&mut case, amounts(recommended));
            }
            if boosts.iter().all(Option::is_none) {
                case.vpa.min_replicas = Some(1);
            }
            let decision = case.decisions().swap_remove(0);
            let letter = letter(&decision).to_string();
            let (Action::Unboost(changes) | Action::Resize(changes)) = decision.action else {
                assert_eq!(action, "-", "{name}: {}", decision.reason);
                continue;
            };
            assert_eq!(letter, action, "{name}: {}", decision.reason);
            let got = |i: usize| match changes.iter().find(|c| c.index == i) {
                Some(change) => change
                    .requests
                    .cpu
                    .map_or_else(|| "=".into(), |c| c.to_string()),
                None => "-".into(),
            };
            assert_eq!([got(0), got(1)].join(" "), cpu, "{name}");
        }
    }
}

/// What is given back is what admission would have given: limits in the proportion that they had before the boost, and in
/// profile `safe` CPU alone.
#[test]
fn limits_keep_the_proportion_from_before_the_boost() {
    for (profile, want_requests, want_limits) in [
        (Profile::Safe, (150, 0), (450, 0)),
        (Profile::Upstream, (150, GI), (450, 2 * GI)),
    ] {
        let mut case = case(profile, UpdateMode::Recreate, &[Some(10)]);
        recommend(&mut case, (150, GI));
        let own = &mut case.pods[0].containers[0];
        own.before_boost = Some(Box::new(EffectiveResources {
            requests: list((100, 512 * MI)),
            limits: list((300, GI)),
        }));
        (own.requests, own.limits) = (list((300, 512 * MI)), list((700, GI)));
        let Action::Unboost(changes) = case.decisions().swap_remove(0).action else {
            panic!("the boost is over")
        };
        assert_eq!(
            (changes[0].requests, changes[0].limits),
            (list(want_requests), list(want_limits))
        );
    }
}

#[test]
fn a_boost_lasts_until_the_pod_is_ready_for_long_enough() {
    type Change = fn(&mut Case);
    let rows: [(&str, Change); 4] = [
        ("not ready", |case| case.pods[0].ready_since = None),
        ("pending", |case| case.pods[0].phase = Phase::Pending),
        ("in the middle of a resize", |case| {
            case.pods[0].resize = deferred();
        }),
        ("the VPA's own boost lasts longer", |case| {
            case.vpa.container_policies.clear();
            case.vpa.startup_boost = Some(boost(1000));
        }),
    ];
    for (name, change) in rows {
        let mut case = case(Profile::Safe, UpdateMode::InPlaceOrRecreate, &[Some(10)]);
        recommend(&mut case, TARGET);
        change(&mut case);
        assert_eq!(codes(&case.decisions()), ["StartupBoost"], "{name}");
    }
    let mut gone = case(Profile::Safe, UpdateMode::InPlaceOrRecreate, &[Some(1000)]);
    gone.vpa.container_policies.clear();
    assert_eq!(codes(&gone.decisions()), ["BoostOver"], "no boost, no time");
}

/// Section 9, item 32: upstream asks the disruption budget although nothing is disrupted.
#[test]
fn taking_a_boost_back_needs_a_budget_only_where_it_restarts_a_container() {
    for (profile, restarts, want) in [
        (Profile::Safe, false, "UUU"),
        (Profile::Safe, true, "U--"),
        (Profile::Upstream, false, "U--"),
    ] {
        let mut case = case(profile, UpdateMode::Recreate, &[Some(10)]);
        case.pods[0].containers[0].restarts_on_cpu_resize = restarts;
        for i in 1..3 {
            let mut more = case.pods[0].clone();
            (more.name, more.uid) = (format!("p{i}"), format!("uid-p{i}").into());
            case.pods.push(more);
        }
        case.replicas = ConfiguredReplicas::Known(3);
        let got: String = case
            .decisions()
            .iter()
            .map(|d| if d.resizes() { 'U' } else { '-' })
            .collect();
        assert_eq!(got, want, "{profile:?} {restarts}");
    }
}

/// Section 9, item 18: upstream lets a whole group be evicted below its minimum when one of its pods is boosted.
#[test]
fn a_boosted_pod_does_not_let_its_group_be_evicted() {
    let mut pods = pods(2);
    pods[0].containers[0].before_boost = Some(Box::default());
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, pods);
    case.config.gates.cpu_startup_boost = true;
    case.config.min_replicas = 3;
    assert_eq!(codes(&case.decisions()), ["StartupBoost", "TooFewReplicas"]);
}

#[test]
fn a_boost_that_cannot_be_taken_back_is_not_asked_for_time_and_again() {
    let mut case = case(Profile::Safe, UpdateMode::Recreate, &[Some(10)]);
    let Action::Unboost(changes) = case.decisions().swap_remove(0).action else {
        panic!("the boost is over")
    };
    case.memory.refuse("uid-p0", &changes);
    assert_eq!(codes(&case.decisions()), ["ResizeRefused"]);
}
