use super::*;
use crate::ownership::of_well_known;
use crate::pod::{Container, OwnerRef, Phase};
use crate::quantity::{Bytes, Millicores};

const GI: i64 = 1 << 30;

fn list(cpu: i64, memory: i64) -> ResourceList {
    ResourceList {
        cpu: Some(Millicores(cpu)),
        memory: Some(Bytes(memory)),
    }
}

fn room(cpu: i64, memory: i64) -> Room {
    Room { cpu, memory }
}

fn node(name: &str, allocatable: (i64, i64)) -> Node {
    Node {
        name: name.into(),
        allocatable: list(allocatable.0, allocatable.1),
        ..Node::default()
    }
}

fn pod(kind: &str, node: &str, requests: (i64, i64)) -> Arc<Pod> {
    Arc::new(Pod {
        owner: Some(OwnerRef {
            api_version: "apps/v1".into(),
            kind: of_well_known(kind),
            name: "owner".into(),
        }),
        node: Some(node.into()),
        phase: Phase::Running,
        containers: vec![Container {
            requests: list(requests.0, requests.1),
            ..Container::default()
        }],
        ..Pod::default()
    })
}

fn labelled(labels: &[(&str, &str)], taints: &[(&str, &str)]) -> Node {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let taint = |(key, value): &(&str, &str)| Taint {
        key: (*key).into(),
        value: (*value).into(),
        effect: "NoSchedule".into(),
    };
    Node {
        labels: labels.iter().map(owned).collect(),
        taints: taints.iter().map(taint).collect(),
        ..node("n", (4000, 8 * GI))
    }
}

fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
    Requirement {
        key: key.into(),
        operator,
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    }
}

#[test]
fn a_label_is_compared_as_the_scheduler_does() {
    use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    let node = labelled(&[("zone", "a"), ("cores", "16")], &[]);
    let rows = [
        ("zone", In, &["a", "b"][..], true),
        ("zone", In, &["b"], false),
        ("absent", In, &["a"], false),
        ("zone", NotIn, &["b"], true),
        ("zone", NotIn, &["a"], false),
        ("absent", NotIn, &["a"], true),
        ("zone", Exists, &[], true),
        ("absent", Exists, &[], false),
        ("zone", DoesNotExist, &[], false),
        ("absent", DoesNotExist, &[], true),
        ("cores", Gt, &["8"], true),
        ("cores", Gt, &["16"], false),
        ("cores", Lt, &["32"], true),
        ("zone", Lt, &["32"], false),
    ];
    for (key, operator, values, suits) in rows {
        let placement = Placement {
            affinity: vec![vec![requirement(key, operator, values)]],
            ..Placement::default()
        };
        assert_eq!(
            placement.suits(&node),
            suits,
            "{key} {operator:?} {values:?}"
        );
    }
}

#[test]
fn selectors_terms_and_taints_all_decide() {
    let gpu = labelled(&[("pool", "gpu"), ("zone", "a")], &[("gpu", "yes")]);
    let tolerates = |key: &str, value: Option<&str>, effect: &str| Toleration {
        key: key.into(),
        value: value.map(Into::into),
        effect: effect.into(),
    };
    let placement = |selector: &[(&str, &str)], tolerations: &[Toleration]| Placement {
        selector: selector
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        tolerations: tolerations.to_vec(),
        ..Placement::default()
    };
    let all = tolerates("", None, "");
    let rows = [
        (placement(&[], &[]), false),
        (placement(&[], std::slice::from_ref(&all)), true),
        (placement(&[], &[tolerates("gpu", None, "")]), true),
        (
            placement(&[], &[tolerates("gpu", Some("yes"), "NoSchedule")]),
            true,
        ),
        (placement(&[], &[tolerates("gpu", Some("no"), "")]), false),
        (
            placement(&[], &[tolerates("gpu", None, "NoExecute")]),
            false,
        ),
        (
            placement(&[("pool", "gpu")], std::slice::from_ref(&all)),
            true,
        ),
        (
            placement(&[("pool", "cpu")], std::slice::from_ref(&all)),
            false,
        ),
    ];
    for (placement, suits) in rows {
        assert_eq!(placement.suits(&gpu), suits, "{placement:?}");
    }
    // One of the terms is enough, and all of that one must hold. An empty term holds for nothing.
    let zone = |z: &str| requirement("zone", Operator::In, &[z]);
    let pool = requirement("pool", Operator::Exists, &[]);
    let terms = [
        (vec![vec![zone("b")], vec![zone("a"), pool.clone()]], true),
        (vec![vec![zone("b"), pool]], false),
        (vec![vec![]], false),
    ];
    for (affinity, suits) in terms {
        let placement = Placement {
            affinity,
            ..placement(&[], std::slice::from_ref(&all))
        };
        assert_eq!(placement.suits(&gpu), suits, "{placement:?}");
    }
}

#[test]
fn only_taints_that_stay_count() {
    let taint = |key: &str, effect: &str| Taint {
        key: key.into(),
        effect: effect.into(),
        ..Taint::default()
    };
    assert!(taint("gpu", "NoSchedule").stays() && taint("gpu", "NoExecute").stays());
    assert!(!taint("gpu", "PreferNoSchedule").stays());
    assert!(!taint("node.kubernetes.io/not-ready", "NoExecute").stays());
}

#[test]
fn what_is_bound_to_a_node_is_no_room_for_others() {
    let nodes = [
        Arc::new(node("small", (2000, 4 * GI))),
        Arc::new(node("large", (8000, 16 * GI))),
        Arc::new(Node {
            cordoned: true,
            ..node("huge", (64_000, 256 * GI))
        }),
        Arc::new(Node {
            allocatable: ResourceList::default(),
            ..node("unknown", (0, 0))
        }),
    ];
    let pods = [
        pod("DaemonSet", "large", (500, GI)),
        pod("Node", "large", (100, 0)),
        pod("ReplicaSet", "large", (3000, 2 * GI)),
        pod("DaemonSet", "gone", (500, GI)),
    ];
    let nodes = Nodes::new(&nodes, &pods);
    let on = |node| nodes.own_room(&pod("ReplicaSet", node, (0, 0)));
    assert_eq!(on("large"), Some(room(7400, 15 * GI)));
    assert_eq!((on("unknown"), on("gone")), (None, None));
    assert_eq!(
        nodes.own_room(&pods[0]),
        Some(room(7900, 16 * GI)),
        "all but the other daemons"
    );
    assert_eq!(
        nodes.room_beside_others(&pods[2]),
        Some(room(7400, 15 * GI)),
        "all but its own"
    );
    assert_eq!(
        nodes.room_beside_others(&pod("ReplicaSet", "small", (0, 0))),
        Some(room(2000, 4 * GI))
    );
    let rooms = nodes.rooms(None);
    assert_eq!(rooms.too_small_for(room(7400, 15 * GI)), None);
    assert_eq!(
        rooms.too_small_for(room(7401, GI)),
        Some(room(7400, 15 * GI))
    );
    let nowhere = Placement {
        selector: vec![("pool".into(), "none".into())],
        ..Placement::default()
    };
    assert_eq!(
        nodes.rooms(Some(&nowhere)).too_small_for(room(1 << 60, 0)),
        None,
        "where no node matches nothing is known"
    );
}

#[test]
fn the_node_that_comes_closest_counts() {
    let rooms: Rooms = [
        room(16_000, 8 * GI),
        room(2000, 64 * GI),
        room(4000, 16 * GI),
        room(4000, 8 * GI),
    ]
    .into_iter()
    .collect();
    let rows = [
        (room(8000, 8 * GI), None),
        (room(2000, 64 * GI), None),
        (room(4000, 32 * GI), Some(room(2000, 64 * GI))),
        (room(5000, 16 * GI), Some(room(4000, 16 * GI))),
        (room(32_000, GI), Some(room(16_000, 8 * GI))),
    ];
    for (need, best) in rows {
        assert_eq!(rooms.too_small_for(need), best, "{need:?}");
    }
}

#[test]
fn a_large_init_container_counts_for_its_pod() {
    let mut pod = Pod::clone(&pod("ReplicaSet", "n", (1000, GI)));
    pod.init_containers = vec![Container {
        requests: list(500, 4 * GI),
        ..Container::default()
    }];
    assert_eq!(requests(&pod), room(1000, 4 * GI));
}
