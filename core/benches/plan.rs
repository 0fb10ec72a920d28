//! `make bench-plan`: what a plan of the updater takes for 50,000 pods. Single-threaded, as the updater makes it.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use podfit_core::disruption::{
    Config, ConfiguredReplicas, Memory, Profile, Snapshot, Workload, plan,
};
use podfit_core::horizontal::Claims;
use podfit_core::node::{Node, Nodes};
use podfit_core::pod::{
    Container, ContainerStatus, EffectiveResources, OwnerRef, Phase, Pod, Termination,
};
use podfit_core::quantity::{Bytes, Millicores, ResourceList};
use podfit_core::time::Timestamp;
use podfit_core::vpa::{ContainerRecommendation, UpdateMode, Vpa};

/// VPAs.
const WORKLOADS: usize = 10_000;
/// Pods of each.
const REPLICAS: usize = 5;
/// Nodes that they run on.
const NODES: usize = 500;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let now = Timestamp::default() + Duration::from_hours(48);
    let cases = [
        ("all due by eviction", UpdateMode::Recreate, true),
        ("all due in place", UpdateMode::InPlaceOrRecreate, true),
        ("none due", UpdateMode::InPlaceOrRecreate, false),
    ];
    let mut group = criterion.benchmark_group(format!("plan {} pods", WORKLOADS * REPLICAS));
    group.sample_size(20);
    for profile in [Profile::Safe, Profile::Upstream] {
        for (name, mode, due) in cases {
            let (snapshot, config) = (snapshot(mode, due), Config::new(profile));
            group.bench_function(format!("{profile:?}: {name}"), |bencher| {
                // What a loop does: take note of what is there, then decide.
                bencher.iter_batched_ref(
                    Memory::default,
                    |memory| {
                        memory.observe(&snapshot, now);
                        black_box(plan(&snapshot, memory, &config, now))
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

fn snapshot(mode: UpdateMode, due: bool) -> Snapshot {
    let workloads: Vec<_> = (0..WORKLOADS).map(|n| workload(n, mode, due)).collect();
    let nodes: Vec<_> = (0..NODES).map(|n| Arc::new(node(n))).collect();
    Snapshot {
        nodes: Nodes::new(&nodes, workloads.iter().flat_map(|w| &w.pods)),
        workloads,
        ..Snapshot::default()
    }
}

fn node(n: usize) -> Node {
    Node {
        name: node_name(n),
        allocatable: amounts(64_000, 256 << 10),
        ..Node::default()
    }
}

fn node_name(n: usize) -> String {
    format!("node-{}", n % NODES)
}

fn workload(n: usize, mode: UpdateMode, due: bool) -> Workload {
    let name = format!("w-{n:05}");
    let owner = OwnerRef {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        name: format!("{name}-6d4f9b7c58"),
    };
    let vpa = Vpa {
        namespace: namespace(n),
        name: name.clone(),
        update_mode: mode,
        recommendation: Some(vec![recommendation("app", 4), recommendation("sidecar", 1)]),
        ..Vpa::default()
    };
    let replicas = HashMap::from([(owner.clone(), ConfiguredReplicas::Known(REPLICAS as i64))]);
    Workload {
        vpa: Arc::new(vpa),
        pods: (0..REPLICAS)
            .map(|replica| Arc::new(pod(n, replica, &owner, due)))
            .collect(),
        claims: Claims::default(),
        replicas,
        long_work: HashMap::new(),
    }
}

fn namespace(n: usize) -> String {
    format!("team-{}", n % 50)
}

fn amounts(cpu: i64, memory: i64) -> ResourceList {
    ResourceList {
        cpu: Some(Millicores(cpu)),
        memory: Some(Bytes(memory << 20)),
    }
}

fn recommendation(name: &str, size: i64) -> ContainerRecommendation {
    let of = |percent: i64| amounts(size * percent, size * percent);
    ContainerRecommendation {
        container_name: name.into(),
        target: of(100),
        lower_bound: of(80),
        upper_bound: of(150),
        uncapped_target: of(100),
    }
}

/// A pod of two containers, one of which was once killed for memory in every tenth.
fn pod(n: usize, replica: usize, owner: &OwnerRef, due: bool) -> Pod {
    let container = |name: &str, size: i64| {
        let percent = if due { 40 } else { 100 };
        let requests = amounts(size * percent, size * percent);
        let limits = amounts(2 * size * percent, 2 * size * percent);
        let killed = (n.is_multiple_of(10) && size > 1).then(|| Termination {
            reason: "OOMKilled".into(),
            ..Termination::default()
        });
        Container {
            name: name.into(),
            requests,
            limits,
            status: Some(ContainerStatus {
                resources: Some(EffectiveResources { requests, limits }),
                running: true,
                last_terminated: killed.map(Box::new),
                ..ContainerStatus::default()
            }),
            ..Container::default()
        }
    };
    let name = format!("{}-{replica:05}", owner.name);
    let annotations = [
        (
            "vpaUpdates",
            "Pod resources updated by w: container 0: cpu request, memory request",
        ),
        ("vpaObservedContainers", "app, sidecar"),
    ];
    Pod {
        namespace: namespace(n),
        uid: format!("6f9619ff-8b86-d011-b42d-{n:06}{replica:06}").into(),
        name,
        owner: Some(owner.clone()),
        annotations: Some(
            annotations
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        ),
        phase: Phase::Running,
        node: Some(node_name(n)),
        started: Some(Timestamp::default()),
        containers: vec![container("app", 4), container("sidecar", 1)],
        ..Pod::default()
    }
}
