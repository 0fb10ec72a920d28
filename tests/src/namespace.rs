//! A scenario's namespace, and what is done in it.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::amounts::Amounts;
use crate::cluster::Cluster;
use crate::manifests::APP;
use crate::pod::Pod;
use crate::podfit::FOREIGN_GROUP;

/// Kinds whose group is not the core one.
const GROUPS: [(&str, &str); 20] = [
    ("Deployment", "apps"),
    ("ReplicaSet", "apps"),
    ("StatefulSet", "apps"),
    ("DaemonSet", "apps"),
    ("Job", "batch"),
    ("CronJob", "batch"),
    ("Fleet", FOREIGN_GROUP),
    ("Armada", FOREIGN_GROUP),
    ("Crew", FOREIGN_GROUP),
    ("HorizontalPodAutoscaler", "autoscaling"),
    ("ScaledObject", "keda.sh"),
    ("ScaledJob", "keda.sh"),
    ("Rollout", "argoproj.io"),
    ("Workflow", "argoproj.io"),
    ("PodDisruptionBudget", "policy"),
    ("Lease", "coordination.k8s.io"),
    ("Role", "rbac.authorization.k8s.io"),
    ("RoleBinding", "rbac.authorization.k8s.io"),
    ("VerticalPodAutoscaler", "autoscaling.k8s.io"),
    ("VerticalPodAutoscalerCheckpoint", "autoscaling.k8s.io"),
];

/// Groups whose version is not `v1`.
const VERSIONS: [(&str, &str); 3] = [
    ("autoscaling", "v2"),
    ("argoproj.io", "v1alpha1"),
    ("keda.sh", "v1alpha1"),
];

/// The API's name of VPAs.
pub const VPA: &str = "VerticalPodAutoscaler";
/// The API's name of stored histories.
pub const CHECKPOINT: &str = "VerticalPodAutoscalerCheckpoint";

/// A namespace of a cluster.
#[derive(Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub cluster: Arc<Cluster>,
}

impl Namespace {
    /// Makes a namespace with a name that starts with `prefix`.
    pub async fn create_new(cluster: &Arc<Cluster>, prefix: &str) -> Result<Self> {
        let namespaces =
            Api::<DynamicObject>::all_with(cluster.client.clone(), &resource("Namespace"));
        let object = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": format!("{prefix}-")}
        }))?;
        let made = namespaces.create(&PostParams::default(), &object).await?;
        Ok(Self {
            name: made.name_any(),
            cluster: Arc::clone(cluster),
        })
    }

    /// Removes it with all that is in it; does not wait for that.
    pub async fn delete_all(&self) -> Result<()> {
        let namespaces =
            Api::<DynamicObject>::all_with(self.cluster.client.clone(), &resource("Namespace"));
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await?;
        Ok(())
    }

    /// The objects of one kind.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client.clone(), &self.name, &resource(kind))
    }

    /// Creates an object.
    pub async fn create(&self, object: Value) -> Result<Value> {
        let kind = object["kind"].as_str().context("no kind")?.to_owned();
        let object: DynamicObject = serde_json::from_value(object)?;
        let made = self
            .api(&kind)
            .create(&PostParams::default(), &object)
            .await;
        Ok(serde_json::to_value(
            made.with_context(|| format!("creating a {kind}"))?,
        )?)
    }

    /// Reads an object.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        let object = self.api(kind).get(name).await;
        Ok(serde_json::to_value(
            object.with_context(|| format!("{kind} {name}"))?,
        )?)
    }

    /// Changes an object by a merge patch.
    pub async fn merge(&self, kind: &str, name: &str, patch: Value) -> Result<()> {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("changing {kind} {name}"))?;
        Ok(())
    }

    /// Changes an object's status by a merge patch.
    pub async fn merge_status(&self, kind: &str, name: &str, status: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api(kind)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("changing the status of {kind} {name}"))?;
        Ok(())
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.api(kind)
            .delete(name, &DeleteParams::default())
            .await
            .with_context(|| format!("deleting {kind} {name}"))?;
        Ok(())
    }

    /// Sets how many replicas a Deployment has.
    pub async fn scale(&self, deployment: &str, replicas: u32) -> Result<()> {
        self.merge(
            "Deployment",
            deployment,
            json!({"spec": {"replicas": replicas}}),
        )
        .await
    }

    /// A workload's pods, oldest first.
    pub async fn pods(&self, workload: &str) -> Result<Vec<Pod>> {
        let selector = ListParams::default().labels(&format!("{APP}={workload}"));
        let mut pods = self.api("Pod").list(&selector).await?.items;
        pods.sort_by_key(|p| (p.creation_timestamp(), p.name_any()));
        pods.iter()
            .map(|p| Ok(Pod(serde_json::to_value(p)?)))
            .collect()
    }

    /// A workload's pods once exactly `count` of them are there and all can take traffic.
    pub async fn available_pods(&self, workload: &str, count: usize) -> Result<Vec<Pod>> {
        let pods = self.pods(workload).await?;
        let available = pods.iter().filter(|p| p.is_available()).count();
        anyhow::ensure!(
            available == count && pods.len() == count,
            "{available} of {} pods of {workload} are available, not {count}",
            pods.len()
        );
        Ok(pods)
    }

    /// One amount (`target`, `lowerBound`, `upperBound`, `uncappedTarget`) that a VPA recommends for its first container.
    pub async fn recommended(&self, vpa: &str, what: &str) -> Result<Amounts> {
        let vpa = self.get(VPA, vpa).await?;
        let first = &vpa["status"]["recommendation"]["containerRecommendations"][0];
        Amounts::from_list(&first[what]).context("nothing is recommended")
    }

    /// A condition of a VPA.
    pub async fn condition(&self, vpa: &str, kind: &str) -> Result<Value> {
        let vpa = self.get(VPA, vpa).await?;
        vpa["status"]["conditions"]
            .as_array()
            .and_then(|all| all.iter().find(|c| c["type"] == kind))
            .cloned()
            .with_context(|| format!("no condition {kind} in {}", vpa["status"]["conditions"]))
    }

    /// Events about objects whose name starts with `about`, as `reason: message`.
    pub async fn events(&self, about: &str) -> Result<Vec<String>> {
        let events = self.api("Event").list(&ListParams::default()).await?;
        let texts = events.items.iter().filter_map(|event| {
            let data = &event.data;
            data["involvedObject"]["name"]
                .as_str()?
                .starts_with(about)
                .then(|| {
                    format!(
                        "{}: {}",
                        data["reason"].as_str().unwrap_or_default(),
                        data["message"].as_str().unwrap_or_default()
                    )
                })
        });
        Ok(texts.collect())
    }

    /// What there is in it, for people.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        let questions = [
            &[
                "get",
                "pods,deployments,jobs,poddisruptionbudgets,hpa,vpa",
                "-o",
                "wide",
            ][..],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
            &[
                "get",
                "vpa,verticalpodautoscalercheckpoints,hpa,pods",
                "-o",
                "yaml",
            ],
        ];
        for question in questions {
            let arguments = [&["-n", &self.name], question].concat();
            let answer = self.cluster.kubectl(&arguments, "").await;
            let answer = answer.unwrap_or_else(|error| format!("{error:#}"));
            let _ = writeln!(text, "--- kubectl {}\n{answer}", arguments.join(" "));
        }
        text
    }
}

fn resource(kind: &str) -> ApiResource {
    let group = GROUPS
        .iter()
        .find(|(k, _)| *k == kind)
        .map_or("", |(_, g)| *g);
    let version = VERSIONS
        .iter()
        .find(|(g, _)| *g == group)
        .map_or("v1", |(_, v)| *v);
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
