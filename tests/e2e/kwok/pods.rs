//! New pods in full: native sidecars, startup boost, limits by annotation, limits that stay, pods with resources of their
//! own.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

/// The workload with a native sidecar of the name `proxy`.
fn with_sidecar(workload: &Workload) -> Value {
    let mut manifest = workload.manifest();
    let spec = &mut manifest["spec"]["template"]["spec"];
    let mut proxy = spec["containers"][0].clone();
    proxy["name"] = "proxy".into();
    proxy["restartPolicy"] = "Always".into();
    proxy["resources"] = json!({"requests": {"cpu": "10m", "memory": "16Mi"}});
    spec["initContainers"] = json!([proxy]);
    manifest
}

fn sidecar(pod: &Pod) -> &Value {
    &pod.0["spec"]["initContainers"][0]["resources"]
}

/// Sizes, boost and limits of new pods on a real API server.
pub async fn admitted(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web")
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    let mut sizing = vpa(&web, "Initial");
    sizing["metadata"]["annotations"] = json!({"podfit.dev/limits": "cpu=none,memory=equal"});
    sizing["spec"]["startupBoost"] =
        json!({"cpu": {"type": "Factor", "factor": 2, "durationSeconds": 60}});
    ns.create(sizing).await?;
    recommend(&ns, "web", ["500m", "400Mi"], ["100m", "64Mi"]).await?;
    ns.create(with_sidecar(&web)).await?;
    let pods = until("a pod", secs(60), async || {
        ns.available_pods("web", 1).await
    })
    .await?;
    let pod = &pods[0];
    ensure!(
        pod.container("app")?["resources"]
            == json!({"requests": {"cpu": "1", "memory": "400Mi"}, "limits": {"memory": "400Mi"}}),
        "{}",
        pod.container("app")?
    );
    ensure!(
        *sidecar(pod)
            == json!({"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}),
        "{}",
        sidecar(pod)
    );
    let before = pod.annotation("vpaCpuStartupBoost/app");
    ensure!(
        before
            == Some(
                r#"{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"100m","memory":"128Mi"}}"#
            ),
        "{before:?}"
    );
    ensure!(
        pod.annotation("vpaObservedContainers") == Some("app, proxy"),
        "{:?}",
        pod.annotation("vpaObservedContainers")
    );
    Ok(())
}

/// The API server puts a LimitRange's default back where a limit is taken away, and refuses what requests more than that:
/// there the limit stays in proportion.
pub async fn limit_asked_for(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    ns.create(json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "defaults"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m"}, "maxLimitRequestRatio": {"cpu": "4"}}]},
    }))
    .await?;
    let web = Workload::deployment("web")
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    let mut sizing = vpa(&web, "Initial");
    sizing["metadata"]["annotations"] = json!({"podfit.dev/limits": "none"});
    ns.create(sizing).await?;
    // Its containers without limits get the default and, from that, the request it allows.
    recommend(&ns, "web", ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    ns.create(web.manifest()).await?;
    let pods = until("a pod", secs(60), async || {
        ns.available_pods("web", 1).await
    })
    .await?;
    ensure!(
        pods[0].container("app")?["resources"]
            == json!({"requests": {"cpu": "500m", "memory": "400Mi"}, "limits": {"cpu": "1"}}),
        "{}",
        pods[0].container("app")?
    );
    Ok(())
}

/// A running sidecar is resized in place with its pod, and the pod stays.
pub async fn sidecar_in_place(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let mesh = Workload::deployment("mesh").requests("50m", "64Mi");
    ns.create(with_sidecar(&mesh)).await?;
    let before = until("a pod", secs(60), async || {
        ns.available_pods("mesh", 1).await
    })
    .await?;
    ns.create(vpa(&mesh, "InPlaceOrRecreate")).await?;
    recommend(&ns, "mesh", ["300m", "256Mi"], ["100m", "64Mi"]).await?;
    until("the sidecar is resized", secs(60), async || {
        let pods = ns.available_pods("mesh", 1).await?;
        ensure!(pods[0].uid() == before[0].uid(), "another pod is there");
        let requests = Amounts::from_list(&sidecar(&pods[0])["requests"])?;
        ensure!(requests == Amounts::parse("100m", "64Mi")?, "{requests:?}");
        ensure!(pods[0].requests("app")? == Amounts::parse("300m", "256Mi")?);
        Ok(())
    })
    .await
}

/// A limit that stays, and is too low, is told as long as that is so.
pub async fn capped_by_limit(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let tight = Workload::deployment("tight")
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    ns.create(tight.manifest()).await?;
    let mut sizing = vpa(&tight, "InPlaceOrRecreate");
    let policies = |values: &str| json!({"resourcePolicy": {"containerPolicies": [{"containerName": "*", "controlledValues": values}]}});
    sizing["spec"]["resourcePolicy"] = policies("RequestsOnly")["resourcePolicy"].clone();
    ns.create(sizing).await?;
    recommend(&ns, "tight", ["80m", "400Mi"], ["1m", "1Mi"]).await?;
    let told = until("the condition", secs(60), async || {
        ns.condition("tight", "CappedByLimit").await
    })
    .await?;
    ensure!(
        told["message"].as_str().is_some_and(|m| m.starts_with(
            "container app needs more memory than its limit of 128Mi which stays. Raise the limit"
        )),
        "{told}"
    );
    podfit.loops("updater", 2).await?;
    ensure!(
        ns.condition("tight", "CappedByLimit").await? == told,
        "written again"
    );
    ns.merge(VPA, "tight", json!({"spec": policies("RequestsAndLimits")}))
        .await?;
    until("it goes", secs(60), async || {
        let vpa = ns.get(VPA, "tight").await?;
        ensure!(
            !vpa["status"].to_string().contains("CappedByLimit"),
            "{vpa}"
        );
        Ok(())
    })
    .await
}

/// A pod that has resources as a whole comes up as it is, and stays.
pub async fn pod_level_resources(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let whole = Workload::deployment("whole");
    ns.create(vpa(&whole, "InPlaceOrRecreate")).await?;
    recommend(&ns, "whole", ["300m", "256Mi"], ["1m", "1Mi"]).await?;
    let mut manifest = whole.manifest();
    manifest["spec"]["template"]["spec"]["resources"] =
        json!({"requests": {"cpu": "100m", "memory": "128Mi"}});
    ns.create(manifest).await?;
    let before = until("a pod", secs(60), async || {
        ns.available_pods("whole", 1).await
    })
    .await?;
    let as_written = |pod: &Pod| {
        ensure!(
            !pod.0["spec"]["resources"].is_null() && pod.annotation("vpaUpdates").is_none(),
            "{}",
            pod.0
        );
        ensure!(
            pod.container("app")?["resources"]["requests"].is_null(),
            "{}",
            pod.0
        );
        Ok(())
    };
    as_written(&before[0])?;
    podfit.loops("updater", 2).await?;
    let blocked = until("the reason", secs(30), async || {
        ns.condition("whole", "UpdateBlocked").await
    })
    .await?;
    ensure!(blocked["reason"] == "PodLevelResources", "{blocked}");
    holds("it stays", secs(5), async || {
        let after = ns.available_pods("whole", 1).await?;
        ensure!(after[0].uid() == before[0].uid(), "replaced");
        as_written(&after[0])
    })
    .await
}

/// In a namespace that admits restricted pods alone, a new pod is admitted at its size, and resized in place.
pub async fn restricted(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web").requests("50m", "64Mi");
    ns.create(vpa(&web, "InPlaceOrRecreate")).await?;
    recommend(&ns, "web", ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    let label = ["label", "namespace", &ns.name, enforce];
    ns.cluster.kubectl(&label, "").await?;

    let mut manifest = web.manifest();
    let spec = &mut manifest["spec"]["template"]["spec"];
    spec["securityContext"] = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
    });
    spec["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    ns.create(manifest).await?;
    let pods = until("a pod", secs(60), async || {
        ns.available_pods("web", 1).await
    })
    .await?;
    ensure!(pods[0].requests("app")? == Amounts::parse("500m", "400Mi")?);

    let amount = json!({"cpu": "700m", "memory": "400Mi"});
    let recommendation = json!({"containerRecommendations": [{
        "containerName": "app", "target": amount, "lowerBound": amount, "upperBound": amount,
    }]});
    ns.merge_status(VPA, "web", json!({"recommendation": recommendation}))
        .await?;
    until("it is resized in place", secs(60), async || {
        let after = ns.available_pods("web", 1).await?;
        ensure!(after[0].uid() == pods[0].uid(), "another pod");
        ensure!(after[0].requests("app")? == Amounts::parse("700m", "400Mi")?);
        Ok(())
    })
    .await
}
