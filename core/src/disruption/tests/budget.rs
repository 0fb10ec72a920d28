//! Vectors 11.4.

use super::*;

/// Pods by a letter each: `r` running, `p` pending, `i` running with an infeasible resize, `b` running with a boost.
fn group(states: &str) -> Vec<Pod> {
    let state = |(i, state): (usize, char)| {
        let mut pod = pod(&format!("p{i}"), FAR);
        match state {
            'p' => pod.phase = Phase::Pending,
            'i' => pod.resize = infeasible(),
            'b' => pod.containers[0].before_boost = Some(Box::default()),
            _ => {}
        }
        pod
    };
    states.chars().enumerate().map(state).collect()
}

#[test]
fn a_group_is_disrupted_within_its_budget() {
    for row in rows(include_str!("../../../testdata/eviction_budgets.csv")) {
        let [name, replicas, tolerance, min_replicas, pods, can, evicted] = row[..] else {
            panic!("{row:?}")
        };
        let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, group(pods));
        case.replicas = match replicas {
            "live" => ConfiguredReplicas::LivePods,
            "custom" => ConfiguredReplicas::Custom,
            number => ConfiguredReplicas::Known(number.parse().unwrap()),
        };
        case.config.eviction_tolerance = number(tolerance).unwrap();
        case.config.min_replicas = number(min_replicas).unwrap();
        case.config.gates.cpu_startup_boost = true;
        let alone: String = (0..case.pods.len())
            .map(|i| letter(&case.decision_on(i)))
            .collect();
        assert_eq!(alone, can, "{name}");
        assert_eq!(letters(&case.decisions()), evicted, "{name}");
        case.config.in_place_skip_disruption_budget = true;
        assert_eq!(
            letters(&case.decisions()),
            evicted,
            "{name}: evictions keep the budget"
        );
    }
}

#[test]
fn a_vpa_has_its_own_replica_minimum() {
    for profile in [Profile::Safe, Profile::Upstream] {
        let mut case = Case::new(profile, UpdateMode::Recreate, group("r"));
        assert_eq!(codes(&case.decisions()), ["SingleReplica"]);
        case.vpa.min_replicas = Some(1);
        assert_eq!(letters(&case.decisions()), "E");
    }
}

#[test]
fn an_owner_that_is_not_found_loses_no_pod() {
    let mut snapshot = Case::new(Profile::Upstream, UpdateMode::Recreate, group("rrr")).snapshot();
    snapshot.workloads[0].replicas.clear();
    let decisions = plan(
        &snapshot,
        &Memory::default(),
        &Config::new(Profile::Upstream),
        hours(24),
    );
    assert_eq!(codes(&decisions), ["ReplicasUnknown"; 3]);
}

/// Pods that end, that are being deleted or that have no node are no part of the group; two owners are two groups.
#[test]
fn groups_count_live_pods_of_one_owner() {
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, group("rrrr"));
    case.pods[0].terminating = true;
    case.pods[1].phase = Phase::Succeeded;
    assert_eq!(
        codes(&case.decisions()),
        ["NotLive", "NotLive", "BudgetSpent", "BudgetSpent"]
    );

    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, group("rrrr"));
    for pod in &mut case.pods[2..] {
        pod.owner = Some(owner("StatefulSet"));
    }
    case.replicas = ConfiguredReplicas::Known(2);
    assert_eq!(letters(&case.decisions()), "E-E-");
}

#[test]
fn the_budget_is_explained() {
    let decisions = Case::new(Profile::Upstream, UpdateMode::Recreate, group("rrr")).decisions();
    assert_eq!(
        decisions[2].reason.to_string(),
        "3 of 3 replicas run; the tolerance lets 1 be disrupted, 0 missing and 1 being disrupted now"
    );
    let decisions = Case::new(Profile::Upstream, UpdateMode::Recreate, group("r")).decisions();
    assert_eq!(
        decisions[0].reason.to_string(),
        "waiting: single replica; it is evicted only where minReplicas: 1 in the VPA, or --min-replicas=1, says that it \
         may be missed for a while"
    );
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, group("r"));
    case.replicas = ConfiguredReplicas::Known(3);
    assert_eq!(
        case.decisions()[0].reason.to_string(),
        "1 replica lives and 2 are needed before one may be disrupted (minReplicas, --min-replicas)"
    );
}
