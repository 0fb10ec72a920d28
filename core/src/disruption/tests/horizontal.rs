//! A resource that an HPA scales on makes no pod due, and is not changed in one that is.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const CPU: (Resource, Option<&str>) = (Resource::Cpu, None);
const MEMORY: (Resource, Option<&str>) = (Resource::Memory, None);

fn case(mode: UpdateMode, requests: Amounts, claimed: &[(Resource, Option<&str>)]) -> Case {
    let pods = ["a", "b"].map(|name| pod(name, requests)).into();
    let mut case = Case::new(Profile::Safe, mode, pods);
    case.claims = Claims::of_test(claimed);
    case
}

#[test]
fn what_is_claimed_makes_no_pod_due() {
    let (small_cpu, small_memory) = ((100, GI), (1000, 128 * MI));
    let rows: [(Amounts, &[(Resource, Option<&str>)], &str); 7] = [
        (FAR, &[], "OutsideBounds"),
        (small_cpu, &[], "OutsideBounds"),
        (small_cpu, &[CPU], "UpToDate"),
        (small_cpu, &[MEMORY], "OutsideBounds"),
        (small_memory, &[CPU], "OutsideBounds"),
        (small_memory, &[(Resource::Memory, Some("c"))], "UpToDate"),
        (FAR, &[CPU, MEMORY], "LeftToHpa"),
    ];
    for (requests, claimed, code) in rows {
        for mode in [UpdateMode::Recreate, UpdateMode::InPlace] {
            let decision = case(mode, requests, claimed).decision_on(0);
            assert_eq!(decision.reason.code(), code, "{requests:?} {claimed:?}");
        }
    }
}

#[test]
fn a_pod_that_is_due_keeps_what_is_claimed() {
    for mode in [UpdateMode::Recreate, UpdateMode::InPlace] {
        let decision = case(mode, FAR, &[CPU]).decision_on(0);
        let changes = match &decision.action {
            Action::Resize(changes) | Action::Evict(changes) => changes,
            other => panic!("{other:?}"),
        };
        let [change] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!(change.requests, list((0, GI)), "{mode:?}");
    }
}

/// The order of updates goes by what is podfit's to change.
#[test]
fn what_is_claimed_is_not_urgent() {
    let mut case = case(UpdateMode::Recreate, (1000, GI / 2), &[CPU]);
    case.pods[0] = pod("a", (1, GI / 4 * 3));
    let first = |case: &Case| {
        let decisions = case.plan();
        let acts = decisions.iter().find(|d| d.action != Action::Skip);
        acts.map(|d| d.pod.name.clone())
    };
    assert_eq!(first(&case).as_deref(), Some("b"));
    case.claims = Claims::default();
    assert_eq!(first(&case).as_deref(), Some("a"));
}

/// The HPA came between the eviction and the replacement: the webhook was right to leave CPU alone.
#[test]
fn a_replacement_without_what_is_claimed_by_now_is_no_fault() {
    let mut case = case(UpdateMode::Recreate, FAR, &[]);
    let snapshot = case.snapshot();
    let mut memory = Memory::default();
    memory.observe(&snapshot, case.now);
    let decisions = plan(&snapshot, &memory, &case.config, case.now);
    let evicted = decisions.iter().find_map(|d| match &d.action {
        Action::Evict(changes) => Some((d.pod.name.clone(), changes.clone())),
        _ => None,
    });
    let (name, asked) = evicted.unwrap();
    memory
        .outcomes
        .evicted(&snapshot.workloads[0], &[&asked], case.now);
    case.pods.retain(|pod| pod.name != name);
    let mut replacement = pod("new", (100, GI));
    let updates = (
        crate::admission::UPDATES_ANNOTATION.to_owned(),
        "memory request".to_owned(),
    );
    replacement.annotations = Some(vec![updates]);
    case.pods.push(replacement);
    let judge = |claimed: &[(Resource, Option<&str>)]| {
        let mut case = Case {
            claims: Claims::of_test(claimed),
            ..Case::new(Profile::Safe, UpdateMode::Recreate, case.pods.clone())
        };
        case.now = hours(25);
        let missed = memory
            .clone()
            .outcomes
            .judge(&case.snapshot(), &case.config, case.now);
        missed.len()
    };
    assert_eq!((judge(&[]), judge(&[CPU])), (1, 0));
}

/// A boost that began before the HPA came ends with what the pod had before.
#[test]
fn a_boost_of_what_is_claimed_ends_where_it_began() {
    let mut case = case(UpdateMode::Recreate, (200, GI), &[CPU]);
    case.config.gates.cpu_startup_boost = true;
    for pod in &mut case.pods {
        pod.ready_since = Some(Timestamp::default());
        pod.containers[0].before_boost = Some(Box::new(EffectiveResources {
            requests: list((100, GI)),
            limits: list(NOTHING),
        }));
    }
    let cpu = |case: &Case| match &case.decisions()[0].action {
        Action::Unboost(changes) => changes[0].requests.get(Resource::Cpu),
        other => panic!("{other:?}"),
    };
    assert_eq!(cpu(&case), Some(100));
    case.claims = Claims::default();
    assert_eq!(cpu(&case), Some(1000));
}

proptest! {
    /// Whatever a pod requests and is recommended, in whatever mode: nothing is asked for of a resource that is claimed.
    #[test]
    fn no_plan_changes_what_is_claimed(
        requests in (1..3000_i64, 1..4 * GI),
        used in (1..3000_i64, 1..4 * GI),
        resource in select(Resource::ALL.as_slice()),
        mode in select(&[UpdateMode::Recreate, UpdateMode::InPlaceOrRecreate, UpdateMode::InPlace][..]),
        profile in select(&[Profile::Safe, Profile::Upstream][..]),
    ) {
        let mut case = Case::new(profile, mode, vec![pod("a", requests), pod("b", requests)]);
        case.config.gates.in_place = true;
        case.vpa.recommendation = Some(vec![recommendation("c", [used; 3])]);
        case.claims = Claims::of_test(&[(resource, None)]);
        for decision in case.decisions() {
            let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else { continue };
            for change in changes {
                prop_assert_eq!(change.requests.get(resource), None);
                prop_assert_eq!(change.limits.get(resource), None);
                prop_assert!(!change.removed_limits.contains(&resource));
            }
        }
    }
}
