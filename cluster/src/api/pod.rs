//! Pods: about a seventeenth of the memory of the full type, since most of it is not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ObjectMeta;
use podfit_core::admission::BOOST_ANNOTATION_PREFIX;
use podfit_core::pod::{
    Container, ContainerStatus, EffectiveResources, Phase, Pod, PresentMaps, ResizeState,
    Termination,
};
use podfit_core::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::controller::controlling_owner;
use super::metadata;
use super::node::{Affinity, SpecToleration, placement};
use super::object::Object;
use super::quantity::Quantities;
use super::time;

mod stakes;

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

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    start_time: Option<String>,
    conditions: Vec<Condition>,
    container_statuses: Vec<StatusContainer>,
    init_container_statuses: Vec<StatusContainer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusContainer {
    name: String,
    restart_count: i32,
    resources: Option<Resources>,
    state: State,
    last_state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<IgnoredAny>,
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Terminated {
    reason: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
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
            container.before_boost = before_boost(value);
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

fn parse(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|t| time::parse(t))
}

fn phase(text: &str) -> Phase {
    match text {
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Unknown" => Phase::Unknown,
        _ => Phase::Pending,
    }
}

fn ready_since(conditions: &[Condition]) -> Option<Timestamp> {
    let ready = conditions
        .iter()
        .find(|c| c.r#type == "Ready" && c.status == "True")?;
    parse(ready.last_transition_time.as_ref())
}

/// A pending resize says more than one in progress, whatever the order in the list.
fn resize_state(conditions: &[Condition]) -> ResizeState {
    let find = |kind: &str| {
        conditions
            .iter()
            .find(|c| c.r#type == kind && c.status == "True")
    };
    let message = |c: &Condition| c.message.clone().unwrap_or_default();
    if let Some(pending) = find("PodResizePending") {
        let message = message(pending);
        return match pending.reason.as_deref() {
            Some("Deferred") => ResizeState::Deferred { message },
            Some("Infeasible") => ResizeState::Infeasible { message },
            _ => ResizeState::Unknown { message },
        };
    }
    let Some(progress) = find("PodResizeInProgress") else {
        return ResizeState::None;
    };
    let message = message(progress);
    match progress.reason.as_deref().unwrap_or_default() {
        "" if message.is_empty() => ResizeState::InProgress,
        "Error" => ResizeState::Error { message },
        _ => ResizeState::Unknown { message },
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

fn container_status(status: &StatusContainer) -> ContainerStatus {
    ContainerStatus {
        resources: status.resources.as_ref().map(effective),
        restart_count: status.restart_count,
        running: status.state.running.is_some(),
        terminated: status.state.terminated.as_ref().map(termination),
        last_terminated: status.last_state.terminated.as_ref().map(termination),
    }
}

fn termination(terminated: &Terminated) -> Termination {
    Termination {
        reason: terminated.reason.clone().unwrap_or_default(),
        started: parse(terminated.started_at.as_ref()),
        finished: parse(terminated.finished_at.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Bytes, Millicores};
    use serde_json::json;

    use super::*;

    fn pod(value: serde_json::Value) -> Pod {
        Pod::from(&serde_json::from_value::<PodObject>(value).unwrap())
    }

    #[test]
    fn a_pod_is_read_with_its_status() {
        let pod = pod(json!({
            "metadata": {
                "name": "web-1", "namespace": "shop", "uid": "u1",
                "labels": {"pod-template-hash": "5d4f"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "1"},
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "2", "controller": true}
                ]
            },
            "spec": {"nodeName": "n1", "initContainers": [{"name": "init"}], "containers": [{
                "name": "app",
                "resources": {"requests": {"cpu": "250m", "memory": "1Gi", "nvidia.com/gpu": 1}},
                "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
            }]},
            "status": {"phase": "Running", "startTime": "2026-11-24T10:00:00Z",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T10:00:05Z"}],
                "containerStatuses": [{
                    "name": "app", "restartCount": 2, "state": {"running": {"startedAt": "2026-11-24T10:00:02Z"}},
                    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137,
                        "startedAt": "2026-11-24T10:00:00Z", "finishedAt": "2026-11-24T10:00:01Z"}},
                    "resources": {"requests": {"cpu": "300m"}}
                }]}
        }));
        assert_eq!(
            pod.owner.as_ref().map(|o| o.name.as_str()),
            Some("web-5d4f")
        );
        assert_eq!(
            (pod.phase, pod.template_hash.as_deref()),
            (Phase::Running, Some("5d4f"))
        );
        assert!(pod.annotations.is_none() && pod.ready_since.is_some() && !pod.is_resizing());
        let app = pod.container("app").unwrap();
        assert_eq!(
            (app.requests.cpu, app.requests.memory),
            (Some(Millicores(250)), Some(Bytes(1 << 30)))
        );
        assert_eq!(app.effective().requests.cpu, Some(Millicores(300)));
        assert_eq!(
            app.present,
            PresentMaps {
                resources: true,
                requests: true,
                limits: false
            }
        );
        assert!(app.restarts_on_memory_resize && !app.restarts_on_cpu_resize);
        let status = app.status.as_ref().unwrap();
        assert!(status.running && status.last_terminated.as_ref().unwrap().is_oom());
    }

    /// A sidecar stands after the containers, with its own place and status; other init containers are apart.
    #[test]
    fn native_sidecars_are_containers() {
        let pod = pod(json!({
            "metadata": {"annotations": {
                "vpaCpuStartupBoost/app": "{\"requests\":{\"cpu\":\"100m\"},\"limits\":{}}",
                "vpaCpuStartupBoost/proxy": "nonsense",
            }},
            "spec": {
                "initContainers": [
                    {"name": "download", "resources": {"requests": {"cpu": "2"}}},
                    {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}
                ],
                "containers": [{"name": "app"}],
                "resources": {"requests": {"cpu": "1"}}
            },
            "status": {"initContainerStatuses": [
                {"name": "proxy", "restartCount": 3, "state": {"running": {}}, "resources": {"requests": {"cpu": "60m"}}}
            ]}
        }));
        let places: Vec<_> = pod
            .containers
            .iter()
            .map(|c| (c.name.as_str(), c.sidecar))
            .collect();
        assert_eq!(places, [("app", None), ("proxy", Some(1))]);
        assert_eq!(pod.init_containers[0].name, "download");
        let proxy = pod.container("proxy").unwrap();
        assert_eq!(
            (proxy.requests.cpu, proxy.effective().requests.cpu),
            (Some(Millicores(50)), Some(Millicores(60)))
        );
        assert_eq!(proxy.status.as_ref().unwrap().restart_count, 3);
        let before = |name: &str| pod.container(name).unwrap().before_boost;
        assert_eq!(
            before("app").map(|r| r.requests.cpu),
            Some(Some(Millicores(100)))
        );
        assert!(pod.has_pod_resources && before("proxy").is_none());
        let upstream = pod.clone().seen_by(podfit_core::profile::Profile::Upstream);
        assert_eq!(upstream.containers.len(), 1);
    }

    #[test]
    fn resize_conditions_are_read_in_any_order() {
        let condition = |text: &str| {
            let [kind, status, reason, message] = text.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{text}")
            };
            json!({
                "type": kind,
                "status": status,
                "reason": (reason != "-").then_some(reason),
                "message": (message == "yes").then_some("words"),
            })
        };
        let table = include_str!("../../testdata/resize_statuses.csv");
        for row in table.lines().filter(|line| !line.starts_with('#')) {
            let (cell, want) = row.split_once(';').unwrap();
            let texts = cell.split(" + ").filter(|text| !text.is_empty());
            let conditions: Vec<_> = texts.map(condition).collect();
            let state = pod(json!({"status": {"conditions": conditions}})).resize;
            let name = format!("{state:?}");
            assert_eq!(name.split(' ').next(), Some(want), "{row}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        for spec in [
            json!([]),
            json!({"containers": [["app"]]}),
            json!({"initContainers": [["app"]]}),
            json!({"containers": [{"name": "app", "resources": []}]}),
        ] {
            let pod = json!({"metadata": {}, "spec": spec});
            assert!(
                serde_json::from_value::<PodObject>(pod.clone()).is_err(),
                "{pod}"
            );
        }
    }

    #[test]
    fn a_bare_or_odd_pod_is_read_all_the_same() {
        for value in [
            json!({}),
            json!({"metadata": {}, "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "lots"}}}]}}),
        ] {
            let pod = pod(value);
            assert!(pod.owner.is_none() && pod.containers.iter().all(|c| c.requests.is_empty()));
        }
    }
}
