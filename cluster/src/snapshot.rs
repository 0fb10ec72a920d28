//! From the watched objects to what a plan is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::index::Index;
use podfit_core::disruption::{Config, ConfiguredReplicas, Snapshot, Workload, long_work};
use podfit_core::node::Nodes;
use podfit_core::ownership::{ControllerKey, is_well_known};
use podfit_core::pod::{OwnerRef, Pod};
use podfit_core::time::Timestamp;
use podfit_core::vpa::{UpdateMode, Vpa};

/// All VPAs that change running pods, with the pods they control, as they are when the machine's clock shows `wall_clock`.
/// Pods of one VPA are in order of their names.
pub fn snapshot(index: &Index, config: &Config, wall_clock: Timestamp) -> Snapshot {
    let changes_running_pods = |vpa: &Vpa| {
        !matches!(vpa.update_mode, UpdateMode::Off | UpdateMode::Initial)
            || (config.gates.cpu_startup_boost && vpa.boosts())
    };
    let mut workloads: BTreeMap<(String, String), Workload> = BTreeMap::new();
    for pod in index.pods.values() {
        let Some(vpa) = index.controlling_vpa(pod, changes_running_pods) else {
            continue;
        };
        let key = (vpa.namespace.clone(), vpa.name.clone());
        let workload = workloads.entry(key).or_insert_with(|| Workload {
            vpa: Arc::clone(vpa),
            claims: index.claims(vpa, Some(pod), config.profile),
            ..Workload::default()
        });
        if let Some(owner) = &pod.owner
            && !workload.replicas.contains_key(owner)
            && let Some(replicas) = configured_replicas(index, pod, owner)
        {
            workload.replicas.insert(owner.clone(), replicas);
            if let Some(kind) = long_work(&index.owners.chain(pod)) {
                workload.long_work.insert(owner.clone(), kind.to_owned());
            }
        }
        workload.pods.push(Arc::clone(pod));
    }
    let mut workloads: Vec<_> = workloads.into_values().collect();
    for workload in &mut workloads {
        workload.pods.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let limit_ranges = index
        .limited_namespaces()
        .map(|namespace| (namespace.clone(), index.limit_ranges(namespace)))
        .collect();
    let nodes = if index.nodes.is_empty() {
        Nodes::default()
    } else {
        Nodes::new(index.nodes.values(), index.pods.values())
    };
    let of = |namespace: &String| {
        let mut quotas: Vec<_> = index.quotas.of(namespace).cloned().collect();
        quotas.sort_by(|a, b| a.name.cmp(&b.name));
        (namespace.clone(), quotas)
    };
    let quotas = index.quotas.namespaces().map(of).collect();
    Snapshot {
        workloads,
        limit_ranges,
        quotas,
        nodes,
        wall_clock,
    }
}

/// How many replicas the direct owner of a pod asks for; `None` when the owner is not known to exist.
fn configured_replicas(index: &Index, pod: &Pod, owner: &OwnerRef) -> Option<ConfiguredReplicas> {
    let key = ControllerKey::of(&pod.namespace, owner);
    match &*key.kind {
        "Job" => Some(ConfiguredReplicas::LivePods),
        kind if is_well_known(kind) => index
            .owners
            .get(&key)?
            .replicas
            .map(ConfiguredReplicas::Known),
        _ => Some(ConfiguredReplicas::Custom),
    }
}
