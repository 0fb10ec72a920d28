//! The objects a binary watches, as plain values indexed for look-ups.

mod once;
mod opt_in;
mod per_namespace;
mod watches;

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::{Resource, ResourceExt};
use podfit_core::disruption::Budget;
use podfit_core::horizontal::{Claims, HorizontalAutoscaler, Horizontals, ScaledObject};
use podfit_core::node::Node;
use podfit_core::opt_in::Labelled;
use podfit_core::ownership::{Controller, ControllerKey, ForeignKind, GroupKind, Owners, Vpas};
use podfit_core::pod::{OwnerRef, Pod};
use podfit_core::policy::LimitRangeItem;
use podfit_core::profile::Profile;
use podfit_core::quota::Quota;
use podfit_core::vpa::Vpa;
use tokio::sync::mpsc;

use crate::api::horizontal_pod_autoscaler::HorizontalPodAutoscalerObject;
use crate::api::node::NodeObject;
use crate::api::vpa::VpaObject;
use crate::options::ClusterOptions;
use crate::watch::Change;

pub use self::once::{Kinds, NotRead, list_once};
use self::opt_in::OptInWatch;
pub use self::per_namespace::PerNamespace;
pub use self::watches::Watches;
pub(crate) use self::watches::controllers;

/// What follows when HorizontalPodAutoscalers cannot be listed, for the log.
pub const HORIZONTALS_UNKNOWN: &str = "HorizontalPodAutoscalers cannot be listed: until they are, podfit changes requests that they scale on";

/// Everything watched. Fed by [`Watches`], read by the loops and the webhook.
#[derive(Debug, Default)]
pub struct Index {
    /// All VPAs of the namespaces looked at.
    pub vpas: Vpas,
    /// All workload controllers.
    pub owners: Owners,
    /// All pods that have not ended, by namespace and name.
    pub pods: HashMap<(String, String), Arc<Pod>>,
    /// All nodes, by name.
    pub nodes: HashMap<String, Arc<Node>>,
    /// The items of all LimitRanges.
    limit_ranges: PerNamespace<Vec<LimitRangeItem>>,
    /// All ResourceQuotas that count the pods that podfit sizes.
    pub quotas: PerNamespace<Quota>,
    /// All PodDisruptionBudgets.
    pub budgets: PerNamespace<Budget>,
    /// All HorizontalPodAutoscalers.
    pub horizontals: Horizontals,
    /// All ScaledObjects of KEDA.
    pub scaled_objects: PerNamespace<Arc<ScaledObject>>,
    /// The labels that ask for VPAs, where [`Watches::opt_in`] looks for them.
    pub labelled: Labelled,
    /// Told when these change, or what becomes of them.
    opt_in: Option<OptInWatch>,
    /// Where kinds go that are not known yet, to be looked up.
    unknown_kinds: Option<mpsc::Sender<GroupKind>>,
}

impl Index {
    /// The VPA that controls a pod, among those for which `eligible` holds.
    pub fn controlling_vpa(&self, pod: &Pod, eligible: impl Fn(&Vpa) -> bool) -> Option<&Arc<Vpa>> {
        self.ask_for_kind(pod.owner.as_ref());
        let mut chain = self.owners.chain(pod);
        chain.retain(|key| self.owners.is_topmost(key));
        self.vpas.controlling(&chain, eligible)
    }

    /// The HorizontalPodAutoscalers that scale a VPA's target, or a controller between that and `pod`.
    pub fn horizontals_of(&self, vpa: &Vpa, pod: Option<&Pod>) -> Vec<Arc<HorizontalAutoscaler>> {
        if self.horizontals.is_empty() {
            return Vec::new();
        }
        let target = vpa.target.as_ref();
        let target = target.map(|target| ControllerKey::of(&vpa.namespace, target));
        let mut chain = pod.map(|pod| self.owners.chain(pod)).unwrap_or_default();
        chain.extend(target.filter(|target| !chain.contains(target)));
        self.horizontals.of_chain(&chain)
    }

    /// The ScaledObjects that name a VPA's target.
    pub fn scaled_objects_of(&self, vpa: &Vpa) -> Vec<Arc<ScaledObject>> {
        let of = |namespace: &str, target: Option<&OwnerRef>| {
            target.map(|target| ControllerKey::of(namespace, target))
        };
        let all = self.scaled_objects.of(&vpa.namespace);
        let mut found: Vec<_> = all
            .filter(|scaled| {
                let target = of(&scaled.namespace, scaled.target.as_ref());
                target.is_some() && target == of(&vpa.namespace, vpa.target.as_ref())
            })
            .cloned()
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// What HPAs claim of the pods of a VPA.
    pub fn claims(&self, vpa: &Vpa, pod: Option<&Pod>, profile: Profile) -> Claims {
        Claims::new(&self.horizontals_of(vpa, pod), vpa.horizontal_in(profile))
    }

    /// Has the kind of `owner` looked up if nothing is known of it; true when it was asked for. The answer comes later.
    fn ask_for_kind(&self, owner: Option<&OwnerRef>) -> bool {
        let (Some(owner), Some(unknown)) = (owner, &self.unknown_kinds) else {
            return false;
        };
        if owner.is_well_known() || owner.is_node() || owner.is_family() {
            return false;
        }
        let kind = GroupKind::of(owner);
        self.owners.kind(&kind.qualified()).is_none() && unknown.try_send(kind).is_ok()
    }

    /// The same, once for each kind.
    fn want_kind(&mut self, owner: Option<&OwnerRef>) {
        if self.ask_for_kind(owner)
            && let Some(owner) = owner
        {
            let name = GroupKind::of(owner).qualified();
            self.owners.set_kind(&name, ForeignKind::Pending);
        }
    }

    /// The items of all LimitRanges of a namespace.
    pub fn limit_ranges(&self, namespace: &str) -> Vec<LimitRangeItem> {
        self.limit_ranges.of(namespace).flatten().copied().collect()
    }

    /// The namespaces that have LimitRanges.
    pub fn limited_namespaces(&self) -> impl Iterator<Item = &String> {
        self.limit_ranges.namespaces()
    }

    fn vpa(&mut self, change: Change<VpaObject>, options: &ClusterOptions) {
        match change {
            Change::Apply(object) => {
                let vpa = Vpa::from(&object);
                if !options.covers(&vpa.namespace) {
                    return;
                }
                let known = self
                    .vpas
                    .get(&vpa.namespace, &vpa.name)
                    .map(|v| v.problems.as_slice())
                    .unwrap_or_default();
                if !vpa.problems.is_empty() && known != vpa.problems {
                    tracing::warn!(vpa = vpa.key(), problems = ?vpa.problems, "parts of this VPA cannot be understood");
                }
                self.want_kind(vpa.target.as_ref());
                self.tell_of_vpa(&vpa);
                self.vpas.apply(vpa);
            }
            Change::Delete(object) => {
                self.vpas
                    .delete(&object.namespace().unwrap_or_default(), &object.name_any());
                self.tell_opt_in();
            }
            Change::Listed(there) => {
                let gone: Vec<_> = self
                    .vpas
                    .iter()
                    .filter(|v| !there.contains(&(v.namespace.clone(), v.name.clone())))
                    .cloned()
                    .collect();
                for vpa in gone {
                    self.vpas.delete(&vpa.namespace, &vpa.name);
                }
            }
        }
    }

    /// Takes in a change of a controller of `kind`.
    pub(crate) fn controller<K: Resource>(
        &mut self,
        kind: &str,
        change: Change<K>,
        read: impl Fn(&K) -> Controller,
    ) {
        let key =
            |o: &K| ControllerKey::new(&o.namespace().unwrap_or_default(), kind, &o.name_any());
        match change {
            Change::Apply(object) => {
                let controller = read(&object);
                self.want_kind(controller.owner.as_deref());
                let key = key(&object);
                self.labels_of_workload(&key, &object);
                self.owners.apply(key, controller);
            }
            Change::Delete(object) => {
                let key = key(&object);
                self.labelled.workload(&key, None);
                self.owners.delete(&key);
            }
            Change::Listed(there) => {
                let is_there =
                    |k: &ControllerKey| there.contains(&(k.namespace.clone(), k.name.clone()));
                self.labelled.retain_workloads(kind, is_there);
                self.owners.retain(kind, is_there);
            }
        }
    }

    fn pod(&mut self, change: Change<Pod>) {
        let key = |p: &Pod| (p.namespace.clone(), p.name.clone());
        match change {
            // A finished pod is never sized again.
            Change::Apply(pod) if pod.is_finished() => {
                self.pods.remove(&key(&pod));
            }
            Change::Apply(pod) => {
                self.want_kind(pod.owner.as_ref());
                self.pods.insert(key(&pod), Arc::new(pod));
            }
            Change::Delete(pod) => {
                self.pods.remove(&key(&pod));
            }
            Change::Listed(there) => self.pods.retain(|key, _| there.contains(key)),
        }
    }

    fn horizontal(&mut self, change: Change<HorizontalPodAutoscalerObject>) {
        match change {
            Change::Apply(object) => self.horizontals.apply(object.to_horizontal()),
            Change::Delete(object) => {
                let namespace = object.namespace().unwrap_or_default();
                self.horizontals.delete(&namespace, &object.name_any());
            }
            Change::Listed(there) => self.horizontals.retain(|key| there.contains(key)),
        }
    }

    fn node(&mut self, change: Change<NodeObject>) {
        match change {
            // The kubelet renews a node's status all the time, mostly with what is known.
            Change::Apply(object) => {
                let node = Node::from(&object);
                if self
                    .nodes
                    .get(&node.name)
                    .is_none_or(|known| **known != node)
                {
                    self.nodes.insert(node.name.clone(), Arc::new(node));
                }
            }
            Change::Delete(object) => {
                self.nodes.remove(&object.name_any());
            }
            Change::Listed(there) => self
                .nodes
                .retain(|name, _| there.contains(&(String::new(), name.clone()))),
        }
    }
}

/// An [`Index`] that watches write and others read. Sections under the lock are short: one event, or one look-up.
#[derive(Clone, Debug, Default)]
pub struct SharedIndex(Arc<RwLock<Index>>);

/// For whoever already has the objects: tests and replays.
impl From<Index> for SharedIndex {
    fn from(index: Index) -> Self {
        Self(Arc::new(RwLock::new(index)))
    }
}

impl SharedIndex {
    /// For reading.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A poisoned lock means a panic, and a panic ends the process.
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
