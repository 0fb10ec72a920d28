//! Recommendations that a test writes itself.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::manifests::Workload;
use crate::namespace::{Namespace, VPA};
use crate::wait::{secs, until};

/// A VPA that only this test gives recommendations.
pub fn vpa(workload: &Workload, mode: &str) -> Value {
    let mut vpa = workload.vpa(mode);
    vpa["spec"]["recommenders"] = json!([{"name": "this-test"}]);
    vpa
}

/// Publishes an amount for `app` and one for `proxy`.
pub async fn recommend(ns: &Namespace, name: &str, app: [&str; 2], proxy: [&str; 2]) -> Result<()> {
    let recommended = [("app", app), ("proxy", proxy)].map(|(name, [cpu, memory])| {
        let amount = json!({"cpu": cpu, "memory": memory});
        json!({"containerName": name, "target": amount, "lowerBound": amount, "upperBound": amount})
    });
    let recommendation = json!({"containerRecommendations": recommended});
    ns.merge_status(VPA, name, json!({"recommendation": recommendation}))
        .await?;
    // Until the webhook has seen it, pods get nothing.
    let probe = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "probe-", "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "controller": true, "uid": "0"
        }]},
        "spec": {"containers": [{"name": "app", "image": "none"}], "schedulerName": "none"},
    });
    until(
        "the webhook knows the recommendation",
        secs(20),
        async || {
            // Its owner does not exist, so the cluster removes it.
            let made = ns.create(probe.clone()).await?;
            ensure!(
                !made["metadata"]["annotations"]["vpaUpdates"].is_null(),
                "{made}"
            );
            Ok(())
        },
    )
    .await
}
