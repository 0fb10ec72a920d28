//! Pods: about a seventeenth of the memory of the full type, since most of it is not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ObjectMeta;
use podfit_core::admission::BOOST_ANNOTATION_PREFIX;
use podfit_core::ownership::FAMILY_LABEL;
use podfit_core::pod::{Container, EffectiveResources, Pod, PresentMaps};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::controller::controlling_owner;
use super::metadata;
use super::node::{Affinity, SpecToleration, placement};
use super::object::Object;
use super::quantity::Quantities;
use super::time;

mod stakes;
mod status;

use self::status::{
    Status, StatusContainer, container_status, parse, phase, ready_since, resize_state,
};

/// A pod, cut down to what is read of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PodObject {
    /// Its metadata.
    #[serde(default, deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: Object<Spec>,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    containers: Vec<Object<SpecContainer>>,
    init_containers: Vec<Object<SpecContainer>>,
    resources: Option<Object<Resources>>,
    restart_policy: Option<String>,
    priority_class_name: Option<String>,
    resource_claims: Option<Vec<IgnoredAny>>,
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<SpecToleration>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecContainer {
    name: String,
    resources: Option<Object<Resources>>,
    resize_policy: Vec<ResizePolicy>,
    restart_policy: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Quantities>,
    limits: Option<Quantities>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResizePolicy {
    resource_name: String,
    restart_policy: String,
}

namespaced_resource!(PodObject, "", "v1", "Pod", "pods");

impl From<&PodObject> for Pod {
    fn from(object: &PodObject) -> Self {
        let PodObject {
            metadata: meta,
            spec: Object(spec),
            status,
        } = object;
        let (containers, init_containers) = containers(meta, spec, status);
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            owner: controlling_owner(meta),
            template_hash: meta
                .labels
                .as_ref()
                .and_then(|l| l.get("pod-template-hash").cloned()),
            revision_hash: meta
                .labels
                .as_ref()
                .and_then(|l| l.get("controller-revision-hash").cloned()),
            family: family(meta),
            annotations: meta.annotations.as_ref().map(|all| {
                let read = all.iter().filter(|(key, _)| podfit_core::pod::is_read(key));
                read.map(|(k, v)| (k.clone(), v.clone())).collect()
            }),
            phase: phase(&status.phase),
            terminating: meta.deletion_timestamp.is_some(),
            node: spec.node_name.clone(),
            placement: placement(
                spec.node_selector.as_ref(),
                spec.affinity.as_ref(),
                spec.tolerations.as_deref().unwrap_or_default(),
            )
            .map(Arc::new),
            created: time::created(meta),
            started: parse(status.start_time.as_ref()),
            ready_since: ready_since(&status.conditions),
            resize: resize_state(&status.conditions),
            containers,
            init_containers,
            has_pod_resources: spec.resources.is_some_and(|Object(r)| {
                let mut maps = [r.requests, r.limits].into_iter().flatten();
                maps.any(|amounts| !amounts.is_empty)
            }),
            stakes: stakes::read(spec),
        }
    }
}

fn family(meta: &ObjectMeta) -> Option<Box<str>> {
    let label = meta.labels.as_ref()?.get(FAMILY_LABEL)?;
    (!label.is_empty()).then(|| label.as_str().into())
}

/// The containers that are sized, sidecars last, and the other init containers.
fn containers(meta: &ObjectMeta, spec: &Spec, status: &Status) -> (Vec<Container>, Vec<Container>) {
    let mut sized: Vec<_> = spec
        .containers
        .iter()
        .map(|Object(c)| container(c, &status.container_statuses))
        .collect();
    let mut others = Vec::new();
    for (index, Object(init)) in spec.init_containers.iter().enumerate() {
        let read = container(init, &status.init_container_statuses);
        if init.restart_policy.as_deref() == Some("Always") {
            sized.push(Container {
                sidecar: Some(index),
                ..read
            });
        } else {
            others.push(read);
        }
    }
    for (key, value) in meta.annotations.iter().flatten() {
        let boosted = key.strip_prefix(BOOST_ANNOTATION_PREFIX);
        if let Some(container) = sized.iter_mut().find(|c| boosted == Some(&c.name)) {
            container.before_boost = before_boost(value).map(Box::new);
        }
    }
    (sized, others)
}

/// The value of a boost annotation; `None` when somebody else wrote it.
fn before_boost(text: &str) -> Option<EffectiveResources> {
    let Object(resources) = serde_json::from_str::<Object<Resources>>(text).ok()?;
    Some(effective(&resources))
}

fn effective(resources: &Resources) -> EffectiveResources {
    let list = |amounts: Option<Quantities>| amounts.unwrap_or_default().list;
    EffectiveResources {
        requests: list(resources.requests),
        limits: list(resources.limits),
    }
}

fn container(spec: &SpecContainer, statuses: &[StatusContainer]) -> Container {
    let restarts = |resource: &str| {
        spec.resize_policy
            .iter()
            .any(|p| p.resource_name == resource && p.restart_policy == "RestartContainer")
    };
    let Object(resources) = spec.resources.unwrap_or_default();
    let own = effective(&resources);
    Container {
        name: spec.name.clone(),
        sidecar: None,
        requests: own.requests,
        limits: own.limits,
        present: PresentMaps {
            resources: spec.resources.is_some(),
            requests: resources.requests.is_some(),
            limits: resources.limits.is_some(),
        },
        restarts_on_cpu_resize: restarts("cpu"),
        restarts_on_memory_resize: restarts("memory"),
        before_boost: None,
        status: statuses
            .iter()
            .find(|s| s.name == spec.name)
            .map(container_status),
    }
}

#[cfg(test)]
mod tests;
