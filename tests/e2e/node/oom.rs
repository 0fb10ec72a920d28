//! A container that the kernel kills for memory.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};

use crate::installation::Installation;

const MIB: i64 = 1 << 20;

/// One replica that needs 380 MiB and may have 300: after the kill it is recommended and given at least 1.2 times and
/// 100 MiB more than it had, and runs.
pub async fn gets_more(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let had = Amounts::parse("50m", "300Mi")?;
    let leak = Workload::deployment("leak")
        .requests("50m", "300Mi")
        .limits("200m", "300Mi")
        .really_using(&["--cpu", "0.02", "--memory", "380Mi"]);
    ns.create(leak.manifest()).await?;
    ns.create(leak.vpa("InPlaceOrRecreate")).await?;
    until("it is killed for memory", secs(60), async || {
        for pod in ns.pods("leak").await? {
            let status = pod.status("app")?;
            let killed = ["state", "lastState"]
                .iter()
                .any(|s| status[s]["terminated"]["reason"] == "OOMKilled");
            ensure!(killed, "{status}");
        }
        Ok(())
    })
    .await?;
    let killed = Instant::now();

    let least = (had.memory * 12 / 10).max(had.memory + 100 * MIB);
    until("enough memory is recommended", secs(90), async || {
        // Nothing may be known of its CPU use yet: the kill alone is reason enough.
        let vpa = ns.get(VPA, "leak").await?;
        let target = &vpa["status"]["recommendation"]["containerRecommendations"][0]["target"];
        let memory = target["memory"].as_str().context("none")?;
        let memory = Amounts::parse("0", memory)?.memory;
        ensure!(memory >= least, "{memory} is recommended, {least} expected");
        Ok(())
    })
    .await?;
    figure(format!(
        "OOM kill to a recommendation of more: {:.1?}",
        killed.elapsed()
    ));
    // The kubelet's back-off decides when it is started again.
    until("it runs with that", secs(180), async || {
        let pods = ns.available_pods("leak", 1).await?;
        let status = pods[0].status("app")?;
        ensure!(
            pods[0].requests("app")?.memory >= least,
            "{:?}",
            pods[0].requests("app")
        );
        ensure!(
            status["state"]["running"].is_object()
                && status["resources"] == pods[0].container("app")?["resources"],
            "{status}"
        );
        ensure_uses(&ns, pods[0].name(), 360 * MIB).await
    })
    .await?;
    figure(format!(
        "OOM kill to running with more: {:.1?}",
        killed.elapsed()
    ));
    Ok(())
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
