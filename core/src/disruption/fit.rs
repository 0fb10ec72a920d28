//! Recommendations larger than any node that the pod could run on.
//!
//! What a pod has already is never taken away for that: it has room for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::{Config, Snapshot};
use crate::node::{Nodes, Placement, Room, Rooms, is_bound, requests};
use crate::pod::Pod;
use crate::policy::{PodRecommendation, Rules, cap_for_pod};
use crate::quantity::{Resource, ResourceList};
use crate::vpa::{UpdateMode, Vpa};

/// A resource of which pods are recommended more than a node can give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CappedByNode {
    /// The resource.
    pub resource: Resource,
    /// What a pod can have at most, in base units.
    pub most: i64,
    /// True when the pods stay on their nodes: mode `InPlace`, or a DaemonSet's.
    pub stays: bool,
}

/// For people. It names no recommendation: those change with every loop.
impl fmt::Display for CappedByNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = if self.stays {
            "its node"
        } else {
            "any node that it could run on"
        };
        write!(
            f,
            "more {} is recommended than {nodes} has for it, {} at most",
            self.resource.name(),
            self.resource.show(self.most.max(0))
        )
    }
}

/// What nodes have for pods, worked out once for each placement.
pub(super) struct Fits<'a> {
    /// `None` when that is not to be looked at, or nothing is known.
    nodes: Option<&'a Nodes>,
    rooms: RefCell<HashMap<Option<Arc<Placement>>, Rc<Rooms>>>,
}

impl<'a> Fits<'a> {
    pub(super) fn new(nodes: &'a Nodes, config: &Config) -> Self {
        Self {
            nodes: Some(nodes).filter(|nodes| config.node_fit && !nodes.is_empty()),
            rooms: RefCell::default(),
        }
    }

    /// The nodes, when they are to be looked at.
    pub(super) fn nodes(&self) -> Option<&'a Nodes> {
        self.nodes
    }

    /// What a pod can have at most, when it needs more than that.
    fn too_small(&self, pod: &Pod, need: Room, mode: UpdateMode) -> Option<Room> {
        let nodes = self.nodes?;
        if stays(pod, mode) {
            return nodes.own_room(pod).filter(|room| !room.holds(need));
        }
        if let Some(rooms) = self.rooms.borrow().get(&pod.placement) {
            return rooms.too_small_for(need);
        }
        let rooms = Rc::new(nodes.rooms(pod.placement.as_deref()));
        let room = rooms.too_small_for(need);
        self.rooms.borrow_mut().insert(pod.placement.clone(), rooms);
        room
    }

    /// Caps targets so that a node can hold the pod, and tells what was cut off: at most one entry per resource.
    pub(super) fn cap(
        &self,
        pod: &Pod,
        recommended: &mut [PodRecommendation],
        rules: &Rules<'_>,
        mode: UpdateMode,
    ) -> Vec<CappedByNode> {
        let Some(room) = self.too_small(pod, need(pod, recommended), mode) else {
            return Vec::new();
        };
        let capped = cap_to(room, pod, recommended, rules).into_iter();
        let told = |resource| CappedByNode {
            resource,
            most: room.get(resource),
            stays: stays(pod, mode),
        };
        capped.map(told).collect()
    }
}

/// True for a pod that has its own node only: it is never evicted, or its replacement runs there again.
fn stays(pod: &Pod, mode: UpdateMode) -> bool {
    mode == UpdateMode::InPlace || is_bound(pod)
}

/// What a pod will request when each container gets its target.
fn need(pod: &Pod, recommended: &[PodRecommendation]) -> Room {
    let mut need = Room::default();
    let mut rest = recommended;
    for (index, container) in pod.containers.iter().enumerate() {
        let mut requests = container.requests;
        if let Some((one, others)) = rest.split_first().filter(|(one, _)| one.index == index) {
            requests = with_target(requests, one.recommendation.target);
            rest = others;
        }
        need = need + Room::or_none(requests);
    }
    need
}

fn with_target(requests: ResourceList, target: ResourceList) -> ResourceList {
    ResourceList {
        cpu: target.cpu.or(requests.cpu),
        memory: target.memory.or(requests.memory),
    }
}

/// Cuts the growth of each container by the same part, so that the pod as a whole needs no more than `room`. Gives the
/// resources that were cut.
pub(super) fn cap_to(
    room: Room,
    pod: &Pod,
    recommended: &mut [PodRecommendation],
    rules: &Rules<'_>,
) -> Vec<Resource> {
    let need = need(pod, recommended);
    let mut cut = Vec::new();
    for resource in Resource::ALL {
        let missing = i128::from(need.get(resource)) - i128::from(room.get(resource));
        if missing <= 0 {
            continue;
        }
        let growth_of = |one: &PodRecommendation| {
            let now = pod.containers[one.index].effective().requests.get(resource);
            let target = one.recommendation.target.get(resource)?;
            (target > now.unwrap_or(0)).then(|| (now.unwrap_or(0), target))
        };
        let growth: i128 = recommended
            .iter()
            .filter_map(growth_of)
            .map(|(now, target)| i128::from(target) - i128::from(now))
            .sum();
        let kept = (growth - missing).max(0);
        for one in &mut *recommended {
            let Some((now, target)) = growth_of(one) else {
                continue;
            };
            let part = (i128::from(target) - i128::from(now)) * kept / growth;
            let mut capped = now.saturating_add(i64::try_from(part).unwrap_or(i64::MAX));
            if resource == Resource::Cpu && rules.is_guaranteed() && target % CORE == 0 {
                capped = now.max(capped - capped.rem_euclid(CORE));
            }
            let recommendation = &mut one.recommendation;
            recommendation.target.set(resource, Some(capped));
            let lower = recommendation.lower_bound.get(resource);
            recommendation
                .lower_bound
                .set(resource, lower.map(|lower| lower.min(capped)));
        }
        if growth > 0 {
            cut.push(resource);
        }
    }
    cut
}

const CORE: i64 = 1000;

/// What nodes cut off in each of the snapshot's workloads, in their order; at most one entry per resource.
pub fn capped_by_node(snapshot: &Snapshot, config: &Config) -> Vec<Vec<CappedByNode>> {
    let fits = Fits::new(&snapshot.nodes, config);
    let mut all = vec![Vec::new(); snapshot.workloads.len()];
    if fits.nodes.is_none() {
        return all;
    }
    for (workload, found) in snapshot.workloads.iter().zip(&mut all) {
        let vpa = &workload.vpa;
        let published = published(vpa);
        for pod in workload.pods.iter().filter(|pod| !pod.terminating) {
            // More than it can need: most pods are done with here.
            let at_most = published + requests(pod);
            if fits.too_small(pod, at_most, vpa.update_mode).is_none() {
                continue;
            }
            let surroundings = snapshot.surroundings(workload);
            let rules = Rules::new(pod, vpa, surroundings, config.profile);
            let recommended = vpa.recommendation.as_deref().unwrap_or_default();
            let mut recommended = cap_for_pod(pod, recommended, &rules);
            for new in fits.cap(pod, &mut recommended, &rules, vpa.update_mode) {
                match found.iter_mut().find(|c| c.resource == new.resource) {
                    Some(known) => known.most = known.most.min(new.most),
                    None => found.push(new),
                }
            }
        }
        found.sort_by_key(|capped| capped.resource);
    }
    all
}

fn published(vpa: &Vpa) -> Room {
    let all = vpa.recommendation.as_deref().unwrap_or_default();
    all.iter()
        .fold(Room::default(), |sum, r| sum + Room::or_none(r.target))
}
