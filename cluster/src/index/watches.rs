//! The watches that feed an index.

use std::sync::Arc;

use kube::api::{Api, ApiResource};
use kube::core::{DynamicResourceScope, NamespaceResourceScope};
use kube::{Client, Resource};
use podfit_core::ownership::{Controller, WELL_KNOWN_KINDS};
use podfit_core::pod::Pod;
use tokio::sync::{Notify, mpsc};

use super::{Index, SharedIndex};
use crate::api::controller::{ControllerObject, api_resource, controlling_owner};
use crate::api::disruption_budget::DisruptionBudgetObject;
use crate::api::event::{EVICTIONS, EventObject};
use crate::api::horizontal_pod_autoscaler::HorizontalPodAutoscalerObject;
use crate::api::limit_range::LimitRangeObject;
use crate::api::metadata::MetadataOf;
use crate::api::namespace::NamespaceObject;
use crate::api::node::NodeObject;
use crate::api::pod::PodObject;
use crate::api::resource_quota::ResourceQuotaObject;
use crate::api::scaled_object::ScaledObjectObject;
use crate::api::vpa::VpaObject;
use crate::calls::Calls;
use crate::foreign_kinds::Lookup;
use crate::options::ClusterOptions;
use crate::watch::{self, Change, Presence, Synced, Watch};

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

    /// The labels that ask for VPAs, those of Goldilocks if `goldilocks`; to be called before the controllers are watched. What
    /// it gives back is told of every change that matters. Nobody waits for the first list of namespaces, and where one
    /// namespace alone is looked at they are not asked for: that right cannot be limited to one.
    pub fn opt_in(&self, goldilocks: bool) -> Arc<Notify> {
        let changed = self.index.write().read_labels(goldilocks);
        if self.options.vpa_object_namespace.is_empty() {
            let index = self.index.clone();
            let api = Api::<MetadataOf<NamespaceObject>>::all(self.client.clone());
            watch::objects(api, self.optional("namespaces"), move |change| {
                index.write().namespace(change);
            });
        } else {
            self.index.write().labelled.namespaces_known = true;
        }
        changed
    }

    /// Workload controllers by their metadata: owners only.
    pub fn owners(&self) -> &Self {
        for (api_version, kind) in WELL_KNOWN_KINDS {
            let index = self.index.clone();
            let api: Api<MetadataOf<ControllerObject>> = self.controllers(api_version, kind);
            watch::objects(api, self.watch(kind, NOT_IN_CLUSTER), move |change| {
                index.write().controller(kind, change, |object| {
                    Controller::owned_by(controlling_owner(&object.metadata))
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

    /// HorizontalPodAutoscalers. Nobody waits for the first list but who asks for it with what this gives back: without the
    /// right to list them all else works.
    pub fn horizontals(&self) -> Synced {
        let (index, watch) = (
            self.index.clone(),
            self.optional("horizontalpodautoscalers"),
        );
        let synced = watch.synced.clone();
        watch::objects(
            self.api::<HorizontalPodAutoscalerObject>(),
            watch,
            move |change| index.write().horizontal(change),
        );
        synced
    }

    /// HorizontalPodAutoscalers, and KEDA's ScaledObjects once their definition is there: it may come later, or never. Nobody
    /// waits for the first lists.
    pub fn autoscalers(&self) -> &Self {
        self.horizontals();
        let index = self.index.clone();
        let watch = Watch {
            presence: Presence::Optional,
            ..self.optional("scaledobjects")
        };
        watch::objects(self.api::<ScaledObjectObject>(), watch, move |change| {
            let read = |object: &ScaledObjectObject| Some(Arc::new(object.to_scaled_object()));
            index.write().scaled_objects.change(change, read);
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
            presence: Presence::Required(when_absent),
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
