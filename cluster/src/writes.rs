//! What podfit writes into VPAs and pods: statuses, evictions, resizes.

use kube::api::{Api, Patch, PatchParams, PostParams};
use podfit_core::vpa::{Condition, ContainerRecommendation, Vpa};
use serde_json::{Value, json};

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
    let patch =
        json!({ "metadata": { "resourceVersion": vpa.resource_version }, "status": status });
    let api: Api<VpaObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let (merge, parameters) = (Patch::Merge(&patch), PatchParams::default());
    calls
        .run(
            "patch VPA status",
            api.patch_status(&vpa.name, &parameters, &merge),
        )
        .await
        .map(drop)
}

/// Asks for a pod's eviction. The API server holds it against the PodDisruptionBudgets and answers 429 when one
/// forbids it. Only this very pod is meant: a new one of the same name is left alone.
pub async fn evict(calls: &Calls, namespace: &str, pod: &str, uid: &str) -> Result<(), CallError> {
    let api: Api<PodObject> = Api::namespaced(calls.client().clone(), namespace);
    // Not `Api::evict`: kube 5.0 names the field `delete_options`, and the server then drops the precondition.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod, "namespace": namespace },
        "deleteOptions": { "preconditions": { "uid": uid } },
    });
    let post = PostParams::default();
    let request = api.create_subresource::<_, Value>("eviction", pod, &post, &eviction);
    calls.run("evict pod", request).await.map(drop)
}

/// Changes the resources of a running pod through its `resize` subresource. `spec` holds `containers` and
/// `initContainers` (sidecars), with per container what the strategic merge takes:
/// `{"name": …, "resources": {"requests": …, "limits": …}}`.
pub async fn resize(
    calls: &Calls,
    namespace: &str,
    pod: &str,
    spec: Value,
) -> Result<(), CallError> {
    let patch = json!({ "spec": spec });
    pod_patch(calls, (namespace, pod), Some("resize"), &patch).await
}

/// Sets annotations of a pod.
pub async fn annotate_pod(
    calls: &Calls,
    namespace: &str,
    pod: &str,
    annotations: Value,
) -> Result<(), CallError> {
    pod_patch(
        calls,
        (namespace, pod),
        None,
        &json!({ "metadata": { "annotations": annotations } }),
    )
    .await
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
        Some(name) => calls
            .run(
                "resize pod",
                api.patch_subresource(name, pod, &parameters, &patch),
            )
            .await
            .map(drop),
        None => calls
            .run("annotate pod", api.patch(pod, &parameters, &patch))
            .await
            .map(drop),
    }
}
