//! The breaker on plans that want far more than is the norm.

use super::disruptions::{Fleet, fleet};
use super::*;

/// Without the limits that would hold back such plans as well.
fn unlimited(workloads: usize) -> Fleet {
    let mut fleet = fleet(workloads, 2);
    fleet.config.limits = Limits::new(Profile::Upstream);
    fleet
}

fn evictions(decisions: &[Decision]) -> usize {
    decisions.iter().filter(|d| d.evicts()).count()
}

fn judged(fleet: &mut Fleet) -> Judgement {
    judged_often(fleet, 1)
}

fn judged_often(fleet: &mut Fleet, loops: usize) -> Judgement {
    let decisions = fleet.plan();
    let Fleet {
        snapshot,
        memory,
        config,
        ..
    } = fleet;
    let judged = (0..loops).map(|_| memory.planned(snapshot, &decisions, config));
    judged.last().unwrap()
}

#[test]
fn a_small_plan_never_opens_it() {
    let mut fleet = unlimited(30);
    let (decisions, judgement) = (fleet.plan(), judged(&mut fleet));
    assert_eq!((evictions(&decisions), judgement.open), (30, false));
}

#[test]
fn of_a_sudden_large_plan_only_the_norm_is_let_through() {
    let mut fleet = unlimited(31);
    let (decisions, judgement) = (fleet.plan(), judged(&mut fleet));
    let want = Judgement {
        wanted: 31,
        norm: 10,
        open: true,
        changed: true,
    };
    assert_eq!((evictions(&decisions), judgement), (10, want));
    let held = decisions.iter().find(|d| d.reason.code() == "BreakerOpen");
    assert_eq!(
        held.unwrap().reason.to_string(),
        "31 pods would be disrupted at once, far more than is the norm; until that is over or the norm has grown, 10 in \
         each loop are (--disruption-breaker)"
    );
    let state = |judgement: Judgement| (judgement.open, judgement.changed);
    assert_eq!(
        state(judged(&mut fleet)),
        (true, false),
        "as long as the plan is as large"
    );
    fleet.snapshot.workloads.truncate(30);
    assert_eq!(state(judged(&mut fleet)), (false, true));
    fleet.config.breaker_factor = 0.0;
    fleet.snapshot = unlimited(200).snapshot;
    assert_eq!(evictions(&fleet.plan()), 200, "switched off");
}

/// The norm is what plans of the last hours wanted, and a hundredth of the pods at least.
#[test]
fn the_norm_follows_slowly() {
    let mut fleet = unlimited(25);
    judged_often(&mut fleet, 5000);
    fleet.snapshot = unlimited(80).snapshot;
    assert_eq!(
        (judged(&mut fleet).norm, judged(&mut fleet).open),
        (24, true)
    );
    let grown = judged_often(&mut fleet, 180);
    assert!((40..60).contains(&grown.norm) && !grown.open, "{grown:?}");
    let mut large = unlimited(1000);
    for workload in &mut large.snapshot.workloads {
        let more = pod("more", TARGET);
        workload.pods.extend((0..8).map(|_| Arc::new(more.clone())));
    }
    assert_eq!(judged(&mut large).norm, 100);
}

#[test]
fn what_memory_kills_comes_first() {
    let mut fleet = unlimited(40);
    for workload in &mut fleet.snapshot.workloads[33..] {
        let pod = Arc::make_mut(&mut workload.pods[1]);
        pod.containers[0].status = Some(oom_killed_after(5));
    }
    let decisions = fleet.plan();
    let of_killed = |d: &&Decision| d.evicts() && d.reason.code() == "OutOfMemory";
    assert_eq!(decisions.iter().filter(of_killed).count(), 7);
    assert_eq!(evictions(&decisions), 10);
}

#[test]
fn those_held_back_come_next() {
    let mut fleet = unlimited(40);
    let mut evicted = std::collections::BTreeSet::new();
    for _ in 0..4 {
        for name in fleet.turn() {
            let place: usize = name[1..].split('-').next().unwrap().parse().unwrap();
            fleet.add(place, &format!("{name}-new"), true);
            evicted.insert(place);
        }
    }
    assert_eq!(evicted.len(), 40);
}
