//! Nodes: what each of them can hold, and which of them a pod can run on.
//!
//! What only passes (a node that is not ready, or short of memory) does not count: the question here is whether a pod of
//! some size could run at all, not whether it could this minute.

mod placement;
mod room;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use placement::{Operator, Placement, Requirement, Toleration};
pub use room::{Room, Rooms};

use crate::pod::Pod;
use crate::quantity::ResourceList;

/// Taints of these keys come and go by themselves.
const PASSING: &str = "node.kubernetes.io/";

/// A node as podfit sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What its pods may request together.
    pub allocatable: ResourceList,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints that keep pods away (`NoSchedule`, `NoExecute`), without those that pass.
    pub taints: Vec<Taint>,
    /// True when it takes no new pods (`kubectl cordon`).
    pub cordoned: bool,
}

/// What keeps pods away from a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// `NoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Taint {
    /// True for taints that matter here: those that keep pods away for longer than some trouble lasts.
    pub fn stays(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute") && !is_passing(&self.key)
    }
}

/// True for the keys of taints that come and go by themselves, and so for tolerations that need not be known.
pub fn is_passing(key: &str) -> bool {
    key.starts_with(PASSING)
}

/// The nodes of a cluster, and what their pods request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nodes(HashMap<String, Place>);

/// One node.
#[derive(Clone, Debug, Default, PartialEq)]
struct Place {
    node: Arc<Node>,
    /// What pods request that are on the node for as long as it lives.
    bound: Room,
    /// What all its pods request.
    used: Room,
}

impl Nodes {
    /// From all nodes and all pods that are known.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = &'a Arc<Node>>,
        pods: impl IntoIterator<Item = &'a Arc<Pod>>,
    ) -> Self {
        let place = |node: &Arc<Node>| {
            let place = Place {
                node: Arc::clone(node),
                ..Place::default()
            };
            (node.name.clone(), place)
        };
        let mut places: HashMap<_, _> = nodes.into_iter().map(place).collect();
        for pod in pods.into_iter().filter(|pod| !pod.is_finished()) {
            let on = pod.node.as_ref().and_then(|node| places.get_mut(node));
            if let Some(place) = on {
                let requests = requests(pod);
                place.used = place.used + requests;
                if is_bound(pod) {
                    place.bound = place.bound + requests;
                }
            }
        }
        Self(places)
    }

    /// True when no node is known: nothing can be said then.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the node of a running pod has for it beside those that are bound to the node; `None` when the node is not
    /// known.
    pub fn own_room(&self, pod: &Pod) -> Option<Room> {
        let place = self.0.get(pod.node.as_ref()?)?;
        let room = Room::of(place.node.allocatable)? - place.bound;
        Some(if is_bound(pod) {
            room + requests(pod)
        } else {
            room
        })
    }

    /// What the node of a running pod has for it beside all other pods; `None` when the node is not known.
    pub fn room_beside_others(&self, pod: &Pod) -> Option<Room> {
        let place = self.0.get(pod.node.as_ref()?)?;
        Some(Room::of(place.node.allocatable)? - (place.used - requests(pod)))
    }

    /// What the nodes on which a pod of that placement can run have for it.
    pub fn rooms(&self, placement: Option<&Placement>) -> Rooms {
        let suits = |node: &Node| {
            !node.cordoned
                && placement.map_or(node.taints.is_empty(), |placement| placement.suits(node))
        };
        let places = self.0.values().filter(|place| suits(&place.node));
        places
            .filter_map(|place| Some(Room::of(place.node.allocatable)? - place.bound))
            .collect()
    }
}

/// What a pod requests: its containers and sidecars together, or its largest other init container.
pub fn requests(pod: &Pod) -> Room {
    let sum = pod
        .containers
        .iter()
        .fold(Room::default(), |sum, c| sum + Room::or_none(c.requests));
    pod.init_containers
        .iter()
        .fold(sum, |sum, c| sum.max(Room::or_none(c.requests)))
}

/// True for the pods of DaemonSets, and for those that the kubelet starts by itself.
pub fn is_bound(pod: &Pod) -> bool {
    pod.owner
        .as_ref()
        .is_some_and(|owner| owner.kind == "DaemonSet" || owner.kind == "Node")
}

#[cfg(test)]
mod tests;
