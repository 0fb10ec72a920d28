//! VPAs beside HPAs and KEDA's ScaledObjects: what is left alone, what is told of it, and KEDA coming later.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::scrape::get;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::doctor::check;
use crate::modes::{under_asked, usage};

const CONDITION: &str = "HorizontalAutoscaler";

/// On the CPU of `web`, at 70 %; always two pods.
pub fn on_cpu() -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70},
            }}],
        },
    })
}

/// The reason and message of the condition.
async fn told(ns: &Namespace) -> Result<(String, String)> {
    let condition = ns.condition("web", CONDITION).await?;
    ensure!(condition["status"] == "True", "{condition}");
    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    Ok((text("reason"), text("message")))
}

/// Waits until the condition has that reason, and gives its message.
async fn tells(ns: &Namespace, reason: &str) -> Result<String> {
    let what = format!("the condition says {reason}");
    until(&what, secs(90), async || {
        let (found, message) = told(ns).await?;
        ensure!(found == reason, "{found}: {message}");
        Ok(message)
    })
    .await
}

async fn tells_nothing(ns: &Namespace) -> Result<()> {
    until("the condition is gone", secs(60), async || {
        let left = ns.condition("web", CONDITION).await;
        ensure!(left.is_err(), "{left:?}");
        Ok(())
    })
    .await
}

/// CPU as it was written, memory as it is needed.
fn ensure_memory_alone(pod: &Pod) -> Result<()> {
    let (requests, limits) = (pod.requests("app")?, pod.limits("app")?);
    let of = &pod.container("app")?["resources"];
    ensure!((requests.cpu, limits.cpu) == (50, 100), "{of}");
    ensure!(requests.memory >= usage()?.memory, "{of}");
    Ok(())
}

/// Of a resource that an HPA scales on by utilisation nothing is changed, neither in new pods nor in running ones, and all else
/// is sized. Once the HPA is gone it is sized, too.
pub async fn yields(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(on_cpu()).await?;
    ns.create(under_asked().manifest()).await?;
    ns.create(under_asked().vpa("InPlaceOrRecreate")).await?;
    until("the memory of both is sized", secs(180), async || {
        for pod in ns.available_pods("web", 2).await? {
            ensure_memory_alone(&pod)?;
        }
        Ok(())
    })
    .await?;
    let recommended = ns.recommended("web", "target").await?;
    ensure!(recommended.cpu >= usage()?.cpu, "{recommended:?}");
    let message = tells(&ns, "Yields").await?;
    for words in [
        "HPA web scales on cpu at 70 %",
        "a target of AverageValue 35m",
    ] {
        ensure!(message.contains(words), "{message}");
    }

    podfit.loops("updater", 3).await?;
    let before = ns.available_pods("web", 2).await?;
    ns.delete("Pod", before[0].name()).await?;
    let pods = until("a new pod", secs(60), async || {
        let pods = ns.available_pods("web", 2).await?;
        ensure!(
            pods.iter().all(|pod| pod.uid() != before[0].uid()),
            "it goes"
        );
        Ok(pods)
    })
    .await?;
    for pod in &pods {
        ensure_memory_alone(pod)?;
    }
    let new = pods.iter().find(|pod| pod.uid() != before[1].uid());
    let new = new.context("no new pod")?;
    let note = new.annotation("vpaUpdates").unwrap_or_default();
    ensure!(
        note.contains("cpu left to a HorizontalPodAutoscaler"),
        "{note}"
    );
    let (_, explained) = podfit
        .kubectl_podfit(&["explain", "web", "-n", &ns.name])
        .await?;
    ensure!(
        explained.contains("recommended and not applied: HPA web scales on 70 %"),
        "{explained}"
    );

    recommender_tells(&ns, &podfit).await?;

    ns.delete("HorizontalPodAutoscaler", "web").await?;
    until("the CPU of both is sized", secs(120), async || {
        for pod in ns.available_pods("web", 2).await? {
            let requests = pod.requests("app")?;
            ensure!(requests.cpu >= usage()?.cpu, "{requests:?}");
        }
        Ok(())
    })
    .await?;
    tells_nothing(&ns).await
}

/// Whoever asks the recommender itself is told what is left to the HPA, and where its target is.
async fn recommender_tells(ns: &Namespace, podfit: &Podfit) -> Result<()> {
    let address = &podfit.program("recommender")?.address;
    let about = get(address, &format!("/explain/{}/web", ns.name)).await?;
    let about: Value = serde_json::from_str(&about)?;
    let left = json!([{
        "resource": "cpu", "container": null, "hpa": "web", "utilization": 70, "why": null,
    }]);
    ensure!(about["leftToHpas"] == left, "{about}");
    let target = &about["hpaTargets"][0];
    let requests = json!({"least": "50m", "most": "50m"});
    ensure!(
        target["target"] == 70 && target["requests"] == requests,
        "{target}"
    );
    Ok(())
}

/// HPAs that cannot work: beside pods that request nothing, for a workload that does not exist, and two for one workload. The
/// VPA's condition or doctor says so of each.
pub async fn in_trouble(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web").replicas(2);
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Initial")).await?;
    ns.create(on_cpu()).await?;
    let mut lost = on_cpu();
    lost["metadata"]["name"] = "lost".into();
    lost["spec"]["scaleTargetRef"]["name"] = "gone".into();
    ns.create(lost).await?;
    until(
        "the condition says that it cannot scale",
        secs(90),
        async || {
            let (reason, message) = told(&ns).await?;
            let cannot = message.contains("It cannot scale now: FailedGetResourceMetric");
            ensure!(reason == "Yields" && cannot, "{reason}: {message}");
            Ok(())
        },
    )
    .await?;
    let doctor = ["doctor", "-o", "json", "-n", &ns.name];
    let (_, said) = podfit.kubectl_podfit(&doctor).await?;
    let said: Value = serde_json::from_str(&said).context(said)?;
    let hpas = check(&said, "HPAs")?;
    let name = &ns.name;
    for words in [
        format!("HPA {name}/web cannot scale: FailedGetResourceMetric"),
        format!("HPA {name}/lost scales Deployment {name}/gone, which does not exist"),
    ] {
        let finding = hpas["finding"].as_str().unwrap_or_default();
        ensure!(
            hpas["verdict"] == "WARN" && finding.contains(&words),
            "{words}: {hpas}"
        );
    }

    let mut second = on_cpu();
    second["metadata"]["name"] = "again".into();
    ns.create(second).await?;
    until(
        "the condition says that there are two",
        secs(60),
        async || {
            let (_, message) = told(&ns).await?;
            let two = "2 HPAs scale the same pods, and Kubernetes lets none of them act";
            let why = "It cannot scale now: AmbiguousSelector";
            ensure!(message.contains(two) && message.contains(why), "{message}");
            Ok(())
        },
    )
    .await?;
    ns.delete("HorizontalPodAutoscaler", "again").await?;
    until("one is left", secs(60), async || {
        let (_, message) = told(&ns).await?;
        ensure!(!message.contains("2 HPAs"), "{message}");
        Ok(())
    })
    .await
}

/// Of KEDA's own manifests this is what counts here.
fn definition() -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject", "listKind": "ScaledObjectList"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                "subresources": {"status": {}},
            }],
        },
    })
}

/// Makes the kind known, unless it is.
pub async fn define_scaled_objects(ns: &Namespace) -> Result<()> {
    let there = [
        "get",
        "crd",
        "scaledobjects.keda.sh",
        "--ignore-not-found",
        "-o",
        "name",
    ];
    let there = ns.cluster.kubectl(&there, "").await?;
    if there.is_empty() {
        let apply = ["apply", "-f", "-"];
        ns.cluster
            .kubectl(&apply, &definition().to_string())
            .await?;
    }
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/scaledobjects.keda.sh",
        "--timeout=30s",
    ];
    ns.cluster.kubectl(&established, "").await?;
    Ok(())
}

/// KEDA may come long after podfit: its objects are seen without a restart. KEDA itself does not run here.
pub async fn keda_comes_later(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    define_scaled_objects(&ns).await?;
    let web = Workload::deployment("web").requests("50m", "64Mi");
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Initial")).await?;
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "of-web", "annotations": {"autoscaling.keda.sh/paused": "true"}},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}],
        },
    });
    until("a ScaledObject", secs(30), async || {
        ns.create(object.clone()).await
    })
    .await?;
    let message = tells(&ns, "Paused").await?;
    ensure!(
        message.contains("ScaledObject of-web is paused"),
        "{message}"
    );
    let unpaused = json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused": null}}});
    ns.merge("ScaledObject", "of-web", unpaused).await?;
    tells(&ns, "NoHpa").await?;
    // As KEDA would.
    let mut made = on_cpu();
    made["metadata"] =
        json!({"name": "keda-hpa-of-web", "labels": {"scaledobject.keda.sh/name": "of-web"}});
    ns.create(made).await?;
    let message = tells(&ns, "Yields").await?;
    ensure!(
        message.contains("HPA keda-hpa-of-web of ScaledObject of-web"),
        "{message}"
    );
    ns.delete("ScaledObject", "of-web").await?;
    ns.delete("HorizontalPodAutoscaler", "keda-hpa-of-web")
        .await?;
    tells_nothing(&ns).await
}
