//! What goes down, how far, and what is put off.

use super::*;
use crate::policy::{LimitPolicies, ScaleDown};
use crate::quantity::Resource;
use crate::vpa::Condition;
use UpdateMode::{InPlace, InPlaceOrRecreate, Recreate};

const LARGE: Amounts = (4000, 4 * GI);

/// Two pods that request and, for memory, may use four times what is recommended.
fn case(mode: UpdateMode, scale_down: ScaleDown) -> Case {
    let mut case = Case::new(Profile::Safe, mode, pods(2));
    case.vpa.scale_down = scale_down;
    for pod in &mut case.pods {
        pod.containers[0].requests = list(LARGE);
        pod.containers[0].status = Some(ContainerStatus {
            running: true,
            ..ContainerStatus::default()
        });
    }
    case
}

fn recommend(case: &mut Case, target: Amounts) {
    case.vpa.recommendation = Some(vec![recommendation("c", [target; 3])]);
}

fn requests(decision: &Decision) -> Amounts {
    let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else {
        return NOTHING;
    };
    let of = |r| changes.iter().filter_map(|c| c.requests.get(r)).sum();
    (of(Resource::Cpu), of(Resource::Memory))
}

fn later(case: &mut Case, minutes: u64) {
    case.now = case.now + Duration::from_mins(minutes);
    case.memory.observe(&case.snapshot(), case.now);
}

/// Resizes a pod as planned.
fn resize(case: &mut Case, index: usize) -> Amounts {
    let decision = case.decision_on(index);
    let Action::Resize(changes) = &decision.action else {
        panic!("{}", decision.reason)
    };
    case.memory.done(&decision, &case.config, case.now);
    for change in changes {
        change.apply(&mut case.pods[index].containers[change.index]);
    }
    requests(&decision)
}

fn restart(case: &mut Case, index: usize) {
    let status = case.pods[index].containers[0].status.as_mut();
    status.unwrap().restart_count += 1;
}

#[test]
fn the_annotation_says_how_requests_go_down() {
    let rows = [
        (ScaleDown::Free, InPlace, 'R', "OutsideBounds", TARGET),
        (ScaleDown::Never, InPlace, '-', "ShrinkHeld", NOTHING),
        (ScaleDown::Never, Recreate, '-', "ShrinkHeld", NOTHING),
        (ScaleDown::Window, InPlace, '-', "ShrinkHeld", NOTHING),
        (
            ScaleDown::Slow,
            InPlace,
            'R',
            "OutsideBounds",
            (3600, 4 * GI - 4 * GI / 10),
        ),
        (ScaleDown::Slow, Recreate, 'E', "OutsideBounds", TARGET),
    ];
    for profile in [Profile::Safe, Profile::Upstream] {
        for (scale_down, mode, action, code, want) in rows {
            let mut case = case(mode, scale_down);
            case.config.profile = profile;
            let decision = case.decision_on(0);
            let got = (
                letter(&decision),
                decision.reason.code(),
                requests(&decision),
            );
            assert_eq!(got, (action, code, want), "{scale_down:?} {mode:?}");
        }
    }
    assert_eq!(
        case(InPlace, ScaleDown::Never)
            .decision_on(0)
            .reason
            .to_string(),
        "container c should have less cpu, and keeps what it has: the VPA's annotation podfit.dev/scale-down is \"never\""
    );
}

#[test]
fn what_is_not_lowered_does_not_hold_back_what_is_raised() {
    let mut case = case(InPlace, ScaleDown::Never);
    recommend(&mut case, (6000, GI));
    assert_eq!(requests(&case.decision_on(0)), (6000, LARGE.1));
}

/// The second pod follows the first, to the same size, and both wait for the next step together.
#[test]
fn a_workload_goes_down_one_step_at_a_time_and_up_at_once() {
    let mut case = case(InPlace, ScaleDown::Free);
    recommend(&mut case, (2000, 2 * GI));
    assert_eq!(resize(&mut case, 0), (2000, 2 * GI));
    recommend(&mut case, TARGET);
    later(&mut case, 10);
    assert_eq!(case.decision_on(0).reason.code(), "ShrinkHeld");
    assert_eq!(
        resize(&mut case, 1),
        (2000, 2 * GI),
        "no lower than the step"
    );
    recommend(&mut case, (3000, GI));
    assert_eq!(requests(&case.decision_on(1)), (3000, 2 * GI), "up at once");
    recommend(&mut case, TARGET);
    later(&mut case, 49);
    assert_eq!(case.decision_on(0).reason.code(), "ShrinkHeld");
    later(&mut case, 1);
    assert_eq!(resize(&mut case, 0), TARGET);
    assert_eq!(resize(&mut case, 1), TARGET);
    later(&mut case, 24 * 60);
    later(&mut case, 1);
    assert_eq!(
        case.memory,
        Memory::default(),
        "what went well is forgotten"
    );
}

#[test]
fn slow_is_a_tenth_at_each_step() {
    let mut case = case(InPlace, ScaleDown::Slow);
    recommend(&mut case, (1000, 4 * GI));
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(resize(&mut case, 0).0);
        later(&mut case, 30);
        assert_eq!(case.decision_on(0).reason.code(), "ShrinkHeld");
        later(&mut case, 30);
    }
    assert_eq!(steps, [3600, 3240, 2916]);
}

#[test]
fn what_is_restarted_after_it_was_lowered_gets_it_back_and_keeps_it() {
    let mut case = case(InPlace, ScaleDown::Free);
    assert_eq!(resize(&mut case, 0), TARGET);
    restart(&mut case, 0);
    later(&mut case, 5);
    let decision = case.decision_on(0);
    assert_eq!(
        (decision.reason.code(), requests(&decision)),
        ("ShrunkTooFar", LARGE)
    );
    assert_eq!(
        case.decision_on(1).reason.code(),
        "ShrinkHeld",
        "the others wait, too"
    );
    resize(&mut case, 0);
    later(&mut case, 5 * 60);
    assert_eq!(case.decision_on(0).reason.code(), "ShrinkHeld");
    later(&mut case, 60);
    // The next time it takes twice as long.
    assert_eq!(resize(&mut case, 0), TARGET);
    restart(&mut case, 0);
    later(&mut case, 1);
    resize(&mut case, 0);
    later(&mut case, 11 * 60);
    assert_eq!(case.decision_on(0).reason.code(), "ShrinkHeld");
    later(&mut case, 60);
    assert_eq!(resize(&mut case, 0), TARGET);
}

/// Its own restart, by `resizePolicy`, is none that counts; a restart long after is not the shrink's.
#[test]
fn only_restarts_that_may_come_of_it_count() {
    let mut by_policy = case(InPlace, ScaleDown::Free);
    by_policy.pods[0].containers[0].restarts_on_memory_resize = true;
    resize(&mut by_policy, 0);
    restart(&mut by_policy, 0);
    later(&mut by_policy, 1);
    assert_eq!(by_policy.decision_on(0).reason.code(), "UpToDate");
    restart(&mut by_policy, 0);
    later(&mut by_policy, 1);
    assert_eq!(by_policy.decision_on(0).reason.code(), "ShrunkTooFar");

    let mut late = case(InPlace, ScaleDown::Free);
    resize(&mut late, 0);
    later(&mut late, 61);
    restart(&mut late, 0);
    later(&mut late, 1);
    assert_eq!(late.decision_on(0).reason.code(), "UpToDate");
}

#[test]
fn a_smaller_replacement_that_is_restarted_puts_off_the_next() {
    let mut case = case(Recreate, ScaleDown::Free);
    let decision = case.decision_on(0);
    assert_eq!(letter(&decision), 'E');
    case.memory.done(&decision, &case.config, case.now);
    let mut replacement = pod("new", TARGET);
    replacement.created = Some(case.now);
    replacement.containers[0].status = Some(ContainerStatus {
        restart_count: 1,
        ..oom_killed_after(1)
    });
    case.pods[0] = replacement;
    later(&mut case, 5);
    let held = case.decisions().swap_remove(1);
    assert_eq!(held.reason.code(), "ShrinkHeld");
    assert!(held.reason.to_string().ends_with("it is put off"));
}

/// Requests, limits and what is recommended of memory (target, upper bound); what is asked for (request, limit), in Gi.
#[test]
fn a_memory_limit_is_not_lowered_below_recent_peaks() {
    type Row = (
        &'static str,
        (i64, i64),
        (i64, i64),
        &'static str,
        (i64, i64),
    );
    let rows: [Row; 7] = [
        (
            "both stop where the limit is at the peak",
            (4, 8),
            (1, 6),
            "ratio",
            (3, 6),
        ),
        ("far above it, they go", (4, 8), (3, 5), "ratio", (3, 6)),
        (
            "not where it is above them",
            (4, 8),
            (1, 99),
            "ratio",
            (0, 0),
        ),
        ("they follow up", (4, 8), (6, 5), "ratio", (6, 12)),
        ("a Guaranteed pod stays so", (8, 8), (1, 5), "ratio", (5, 5)),
        (
            "a limit that stays binds nothing",
            (4, 8),
            (1, 99),
            "keep",
            (1, 0),
        ),
        (
            "whatever becomes of limits",
            (4, 8),
            (1, 5),
            "headroom",
            (3, 5),
        ),
    ];
    for (name, (request, limit), (target, upper), limits, want) in rows {
        let mut case = case(InPlaceOrRecreate, ScaleDown::Free);
        let limits = limits.replace("headroom", "memory=headroom=2Gi");
        case.vpa.limits = LimitPolicies::parse(&limits).unwrap();
        for pod in &mut case.pods {
            pod.containers[0].requests = list((1000, request * GI));
            pod.containers[0].limits = list((1000, limit * GI));
        }
        let of = |memory: i64| (1000, memory * GI);
        let bounds = [of(target), of(target), of(upper)];
        case.vpa.recommendation = Some(vec![recommendation("c", bounds)]);
        let asked = |case: &Case| match case.decision_on(0).action {
            Action::Resize(changes) => {
                let gi = |list: &crate::quantity::ResourceList| {
                    list.get(Resource::Memory).unwrap_or(0) / GI
                };
                (gi(&changes[0].requests), gi(&changes[0].limits))
            }
            _ => (0, 0),
        };
        assert_eq!(asked(&case), want, "{name}");
        if name.starts_with("both stop") {
            let mut there = Case {
                vpa: case.vpa.clone(),
                pods: case.pods.clone(),
                ..Case::new(Profile::Safe, InPlaceOrRecreate, pods(2))
            };
            resize(&mut there, 0);
            later(&mut there, 120);
            let held = there.decision_on(0).reason;
            assert_eq!(held.code(), "ShrinkHeld", "{held}");
            assert!(held.to_string().ends_with("recent peaks and their margin"));
            case.vpa.conditions = vec![Condition {
                kind: "LowConfidence".into(),
                status: "True".into(),
                ..Condition::default()
            }];
            assert_eq!(
                asked(&case),
                (0, 0),
                "a young history has seen no peaks yet"
            );
        }
    }
}

#[test]
fn in_its_window_it_goes_down() {
    let mut case = case(InPlace, ScaleDown::Window);
    case.vpa.maintenance = crate::window::Maintenance::parse("Fri 00:00-05:00 UTC");
    // The epoch was a Thursday.
    assert_eq!((letter(&case.decision_on(0)), case.now), ('R', hours(24)));
    case.now = hours(30);
    assert_eq!(letter(&case.decision_on(0)), '-');
    recommend(&mut case, (8000, 8 * GI));
    assert_eq!(letter(&case.decision_on(0)), 'R', "up at any time");
}
