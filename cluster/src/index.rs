//! The objects a binary watches, as plain values indexed for look-ups.

mod per_namespace;

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::Client;
use kube::api::{Api, ApiResource, PartialObjectMeta};
use kube::core::{DynamicResourceScope, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use podfit_core::disruption::Budget;
use podfit_core::node::Node;
use podfit_core::ownership::{
    Controller, ControllerKey, ForeignKind, GroupKind, Owners, Vpas, WELL_KNOWN_KINDS,
};
use podfit_core::pod::{OwnerRef, Pod};
use podfit_core::policy::LimitRangeItem;
use podfit_core::quota::Quota;
use podfit_core::vpa::Vpa;
use tokio::sync::mpsc;

use crate::api::controller::{ControllerObject, api_resource, controlling_owner};
use crate::api::disruption_budget::DisruptionBudgetObject;
use crate::api::event::{EVICTIONS, EventObject};
use crate::api::limit_range::LimitRangeObject;
use crate::api::node::NodeObject;
use crate::api::pod::PodObject;
use crate::api::resource_quota::ResourceQuotaObject;
use crate::api::vpa::VpaObject;
use crate::calls::Calls;
use crate::foreign_kinds::Lookup;
use crate::options::ClusterOptions;
use crate::watch::{self, Change, Synced, Watch};

pub use self::per_namespace::PerNamespace;

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

    /// Has the kind of `owner` looked up if nothing is known of it; true when it was asked for. The answer comes later.
    fn ask_for_kind(&self, owner: Option<&OwnerRef>) -> bool {
        let (Some(owner), Some(unknown)) = (owner, &self.unknown_kinds) else {
            return false;
        };
        if owner.is_well_known() || owner.is_node() {
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
                self.vpas.apply(vpa);
            }
            Change::Delete(object) => {
                self.vpas
                    .delete(&object.namespace().unwrap_or_default(), &object.name_any());
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
                self.want_kind(controller.owner.as_ref());
                self.owners.apply(key(&object), controller);
            }
            Change::Delete(object) => self.owners.delete(&key(&object)),
            Change::Listed(there) => {
                self.owners.retain(kind, |k| {
                    there.contains(&(k.namespace.clone(), k.name.clone()))
                });
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

/// Starts the watches that feed an index.
pub struct Watches {
    client: Client,
    options: ClusterOptions,
    index: SharedIndex,
    synced: Synced,
}

impl Watches {
    /// None is started yet, except for what looks up the kinds of controllers that objects will name.
    pub fn new(client: Client, options: &ClusterOptions) -> Self {
        let (unknown_kinds, asked) = mpsc::channel(1000);
        let index = SharedIndex::from(Index {
            unknown_kinds: Some(unknown_kinds),
            ..Index::default()
        });
        let calls = Calls::new(client.clone(), options);
        tokio::spawn(Lookup::new(calls, options, index.clone()).run(asked));
        Self {
            client,
            options: options.clone(),
            index,
            synced: Synced::default(),
        }
    }

    /// The index they feed.
    pub fn index(&self) -> SharedIndex {
        self.index.clone()
    }

    /// Tells when all that were started have listed.
    pub fn synced(&self) -> Synced {
        self.synced.clone()
    }

    /// VPAs.
    pub fn vpas(&self) -> &Self {
        let (index, options) = (self.index.clone(), self.options.clone());
        let absent =
            "install the CustomResourceDefinitions (they are in the Helm chart's crds folder)";
        watch::objects(
            self.api::<VpaObject>(),
            self.watch("verticalpodautoscalers", absent),
            move |change| {
                index.write().vpa(change, &options);
            },
        );
        self
    }

    /// Workload controllers by their metadata: owners only.
    pub fn owners(&self) -> &Self {
        for (api_version, kind) in WELL_KNOWN_KINDS {
            let index = self.index.clone();
            let api: Api<PartialObjectMeta<ControllerObject>> = self.controllers(api_version, kind);
            watch::objects(api, self.watch(kind, NOT_IN_CLUSTER), move |change| {
                index.write().controller(kind, change, |object| Controller {
                    owner: controlling_owner(&object.metadata),
                    replicas: None,
                });
            });
        }
        self
    }

    /// Workload controllers with the replicas they want.
    pub fn owners_and_replicas(&self) -> &Self {
        for (api_version, kind) in WELL_KNOWN_KINDS {
            let index = self.index.clone();
            let api: Api<ControllerObject> = self.controllers(api_version, kind);
            watch::objects(api, self.watch(kind, NOT_IN_CLUSTER), move |change| {
                index
                    .write()
                    .controller(kind, change, ControllerObject::to_controller);
            });
        }
        self
    }

    /// Pods; `first` sees every change, and the index as it was before.
    pub fn pods(&self, mut first: impl FnMut(&Change<Pod>, &Index) + Send + 'static) -> &Self {
        let (index, profile) = (self.index.clone(), self.options.profile.into());
        watch::objects(
            self.api::<PodObject>(),
            self.watch("pods", NOT_IN_CLUSTER),
            move |change| {
                let change = match change {
                    Change::Apply(object) => Change::Apply(Pod::from(&object).seen_by(profile)),
                    Change::Delete(object) => Change::Delete(Pod::from(&object).seen_by(profile)),
                    Change::Listed(there) => Change::Listed(there),
                };
                let mut index = index.write();
                first(&change, &index);
                index.pod(change);
            },
        );
        self
    }

    /// Events of evictions; `tell` gets each, also those that are there already, and some twice. Nobody waits for the first
    /// list: without the right to read events all else works.
    pub fn evictions(&self, mut tell: impl FnMut(&EventObject) + Send + 'static) -> &Self {
        let (api, watch) = (self.api::<EventObject>(), self.optional("events"));
        watch::selected(api, EVICTIONS, watch, move |change| {
            if let Change::Apply(event) = change {
                tell(&event);
            }
        });
        self
    }

    /// LimitRanges.
    pub fn limit_ranges(&self) -> &Self {
        let index = self.index.clone();
        watch::objects(
            self.api::<LimitRangeObject>(),
            self.watch("limitranges", NOT_IN_CLUSTER),
            move |change| {
                let items = |object: &LimitRangeObject| Some(object.items());
                index.write().limit_ranges.change(change, items);
            },
        );
        self
    }

    /// ResourceQuotas. Nobody waits for the first list but who asks for it: without the right to list them all else works.
    pub fn quotas(&self) -> Synced {
        let (index, watch) = (self.index.clone(), self.optional("resourcequotas"));
        let synced = watch.synced.clone();
        watch::objects(self.api::<ResourceQuotaObject>(), watch, move |change| {
            index
                .write()
                .quotas
                .change(change, ResourceQuotaObject::quota);
        });
        synced
    }

    /// PodDisruptionBudgets. Nobody waits for the first list.
    pub fn budgets(&self) -> &Self {
        let (index, watch) = (self.index.clone(), self.optional("poddisruptionbudgets"));
        watch::objects(self.api::<DisruptionBudgetObject>(), watch, move |change| {
            let budget = |object: &DisruptionBudgetObject| Some(object.budget());
            index.write().budgets.change(change, budget);
        });
        self
    }

    /// Nodes. Nobody waits for the first list but who asks for it with what this gives back: without the right to list
    /// nodes all else works.
    pub fn nodes(&self) -> Synced {
        let (index, watch) = (self.index.clone(), self.optional("nodes"));
        let synced = watch.synced.clone();
        watch::objects(
            Api::<NodeObject>::all(self.client.clone()),
            watch,
            move |change| index.write().node(change),
        );
        synced
    }

    /// One that nobody waits for.
    fn optional(&self, what: &'static str) -> Watch {
        Watch {
            synced: Synced::default(),
            ..self.watch(what, NOT_IN_CLUSTER)
        }
    }

    fn watch(&self, what: &'static str, when_absent: &'static str) -> Watch {
        Watch {
            what: what.into(),
            when_absent,
            synced: self.synced.clone(),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        if self.options.vpa_object_namespace.is_empty() {
            Api::all(self.client.clone())
        } else {
            Api::namespaced(self.client.clone(), &self.options.vpa_object_namespace)
        }
    }

    fn controllers<K>(&self, api_version: &str, kind: &str) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let resource = api_resource(api_version, kind);
        controllers(
            self.client.clone(),
            &self.options.vpa_object_namespace,
            &resource,
        )
    }
}

/// The controllers of a kind, in one namespace or (when that is empty) in all.
pub(crate) fn controllers<K>(client: Client, namespace: &str, resource: &ApiResource) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    if namespace.is_empty() {
        Api::all_with(client, resource)
    } else {
        Api::namespaced_with(client, namespace, resource)
    }
}

const NOT_IN_CLUSTER: &str = "every Kubernetes API server serves it: is this one?";
