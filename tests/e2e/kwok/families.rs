//! Work that comes and goes: sized by its runs, at creation alone; and workloads at zero.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{CHECKPOINT, Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::kills::memory_at_least;
use crate::modes::{ensure_as_written, uids, under_asked, usage};
use crate::owners::{owned_by, vpa};

/// Makes a bare pod as `under_asked` has them, of the family `etl`; answers with it as it was admitted.
async fn run(ns: &Namespace, name: &str) -> Result<Pod> {
    let mut pod = under_asked().manifest()["spec"]["template"].take();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["labels"] = json!({"app": "etl", "podfit.dev/family": "etl"});
    pod["spec"]["restartPolicy"] = "Never".into();
    ns.create(pod).await.map(Pod)
}

/// What is recommended for `vpa` once it is for more memory than `least`.
async fn recommended_above(ns: &Namespace, vpa: &str, least: i64) -> Result<Amounts> {
    let what = format!("more memory is recommended for {vpa}");
    until(&what, secs(120), async || {
        let target = ns.recommended(vpa, "target").await?;
        ensure!(target.memory > least, "{target:?}");
        Ok(target)
    })
    .await
}

/// Waits until a condition of a VPA says `words`.
async fn says(ns: &Namespace, vpa: &str, kind: &str, words: &str) -> Result<()> {
    until(&format!("{kind} says `{words}`"), secs(60), async || {
        let condition = ns.condition(vpa, kind).await?;
        let message = condition["message"].as_str().unwrap_or_default();
        ensure!(message.contains(words), "{message}");
        Ok(())
    })
    .await
}

/// Ends a pod as its kubelet would that saw it killed for memory.
async fn kill(ns: &Namespace, pod: &Pod) -> Result<()> {
    let killed = json!({"terminated": {
        "reason": "OOMKilled", "exitCode": 137, "finishedAt": k8s_openapi::jiff::Timestamp::now(),
    }});
    let status = json!({"phase": "Failed", "containerStatuses": [{
        "name": "app", "ready": false, "restartCount": 0, "image": "app", "imageID": "app", "state": killed,
    }]});
    ns.merge_status("Pod", pod.name(), status).await
}

/// Bare pods with a label: the first stays as written, the second is sized by what the first used, the third by the kill of the
/// second; and a pod of a Deployment, which any other VPA of this mode would resize, is left alone.
pub async fn family(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let mut of_family = vpa("podfit.dev/v1", "PodFamily", "etl");
    of_family["spec"]["updatePolicy"]["updateMode"] = "InPlaceOrRecreate".into();
    ns.create(of_family).await?;
    let mut deployment = Workload::deployment("beside").manifest();
    deployment["spec"]["template"]["metadata"]["labels"]["podfit.dev/family"] = "etl".into();
    deployment["spec"]["template"]["spec"] =
        under_asked().manifest()["spec"]["template"]["spec"].take();
    deployment["spec"]["template"]["metadata"]["annotations"] =
        under_asked().manifest()["spec"]["template"]["metadata"]["annotations"].take();
    ns.create(deployment).await?;
    ensure_as_written(&run(&ns, "first").await?)?;
    let beside = until("the Deployment's pod", secs(60), async || {
        ns.available_pods("beside", 1).await
    })
    .await?;
    until("both runs are measured", secs(120), async || {
        let stored: Value = ns.get(CHECKPOINT, "etl-app").await?;
        let samples = stored["status"]["totalSamplesCount"].as_i64();
        ensure!(samples >= Some(2), "{samples:?} samples");
        Ok(())
    })
    .await?;
    says(&ns, "etl", "LowConfidence", "app has not ended a run yet").await?;
    ensure!(
        ns.recommended("etl", "target").await.is_err(),
        "of no whole run"
    );

    ns.delete("Pod", "first").await?;
    let one = recommended_above(&ns, "etl", 0).await?;
    // 15 % on top of all, and 50 % more after one run.
    one.ensure_between(1.5, 1.8, usage()?)
        .context("after one run")?;
    says(&ns, "etl", "LowConfidence", "app rests on one run").await?;

    let second = run(&ns, "second").await?;
    second.requests("app")?.ensure_between(0.99, 1.01, one)?;
    kill(&ns, &second).await?;
    let allowed = second.limits("app")?.memory;
    let raised = recommended_above(&ns, "etl", allowed / 5 * 6).await?;
    let third = run(&ns, "third").await?;
    third.requests("app")?.ensure_between(0.99, 1.01, raised)?;

    podfit.loops("updater", 3).await?;
    let now = ns.available_pods("beside", 1).await?;
    ensure!(uids(&now) == uids(&beside), "it was evicted");
    ensure_as_written(now.first().context("no pod")?).context("far off, and left alone")?;
    let explain = ["explain", "podfamily/etl", "-n", &ns.name];
    let (_, text) = podfit.kubectl_podfit(&explain).await?;
    for words in ["2 of the last 20 runs", "killed at", "SizedAtCreation"] {
        ensure!(text.contains(words), "no `{words}` in\n{text}");
    }
    Ok(())
}

/// The pods of the Jobs that KEDA would make: the first is killed and goes before it was ever measured, the next gets more.
/// The kind comes after its VPA.
pub async fn scaled_job(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    ns.create(vpa("keda.sh/v1alpha1", "ScaledJob", "consumer"))
        .await?;
    define(&ns).await?;
    let mut template = under_asked().manifest()["spec"]["template"].take();
    template["spec"]["restartPolicy"] = "Never".into();
    // Nobody places it, and nobody plays its kubelet: the test does.
    template["spec"]["schedulerName"] = "nobody".into();
    template["metadata"]["labels"] = json!({"app": "consumer"});
    let job = json!({"template": template, "backoffLimit": 0});
    let scaled = ns
        .create(json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "consumer"},
            "spec": {
                "jobTargetRef": job,
                "triggers": [{"type": "cron", "metadata": {
                    "timezone": "UTC", "start": "0 0 1 1 *", "end": "1 0 1 1 *", "desiredReplicas": "1",
                }}],
            },
        }))
        .await?;
    until("the VPA has its target", secs(60), async || {
        let unsupported = ns.condition("consumer", "ConfigUnsupported").await;
        ensure!(unsupported.is_err(), "{unsupported:?}");
        ns.condition("consumer", "NoPodsMatched").await.map(drop)
    })
    .await?;
    let make = async |name: &str| {
        ns.create(json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "ownerReferences": owned_by(&scaled)}, "spec": job,
        }))
        .await?;
        until(&format!("a pod of {name}"), secs(30), async || {
            let mut pods = ns.pods("consumer").await?;
            pods.retain(|pod| pod.name().starts_with(name));
            pods.pop().context("no pod")
        })
        .await
    };
    let first = make("consumer-aaaaa").await?;
    ensure_as_written(&first)?;
    kill(&ns, &first).await?;
    // Its CPU was never measured, so there is a number for memory alone.
    let allowed = first.limits("app")?.memory;
    memory_at_least(&ns, "consumer", "128Mi").await?;
    let second = make("consumer-bbbbb").await?.requests("app")?;
    ensure!(second.memory > allowed, "{second:?}");
    ensure!(second.cpu == first.requests("app")?.cpu, "{second:?}");
    ns.delete("ScaledJob", "consumer").await
}

/// KEDA's kind, as far as it matters here, unless the cluster has it.
async fn define(ns: &Namespace) -> Result<()> {
    let name = "scaledjobs.keda.sh";
    if ns.cluster.kubectl(&["get", "crd", name], "").await.is_ok() {
        return Ok(());
    }
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {"kind": "ScaledJob", "plural": "scaledjobs", "singular": "scaledjob", "listKind": "ScaledJobList"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
            }],
        },
    });
    let apply = ["apply", "-f", "-"];
    ns.cluster.kubectl(&apply, &definition.to_string()).await?;
    let established = [
        "wait",
        "--for=condition=established",
        &format!("crd/{name}"),
    ];
    ns.cluster.kubectl(&established, "").await.map(drop)
}

/// 1, 0, 1: what is recommended stays while there is no pod, and the first one has it.
pub async fn scaled_to_zero(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = under_asked().replicas(1);
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Initial")).await?;
    recommended_above(&ns, "web", 0).await?;
    ns.scale("web", 0).await?;
    let words = "No pods match this VPA object; the next one is given what is recommended";
    says(&ns, "web", "NoPodsMatched", words).await?;
    let at_zero = ns.recommended("web", "target").await?;
    podfit.loops("recommender", 3).await?;
    let vpa: Value = ns.get(VPA, "web").await?;
    let provided = ns.condition("web", "RecommendationProvided").await?;
    ensure!(provided["status"] == "True", "{provided}");
    let stays = ns.recommended("web", "target").await?;
    ensure!(stays == at_zero, "{at_zero:?} became {stays:?}: {vpa}");

    ns.scale("web", 1).await?;
    let pods = until("the first pod from zero", secs(60), async || {
        ns.available_pods("web", 1).await
    })
    .await?;
    let first = pods.first().context("no pod")?;
    first.requests("app")?.ensure_between(0.99, 1.01, at_zero)
}
