//! Everything podfit writes into a cluster beside leases and events: VPA statuses, checkpoints, evictions, resizes.

use kube::api::{Api, DeleteParams, EvictParams, ObjectMeta, Patch, PatchParams, PostParams};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::vpa::{Condition, ContainerRecommendation, Vpa};
use serde_json::{Value, json};

use crate::api::checkpoint::{CheckpointObject, CheckpointSpec, CheckpointStatus};
use crate::api::pod::PodObject;
use crate::api::vpa::{VpaObject, conditions_to_json, recommendation_to_json};
use crate::calls::{CallError, Calls};

/// Writes conditions, and a recommendation when there is one, into a VPA's status.
///
/// Checked against the version that was read: `conditions` is an atomic list with two writers, so a write over an
/// unread one would lose the other's. On a conflict the caller reads again, in its next loop.
pub async fn vpa_status(
    calls: &Calls,
    vpa: &Vpa,
    recommendation: Option<&[ContainerRecommendation]>,
    conditions: &[Condition],
) -> Result<(), CallError> {
    let mut status = json!({
        "conditions": conditions_to_json(conditions),
        "observedGeneration": vpa.generation,
    });
    if let Some(recommendation) = recommendation {
        status["recommendation"] = recommendation_to_json(recommendation);
    }
    let patch = json!({ "metadata": { "resourceVersion": vpa.resource_version }, "status": status });
    let api: Api<VpaObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let (merge, parameters) = (Patch::Merge(&patch), PatchParams::default());
    calls.run("patch VPA status", api.patch_status(&vpa.name, &parameters, &merge)).await.map(drop)
}

/// Writes the history of one container of a VPA, creating the object when there is none.
pub async fn checkpoint(calls: &Calls, vpa: &Vpa, container: &str, content: &Checkpoint) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let name = checkpoint_name(&vpa.name, container);
    let status = CheckpointStatus::from(content);
    // A replacement, not a merge: buckets that emptied must go.
    let replace: json_patch::Patch =
        json_patch::Patch(vec![json_patch::PatchOperation::Add(json_patch::AddOperation {
            path: jsonptr::PointerBuf::from_tokens(["status"]),
            value: serde_json::to_value(&status).unwrap_or(Value::Null),
        })]);
    let (patch, parameters) = (Patch::<()>::Json(replace), PatchParams::default());
    match calls.run("patch checkpoint", api.patch(&name, &parameters, &patch)).await {
        Err(error) if error.is_not_found() => {
            let object = CheckpointObject {
                metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
                spec: CheckpointSpec { vpa_object_name: vpa.name.clone(), container_name: container.into() },
                status,
            };
            calls.run("create checkpoint", api.create(&PostParams::default(), &object)).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The name upstream gives the checkpoint of a container.
pub fn checkpoint_name(vpa: &str, container: &str) -> String {
    format!("{vpa}-{container}")
}

/// Deletes a checkpoint. One that is gone already is no error.
pub async fn delete_checkpoint(calls: &Calls, namespace: &str, name: &str) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), namespace);
    match calls.run("delete checkpoint", api.delete(name, &DeleteParams::default())).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// Asks for a pod's eviction. The API server holds it against the PodDisruptionBudgets and answers 429 when one
/// forbids it. Only this very pod is meant: a new one of the same name is left alone.
pub async fn evict(calls: &Calls, namespace: &str, pod: &str, uid: &str) -> Result<(), CallError> {
    let api: Api<PodObject> = Api::namespaced(calls.client().clone(), namespace);
    let preconditions = kube::api::Preconditions { uid: Some(uid.into()), resource_version: None };
    let delete_options = Some(DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() });
    let parameters = EvictParams { delete_options, ..EvictParams::default() };
    calls.run("evict pod", api.evict(pod, &parameters)).await.map(drop)
}

/// Changes the resources of a running pod through its `resize` subresource. `containers` holds per container what the
/// strategic merge takes: `{"name": …, "resources": {"requests": …, "limits": …}}`.
pub async fn resize(calls: &Calls, namespace: &str, pod: &str, containers: &[Value]) -> Result<(), CallError> {
    let patch = json!({ "spec": { "containers": containers } });
    pod_patch(calls, (namespace, pod), Some("resize"), &patch).await
}

/// Sets annotations of a pod.
pub async fn annotate_pod(calls: &Calls, namespace: &str, pod: &str, annotations: Value) -> Result<(), CallError> {
    pod_patch(calls, (namespace, pod), None, &json!({ "metadata": { "annotations": annotations } })).await
}

async fn pod_patch(
    calls: &Calls,
    (namespace, pod): (&str, &str),
    subresource: Option<&str>,
    patch: &Value,
) -> Result<(), CallError> {
    let api: Api<PodObject> = Api::namespaced(calls.client().clone(), namespace);
    let (patch, parameters) = (Patch::Strategic(patch), PatchParams::default());
    match subresource {
        Some(name) => calls.run("resize pod", api.patch_subresource(name, pod, &parameters, &patch)).await.map(drop),
        None => calls.run("annotate pod", api.patch(pod, &parameters, &patch)).await.map(drop),
    }
}
