//! Pods whose HPA's target moves with their requests: the target goes first on the way down.

use super::*;

/// Two pods of `cpu` millicores under an HPA whose target of 70 % was meant for 2000m, and is `in_force` now. A third of
/// that is recommended.
fn case(mode: UpdateMode, cpu: i64, in_force: i64) -> Case {
    let pods = ["a", "b"].map(|name| pod(name, (cpu, GI))).into();
    let mut case = Case::new(Profile::Safe, mode, pods);
    case.vpa.recommendation = Some(vec![recommendation("c", [(700, GI); 3])]);
    case.claims = Claims::aligned_test("cpu", (70, 2000), in_force);
    case
}

fn cpu(decision: &Decision) -> Option<i64> {
    match &decision.action {
        Action::Resize(changes) | Action::Evict(changes) => changes[0].requests.get(Resource::Cpu),
        _ => None,
    }
}

#[test]
fn pods_wait_for_the_target_and_then_follow_it() {
    // CPU, target in force -> code of the reason, and the new request.
    let rows = [
        (2000, 70, "WaitsForTarget", None),
        (2000, 74, "OutsideBounds", Some(1892)),
        (1892, 74, "WaitsForTarget", None),
        (1600, 90, "OutsideBounds", None),
        // As low as a target of 90 % lets it be.
        (1556, 90, "UpToDate", None),
        (1000, 70, "Drifted", Some(1556)),
    ];
    for (requests, in_force, code, want) in rows {
        for mode in [UpdateMode::InPlace, UpdateMode::Recreate] {
            let decision = case(mode, requests, in_force).decision_on(0);
            if requests == 1600 {
                // Within a tenth of it is near enough, but for what the target went ahead of.
                assert_eq!(decision.reason.code(), "BehindTarget", "{mode:?}");
                assert_eq!(cpu(&decision), Some(1556));
                continue;
            }
            assert_eq!(
                decision.reason.code(),
                code,
                "{requests} {in_force} {mode:?}"
            );
            assert_eq!(cpu(&decision), want, "{requests} {in_force} {mode:?}");
        }
    }
}

#[test]
fn a_target_does_not_go_ahead_of_pods_that_would_not_follow() {
    let code = |case: &Case| case.decision_on(0).reason.code();
    let mut alone = case(UpdateMode::Recreate, 2000, 70);
    alone.pods.truncate(1);
    alone.replicas = ConfiguredReplicas::Known(1);
    assert_eq!(code(&alone), "SingleReplica");
    alone.vpa.update_mode = UpdateMode::InPlace;
    assert_eq!(code(&alone), "WaitsForTarget");

    let mut job = case(UpdateMode::InPlace, 2000, 70);
    job.pods[0].stakes.runs_to_completion = true;
    assert_eq!(code(&job), "OnlyGrows");

    let mut never = case(UpdateMode::InPlace, 2000, 70);
    never.vpa.scale_down = crate::policy::ScaleDown::Never;
    assert_eq!(code(&never), "ShrinkHeld");

    let mut upwards = case(UpdateMode::InPlace, 2000, 70);
    upwards.vpa.eviction_requirements = vec![crate::vpa::EvictionRequirement {
        resources: vec![Resource::Cpu],
        change: crate::vpa::ChangeRequirement::TargetHigherThanRequests,
    }];
    assert_ne!(code(&upwards), "WaitsForTarget");
}
