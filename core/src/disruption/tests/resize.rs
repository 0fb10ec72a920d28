//! Resizes that are refused, put off or do not end, in profile `safe`.

mod laws;

use super::*;
use crate::node::Node;
use crate::quantity::Resource;
use UpdateMode::{InPlace, InPlaceOrRecreate};

const NO_MEMORY: &str = "Node didn't have enough capacity: memory, requested: 9, capacity: 4";

/// Three pods, the first of which was asked to go from [`FAR`] to `asked`, which the kubelet says is so far in `state`.
fn asked(mode: UpdateMode, asked: Amounts, state: ResizeState) -> Case {
    let mut case = Case::new(Profile::Safe, mode, pods(3));
    case.vpa.recommendation = Some(vec![recommendation("c", [asked; 3])]);
    let container = &mut case.pods[0].containers[0];
    let in_force = EffectiveResources {
        requests: container.requests,
        limits: container.limits,
    };
    container.status = Some(ContainerStatus {
        resources: Some(in_force),
        running: true,
        ..ContainerStatus::default()
    });
    container.requests = list(asked);
    case.pods[0].resize = state;
    case.memory.observe(&case.snapshot(), case.now);
    case
}

fn later(case: &mut Case, minutes: u64) {
    case.now = case.now + Duration::from_mins(minutes);
    case.memory.observe(&case.snapshot(), case.now);
}

/// What the first pod's only container is to request; what is left as it is reads zero.
fn requests(decision: &Decision) -> Amounts {
    let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else {
        return NOTHING;
    };
    let of = |r| changes.iter().filter_map(|c| c.requests.get(r)).sum();
    (of(Resource::Cpu), of(Resource::Memory))
}

fn deferred_for(message: &str) -> ResizeState {
    ResizeState::Deferred {
        message: message.into(),
    }
}

fn failed() -> ResizeState {
    ResizeState::Error {
        message: "cgroup".into(),
    }
}

/// What is taken back where nothing can be evicted, and when.
#[test]
fn what_the_kubelet_does_not_do_is_taken_back() {
    let memory_deferred =
        "Node didn't have enough resource: memory, requested: 9, used: 3, capacity: 4";
    let infeasible = |message: &str| ResizeState::Infeasible {
        message: message.into(),
    };
    let rows = [
        (infeasible("never"), 0, 'R', "ResizeTakenBack", FAR),
        // The CPU that goes with it stays asked for.
        (infeasible(NO_MEMORY), 0, 'R', "ResizeTakenBack", (0, FAR.1)),
        (deferred(), 5, '-', "ResizeUnderWay", NOTHING),
        (deferred(), 6, 'R', "ResizeTakenBack", FAR),
        (
            deferred_for(memory_deferred),
            6,
            'R',
            "ResizeTakenBack",
            (0, FAR.1),
        ),
        (ResizeState::InProgress, 60, '-', "ResizeUnderWay", NOTHING),
        (ResizeState::InProgress, 61, 'R', "ResizeTakenBack", FAR),
        (failed(), 5, '-', "ResizeUnderWay", NOTHING),
        (failed(), 6, 'R', "ResizeTakenBack", FAR),
    ];
    for (state, minutes, action, code, want) in rows {
        let mut case = asked(InPlace, TARGET, state.clone());
        later(&mut case, minutes);
        let decision = case.decision_on(0);
        let got = (
            letter(&decision),
            decision.reason.code(),
            requests(&decision),
        );
        assert_eq!(got, (action, code, want), "{state:?} for {minutes} min");
    }
}

#[test]
fn the_limits_are_flags() {
    let mut case = asked(InPlace, TARGET, deferred());
    case.config.deferred_timeout = Duration::from_mins(20);
    later(&mut case, 20);
    assert_eq!(case.decision_on(0).reason.code(), "ResizeUnderWay");
    later(&mut case, 1);
    assert_eq!(case.decision_on(0).reason.code(), "ResizeTakenBack");
}

#[test]
fn it_is_evicted_instead_where_that_can_be_done() {
    let case = asked(InPlaceOrRecreate, TARGET, infeasible());
    assert_eq!(letter(&case.decision_on(0)), 'E');
    let mut alone = asked(InPlaceOrRecreate, TARGET, infeasible());
    alone.config.min_replicas = 9;
    assert_eq!(alone.decision_on(0).reason.code(), "ResizeTakenBack");
    // To make it anew for what it has too much of would help nobody.
    let mut smaller = asked(InPlaceOrRecreate, (50, 64 * MI), failed());
    later(&mut smaller, 6);
    assert_eq!(smaller.decision_on(0).reason.code(), "ResizeTakenBack");
}

/// Whatever else is to be said of the pod.
#[test]
fn it_is_taken_back_although_nothing_is_due() {
    let mut case = asked(InPlace, TARGET, infeasible());
    case.vpa.recommendation = None;
    assert_eq!(case.decision_on(0).reason.code(), "ResizeTakenBack");
    case.vpa.recommendation = Some(vec![recommendation("c", [FAR; 3])]);
    assert_eq!(case.decision_on(0).reason.code(), "ResizeTakenBack");
    case.pods[0].terminating = true;
    assert_eq!(case.decision_on(0).reason.code(), "NotLive");
    let mut upstream = asked(InPlace, TARGET, infeasible());
    upstream.config = Config::new(Profile::Upstream);
    upstream.config.gates.in_place = true;
    assert_eq!(upstream.decision_on(0).reason.code(), "ResizeStuck");
}

/// Takes back what the first pod was asked for, as the kubelet then does.
fn take_back(case: &mut Case) {
    let decision = case.decision_on(0);
    assert_eq!(decision.reason.code(), "ResizeTakenBack");
    case.memory.resized(&decision, None, case.now);
    let Action::Resize(changes) = decision.action else {
        panic!("a resize")
    };
    let pod = &mut case.pods[0];
    for change in changes {
        change.apply(&mut pod.containers[change.index]);
    }
    let container = &mut pod.containers[0];
    let in_force = EffectiveResources {
        requests: container.requests,
        limits: container.limits,
    };
    container.status.as_mut().unwrap().resources = Some(in_force);
    pod.resize = ResizeState::None;
}

#[test]
fn a_refused_raise_of_memory_does_not_hold_back_cpu() {
    let mut case = asked(
        InPlace,
        TARGET,
        ResizeState::Infeasible {
            message: NO_MEMORY.into(),
        },
    );
    take_back(&mut case);
    assert_eq!(case.pods[0].containers[0].requests, list((TARGET.0, FAR.1)));
    assert_eq!(case.decision_on(0).reason.code(), "ResizeRefused");
    case.vpa.recommendation = Some(vec![recommendation("c", [(1500, GI); 3])]);
    assert_eq!(requests(&case.decision_on(0)), (1500, 0));
    case.vpa.recommendation = Some(vec![recommendation("c", [(1500, GI / 2); 3])]);
    assert_eq!(
        requests(&case.decision_on(0)),
        (1500, GI / 2),
        "less of what was refused is another question"
    );
}

#[test]
fn the_api_servers_refusal_counts_for_the_resource_that_it_names() {
    let named = "pods \"p\" is forbidden: node didn't have enough allocatable resources: memory, requested: 9";
    let rows = [
        (named, 'R', (1000, 0)),
        ("Pod QOS Class may not change", '-', NOTHING),
    ];
    for (message, want, amounts) in rows {
        let mut case = Case::new(Profile::Safe, InPlace, pods(2));
        let decision = case.decision_on(0);
        case.memory.resized(&decision, Some(message), case.now);
        let decision = case.decision_on(0);
        assert_eq!(
            (letter(&decision), requests(&decision)),
            (want, amounts),
            "{message}"
        );
        // Where it can be made anew it gets all.
        case.vpa.update_mode = InPlaceOrRecreate;
        let decision = case.decision_on(0);
        assert_eq!(
            (letter(&decision), requests(&decision)),
            ('E', TARGET),
            "{message}"
        );
        case.config.min_replicas = 9;
        assert_eq!(requests(&case.decision_on(0)), amounts, "{message}");
    }
}

#[test]
fn it_is_tried_again_after_a_while_which_doubles() {
    let mut case = asked(InPlace, TARGET, deferred());
    later(&mut case, 6);
    take_back(&mut case);
    for pause in [5, 10, 20] {
        later(&mut case, pause - 1);
        assert_eq!(
            case.decision_on(0).reason.code(),
            "ResizeRefused",
            "{pause}"
        );
        later(&mut case, 1);
        let decision = case.decision_on(0);
        assert_eq!(requests(&decision), TARGET, "{pause}");
        case.memory.resized(&decision, Some("no"), case.now);
    }
}

#[test]
fn it_is_tried_again_when_the_node_has_room() {
    let node = Arc::new(Node {
        name: "node".into(),
        allocatable: list((8000, 4 * GI)),
        ..Node::default()
    });
    let neighbour = |memory| Pod {
        containers: vec![container("n", (0, memory))],
        ..pod("neighbour", NOTHING)
    };
    let beside = |case: &mut Case, memory| {
        let pods: Vec<_> = case
            .pods
            .iter()
            .cloned()
            .chain([neighbour(memory)])
            .map(Arc::new)
            .collect();
        case.nodes = Nodes::new([&node], &pods);
    };
    let mut case = asked(InPlace, TARGET, deferred());
    later(&mut case, 6);
    take_back(&mut case);
    beside(&mut case, 3 * GI);
    later(&mut case, 300);
    assert_eq!(
        requests(&case.decision_on(0)),
        (TARGET.0, 0),
        "still no room for its memory"
    );
    beside(&mut case, GI);
    assert_eq!(requests(&case.decision_on(0)), TARGET);
}

/// The kubelet would defer all of it.
#[test]
fn what_fits_beside_the_other_pods_goes_first() {
    let node = Arc::new(Node {
        name: "node".into(),
        allocatable: list((8000, 4 * GI)),
        ..Node::default()
    });
    let neighbour = Pod {
        containers: vec![container("n", (0, 3 * GI + GI / 2))],
        ..pod("neighbour", NOTHING)
    };
    let mut case = Case::new(Profile::Safe, InPlace, pods(1));
    let pods = [case.pods[0].clone(), neighbour].map(Arc::new);
    case.nodes = Nodes::new([&node], &pods);
    assert_eq!(requests(&case.decision_on(0)), (TARGET.0, 0));
    case.pods[0].containers[0].requests.cpu = list(TARGET).cpu;
    assert_eq!(
        requests(&case.decision_on(0)),
        TARGET,
        "the kubelet may wait with the rest"
    );
}

/// Its own node cannot hold it, and another could.
#[test]
fn a_pod_goes_to_a_larger_node_or_gets_what_its_own_has() {
    let node = |name: &str, memory| {
        Arc::new(Node {
            name: name.into(),
            allocatable: list((8000, memory)),
            ..Node::default()
        })
    };
    let mut case = Case::new(Profile::Safe, InPlaceOrRecreate, pods(2));
    case.vpa.recommendation = Some(vec![recommendation("c", [(1000, 6 * GI); 3])]);
    case.nodes = Nodes::new(&[node("node", 4 * GI), node("large", 16 * GI)], &[]);
    assert_eq!(letter(&case.decision_on(0)), 'E');
    case.pods[0].annotations = Some(vec![("podfit.dev/evict".into(), "never".into())]);
    let decision = case.decision_on(0);
    assert_eq!(
        (letter(&decision), requests(&decision)),
        ('R', (1000, 4 * GI))
    );
}

#[test]
fn an_oom_kill_after_a_resize_is_told_where_nothing_else_can_be_done() {
    let mut case = Case::new(Profile::Safe, InPlace, pods(2));
    let pod = &mut case.pods[0];
    pod.annotations = Some(vec![(IN_PLACE_ANNOTATION.into(), "true".into())]);
    pod.containers[0].requests = list(TARGET);
    pod.containers[0].status = Some(ContainerStatus {
        running: false,
        restart_count: 3,
        ..oom_killed_after(1)
    });
    assert_eq!(case.decision_on(0).reason.code(), "ResizedInVain");
}

#[test]
fn what_was_refused_is_forgotten_with_its_pod() {
    let mut case = asked(InPlace, TARGET, infeasible());
    take_back(&mut case);
    assert_ne!(case.memory, Memory::default());
    case.pods.clear();
    later(&mut case, 1);
    assert_eq!(case.memory, Memory::default());
}
