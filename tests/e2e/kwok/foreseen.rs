//! `kubectl podfit explain` and `kubectl podfit plan` on a real control plane: numbers as published, reasons as the updater
//! has them, and nothing changed by asking.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{uids, under_asked};

/// Pods that a closed maintenance window holds: recommended for, and left alone.
async fn held_pods(ns: &Namespace) -> Result<()> {
    let web = under_asked();
    let mut vpa = web.vpa("Recreate");
    vpa["metadata"]["annotations"] = json!({"podfit.dev/window": "nonsense"});
    ns.create(web.manifest()).await?;
    ns.create(vpa).await?;
    until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    Ok(())
}

async fn asked(podfit: &Podfit, arguments: &[&str]) -> Result<Value> {
    let (well, text) = podfit.kubectl_podfit(arguments).await?;
    ensure!(well, "{text}");
    serde_json::from_str(&text).with_context(|| text.clone())
}

/// From the recommender and from stored histories, by the VPA's name and by its target's.
pub async fn explained(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    held_pods(&ns).await?;
    let address = format!("http://{}", podfit.program("recommender")?.address);
    let of_recommender = until("an explanation of what is published", secs(60), async || {
        let arguments = [
            "explain", "web", "-n", &ns.name, "-o", "json", "--recommender-address", &address,
        ];
        let explained = asked(&podfit, &arguments).await?[0].take();
        let app = &explained["explanation"]["containers"][0];
        let published = &ns.get(VPA, "web").await?["status"]["recommendation"]
            ["containerRecommendations"][0]["target"]["memory"];
        let told = &app["resources"]["memory"]["target"]["amount"];
        ensure!(told == published, "{told} instead of {published}");
        Ok(explained)
    })
    .await?;
    ensure!(of_recommender["pods"] == 2, "{of_recommender}");
    let requests = &of_recommender["requests"][0];
    ensure!(requests["least"] == "50m", "{requests}");
    let next_pod = &of_recommender["nextPod"][0];
    ensure!(
        next_pod["limitBy"] == "ratio" && next_pod["request"].is_string(),
        "{of_recommender}"
    );
    let next = &of_recommender["next"][0];
    ensure!(
        next["action"] == "skip" && next["reason"] == "WindowNotUnderstood",
        "{next}"
    );

    // No pod of the recommender is in this cluster, so what is stored is used, and that is said.
    until("stored histories are read", secs(60), async || {
        let arguments = ["explain", "deploy/web", "-n", &ns.name, "-o", "json"];
        let explained = asked(&podfit, &arguments).await?[0].take();
        let source = explained["source"].as_str().unwrap_or_default();
        let target = &explained["explanation"]["containers"][0]["resources"]["cpu"]["target"];
        ensure!(
            source.starts_with("stored histories") && target["amount"].is_string(),
            "{explained}"
        );
        Ok(())
    })
    .await?;
    let (well, text) = podfit
        .kubectl_podfit(&["explain", "web", "-n", &ns.name])
        .await?;
    ensure!(well && text.contains("█"), "{text}");
    let (well, text) = podfit
        .kubectl_podfit(&["explain", "none", "-n", &ns.name])
        .await?;
    ensure!(!well && text.contains("there are: web"), "{text}");
    Ok(())
}

/// As the updater plans: the same reasons, the same amounts, and nobody is touched.
pub async fn planned(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    held_pods(&ns).await?;
    let before = ns.available_pods("web", 2).await?;
    let plan = async || asked(&podfit, &["plan", "-n", &ns.name, "-o", "json"]).await;
    let held = plan().await?;
    let workload = &held["workloads"][0];
    ensure!(
        workload["pods"] == 2 && workload["leftAlone"]["reason"] == "WindowNotUnderstood",
        "{held}"
    );
    ensure!(held["now"]["cpuMillicores"] == 0, "{held}");

    let after = ns.available_pods("web", 2).await?;
    ensure!(uids(&before) == uids(&after), "a pod was replaced");
    not_served(&ns, &podfit).await
}

/// A plan that does something, in the one namespace where neither recommender nor updater look: podfit's own.
async fn not_served(ns: &Namespace, podfit: &Podfit) -> Result<()> {
    let own = Namespace {
        name: NAMESPACE.into(),
        cluster: Arc::clone(&ns.cluster),
    };
    own.create(under_asked().manifest()).await?;
    own.create(under_asked().vpa("Recreate")).await?;
    recommend(&own, "500m").await?;
    let outcome = match one_of_two(&own, podfit).await {
        Ok(()) => too_large(&own, podfit).await,
        failed => failed,
    };
    let delete = ["-n", NAMESPACE, "delete", "vpa/web", "deployment/web"];
    own.cluster.kubectl(&delete, "").await?;
    outcome
}

async fn recommend(own: &Namespace, cpu: &str) -> Result<()> {
    let amount = json!({"cpu": cpu, "memory": "400Mi"});
    let recommendation = json!({"containerRecommendations": [{
        "containerName": "app", "target": amount, "lowerBound": amount, "upperBound": amount,
    }]});
    own.merge_status(VPA, "web", json!({"recommendation": recommendation}))
        .await
}

/// Of two pods one is evicted now, and both in the end.
async fn one_of_two(own: &Namespace, podfit: &Podfit) -> Result<()> {
    let plan = until("a plan for two pods", secs(60), async || {
        own.available_pods("web", 2).await?;
        let plan = asked(podfit, &["plan", "-n", NAMESPACE, "-o", "json"]).await?;
        ensure!(plan["workloads"][0]["evict"] == 1, "{plan}");
        Ok(plan)
    })
    .await?;
    ensure!(
        plan["now"]["cpuMillicores"] == 450 && plan["inTheEnd"]["cpuMillicores"] == 900,
        "{plan}"
    );
    let prices = std::env::temp_dir().join(format!("podfit-prices-{}", std::process::id()));
    std::fs::write(
        &prices,
        "cpu-core-hour: 0.03\ngib-hour: 0.004\ncurrency: EUR\n",
    )?;
    let file = prices.display().to_string();
    let (well, text) = podfit
        .kubectl_podfit(&["plan", "-n", NAMESPACE, "--prices", &file])
        .await?;
    std::fs::remove_file(&prices)?;
    ensure!(well && text.contains("EUR a month"), "{text}");
    for format in ["csv", "md"] {
        let arguments = ["plan", "-n", NAMESPACE, "-o", format];
        let (well, text) = podfit.kubectl_podfit(&arguments).await?;
        ensure!(well && text.contains("web"), "{text}");
    }
    Ok(())
}

/// More than any node has is recommended: the plan names VPA and resource, and what there is: how much depends on other
/// scenarios' DaemonSets. Nodes are looked at by a plan for all namespaces only.
async fn too_large(own: &Namespace, podfit: &Podfit) -> Result<()> {
    recommend(own, "10k").await?;
    let words = format!(
        "{NAMESPACE}/web: more cpu is recommended than any node that it could run on has for it, 3"
    );
    let plan = asked(podfit, &["plan", "-A", "-o", "json"]).await?;
    let said = plan["doesNotFit"].as_array().context("no list")?;
    let is_named = |text: &Value| text.as_str().is_some_and(|text| text.starts_with(&words));
    ensure!(said.iter().any(is_named), "{said:?}");
    let (well, text) = podfit.kubectl_podfit(&["plan", "-A"]).await?;
    ensure!(
        well && text.contains(&format!("Does not fit: {words}")),
        "{text}"
    );
    Ok(())
}
