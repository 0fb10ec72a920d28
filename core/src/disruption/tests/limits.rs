//! Limits that stay or go, and pods that are left alone.

use super::*;
use crate::policy::{LimitPolicies, LimitRangeItem, LimitRangeScope, Ratios};
use crate::quantity::Resource;
use crate::vpa::ContainerPolicy;

#[test]
fn limits_that_cut_off_what_is_recommended_are_told() {
    let pod = |name: &str, limits| {
        let mut pod = pod(name, FAR);
        pod.containers[0].limits = list(limits);
        Arc::new(pod)
    };
    let policy = |requests_only| ContainerPolicy {
        container_name: "*".into(),
        requests_only,
        ..ContainerPolicy::default()
    };
    let told = |requests_only, limits: &str, pods: &[Arc<Pod>]| {
        let workload = Workload {
            vpa: Arc::new(Vpa {
                container_policies: vec![policy(requests_only)],
                limits: LimitPolicies::parse(limits).unwrap(),
                ..vpa(UpdateMode::Recreate)
            }),
            pods: pods.to_vec(),
            ..Workload::default()
        };
        let default = LimitRangeItem {
            scope: LimitRangeScope::Container,
            min: list(NOTHING),
            max: list(NOTHING),
            default: list((0, 512 * MI)),
            max_ratio: Ratios::default(),
        };
        let capped = capped_by_limit(&workload, (&[default]).into(), Profile::Safe);
        capped.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (tight, tighter) = (pod("a", (2000, 512 * MI)), pod("b", (800, 600 * MI)));
    let cpu = "container c needs more cpu than its limit of 800m which stays";
    let memory = "container c needs more memory than its limit of 512Mi, the LimitRange's default, which stays";
    assert_eq!(
        told(true, "ratio", &[tight.clone(), tighter.clone()]),
        [cpu, memory]
    );
    assert_eq!(
        told(false, "cpu=keep", &[tight.clone(), tighter.clone()]),
        [cpu]
    );
    assert!(told(false, "none", &[tight, tighter]).is_empty());
    assert!(told(true, "ratio", &[pod("c", TARGET)]).is_empty());
}

/// In place a limit cannot be taken away: it stays, and is raised where the request would exceed it.
#[test]
fn a_limit_that_is_to_go_stays_in_a_running_pod() {
    let change = |mode, limits| {
        let mut pod = pod("p", FAR);
        pod.containers[0].limits = list(limits);
        let mut case = Case::new(Profile::Safe, mode, vec![pod]);
        case.vpa.min_replicas = Some(1);
        case.vpa.limits = LimitPolicies::parse("none").unwrap();
        match case.decisions().swap_remove(0).action {
            Action::Resize(changes) | Action::Evict(changes) => changes[0].clone(),
            _ => panic!("not due"),
        }
    };
    let in_place = change(UpdateMode::InPlaceOrRecreate, (2000, 256 * MI));
    assert_eq!(
        (in_place.limits, in_place.removed_limits),
        (list((2000, GI)), vec![])
    );
    let anew = change(UpdateMode::Recreate, (2000, 256 * MI));
    assert_eq!(
        (anew.limits, anew.removed_limits),
        (list(NOTHING), Resource::ALL.to_vec())
    );
}

#[test]
fn pods_with_resources_of_their_own_or_a_boost_are_left_alone() {
    let mut whole = pod("whole", FAR);
    whole.has_pod_resources = true;
    let mut boosted = pod("boosted", FAR);
    boosted.containers[0].before_boost = Some(Box::default());
    let mut case = Case::new(
        Profile::Safe,
        UpdateMode::InPlaceOrRecreate,
        vec![whole, boosted],
    );
    case.config.gates.cpu_startup_boost = true;
    assert_eq!(
        codes(&case.decisions()),
        ["PodLevelResources", "StartupBoost"]
    );
    case.config.gates.cpu_startup_boost = false;
    assert_eq!(letters(&case.decisions()), "-R");
}
