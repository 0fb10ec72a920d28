//! Startup boosts end in place; and what a quota does not let come back is not evicted.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::wait::{holds, secs, until};
use serde_json::json;

use crate::modes::uids;

/// A pod starts with twice its CPU. Once it has been ready for long enough it runs with what is recommended: the same pod,
/// without the annotation, although the mode leaves running pods alone.
pub async fn taken_back(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web")
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    let mut sizing = vpa(&web, "Initial");
    sizing["spec"]["startupBoost"] =
        json!({"cpu": {"type": "Factor", "factor": 2, "durationSeconds": 8}});
    ns.create(sizing).await?;
    recommend(&ns, "web", ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    ns.create(web.manifest()).await?;
    let boosted = until("a boosted pod", secs(60), async || {
        let pods = ns.available_pods("web", 1).await?;
        ensure!(
            pods[0].container("app")?["resources"]["requests"]["cpu"] == "1",
            "{}",
            pods[0].container("app")?["resources"]
        );
        Ok(pods)
    })
    .await?;
    until("the boost is taken back", secs(60), async || {
        let pods = ns.available_pods("web", 1).await?;
        ensure!(uids(&pods) == uids(&boosted), "another pod");
        let resources = &pods[0].container("app")?["resources"];
        let sized = json!({"requests": {"cpu": "500m", "memory": "400Mi"}, "limits": {"cpu": "1", "memory": "800Mi"}});
        ensure!(*resources == sized, "{resources}");
        let before = pods[0].annotation("vpaCpuStartupBoost/app");
        ensure!(before.is_none(), "{before:?}");
        ensure!(
            pods[0].annotation("vpaInPlaceUpdated") == Some("true"),
            "not marked"
        );
        Ok(())
    })
    .await
}

/// Waits until the quota counts the two pods alone. Kubernetes' quota controller was seen to begin with a number that no pods
/// accounted for, and to keep it until it counted anew, after five minutes or when the quota changes.
async fn counts_both_pods(ns: &Namespace) -> Result<()> {
    let mut millicores = 500;
    until("the quota counts both pods alone", secs(60), async || {
        let quota = ns.get("ResourceQuota", "team").await?;
        let used = &quota["status"]["used"]["requests.cpu"];
        if used.is_string() && used != "100m" {
            millicores -= 1;
            let cpu = format!("{millicores}m");
            let hard = json!({"spec": {"hard": {"requests.cpu": cpu}}});
            ns.merge("ResourceQuota", "team", hard).await?;
        }
        ensure!(used == "100m", "{used}");
        Ok(())
    })
    .await
}

/// Its replacement would not fit the quota: the pods stay, and the condition names the quota. With more room they go.
pub async fn quota(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web")
        .replicas(2)
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    ns.create(web.manifest()).await?;
    let before = until("two pods", secs(60), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    // Nothing is evicted before the quota is there and counted.
    ns.create(vpa(&web, "Initial")).await?;
    recommend(&ns, "web", ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    ns.create(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"},
        "spec": {"hard": {"requests.cpu": "500m"}},
    }))
    .await?;
    counts_both_pods(&ns).await?;
    let mode = json!({"spec": {"updatePolicy": {"updateMode": "Recreate"}}});
    ns.merge(VPA, "web", mode).await?;
    until("the condition names the quota", secs(60), async || {
        let blocked = ns.condition("web", "UpdateBlocked").await?;
        let message = blocked["message"].as_str().unwrap_or_default();
        ensure!(
            blocked["reason"] == "ResourceQuota" && message.contains("ResourceQuota team"),
            "{blocked}"
        );
        Ok(())
    })
    .await?;
    podfit.loops("updater", 3).await?;
    holds("the pods stay", secs(3), async || {
        let after = ns.available_pods("web", 2).await?;
        ensure!(uids(&before) == uids(&after), "a pod was evicted");
        Ok(())
    })
    .await?;
    ns.merge(
        "ResourceQuota",
        "team",
        json!({"spec": {"hard": {"requests.cpu": "2"}}}),
    )
    .await?;
    until("both pods are replaced", secs(90), async || {
        let after = ns.available_pods("web", 2).await?;
        let old = uids(&before);
        ensure!(
            uids(&after).iter().all(|uid| !old.contains(uid)),
            "an old pod"
        );
        Ok(())
    })
    .await
}
