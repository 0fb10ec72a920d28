//! The rules of profile `safe`, and what holds in both.

use super::*;
use crate::vpa::Condition;

const PROFILES: [Profile; 2] = [Profile::Safe, Profile::Upstream];

/// A pod whose only container was killed for memory, is down, and was started again so often.
fn down(restarts: i32, requests: Amounts) -> Pod {
    let mut down = pod("p0", requests);
    down.containers[0].status = Some(ContainerStatus {
        running: false,
        restart_count: restarts,
        ..oom_killed_after(1)
    });
    down
}

#[test]
fn a_pod_that_memory_keeps_down_is_made_anew_even_when_it_is_the_only_one() {
    use UpdateMode::{InPlace, InPlaceOrRecreate, Recreate};
    let resized = |mut pod: Pod| {
        pod.annotations = Some(vec![(IN_PLACE_ANNOTATION.to_owned(), "true".to_owned())]);
        pod
    };
    let of_job = |mut pod: Pod| {
        pod.owner = Some(owner("Job"));
        pod
    };
    let rows = [
        (InPlaceOrRecreate, down(1, FAR), "ContainerDown", "-"),
        (InPlaceOrRecreate, down(2, FAR), "OutOfMemory", "E"),
        (
            InPlaceOrRecreate,
            of_job(down(2, FAR)),
            "ContainerDown",
            "-",
        ),
        (InPlace, down(2, FAR), "ContainerDown", "-"),
        (Recreate, down(2, FAR), "OutOfMemory", "E"),
        (Recreate, down(1, FAR), "SingleReplica", "-"),
        (InPlaceOrRecreate, down(2, TARGET), "UpToDate", "-"),
        (InPlaceOrRecreate, resized(down(1, TARGET)), "UpToDate", "-"),
        (
            InPlaceOrRecreate,
            resized(down(2, TARGET)),
            "ResizedInVain",
            "E",
        ),
        (
            InPlaceOrRecreate,
            resized(pod("p0", TARGET)),
            "UpToDate",
            "-",
        ),
    ];
    for (mode, pod, code, letter) in rows {
        let told = format!("{mode:?} {pod:?}");
        let decisions = Case::new(Profile::Safe, mode, vec![pod]).decisions();
        assert_eq!(
            (codes(&decisions)[0], letters(&decisions).as_str()),
            (code, letter),
            "{told}"
        );
    }
}

#[test]
fn an_oom_kill_makes_growth_due_at_any_age() {
    let killed = |in_last: bool, requests: Amounts| {
        let mut pods = vec![pod("p0", requests), pod("p1", TARGET)];
        let mut status = oom_killed_after(300);
        if !in_last {
            status.terminated = status.last_terminated.take();
        }
        pods[0].containers[0].status = Some(status);
        pods
    };
    // Requests below the target yet within the bounds, of a pod that is an hour old.
    let rows = [
        (Profile::Safe, true, (1000, 900 * MI), "E-"),
        (Profile::Safe, true, (1000, GI - MI), "--"),
        (Profile::Safe, false, (1000, 900 * MI), "E-"),
        (Profile::Safe, true, (1000, GI + MI), "--"),
        (Profile::Safe, true, (900, GI), "--"),
        (Profile::Upstream, true, (1000, 900 * MI), "--"),
    ];
    for (profile, in_last, requests, want) in rows {
        let mut case = Case::new(profile, UpdateMode::Recreate, killed(in_last, requests));
        case.vpa.recommendation = Some(vec![recommendation(
            "c",
            [TARGET, (10, MI), (9000, 9 * GI)],
        )]);
        case.now = hours(1);
        assert_eq!(
            letters(&case.decisions()),
            want,
            "{profile:?} {in_last} {requests:?}"
        );
    }
}

/// One container is to give the other what that lacks: upstream sees no change, and quick OOM kills go on.
#[test]
fn an_oom_kill_counts_although_the_pods_sum_stays() {
    for (profile, want) in [(Profile::Safe, "E-"), (Profile::Upstream, "--")] {
        let mut case = Case::new(profile, UpdateMode::Recreate, pods(2));
        for pod in &mut case.pods {
            pod.containers = vec![container("a", (0, GI)), container("b", (0, 2 * GI))];
        }
        case.pods[0].containers[0].status = Some(oom_killed_after(2));
        let bounds = |target| [target, (0, MI), (0, 9 * GI)];
        let recommended = [
            recommendation("a", bounds((0, 2 * GI))),
            recommendation("b", bounds((0, GI))),
        ];
        case.vpa.recommendation = Some(recommended.to_vec());
        assert_eq!(letters(&case.decisions()), want, "{profile:?}");
    }
}

#[test]
fn a_single_replica_is_resized_where_that_disrupts_nothing() {
    let mut case = Case::new(Profile::Safe, UpdateMode::InPlaceOrRecreate, pods(1));
    assert_eq!(letters(&case.decisions()), "R");
    case.pods[0].containers[0].restarts_on_memory_resize = true;
    assert_eq!(codes(&case.decisions()), ["SingleReplica"]);
}

#[test]
fn nothing_is_done_without_a_difference_a_controller_or_a_recommendation() {
    type Change = Box<dyn Fn(&mut Case)>;
    for profile in PROFILES {
        let base = || Case::new(profile, UpdateMode::Recreate, pods(2));
        let of_family = |case: &mut Case| {
            case.vpa.target = Some(OwnerRef {
                api_version: "podfit.dev/v1".into(),
                kind: "PodFamily".into(),
                name: "etl".into(),
            });
            // Bare or not, killed or not: nobody touches it.
            case.pods[0].owner = None;
        };
        let rows: [(&str, Change); 11] = [
            ("SizedAtCreation", Box::new(of_family)),
            (
                "SizedAtCreation",
                Box::new(move |case| {
                    of_family(case);
                    case.vpa.update_mode = UpdateMode::InPlaceOrRecreate;
                    case.pods[0].owner = Some(owner("Job"));
                }),
            ),
            (
                "UpToDate",
                Box::new(|case| case.pods[0].containers[0].requests = list(TARGET)),
            ),
            ("NoController", Box::new(|case| case.pods[0].owner = None)),
            (
                "NoRecommendation",
                Box::new(|case| case.pods[0].containers[0].name = "other".into()),
            ),
            (
                "NoRecommendation",
                Box::new(|case| case.vpa.recommendation = Some(vec![])),
            ),
            ("NotLive", Box::new(|case| case.pods[0].terminating = true)),
            (
                "NotLive",
                Box::new(|case| case.pods[0].phase = Phase::Failed),
            ),
            ("NotLive", Box::new(|case| case.pods[0].node = None)),
            (
                "ModeLeavesPodsAlone",
                Box::new(|case| case.vpa.update_mode = UpdateMode::Off),
            ),
            (
                "ModeLeavesPodsAlone",
                Box::new(|case| case.vpa.update_mode = UpdateMode::Initial),
            ),
        ];
        for (code, change) in rows {
            let mut case = base();
            change(&mut case);
            let decision = &case.decisions()[0];
            assert_eq!((letter(decision), decision.reason.code()), ('-', code));
        }
        assert_eq!(letters(&base().decisions()), "E-");
    }
}

/// The bounds say "outside", yet policy leaves the pod where it is: an eviction would lead nowhere.
#[test]
fn a_pod_is_not_evicted_for_what_policy_takes_back() {
    let mut case = Case::new(Profile::Upstream, UpdateMode::Recreate, pods(2));
    case.vpa.container_policies = vec![crate::vpa::ContainerPolicy {
        container_name: "*".into(),
        max_allowed: list(FAR),
        ..crate::vpa::ContainerPolicy::default()
    }];
    assert_eq!(codes(&case.decisions()), ["UpToDate"; 2]);
}

#[test]
fn actions_carry_what_the_pod_should_get() {
    let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods(2));
    case.pods[0].containers[0].limits = list((200, 256 * MI));
    for mode in [UpdateMode::Recreate, UpdateMode::InPlaceOrRecreate] {
        case.vpa.update_mode = mode;
        let action = case.decisions().swap_remove(0).action;
        let (Action::Evict(changes) | Action::Resize(changes)) = action else {
            panic!("a change was due")
        };
        let change = &changes[0];
        assert_eq!((change.index, change.name.as_str()), (0, "c"));
        assert_eq!(
            (change.requests, change.limits),
            (list(TARGET), list((2000, 2 * GI)))
        );
    }
}

/// Every reason that these tests meet reads as a sentence with its numbers.
#[test]
fn reasons_are_sentences() {
    let due = |case: &Case| case.decisions()[0].reason.to_string();
    let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods(2));
    case.pods[1].containers[0].requests = list(TARGET);
    assert_eq!(
        due(&case),
        "container c requests cpu 100m, outside of the recommended 1 to 1"
    );
    case.vpa.recommendation = Some(vec![recommendation("c", [TARGET, NOTHING, NOTHING])]);
    case.pods[0].containers[0].requests = list((800, GI));
    assert_eq!(
        due(&case),
        "its requests would change by 25 %, and it is 24 h old"
    );
    case.now = hours(1);
    assert_eq!(
        due(&case),
        "its requests lie within bounds and would change by 25 %; at an age of 12 h a change of 10 % is enough, and it \
         is 60 min old"
    );
    case.pods[0].containers[0].requests = list((800, 512 * MI));
    case.pods[0].containers[0].status = Some(oom_killed_after(300));
    assert_eq!(
        due(&case),
        "container c was killed for memory; it requests 512Mi and should have 1Gi"
    );
    case.config.profile = Profile::Upstream;
    case.pods[0].containers[0].status = Some(oom_killed_after(3));
    assert_eq!(
        due(&case),
        "container c was killed for memory 3 min after its start"
    );
    case.vpa.update_mode = UpdateMode::InPlace;
    case.pods[0].resize = infeasible();
    assert_eq!(due(&case), "its resize in place failed: infeasible (never)");
}

/// Profile `safe`: what a young history has not seen yet may still be needed. What needs more gets it.
#[test]
fn a_young_history_shrinks_nothing_because_of_its_bounds() {
    let low = Condition {
        kind: "LowConfidence".into(),
        status: "True".into(),
        ..Condition::default()
    };
    let over = (TARGET.0 * 20, TARGET.1 * 20);
    for (profile, conditions, request, want) in [
        (Profile::Safe, vec![], over, "E-"),
        (Profile::Safe, vec![low.clone()], over, "--"),
        (Profile::Safe, vec![low.clone()], FAR, "E-"),
        (Profile::Upstream, vec![low], over, "E-"),
    ] {
        let pods = vec![pod("a", request), pod("b", request)];
        let mut case = Case::new(profile, UpdateMode::Recreate, pods);
        // Younger than the age from which a pod is updated within its bounds.
        case.now = hours(1);
        case.vpa.conditions = conditions;
        assert_eq!(letters(&case.decisions()), want, "{profile:?} {request:?}");
    }
}
