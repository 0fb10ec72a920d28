//! Pods that are recommended more than a node can hold.

use super::*;
use crate::node::{Node, Placement, Taint};
use crate::quantity::Resource;
use UpdateMode::{InPlace, InPlaceOrRecreate, Recreate};

fn node(name: &str, allocatable: Amounts) -> Node {
    Node {
        name: name.into(),
        allocatable: list(allocatable),
        ..Node::default()
    }
}

fn nodes(all: &[Node], pods: &[Pod]) -> Nodes {
    let all: Vec<_> = all.iter().cloned().map(Arc::new).collect();
    let pods: Vec<_> = pods.iter().cloned().map(Arc::new).collect();
    Nodes::new(&all, &pods)
}

/// Two pods of requests [`FAR`] on node "node", and what that has.
fn case(mode: UpdateMode, target: Amounts, allocatable: Amounts) -> Case {
    let mut case = Case::new(Profile::Safe, mode, pods(2));
    case.vpa.recommendation = Some(vec![recommendation("c", [target; 3])]);
    case.nodes = nodes(&[node("node", allocatable)], &[]);
    case
}

fn asked(decision: &Decision) -> Amounts {
    let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else {
        return NOTHING;
    };
    let amount = |r: Resource| changes.iter().filter_map(|c| c.requests.get(r)).sum();
    (amount(Resource::Cpu), amount(Resource::Memory))
}

#[test]
fn no_more_is_asked_for_than_a_node_can_hold() {
    let rows = [
        ("fits", InPlace, (1000, GI), (1000, GI)),
        (
            "memory is cut, and cpu is not",
            InPlace,
            (1000, 9 * GI),
            (1000, 4 * GI),
        ),
        ("cpu is cut", InPlaceOrRecreate, (9000, GI), (2000, GI)),
        ("both", InPlaceOrRecreate, (9000, 9 * GI), (2000, 4 * GI)),
    ];
    for (name, mode, target, want) in rows {
        let decision = case(mode, target, (2000, 4 * GI)).decision_on(0);
        assert_eq!((letter(&decision), asked(&decision)), ('R', want), "{name}");
    }
}

#[test]
fn an_eviction_that_would_lead_nowhere_is_not_made() {
    let too_large = case(Recreate, (1000, 9 * GI), (2000, 4 * GI)).decision_on(0);
    assert_eq!(too_large.reason.code(), "LargerThanNodes");
    assert_eq!(
        too_large.reason.to_string(),
        "its replacement could run nowhere: more memory is recommended than any node that it could run on has for it, \
         4Gi at most"
    );
    assert_eq!(
        letters(&case(Recreate, TARGET, (2000, 4 * GI)).decisions()),
        "E-"
    );
    let mut off = case(Recreate, (1000, 9 * GI), (2000, 4 * GI));
    off.config.node_fit = false;
    assert_eq!(letters(&off.decisions()), "E-");
}

#[test]
fn a_larger_node_counts_where_the_pod_can_go_there() {
    let large = || node("large", (8000, 16 * GI));
    let tainted = Node {
        taints: vec![Taint {
            key: "team".into(),
            effect: "NoSchedule".into(),
            ..Taint::default()
        }],
        ..large()
    };
    let cordoned = Node {
        cordoned: true,
        ..large()
    };
    for (other, mode, want) in [
        (large(), Recreate, 'E'),
        (large(), InPlace, 'R'),
        (tainted, Recreate, '-'),
        (cordoned, Recreate, '-'),
    ] {
        let mut case = case(mode, (1000, 9 * GI), NOTHING);
        case.nodes = nodes(&[node("node", (2000, 4 * GI)), other], &[]);
        let decision = case.decision_on(0);
        assert_eq!(letter(&decision), want, "{mode:?}: {}", decision.reason);
        if mode == InPlace {
            assert_eq!(
                asked(&decision),
                (1000, 4 * GI),
                "its own node is all it has"
            );
        }
    }
}

/// Such as a node pool that is scaled down to none.
#[test]
fn where_no_node_matches_nothing_is_capped() {
    let mut case = case(Recreate, (1000, 9 * GI), (2000, 4 * GI));
    for pod in &mut case.pods {
        pod.placement = Some(Arc::new(Placement {
            selector: vec![("pool".into(), "large".into())],
            ..Placement::default()
        }));
    }
    assert_eq!(letters(&case.decisions()), "E-");
}

/// Its node may have been larger than those that are there now.
#[test]
fn what_a_pod_has_is_never_taken_away_for_its_nodes_size() {
    let mut case = case(InPlaceOrRecreate, (5000, 9 * GI), (2000, 4 * GI));
    for pod in &mut case.pods {
        pod.containers[0].requests = list((1000, 6 * GI));
    }
    assert_eq!(asked(&case.decision_on(0)), (2000, 6 * GI));
}

#[test]
fn the_sum_over_the_containers_counts_and_each_grows_by_the_same_part() {
    let mut case = case(InPlace, NOTHING, (2000, 4 * GI));
    for pod in &mut case.pods {
        pod.containers = vec![
            container("a", (100, GI)),
            container("b", (100, GI)),
            container("left-alone", (100, GI)),
            container("shrinks", (400, GI)),
        ];
    }
    // Daemons take a part of the node.
    let daemon = Pod {
        owner: Some(owner("DaemonSet")),
        containers: vec![container("d", (300, 0))],
        ..pod("daemon", NOTHING)
    };
    case.nodes = nodes(&[node("node", (2000, 8 * GI))], &[daemon]);
    let target = |name, cpu| recommendation(name, [(cpu, GI); 3]);
    case.vpa.recommendation = Some(vec![
        target("a", 1100),
        target("b", 2100),
        target("shrinks", 200),
    ]);
    let Action::Resize(changes) = case.decision_on(0).action else {
        panic!("a resize was due")
    };
    // 1700 are there, 500 of them taken: 1200 for a growth of 3000.
    let cpu: Vec<_> = changes
        .iter()
        .map(|c| c.requests.get(Resource::Cpu))
        .collect();
    assert_eq!(cpu, [Some(500), Some(900), Some(200)]);
}

/// Its replacement runs on the same node, and what it has itself is room for it.
#[test]
fn a_daemon_has_its_own_node() {
    let mut case = case(Recreate, (1000, 6 * GI), NOTHING);
    for pod in &mut case.pods {
        pod.owner = Some(owner("DaemonSet"));
        pod.containers[0].requests = list((500, 2 * GI));
    }
    let both = [node("node", (2000, 4 * GI)), node("large", (8000, 16 * GI))];
    case.nodes = nodes(&both, &case.pods[..1]);
    assert_eq!(case.decision_on(0).reason.code(), "LargerThanNodes");
    case.vpa.recommendation = Some(vec![recommendation("c", [(1000, 4 * GI); 3])]);
    assert_eq!(letter(&case.decision_on(0)), 'E');
}

#[test]
fn whole_cores_stay_whole() {
    let mut case = case(InPlace, (6000, GI), (4500, 4 * GI));
    for pod in &mut case.pods {
        let container = &mut pod.containers[0];
        container.requests = list((1000, GI));
        container.limits = container.requests;
    }
    assert_eq!(asked(&case.decision_on(0)), (4000, GI));
}

#[test]
fn what_nodes_cut_off_is_told_once_for_each_resource() {
    let told = |case: &Case| {
        let all = capped_by_node(&case.snapshot(), &case.config);
        all[0].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let cpu = "more cpu is recommended than any node that it could run on has for it, 2 at most";
    assert_eq!(told(&case(Recreate, (9000, GI), (2000, 4 * GI))), [cpu]);
    assert_eq!(
        told(&case(Recreate, (9000, 9 * GI), (2000, 4 * GI))).len(),
        2
    );
    assert!(told(&case(Recreate, (1900, 3 * GI), (2000, 4 * GI))).is_empty());
    let stays = "more memory is recommended than its node has for it, 4Gi at most";
    assert_eq!(
        told(&case(InPlace, (1000, 9 * GI), (2000, 4 * GI))),
        [stays]
    );
    let mut upstream = case(Recreate, (9000, GI), (2000, 4 * GI));
    upstream.config = Config::new(Profile::Upstream);
    assert!(told(&upstream).is_empty());
}
