//! What holds for every plan.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Odd {
    No,
    Terminating,
    Finished,
    NoNode,
    NoOwner,
    SaysNo,
    AtStake,
}

fn arbitrary_pod() -> impl Strategy<Value = Pod> {
    let odd = prop_oneof![
        6 => Just(Odd::No),
        1 => select(vec![Odd::Terminating, Odd::Finished, Odd::NoNode, Odd::NoOwner, Odd::SaysNo, Odd::AtStake]),
    ];
    let resize = prop_oneof![
        4 => Just(ResizeState::None),
        1 => select(vec![deferred(), infeasible(), ResizeState::InProgress]),
    ];
    let requests = (0..3000_i64, 0..3 * GI);
    let kind = select(vec!["ReplicaSet", "Job", "Rollout"]);
    (odd, resize, requests, kind, any::<(bool, bool, bool)>()).prop_map(
        |(odd, resize, requests, kind, (pending, restarts, oom))| {
            let mut pod = pod("", requests);
            pod.owner = Some(owner(kind));
            pod.resize = resize;
            pod.phase = if pending {
                Phase::Pending
            } else {
                Phase::Running
            };
            pod.containers[0].restarts_on_memory_resize = restarts;
            pod.containers[0].status = oom.then(|| oom_killed_after(5));
            match odd {
                Odd::No => {}
                Odd::Terminating => pod.terminating = true,
                Odd::Finished => pod.phase = Phase::Failed,
                Odd::NoNode => pod.node = None,
                Odd::NoOwner => pod.owner = None,
                Odd::AtStake => pod.stakes.holds_devices = true,
                Odd::SaysNo => {
                    pod.annotations =
                        Some(vec![("podfit.dev/evict".to_owned(), "never".to_owned())]);
                }
            }
            pod
        },
    )
}

prop_compose! {
    fn arbitrary_case()(
        mut pods in proptest::collection::vec(arbitrary_pod(), 0..12),
        mode in select(UpdateMode::NAMES.map(|(mode, _)| mode).to_vec()),
        profile in select(vec![Profile::Safe, Profile::Upstream]),
        replicas in prop_oneof![
            3 => (0..12_i64).prop_map(ConfiguredReplicas::Known),
            1 => Just(ConfiguredReplicas::LivePods),
            1 => Just(ConfiguredReplicas::Custom),
        ],
        tolerance in 0.0..=1.0_f64,
        min_replicas in 0..5_i64,
        (skip, since) in (any::<bool>(), 0..24_u64),
    ) -> Case {
        for (i, pod) in pods.iter_mut().enumerate() {
            pod.name = format!("p{i}");
            pod.uid = format!("uid-p{i}").into();
        }
        let mut case = Case::new(profile, mode, pods);
        case.replicas = replicas;
        case.config.eviction_tolerance = tolerance;
        case.config.min_replicas = min_replicas;
        case.config.in_place_skip_disruption_budget = skip;
        case.memory.observe(&case.snapshot(), hours(since));
        case
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} {:?} {:?} {:?}",
            self.vpa.update_mode, self.pods, self.replicas, self.config
        )
    }
}

fn is_live(pod: &Pod) -> bool {
    !pod.terminating && !pod.is_finished() && pod.node.is_some()
}

/// Pods that a decision takes down: evicted ones that serve, and ones whose container a resize restarts.
fn takes_down(decision: &Decision) -> bool {
    let restarts = |change: &ContainerChange| {
        let own = &decision.pod.containers[change.index];
        own.restarts_on_memory_resize
            && change.alters_resource(own, crate::quantity::Resource::Memory)
    };
    match &decision.action {
        Action::Evict(_) => decision.pod.phase == Phase::Running,
        Action::Resize(changes) => changes.iter().any(restarts),
        Action::Unboost(_) | Action::Skip => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_plan_never_disrupts_more_than_the_budget_allows(case in arbitrary_case()) {
        let decisions = case.decisions();
        for kind in ["ReplicaSet", "Job", "Rollout"] {
            let of_group = |pod: &Pod| pod.owner.as_ref().is_some_and(|o| o.kind == kind) && is_live(pod);
            let live = case.pods.iter().filter(|pod| of_group(pod)).count() as i64;
            let running = case.pods.iter().filter(|pod| of_group(pod) && pod.phase == Phase::Running).count() as i64;
            let down = decisions.iter().filter(|d| of_group(&d.pod) && takes_down(d)).count() as i64;
            let configured = match case.replicas {
                ConfiguredReplicas::Known(n) => n,
                ConfiguredReplicas::Custom if case.config.profile == Profile::Upstream => 0,
                _ => live,
            };
            let tolerated = (configured as f64 * case.config.eviction_tolerance).floor() as i64;
            let one_of_all = down == 1 && tolerated == 0 && running == configured;
            prop_assert!(down == 0 || one_of_all || running - down >= configured - tolerated, "{down} of {running} down");
            prop_assert!(down == 0 || live >= case.config.min_replicas, "{live} live");
        }
    }

    #[test]
    fn an_action_changes_something_that_may_be_changed(case in arbitrary_case()) {
        for decision in case.decisions() {
            let pod = &decision.pod;
            prop_assert!(!decision.reason.to_string().is_empty());
            let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else { continue };
            prop_assert!(is_live(pod) && pod.owner.is_some());
            prop_assert!(!matches!(case.vpa.update_mode, UpdateMode::Off | UpdateMode::Initial));
            let alters = |c: &ContainerChange| c.alters_spec(&pod.containers[c.index]) || c.alters_effective(&pod.containers[c.index]);
            prop_assert!(changes.iter().any(alters));
            if matches!(decision.action, Action::Evict(_)) {
                prop_assert!(case.vpa.update_mode != UpdateMode::InPlace);
                let says_no = pod.annotations.is_some() || pod.stakes.holds_devices || pod.owner.as_ref().is_some_and(|o| o.kind == "Job");
                prop_assert!(case.config.profile == Profile::Upstream || !says_no);
            } else {
                prop_assert!(matches!(case.vpa.update_mode, UpdateMode::InPlace | UpdateMode::InPlaceOrRecreate));
            }
        }
    }

    #[test]
    fn a_plan_is_the_same_each_time(case in arbitrary_case()) {
        prop_assert_eq!(case.plan(), case.plan());
    }
}
