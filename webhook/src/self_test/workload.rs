//! A workload that never runs, and the VPA that sizes its pods.

use std::fmt;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use kube::api::{Patch, PatchParams};
use podfit_cluster::api::quantity::amount;
use podfit_cluster::calls::Calls;
use podfit_core::quantity::Resource;
use serde_json::{Value, json};

use super::Broken;

const CONTAINER: &str = "self-test";
const CPU_BEFORE: &str = "1m";
const CPU_TARGET: &str = "3m";

/// The name of a recommender that there is not, so that none touches the VPA.
const NO_RECOMMENDER: &str = "podfit-self-test";

/// A ReplicaSet without replicas, and its VPA of the same name.
pub struct Workload {
    namespace: String,
    name: String,
    uid: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Workload {
    /// Makes both, with a recommendation.
    pub async fn create(calls: &Calls, namespace: &str) -> Result<Self, Broken> {
        let set: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"generateName": "podfit-self-test-"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app.kubernetes.io/name": "podfit-self-test"}},
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/name": "podfit-self-test"}},
                    "spec": pod_spec(),
                },
            },
        }))?;
        let sets = api(calls, namespace, "apps", "ReplicaSet");
        let made = calls
            .run(
                "create a ReplicaSet without replicas",
                sets.create(&PostParams::default(), &set),
            )
            .await?;
        let workload = Self {
            namespace: namespace.into(),
            name: made.metadata.name.unwrap_or_default(),
            uid: made.metadata.uid.unwrap_or_default(),
        };
        if let Err(error) = workload.create_vpa(calls).await {
            workload.delete(calls).await;
            return Err(error);
        }
        Ok(workload)
    }

    async fn create_vpa(&self, calls: &Calls) -> Result<(), Broken> {
        let vpa: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "autoscaling.k8s.io/v1",
            "kind": "VerticalPodAutoscaler",
            "metadata": {"name": self.name},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": self.name},
                "updatePolicy": {"updateMode": "Initial"},
                "recommenders": [{"name": NO_RECOMMENDER}],
            },
        }))?;
        let vpas = api(
            calls,
            &self.namespace,
            "autoscaling.k8s.io",
            "VerticalPodAutoscaler",
        );
        calls
            .run(
                "create a VerticalPodAutoscaler",
                vpas.create(&PostParams::default(), &vpa),
            )
            .await?;
        let recommended = json!({"cpu": CPU_TARGET, "memory": "1Mi"});
        let status = Patch::Merge(
            json!({"status": {"recommendation": {"containerRecommendations": [{
                "containerName": CONTAINER,
                "target": recommended,
                "lowerBound": recommended,
                "upperBound": recommended,
                "uncappedTarget": recommended,
            }]}}}),
        );
        calls
            .run(
                "recommend something",
                vpas.patch_status(&self.name, &PatchParams::default(), &status),
            )
            .await?;
        Ok(())
    }

    /// Removes both. What cannot be removed is told, and wants nothing.
    pub async fn delete(&self, calls: &Calls) {
        for (group, kind) in [
            ("autoscaling.k8s.io", "VerticalPodAutoscaler"),
            ("apps", "ReplicaSet"),
        ] {
            let api = api(calls, &self.namespace, group, kind);
            let removed = calls
                .run(
                    "remove it",
                    api.delete(&self.name, &DeleteParams::default()),
                )
                .await;
            if let Err(error) = removed
                && !error.is_not_found()
            {
                tracing::warn!(%error, kind, name = %self, "left behind; delete it");
            }
        }
    }

    /// A pod as the ReplicaSet would make it.
    pub fn pod(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": format!("{}-", self.name),
                "labels": {"app.kubernetes.io/name": "podfit-self-test"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": self.name,
                    "uid": self.uid,
                    "controller": true,
                }],
            },
            "spec": pod_spec(),
        })
    }
}

/// True when a pod has what was recommended.
pub fn is_sized(pod: &Value) -> bool {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ours = containers.filter(|c| c["name"] == CONTAINER);
    ours.any(|c| {
        let cpu = &c["resources"]["requests"]["cpu"];
        amount(Resource::Cpu, cpu) == amount(Resource::Cpu, &CPU_TARGET.into())
    })
}

/// It passes the strictest security standard.
fn pod_spec() -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": CONTAINER,
            "image": "podfit.dev/never-started",
            "resources": {"requests": {"cpu": CPU_BEFORE, "memory": "1Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        }],
    })
}

fn api(calls: &Calls, namespace: &str, group: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(calls.client().clone(), namespace, &resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_sized_once_it_has_what_was_recommended() {
        let workload = Workload {
            namespace: "default".into(),
            name: "podfit-self-test-x".into(),
            uid: "1".into(),
        };
        let mut pod = workload.pod();
        assert!(!is_sized(&pod));
        // A sidecar that another webhook put first is not ours.
        let sidecar = json!({"name": "mesh", "resources": {"requests": {"cpu": CPU_TARGET}}});
        let containers = pod["spec"]["containers"].as_array_mut().unwrap();
        containers.insert(0, sidecar);
        assert!(!is_sized(&pod));
        pod["spec"]["containers"][1]["resources"]["requests"]["cpu"] = "0.003".into();
        assert!(is_sized(&pod));
    }
}
