//! What the API server would send.

use hyper::body::Bytes;
use podfit_tests::bench::fixture::{namespace, pod};
use serde_json::json;

/// So many different reviews are sent in turn.
const REVIEWS: usize = 500;

/// Reviews of pods of workloads spread evenly over `vpas`, all of which get a patch.
pub fn reviews(vpas: usize) -> Vec<Bytes> {
    let count = REVIEWS.min(vpas);
    (0..count).map(|n| review(n * (vpas / count), n)).collect()
}

fn review(workload: usize, number: usize) -> Bytes {
    let name = format!("{}-{number}", podfit_tests::bench::fixture::name(workload));
    let namespace = namespace(workload, 1);
    let mut object = pod(workload, &name);
    object["metadata"]["namespace"] = namespace.as_str().into();
    object["metadata"]["managedFields"] = json!([{
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-26T09:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:args": {}, "f:image": {}, "f:name": {}}}}},
    }]);
    // What admission adds before webhooks are asked.
    let token = "kube-api-access-x7k2p";
    object["spec"]["volumes"] = json!([{"name": token, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}]);
    object["spec"]["containers"][0]["volumeMounts"] = json!([{"name": token, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    object["spec"]["tolerations"] = json!(["not-ready", "unreachable"].map(|what| json!({
        "key": format!("node.kubernetes.io/{what}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
    })));
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": format!("00000000-0000-4000-8000-{number:012}"), "kind": kind, "resource": resource,
        "requestKind": kind, "requestResource": resource, "name": name, "namespace": namespace, "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }});
    review.to_string().into()
}
