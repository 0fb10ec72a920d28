//! `podfit.dev/horizontal: realign`: what pods request and the HPA's target move together, so that the number of pods stays.
//! The HPA's controller is Kubernetes' own.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::suite::figure;
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

use crate::horizontal::{define_scaled_objects, on_cpu};
use crate::modes::uids;

const HPA: &str = "HorizontalPodAutoscaler";
const KEPT: &str = "podfit.dev/scale-point";

/// Two pods of 500m that use the 350m each that a target of 70 % is for.
fn web() -> Workload {
    Workload::deployment("web")
        .replicas(2)
        .requests("500m", "64Mi")
        .limits("1", "128Mi")
        .simulated_usage("350m", "64Mi")
}

fn sizing() -> Value {
    let mut sizing = vpa(&web(), "InPlaceOrRecreate");
    sizing["metadata"]["annotations"] = json!({"podfit.dev/horizontal": "realign"});
    sizing
}

/// On the CPU of `web`, from two pods to six.
fn elastic() -> Value {
    let mut hpa = on_cpu();
    hpa["spec"]["maxReplicas"] = 6.into();
    hpa
}

/// The target in force, and what is kept with it.
fn target(hpa: &Value) -> Result<(i64, Value)> {
    let target = &hpa["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"];
    let kept = hpa["metadata"]["annotations"][KEPT].as_str();
    let kept = kept.map_or(Ok(Value::Null), serde_json::from_str)?;
    Ok((target.as_i64().context("no target")?, kept["cpu"].clone()))
}

async fn target_of(ns: &Namespace) -> Result<(i64, Value)> {
    target(&ns.get(HPA, "web").await?)
}

/// An error unless the HPA has metrics, and wants that many pods.
async fn ensure_wanted(ns: &Namespace, hpa: &str, pods: i64) -> Result<()> {
    let status = ns.get(HPA, hpa).await?["status"].take();
    let used = &status["currentMetrics"][0]["resource"]["current"]["averageUtilization"];
    ensure!(used.is_i64(), "no metrics yet: {status}");
    ensure!(status["desiredReplicas"] == pods, "{status}");
    Ok(())
}

fn all_request(pods: &[Pod], cpu: i64) -> Result<()> {
    for pod in pods {
        let requests = pod.requests("app")?;
        ensure!(requests.cpu == cpu, "{} requests {requests:?}", pod.name());
    }
    Ok(())
}

/// Down by one step in place, target first; a new pod of the same size; another target of the owner's; and back, once
/// nobody realigns any more.
pub async fn together(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(web().manifest()).await?;
    let before = until("two pods", secs(60), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    ns.create(elastic()).await?;
    until("the HPA is content with two pods", secs(120), async || {
        ensure_wanted(&ns, "web", 2).await
    })
    .await?;
    ns.create(sizing()).await?;
    until("the owner's choice is kept", secs(60), async || {
        let (target, kept) = target_of(&ns).await?;
        let want = json!({"target": 70, "request": "500m", "set": 70});
        ensure!((target, &kept) == (70, &want), "{target}, {kept}");
        Ok(())
    })
    .await?;

    recommend(&ns, "web", ["400m", "64Mi"], ["1m", "1Mi"]).await?;
    let resized = until("target and requests have moved", secs(120), async || {
        let deployment = ns.get("Deployment", "web").await?;
        ensure!(deployment["spec"]["replicas"] == 2, "more pods");
        let (target, kept) = target_of(&ns).await?;
        ensure!(target == 74 && kept["set"] == 74, "{target}, {kept}");
        let pods = ns.available_pods("web", 2).await?;
        // 350m are 74 % of 473m.
        all_request(&pods, 473)?;
        Ok(pods)
    })
    .await?;
    ensure!(uids(&before) == uids(&resized), "pods were replaced");
    podfit.loops("updater", 3).await?;
    // The controller's stabilisation window is 10 s here.
    holds("two pods, as before", secs(20), async || {
        ensure_wanted(&ns, "web", 2).await
    })
    .await?;
    let changes = ns.events("web").await?;
    let moved =
        "TargetRealigned: the target for cpu goes from 70 % to 74 %, as VPA web sizes its pods";
    ensure!(changes.iter().any(|e| e == moved), "{changes:#?}");
    figure("realigned: 70 % of 500m became 74 % of 473m, two pods all the while");

    ns.merge(HPA, "web", json!({"spec": {"minReplicas": 3}}))
        .await?;
    until("a third pod of the same size", secs(60), async || {
        all_request(&ns.available_pods("web", 3).await?, 473)
    })
    .await?;

    owner_decides(&ns).await?;
    back(&ns).await
}

/// The owner wants 80 % of what he once wrote: 400m of use, which are 84 % of 473m and a half.
async fn owner_decides(ns: &Namespace) -> Result<()> {
    let mut metrics = ns.get(HPA, "web").await?["spec"]["metrics"].take();
    metrics[0]["resource"]["target"]["averageUtilization"] = 80.into();
    ns.merge(HPA, "web", json!({"spec": {"metrics": metrics}}))
        .await?;
    until("the owner's choice is taken up", secs(60), async || {
        let (target, kept) = target_of(ns).await?;
        let chosen = (&kept["target"], &kept["request"]);
        ensure!(chosen == (&json!(80), &json!("500m")), "{kept}");
        ensure!(target == 85 && kept["set"] == 85, "{target}, {kept}");
        Ok(())
    })
    .await
}

/// Without the VPA new pods request what their template says, and the target follows them.
async fn back(ns: &Namespace) -> Result<()> {
    ns.delete(VPA, "web").await?;
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}});
    ns.merge("Deployment", "web", restart).await?;
    until("the target is the owner's again", secs(120), async || {
        all_request(&ns.available_pods("web", 3).await?, 500)?;
        let (target, kept) = target_of(ns).await?;
        ensure!(target == 80 && kept.is_null(), "{target}, {kept}");
        Ok(())
    })
    .await
}

/// A target of KEDA's is moved in the ScaledObject. What KEDA does with it is done here: it does not run. Where a program
/// applies the manifest again and again, nothing is moved.
pub async fn by_keda(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    define_scaled_objects(&ns).await?;
    let scaled = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "of-web", "labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}],
        },
    });
    ns.create(web().manifest()).await?;
    until("two pods", secs(60), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    until("a ScaledObject", secs(30), async || {
        ns.create(scaled.clone()).await
    })
    .await?;
    let mut made = elastic();
    let of =
        json!({"scaledobject.keda.sh/name": "of-web", "kustomize.toolkit.fluxcd.io/name": "shop"});
    made["metadata"] = json!({"name": "keda-hpa-of-web", "labels": of});
    ns.create(made).await?;
    ns.create(sizing()).await?;
    recommend(&ns, "web", ["400m", "64Mi"], ["1m", "1Mi"]).await?;
    podfit.loops("updater", 3).await?;
    let trigger = async || {
        let object = ns.get("ScaledObject", "of-web").await?;
        let value = object["spec"]["triggers"][0]["metadata"]["value"].clone();
        Ok::<_, anyhow::Error>((value, object["metadata"]["annotations"].clone()))
    };
    ensure!(
        trigger().await? == (json!("70"), Value::Null),
        "{:?}",
        trigger().await?
    );
    all_request(&ns.available_pods("web", 2).await?, 500)?;

    let free = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}});
    for (kind, name) in [("ScaledObject", "of-web"), (HPA, "keda-hpa-of-web")] {
        ns.merge(kind, name, free.clone()).await?;
    }
    until("target and requests have moved", secs(120), async || {
        let (value, annotations) = trigger().await?;
        let percent: i64 = value.as_str().context("no text")?.parse()?;
        let hpa = ns.get(HPA, "keda-hpa-of-web").await?;
        let mut metrics = hpa["spec"]["metrics"].clone();
        metrics[0]["resource"]["target"]["averageUtilization"] = percent.into();
        let as_keda =
            json!({"metadata": {"annotations": annotations}, "spec": {"metrics": metrics}});
        ns.merge(HPA, "keda-hpa-of-web", as_keda).await?;
        ensure!(value == "74", "{value}");
        all_request(&ns.available_pods("web", 2).await?, 473)
    })
    .await
}
