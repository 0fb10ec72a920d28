//! Containers that the kernel kills for memory.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::installation::Installation;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};

const MIB: i64 = 1 << 20;

/// What the containers have, by request and limit, before they are killed for it.
const HAD: i64 = 300 * MIB;

/// What they must get: 1.2 times that, and 100 MiB more.
const LEAST: i64 = 400 * MIB;

/// What they may get: that, 15 % and the width of a bucket. One kill raises it once, not again and again up to the node's
/// size, also when the container is killed several times before it has the new size.
const MOST: i64 = LEAST * 14 / 10;

/// A container that cannot even start: it needs 380 MiB at once. A resize does not reach it while it is down
/// (kubernetes/kubernetes#138760: the pod's own cgroup stays small), so the pod is made anew, though it is the only one.
pub async fn cannot_start(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let killed = kill(&ns, &["--cpu", "0.02", "--memory", "380Mi"]).await?;
    runs_with_more(&ns, killed).await?;
    figure(format!(
        "OOM kill at start to running with more: {:.1?}",
        killed.elapsed()
    ));
    Ok(())
}

/// A container that grows after a while: the running one is resized in place, before it grows once more.
pub async fn grows_later(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let grows = [
        "--cpu",
        "0.02",
        "--memory",
        "100Mi",
        "--then-memory",
        "380Mi",
        "--after",
        "25s",
    ];
    let killed = kill(&ns, &grows).await?;
    let uid = ns.pods("leak").await?[0].uid().to_owned();
    let pod = runs_with_more(&ns, killed).await?;
    ensure!(pod.uid() == uid, "the pod was made anew");
    ensure!(
        pod.restarts("app")? == 1,
        "{} restarts",
        pod.restarts("app")?
    );
    Ok(())
}

/// Starts a container that needs more than it may have, and waits for its end.
async fn kill(ns: &Namespace, arguments: &[&str]) -> Result<Instant> {
    let leak = Workload::deployment("leak")
        .requests("50m", "300Mi")
        .limits("200m", "300Mi")
        .really_using(arguments);
    ns.create(leak.manifest()).await?;
    ns.create(leak.vpa("InPlaceOrRecreate")).await?;
    until("it is killed for memory", secs(90), async || {
        let pods = ns.pods("leak").await?;
        let status = pods.first().context("no pod")?.status("app")?;
        let killed = ["state", "lastState"]
            .iter()
            .any(|s| status[s]["terminated"]["reason"] == "OOMKilled");
        ensure!(killed, "{status}");
        Ok(())
    })
    .await?;
    Ok(Instant::now())
}

/// Waits until enough is recommended, and then until the pod runs with that and uses what it needs.
async fn runs_with_more(ns: &Namespace, killed: Instant) -> Result<Pod> {
    until("enough memory is recommended", secs(30), async || {
        // Nothing may be known of its CPU use yet: the kill alone is reason enough.
        let vpa = ns.get(VPA, "leak").await?;
        let target = &vpa["status"]["recommendation"]["containerRecommendations"][0]["target"];
        let memory = target["memory"].as_str().context("none")?;
        let memory = Amounts::parse("0", memory)?.memory;
        ensure!(memory >= LEAST, "{memory} bytes, after {HAD}");
        Ok(())
    })
    .await?;
    figure(format!(
        "OOM kill to a recommendation of more: {:.1?}",
        killed.elapsed()
    ));
    // The kubelet's back-off decides when it is started again.
    let pod = until("it runs with that", secs(180), async || {
        let mut pods = ns.available_pods("leak", 1).await?;
        let pod = pods.remove(0);
        let status = pod.status("app")?;
        ensure!(
            status["resources"] == pod.container("app")?["resources"],
            "{status}"
        );
        ensure!(
            pod.requests("app")?.memory >= LEAST,
            "{:?}",
            pod.requests("app")
        );
        ensure_uses(ns, pod.name(), 360 * MIB).await?;
        Ok(pod)
    })
    .await?;
    let memory = pod.requests("app")?.memory;
    ensure!(
        memory <= MOST,
        "{memory} bytes are requested, more than {MOST}"
    );
    Ok(pod)
}

/// An error unless the pod is seen using so many bytes.
async fn ensure_uses(ns: &Namespace, pod: &str, bytes: i64) -> Result<()> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods/{pod}",
        ns.name
    );
    let request = http::Request::get(path).body(Vec::new())?;
    let metrics: serde_json::Value = ns.cluster.client.request(request).await?;
    let used = Amounts::from_list(&metrics["containers"][0]["usage"])?;
    ensure!(used.memory >= bytes, "it uses {} bytes", used.memory);
    Ok(())
}
