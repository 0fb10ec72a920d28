//! Profile `safe`: who is never evicted, and what is resized at most.

use super::*;
use crate::pod::Stakes;

#[test]
fn pods_that_say_no_are_never_evicted() {
    let rows = [
        ("podfit.dev/evict", "never", "--"),
        ("podfit.dev/evict", "yes", "E-"),
        (
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "false",
            "--",
        ),
        (
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "true",
            "E-",
        ),
        ("karpenter.sh/do-not-disrupt", "true", "--"),
        ("karpenter.sh/do-not-disrupt", "false", "E-"),
    ];
    for (key, value, want) in rows {
        let pods = || {
            pods(2)
                .into_iter()
                .map(|pod| Pod {
                    annotations: Some(vec![(key.to_owned(), value.to_owned())]),
                    ..pod
                })
                .collect()
        };
        let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods());
        assert_eq!(letters(&case.decisions()), want, "{key} {value}");
        case.config.profile = Profile::Upstream;
        assert_eq!(letters(&case.decisions()), "E-", "{key} {value}");
        let in_place = Case::new(Profile::Safe, UpdateMode::InPlaceOrRecreate, pods());
        assert_eq!(
            letters(&in_place.decisions()),
            "RR",
            "{key} {value}: may be resized"
        );
    }
}

#[test]
fn pods_of_a_job_are_resized_but_never_evicted() {
    let of_job = || {
        pods(2)
            .into_iter()
            .map(|pod| Pod {
                owner: Some(owner("Job")),
                ..pod
            })
            .collect()
    };
    let case = |profile, mode| Case {
        replicas: ConfiguredReplicas::LivePods,
        ..Case::new(profile, mode, of_job())
    };
    let safe = case(Profile::Safe, UpdateMode::Recreate).decisions();
    assert_eq!(codes(&safe), ["RunsToCompletion"; 2]);
    assert_eq!(
        letters(&case(Profile::Upstream, UpdateMode::Recreate).decisions()),
        "E-"
    );
    let mut stuck = case(Profile::Safe, UpdateMode::InPlaceOrRecreate);
    assert_eq!(letters(&stuck.decisions()), "RR");
    stuck.pods[0].resize = infeasible();
    assert_eq!(
        letters(&stuck.decisions()),
        "-R",
        "nor evicted when its node has no room"
    );
}

/// Two pods with what makes them dear to somebody.
fn dear(change: impl Fn(&mut Pod)) -> Vec<Pod> {
    let mut pods = pods(2);
    pods.iter_mut().for_each(change);
    pods
}

fn of(kind: &str) -> Vec<Pod> {
    dear(|pod| pod.owner = Some(owner(kind)))
}

fn with(stakes: Stakes) -> Vec<Pod> {
    dear(|pod| pod.stakes = stakes)
}

const NOTHING_AT_STAKE: Stakes = Stakes {
    runs_to_completion: false,
    holds_devices: false,
    is_critical: false,
};

/// Pods far below their recommendation, and far above it; what is said of them in mode Recreate, and what becomes of
/// each of them where they can be resized.
#[test]
fn what_would_be_lost_decides_what_may_be_done() {
    let runs_to_completion = Stakes {
        runs_to_completion: true,
        ..NOTHING_AT_STAKE
    };
    let holds_devices = Stakes {
        holds_devices: true,
        ..NOTHING_AT_STAKE
    };
    let is_critical = Stakes {
        is_critical: true,
        ..NOTHING_AT_STAKE
    };
    let in_kube_system = dear(|pod| pod.namespace = "kube-system".into());
    // Pods; the reason in mode Recreate; whether in place they may shrink, and may have a container restarted.
    let rows = [
        (of("Job"), "RunsToCompletion", false, false),
        (with(runs_to_completion), "RunsToCompletion", false, false),
        (of("JobSet"), "LongWork", false, false),
        (of("TrainJob"), "LongWork", false, false),
        (of("PyTorchJob"), "LongWork", false, false),
        (of("TFJob"), "LongWork", false, false),
        (of("MPIJob"), "LongWork", false, false),
        (of("XGBoostJob"), "LongWork", false, false),
        (of("PaddleJob"), "LongWork", false, false),
        (of("JAXJob"), "LongWork", false, false),
        (of("RayJob"), "LongWork", false, false),
        (of("RayCluster"), "LongWork", false, false),
        (of("SparkApplication"), "LongWork", false, false),
        (of("Workflow"), "LongWork", false, false),
        (with(holds_devices), "HoldsDevices", true, false),
        (with(is_critical), "SystemCritical", true, true),
        (in_kube_system, "SystemNamespace", true, true),
        (of("StatefulSet"), "", true, true),
        (of("Rollout"), "", true, true),
    ];
    for (pods, code, shrinks, restarts) in rows {
        let told = format!("{code} {:?}", pods[0].owner);
        let case = |mode, requests, restarting| {
            let mut case = Case::new(Profile::Safe, mode, pods.clone());
            for container in case.pods.iter_mut().flat_map(|pod| &mut pod.containers) {
                container.requests = list(requests);
                container.restarts_on_memory_resize = restarting;
            }
            letters(&case.decisions())
        };
        let big = (TARGET.0 * 9, TARGET.1 * 9);
        let safe = Case::new(Profile::Safe, UpdateMode::Recreate, pods.clone()).decisions();
        if code.is_empty() {
            assert_eq!(letters(&safe), "E-", "{told}");
        } else {
            assert_eq!(codes(&safe), [code; 2], "{told}");
        }
        let upstream = case_of(Profile::Upstream, &pods);
        assert!(upstream.contains('E'), "{told}: upstream evicts it");
        let in_place =
            |requests, restarting| case(UpdateMode::InPlaceOrRecreate, requests, restarting);
        assert_eq!(in_place(FAR, false), "RR", "{told}: may grow");
        let shrunk = if shrinks { "RR" } else { "--" };
        assert_eq!(in_place(big, false), shrunk, "{told}: may shrink");
        let restarted = if restarts { "R-" } else { "--" };
        assert_eq!(in_place(FAR, true), restarted, "{told}: may be restarted");
    }
}

fn case_of(profile: Profile, pods: &[Pod]) -> String {
    letters(&Case::new(profile, UpdateMode::Recreate, pods.to_vec()).decisions())
}

/// A pod of a ReplicaSet that a training run owns, by way of something else.
#[test]
fn the_whole_chain_of_controllers_is_looked_at() {
    let chain = |kinds: &[&str]| {
        let key = |kind: &&str| ControllerKey::new("ns", kind, "x");
        kinds.iter().map(key).collect::<Vec<_>>()
    };
    let rows: [(&[&str], Option<&str>); 5] = [
        (&["ReplicaSet", "Deployment"], None),
        (&["Rollout.argoproj.io"], None),
        (
            &["Worker.example.com", "RayCluster.ray.io"],
            Some("RayCluster"),
        ),
        (&["Job.batch.volcano.sh"], Some("Job")),
        (&[], None),
    ];
    for (kinds, want) in rows {
        assert_eq!(long_work(&chain(kinds)), want, "{kinds:?}");
    }
    let mut snapshot = Case::new(Profile::Safe, UpdateMode::Recreate, pods(2)).snapshot();
    let long_work = [(owner("ReplicaSet"), "RayCluster".to_owned())];
    snapshot.workloads[0].long_work = long_work.into();
    let config = Config::new(Profile::Safe);
    let decisions = plan(&snapshot, &Memory::default(), &config, hours(24));
    assert_eq!(
        decisions[0].reason.to_string(),
        "it is never evicted: the work of its RayCluster would be lost"
    );
}

/// What is to grow grows, what is to shrink stays.
#[test]
fn long_work_is_resized_upwards_only() {
    let mut case = Case::new(
        Profile::Safe,
        UpdateMode::InPlaceOrRecreate,
        of("PyTorchJob"),
    );
    case.pods.truncate(1);
    let own = &mut case.pods[0].containers[0];
    (own.requests, own.limits) = (list((100, 4 * GI)), list((0, 8 * GI)));
    let action = case.decisions().swap_remove(0).action;
    let Action::Resize(changes) = action else {
        panic!("it needs more CPU")
    };
    assert_eq!(
        (changes[0].requests, changes[0].limits),
        (list((TARGET.0, 4 * GI)), list((0, 8 * GI)))
    );
    case.pods[0].containers[0].requests = list((2000, 4 * GI));
    assert_eq!(codes(&case.decisions()), ["OnlyGrows"]);
}

/// Nobody replaces the pods of this group: from round to round half of what is left would go.
#[test]
fn a_custom_owner_is_taken_to_want_the_pods_it_had_lately() {
    let mut case = Case {
        replicas: ConfiguredReplicas::Custom,
        ..Case::new(Profile::Safe, UpdateMode::Recreate, pods(8))
    };
    let round = |case: &mut Case| {
        case.memory.observe(&case.snapshot(), case.now);
        let decisions = case.decisions();
        case.now = case.now + Duration::from_mins(1);
        let evicted = |pod: &Pod| {
            decisions
                .iter()
                .any(|d| d.pod.uid == pod.uid && letter(d) == 'E')
        };
        case.pods.retain(|pod| !evicted(pod));
        case.pods.len()
    };
    assert_eq!(round(&mut case), 4);
    for _ in 0..29 {
        assert_eq!(round(&mut case), 4, "half of them stay");
    }
    case.now = case.now + Duration::from_hours(1);
    assert_eq!(round(&mut case), 2, "four are what it wants now");
}
