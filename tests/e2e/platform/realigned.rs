//! `podfit.dev/horizontal: realign` where KEDA owns the HPA.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::suite::figure;
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

use crate::samples::Platform;
use crate::scaled_objects;

/// podfit moves the trigger's value with what pods request, KEDA carries it to its HPA, and the number of pods stays; without
/// the VPA both are again what the owner wrote.
pub async fn with_keda(ns: Namespace, _: Arc<Platform>) -> Result<()> {
    // Two pods of 500m that use the 350m each that a target of 70 % is for.
    let web = Workload::deployment("web")
        .replicas(2)
        .requests("500m", "64Mi")
        .limits("1", "128Mi")
        .simulated_usage("350m", "64Mi");
    ns.create(web.manifest()).await?;
    scaled_objects::create(&ns, json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "minReplicaCount": 2, "maxReplicaCount": 6,
            "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}],
        },
    }))
    .await?;
    until(
        "KEDA's HPA is content with two pods",
        secs(120),
        async || ensure_state(&ns, 70, 500).await,
    )
    .await?;

    let mut sizing = vpa(&web, "InPlaceOrRecreate");
    sizing["metadata"]["annotations"] = json!({"podfit.dev/horizontal": "realign"});
    ns.create(sizing).await?;
    recommend(&ns, "web", ["400m", "64Mi"], ["1m", "1Mi"]).await?;
    // 350m are 74 % of 473m.
    until(
        "trigger, HPA and requests have moved",
        secs(120),
        async || ensure_state(&ns, 74, 473).await,
    )
    .await?;
    holds("two pods, as before", secs(20), async || {
        ensure_state(&ns, 74, 473).await
    })
    .await?;
    figure(
        "realigned-with-keda: trigger and HPA from 70 % of 500m to 74 % of 473m, two pods all the while",
    );

    ns.delete(VPA, "web").await?;
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}});
    ns.merge("Deployment", "web", restart).await?;
    until(
        "trigger and HPA are the owner's again",
        secs(120),
        async || ensure_state(&ns, 70, 500).await,
    )
    .await
}

/// An error unless the trigger and KEDA's HPA have this target in percent, the HPA has metrics and wants two pods, and each of
/// two requests so many thousandths of a core.
async fn ensure_state(ns: &Namespace, percent: i64, cpu: i64) -> Result<()> {
    // KEDA takes texts only.
    let text = percent.to_string();
    let trigger = ns.get("ScaledObject", "web").await?["spec"]["triggers"][0].take();
    ensure!(
        trigger["metadata"]["value"].as_str() == Some(text.as_str()),
        "{trigger}"
    );
    let hpa = ns.get("HorizontalPodAutoscaler", "keda-hpa-web").await?;
    let target = &hpa["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"];
    let status = &hpa["status"];
    let used: &Value = &status["currentMetrics"][0]["resource"]["current"]["averageUtilization"];
    ensure!(
        *target == percent && used.is_i64() && status["desiredReplicas"] == 2,
        "{hpa}"
    );
    for pod in ns.available_pods("web", 2).await? {
        let requests = pod.requests("app")?;
        ensure!(requests.cpu == cpu, "{} requests {requests:?}", pod.name());
    }
    Ok(())
}
