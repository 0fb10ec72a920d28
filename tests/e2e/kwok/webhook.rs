//! Which pods wait for the webhook; and the webhook gone: pods start as they are, nothing is evicted; back again, all goes
//! on.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::scrape::Metrics;
use podfit_tests::suite::figure;
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

use crate::modes::{ensure_as_written, uids, under_asked};

/// `timeoutSeconds` of the chart, and as much again for a busy machine.
const PATIENCE: f64 = 4.0;

pub async fn down_and_up(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    // Hung: it takes connections and never answers.
    podfit.signal("webhook", "STOP").await?;
    create_pod_quickly(&ns, "hung").await?;
    podfit.kill("webhook").await?;
    create_pod_quickly(&ns, "gone").await?;
    let told = podfit.program("updater")?.log().len();
    let outcome = without_webhook(&ns, &podfit).await;

    podfit.start("webhook").await?;
    let before = outcome?;
    until("pods are replaced at the target", secs(60), async || {
        let pods = ns.available_pods("web", 2).await?;
        for pod in &pods {
            ensure!(!uids(&before).contains(&pod.uid()), "an old pod is there");
            ensure!(
                pod.requests("app")? == target()?,
                "{:?}",
                pod.requests("app")
            );
        }
        Ok(())
    })
    .await?;
    let log = podfit.program("updater")?.log()[told..].to_owned();
    ensure!(
        log.contains("the webhook is alive"),
        "the updater does not say that it resumes: {log}"
    );
    Ok(())
}

/// Pods come up unchanged and stay; the updater says why. The uids of the pods.
async fn without_webhook(ns: &Namespace, podfit: &Podfit) -> Result<Vec<podfit_tests::pod::Pod>> {
    ns.create(under_asked().manifest()).await?;
    let mut vpa = under_asked().vpa("Recreate");
    vpa["spec"]["recommenders"] = json!([{"name": "this-test"}]);
    ns.create(vpa).await?;
    let before = until("two pods", secs(30), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    before.iter().try_for_each(ensure_as_written)?;

    until("the updater says that it stopped", secs(60), async || {
        let log = podfit.program("updater")?.log();
        let last = log
            .lines()
            .rev()
            .find(|l| l.contains("the webhook is alive") || l.contains("not updating pods"));
        ensure!(
            last.is_some_and(|l| l.contains("not updating pods")),
            "its last word on it: {last:?}"
        );
        Ok(())
    })
    .await?;
    recommend(ns).await?;
    // Five intervals of the updater. That the same pods go as soon as the webhook is back shows what held them.
    holds("the pods are left alone", secs(10), async || {
        let after = ns.available_pods("web", 2).await?;
        ensure!(uids(&before) == uids(&after), "a pod was evicted");
        Ok(())
    })
    .await?;
    Ok(before)
}

fn target() -> Result<Amounts> {
    Amounts::parse("500m", "400Mi")
}

/// Publishes a recommendation in the recommender's stead.
async fn recommend(ns: &Namespace) -> Result<()> {
    let amount = json!({"cpu": "500m", "memory": "400Mi"});
    let recommendation = json!({"containerRecommendations": [{
        "containerName": "app", "target": amount, "lowerBound": amount, "upperBound": amount,
    }]});
    ns.merge_status(VPA, "web", json!({"recommendation": recommendation}))
        .await
}

/// Nobody can mean a pod without a controller or a family, nor a node's static pod: the API server does not even ask the webhook.
pub async fn asked_about_managed_pods_only(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let address = &podfit.program("webhook")?.address;
    let asked = async || {
        let metrics = Metrics::of(address).await?;
        Ok::<_, anyhow::Error>(metrics.sum("vpa_admission_controller_admission_pods_total", &[]))
    };
    let before = asked().await?;
    let mut owned = controller("ReplicaSet");
    owned["controller"] = false.into();
    let unmanaged = [
        ("bare", json!(null)),
        ("no-owners", json!([])),
        ("owned", json!([owned])),
        ("mirror", json!([controller("Node")])),
    ];
    for (name, owners) in unmanaged {
        ns.create(pod_of(name, &owners)).await?;
        ensure!(asked().await? - before == 0.0, "asked about {name}");
    }
    let mut of_family = pod_of("family", &json!(null));
    of_family["metadata"]["labels"] = json!({"podfit.dev/family": "etl"});
    let managed = pod_of("managed", &json!([controller("ReplicaSet")]));
    for (pod, count) in [(managed, 1.0), (of_family, 2.0)] {
        let what = format!("the webhook is asked about {}", pod["metadata"]["name"]);
        ns.create(pod).await?;
        until(&what, secs(10), async || {
            ensure!(asked().await? - before >= count, "it was not asked");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn pod_of(name: &str, owners: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "ownerReferences": owners},
        "spec": {"containers": [{"name": "app", "image": "none", "resources": {"requests": {"cpu": "10m"}}}]},
    })
}

/// The reference to a controller that does not exist, so that nothing else makes pods.
fn controller(kind: &str) -> Value {
    let version = if kind == "Node" { "v1" } else { "apps/v1" };
    json!({"apiVersion": version, "kind": kind, "name": "none", "uid": "none", "controller": true})
}

/// Creates a pod while the webhook does not answer: it is there in time, and as it was written.
async fn create_pod_quickly(ns: &Namespace, name: &str) -> Result<()> {
    let pod = pod_of(name, &json!([controller("ReplicaSet")]));
    let started = Instant::now();
    let made = ns.create(pod).await.context("without a webhook")?;
    let took = started.elapsed().as_secs_f64();
    ensure!(
        took < PATIENCE,
        "creating a pod took {took:.1} s, the webhook {name}"
    );
    ensure!(
        made["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "10m",
        "{made}"
    );
    figure(format!(
        "creating a pod with the webhook {name}: {took:.2} s"
    ));
    Ok(())
}
