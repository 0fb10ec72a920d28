//! Evidence of too little memory that is gone before anybody looks: it counts all the same.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::under_asked;
use crate::owners::vpa;

/// A kubelet evicts a pod for memory and the pod is deleted at once: what its container used counts as too little.
pub async fn eviction(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let web = under_asked();
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Off")).await?;
    until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    let pods = ns.available_pods("web", 2).await?;
    let pod = pods.first().context("no pod")?;
    ns.delete("Pod", pod.name()).await?;
    until("the pod is gone", secs(30), async || {
        let left = ns.get("Pod", pod.name()).await.is_ok();
        ensure!(!left, "it is there");
        Ok(())
    })
    .await?;
    for (name, usage) in [("malformed", "1Gi,"), ("told", "2Gi")] {
        ns.create(json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "annotations": {
                "offending_containers": "app", "offending_containers_usage": usage, "starved_resource": "memory",
            }},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": ns.name, "name": pod.name(), "uid": pod.uid(),
            },
            "reason": "Evicted", "type": "Warning", "message": "The node was low on resource: memory.",
            "source": {"component": "kubelet"}, "count": 1,
        }))
        .await?;
    }
    memory_at_least(&ns, "web", "2Gi").await
}

/// Pods of a Job and of a CronJob that are killed for memory and deleted at once. They never ran anywhere that is measured.
pub async fn gone_at_once(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let mut job = Workload::job("job").limits("1", "1Gi").manifest();
    // Nobody places it, and nobody plays its kubelet: the test does.
    job["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    job["spec"]["backoffLimit"] = 100.into();
    let mut of_cron_job = job["spec"].clone();
    of_cron_job["template"]["metadata"]["labels"] = json!({"app": "cronjob"});
    ns.create(job).await?;
    ns.create(json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "cronjob"},
        "spec": {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": of_cron_job}},
    }))
    .await?;
    for (kind, name) in [("Job", "job"), ("CronJob", "cronjob")] {
        ns.create(vpa("batch/v1", kind, name)).await?;
        let pod = until(&format!("a pod of the {kind}"), secs(90), async || {
            let pods = ns.pods(name).await?;
            pods.into_iter().next().context("no pod")
        })
        .await?;
        kill_and_delete(&ns, &pod).await?;
        memory_at_least(&ns, name, "1Gi").await?;
    }
    Ok(())
}

async fn kill_and_delete(ns: &Namespace, pod: &Pod) -> Result<()> {
    let killed = json!({"terminated": {
        "reason": "OOMKilled", "exitCode": 137, "finishedAt": k8s_openapi::jiff::Timestamp::now(),
    }});
    let status = json!({
        "phase": "Running",
        "containerStatuses": [{
            "name": "app", "ready": false, "restartCount": 0, "image": "app", "imageID": "app", "state": killed,
        }],
    });
    ns.merge_status("Pod", pod.name(), status).await?;
    ns.delete("Pod", pod.name()).await
}

/// Waits until more memory than `least` is recommended.
pub async fn memory_at_least(ns: &Namespace, name: &str, least: &str) -> Result<()> {
    let least = Amounts::parse("1", least)?.memory;
    let what = format!("more memory is recommended for {name}");
    until(&what, secs(60), async || {
        let vpa: Value = ns.get(VPA, name).await?;
        let first = &vpa["status"]["recommendation"]["containerRecommendations"][0];
        let memory = first["target"]["memory"].as_str().unwrap_or("0");
        ensure!(
            Amounts::parse("1", memory)?.memory > least,
            "{memory} is recommended: {vpa}"
        );
        Ok(())
    })
    .await
}
