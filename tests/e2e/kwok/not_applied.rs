//! Pods come back from evictions as they were, although the webhook is alive: told, and soon nothing is evicted any more; until a
//! probe shows that new pods are sized again.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::scrape::Metrics;
use podfit_tests::wait::{holds, secs, until};
use serde_json::json;

use crate::modes::uids;

const NAMES: [&str; 3] = ["a", "b", "c"];

pub async fn stopped_until_proven(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let mut before = Vec::new();
    for name in NAMES {
        let workload = Workload::deployment(name)
            .replicas(2)
            .requests("50m", "64Mi")
            .limits("100m", "128Mi");
        ns.create(workload.manifest()).await?;
        let unsized_pods = until("two pods", secs(60), async || {
            ns.available_pods(name, 2).await
        })
        .await?;
        before.push(unsized_pods);
        // Nothing is evicted before the webhook is out of the way.
        ns.create(vpa(&workload, "Initial")).await?;
        recommend(&ns, name, ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    }
    let never = json!({"name": "never", "expression": "false"});
    patch_webhook(
        &podfit,
        &json!({"op": "add", "path": "/webhooks/0/matchConditions/-", "value": never}),
    )
    .await?;
    let outcome = without_the_webhook(&ns, &podfit, &before).await;
    patch_webhook(
        &podfit,
        &json!({"op": "remove", "path": "/webhooks/0/matchConditions/2"}),
    )
    .await?;
    outcome?;
    until("new pods are seen to be sized", secs(60), async || {
        ensure!(!stopped(&podfit).await?, "still stopped");
        Ok(())
    })
    .await
}

/// Each workload loses one pod, and none more.
async fn without_the_webhook(ns: &Namespace, podfit: &Podfit, before: &[Vec<Pod>]) -> Result<()> {
    // The API server has it, and its copy for admission follows.
    tokio::time::sleep(secs(3)).await;
    for name in NAMES {
        let mode = json!({"spec": {"updatePolicy": {"updateMode": "Recreate"}}});
        ns.merge(VPA, name, mode).await?;
    }
    until("evictions are stopped", secs(90), async || {
        ensure!(stopped(podfit).await?, "not stopped");
        Ok(())
    })
    .await?;
    for name in NAMES {
        until("the outcome is told", secs(60), async || {
            let condition = ns.condition(name, "UpdateNotApplied").await?;
            ensure!(condition["reason"] == "NotSized", "{condition}");
            let blocked = ns.condition(name, "UpdateBlocked").await?;
            ensure!(blocked["reason"] == "EvictionsStopped", "{blocked}");
            Ok(())
        })
        .await?;
        let events = ns.events(name).await?;
        ensure!(
            events.iter().any(|e| e.starts_with("UpdateNotApplied: ")),
            "{events:?}"
        );
    }
    holds("each workload keeps its other pod", secs(10), async || {
        for (name, before) in NAMES.iter().zip(before) {
            let after = ns.pods(name).await?;
            let old = uids(before);
            let kept = uids(&after).iter().filter(|uid| old.contains(uid)).count();
            ensure!(kept == 1, "{kept} of the pods of {name} were kept");
        }
        Ok(())
    })
    .await
}

async fn stopped(podfit: &Podfit) -> Result<bool> {
    let metrics = Metrics::of(&podfit.program("updater")?.address).await?;
    Ok(metrics.sum("podfit_updater_evictions_stopped", &[]) > 0.5)
}

async fn patch_webhook(podfit: &Podfit, operation: &serde_json::Value) -> Result<()> {
    let patch = json!([operation]).to_string();
    let object = ["mutatingwebhookconfiguration", "vpa-webhook-config"];
    let arguments = ["patch", object[0], object[1], "--type=json", "-p", &patch];
    podfit.cluster.kubectl(&arguments, "").await.map(drop)
}
