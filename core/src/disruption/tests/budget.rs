//! Vectors 11.4.

use super::*;

/// Pods by a letter each: `r` running, `p` pending, `i` running with an infeasible resize.
fn group(states: &str) -> Vec<Pod> {
    let state = |(i, state): (usize, char)| Pod {
        phase: if state == 'p' {
            Phase::Pending
        } else {
            Phase::Running
        },
        resize: if state == 'i' {
            infeasible()
        } else {
            ResizeState::None
        },
        ..pod(&format!("p{i}"), FAR)
    };
    states.chars().enumerate().map(state).collect()
}

struct Row {
    name: &'static str,
    replicas: ConfiguredReplicas,
    tolerance: f64,
    min_replicas: i64,
    pods: &'static str,
    /// Whether each pod may be evicted when it alone is due.
    can: &'static str,
    /// Which pods are evicted when all are due.
    evicted: &'static str,
}

const fn row(
    name: &'static str,
    replicas: i64,
    tolerance: f64,
    pods: &'static str,
    (can, evicted): (&'static str, &'static str),
) -> Row {
    let replicas = ConfiguredReplicas::Known(replicas);
    Row {
        name,
        replicas,
        tolerance,
        min_replicas: 2,
        pods,
        can,
        evicted,
    }
}

#[test]
fn a_group_is_disrupted_within_its_budget() {
    let rows = [
        row("half of 3", 3, 0.5, "rrr", ("EEE", "E--")),
        row("half of 4", 4, 0.5, "rrrr", ("EEEE", "EE--")),
        row("one missing", 4, 0.5, "rrr", ("EEE", "E--")),
        row("small tolerance", 3, 0.1, "rrr", ("EEE", "E--")),
        row("small tolerance, one missing", 3, 0.1, "rr", ("--", "--")),
        row("one pending", 3, 0.5, "rpr", ("-E-", "-E-")),
        row("pending always", 4, 0.5, "rppp", ("-EEE", "-EEE")),
        row("single pod", 1, 0.5, "r", ("-", "-")),
        Row {
            min_replicas: 1,
            ..row("single pod, one is enough", 1, 0.5, "r", ("E", "E"))
        },
        row("others resizing", 3, 0.5, "rii", ("EEE", "E--")),
        row("missing and stuck", 4, 0.1, "rir", ("---", "---")),
        row("full tolerance", 3, 1.0, "rir", ("EEE", "EEE")),
        Row {
            min_replicas: 10,
            ..row("too few", 5, 0.5, "rrrrr", ("-----", "-----"))
        },
        row("5, much tolerance", 5, 0.8, "rrrrr", ("EEEEE", "EEEE-")),
        row("5, little tolerance", 5, 0.1, "rrrrr", ("EEEEE", "E----")),
        row("5, half", 5, 0.5, "rrrrr", ("EEEEE", "EE---")),
        Row {
            replicas: ConfiguredReplicas::LivePods,
            ..row("Job of 5", 0, 0.5, "rrrrr", ("EEEEE", "EE---"))
        },
        Row {
            replicas: ConfiguredReplicas::Custom,
            ..row("custom owner", 0, 0.5, "rrr", ("EEE", "EEE"))
        },
        Row {
            min_replicas: 5,
            ..row("pending, too few", 4, 0.5, "rppp", ("----", "----"))
        },
        row("asks for none", 0, 0.5, "rrr", ("---", "---")),
    ];
    for row in rows {
        let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, group(row.pods));
        case.replicas = row.replicas;
        case.config.eviction_tolerance = row.tolerance;
        case.config.min_replicas = row.min_replicas;
        let can: String = (0..case.pods.len())
            .map(|i| letter(&case.decision_on(i)))
            .collect();
        assert_eq!(can, row.can, "{}", row.name);
        assert_eq!(letters(&case.decisions()), row.evicted, "{}", row.name);
        case.config.in_place_skip_disruption_budget = true;
        assert_eq!(
            letters(&case.decisions()),
            row.evicted,
            "{}: evictions keep the budget",
            row.name
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
