//! Reviews, the VPAs they are answered from, and patches.

use std::time::Duration;

use actix_web::web;
use base64::Engine;
use podfit_cluster::api::vpa::VpaObject;
use podfit_cluster::index::Index;
use podfit_core::feature_gates::FeatureGates;
use podfit_core::policy::LimitPolicies;
use podfit_core::vpa::{BoostBy, CpuBoost, StartupBoost, Vpa};
use podfit_webhook::admission::Webhook;
use podfit_webhook::metrics::Metrics;
use serde_json::{Value, json};

/// A VPA for the Deployment `web` in `shop`.
pub fn vpa(mode: &str) -> Vpa {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "web-vpa", "uid": "1", "creationTimestamp": "2026-11-24T10:00:00Z"},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "updatePolicy": {"updateMode": mode}},
        "status": {"recommendation": {"containerRecommendations": [
            {"containerName": "app", "target": {"cpu": "250m", "memory": "1Gi"}},
            {"containerName": "side", "target": {"cpu": "20m", "memory": "64Mi"}}
        ]}}
    });
    Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
}

pub fn webhook(vpas: Vec<Vpa>) -> web::Data<Webhook> {
    web::Data::new(webhook_value(vpas))
}

pub fn webhook_value(vpas: Vec<Vpa>) -> Webhook {
    let mut index = Index::default();
    for vpa in vpas {
        index.vpas.apply(vpa);
    }
    Webhook::new(
        index.into(),
        Metrics::new(&prometheus::Registry::new()).unwrap(),
        FeatureGates::default(),
    )
}

/// A pod of the Deployment `web`, by a ReplicaSet that no cache knows.
pub fn pod() -> Value {
    json!({
        "metadata": {"generateName": "web-5d4f-", "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "2", "controller": true}]},
        "spec": {"containers": [
            {"name": "app", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}},
            {"name": "side"},
            {"name": "stranger"}
        ]}
    })
}

/// A VPA that boosts the start, takes CPU limits away and sets those of memory.
fn vpa_in_full() -> Vpa {
    let mut full = vpa("Recreate");
    full.limits = LimitPolicies::parse("cpu=none,memory=headroom=64Mi").unwrap();
    let cpu = Some(CpuBoost {
        by: BoostBy::Factor(2),
        lasts: Duration::ZERO,
    });
    full.startup_boost = Some(StartupBoost { cpu });
    full
}

pub fn webhook_in_full() -> web::Data<Webhook> {
    let mut webhook = webhook_value(vec![vpa_in_full()]);
    webhook.settings.startup_boost = true;
    web::Data::new(webhook)
}

/// With annotations of its own and a native sidecar.
pub fn pod_in_full() -> Value {
    let mut object = pod();
    object["metadata"]["annotations"] = json!({"mine": "stays"});
    object["spec"]["initContainers"] = json!([{"name": "side", "restartPolicy": "Always"}]);
    object["spec"]["containers"][1]["name"] = "other".into();
    object
}

pub fn review(object: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": "CREATE", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": object
    }})
}

/// The patch of a verdict; empty when it has none.
pub fn patch(verdict: &Value) -> json_patch::Patch {
    let Some(text) = verdict["patch"].as_str() else {
        assert!(verdict["patchType"].is_null());
        return json_patch::Patch::default();
    };
    assert_eq!(verdict["patchType"], "JSONPatch");
    serde_json::from_slice(
        &base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap(),
    )
    .unwrap()
}
