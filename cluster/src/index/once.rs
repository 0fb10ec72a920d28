//! An index that is listed once, for whoever looks and goes: a command at a terminal.

use kube::Resource;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use podfit_core::ownership::WELL_KNOWN_KINDS;
use podfit_core::pod::Pod;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Index, SharedIndex, controllers};
use crate::api::controller::{ControllerObject, api_resource};
use crate::api::disruption_budget::DisruptionBudgetObject;
use crate::api::horizontal_pod_autoscaler::HorizontalPodAutoscalerObject;
use crate::api::limit_range::LimitRangeObject;
use crate::api::namespace::NamespaceObject;
use crate::api::node::NodeObject;
use crate::api::pod::PodObject;
use crate::api::resource_quota::ResourceQuotaObject;
use crate::api::vpa::VpaObject;
use crate::calls::{CallError, Calls};
use crate::foreign_kinds::Lookup;
use crate::options::ClusterOptions;
use crate::watch::Change;

/// How many objects are asked for at a time.
const PAGE: u32 = 500;

/// What to list beside VPAs, pods and controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// The labels that ask for VPAs: those of namespaces, where all are looked at, and of Kubernetes' own workloads. Those of
    /// Goldilocks only if that is set.
    Labels {
        /// Whether Goldilocks' labels count.
        goldilocks: bool,
    },
    /// LimitRanges, ResourceQuotas, PodDisruptionBudgets, HorizontalPodAutoscalers and nodes: what a plan is made from.
    All,
}

/// A kind that could not be listed.
#[derive(Debug)]
pub struct NotRead {
    /// The kind, in plural.
    pub what: String,
    /// Why not.
    pub error: CallError,
}

/// Lists what is there now. Kinds that cannot be listed are left out, and named. `tell` hears what is listed next.
pub async fn list_once(
    calls: &Calls,
    options: &ClusterOptions,
    kinds: Kinds,
    mut tell: impl FnMut(&str),
) -> (Index, Vec<NotRead>) {
    let (unknown_kinds, mut asked) = mpsc::channel(1000);
    let mut once = Once {
        calls,
        options,
        index: Index {
            unknown_kinds: Some(unknown_kinds),
            ..Index::default()
        },
        not_read: Vec::new(),
    };
    if let Kinds::Labels { goldilocks } = kinds {
        once.index.read_labels(goldilocks);
        tell("namespaces");
        once.namespaces().await;
    }
    tell("VerticalPodAutoscalers");
    once.vpas().await;
    tell("controllers");
    once.controllers().await;
    if kinds == Kinds::All {
        tell("limits, quotas, budgets and nodes");
        once.limits().await;
    }
    tell("pods");
    once.pods().await;
    let lookup = Lookup::new(calls.clone(), options, SharedIndex::default());
    // Owners of what is found may be of other kinds again.
    while let Ok(kind) = asked.try_recv() {
        let name = kind.qualified();
        tell(&name);
        let (known, controllers) = lookup.list(&kind).await;
        for (key, controller) in controllers {
            once.index.want_kind(controller.owner.as_deref());
            once.index.owners.apply(key, controller);
        }
        once.index.owners.set_kind(&name, known);
    }
    // Nobody looks up any more what is not known by now.
    once.index.unknown_kinds = None;
    (once.index, once.not_read)
}

struct Once<'a> {
    calls: &'a Calls,
    options: &'a ClusterOptions,
    index: Index,
    not_read: Vec<NotRead>,
}

impl Once<'_> {
    async fn vpas(&mut self) {
        for object in self.objects::<VpaObject>("verticalpodautoscalers").await {
            self.index.vpa(Change::Apply(object), self.options);
        }
    }

    async fn namespaces(&mut self) {
        if self.options.vpa_object_namespace.is_empty() {
            let api = Api::<NamespaceObject>::all(self.calls.client().clone());
            for object in self.pages(&api, "namespaces").await {
                self.index.namespace(Change::Apply(object));
            }
        }
    }

    async fn controllers(&mut self) {
        for (api_version, kind) in WELL_KNOWN_KINDS {
            let resource = api_resource(api_version, kind);
            let client = self.calls.client().clone();
            let namespace = &self.options.vpa_object_namespace;
            let api: Api<ControllerObject> = controllers(client, namespace, &resource);
            for object in self.pages(&api, &resource.plural).await {
                let read = ControllerObject::to_controller;
                self.index.controller(kind, Change::Apply(object), read);
            }
        }
    }

    async fn pods(&mut self) {
        let profile = self.options.profile.into();
        for object in self.objects::<PodObject>("pods").await {
            let pod = Pod::from(&object).seen_by(profile);
            self.index.pod(Change::Apply(pod));
        }
    }

    async fn limits(&mut self) {
        for object in self.objects::<LimitRangeObject>("limitranges").await {
            let items = |object: &LimitRangeObject| Some(object.items());
            self.index.limit_ranges.change(Change::Apply(object), items);
        }
        for object in self.objects::<ResourceQuotaObject>("resourcequotas").await {
            let quota = ResourceQuotaObject::quota;
            self.index.quotas.change(Change::Apply(object), quota);
        }
        let budgets = "poddisruptionbudgets";
        for object in self.objects::<DisruptionBudgetObject>(budgets).await {
            let budget = |object: &DisruptionBudgetObject| Some(object.budget());
            self.index.budgets.change(Change::Apply(object), budget);
        }
        let horizontals = "horizontalpodautoscalers";
        for object in self
            .objects::<HorizontalPodAutoscalerObject>(horizontals)
            .await
        {
            self.index.horizontal(Change::Apply(object));
        }
        // Who looks at one namespace may have no rights outside of it, and the updater then looks at no nodes either.
        if self.options.vpa_object_namespace.is_empty() {
            let nodes = Api::<NodeObject>::all(self.calls.client().clone());
            for object in self.pages(&nodes, "nodes").await {
                self.index.node(Change::Apply(object));
            }
        }
    }

    async fn objects<K>(&mut self, what: &str) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let client = self.calls.client().clone();
        let namespace = &self.options.vpa_object_namespace;
        let api: Api<K> = if namespace.is_empty() {
            Api::all(client)
        } else {
            Api::namespaced(client, namespace)
        };
        self.pages(&api, what).await
    }

    /// All objects, page by page; none, and a note, when one of the pages cannot be read.
    async fn pages<K>(&mut self, api: &Api<K>, what: &str) -> Vec<K>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut objects = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let request = api.list(&parameters);
            match self.calls.run(&format!("list {what}"), request).await {
                Ok(page) => {
                    objects.extend(page.items);
                    match page.metadata.continue_.filter(|token| !token.is_empty()) {
                        Some(token) => parameters.continue_token = Some(token),
                        None => return objects,
                    }
                }
                Err(error) => {
                    let what = what.to_owned();
                    self.not_read.push(NotRead { what, error });
                    return Vec::new();
                }
            }
        }
    }
}
