//! An HPA that scales on CPU and memory, with a VPA on the same workload.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::namespace::Namespace;
use podfit_tests::pod::Pod;
use podfit_tests::recording::Recording;
use podfit_tests::suite::figure;

use crate::samples::Platform;

/// Two replicas, more under load, two after it; the VPA recommends, says which HPA it yields to, and no pod is ever sized.
pub async fn two_to_many_to_two(_: Namespace, platform: Arc<Platform>) -> Result<()> {
    let ns = &platform.samples;
    let pods = Recording::start(ns, "Pod", "app=fraud-detector").await?;
    let hpas = Recording::start(ns, "HorizontalPodAutoscaler", "").await?;
    platform.check(&["hpa-cpu", "vpa-beside-hpa"]).await?;

    let replicas = replicas(&hpas, "fraud-detector-hpa");
    let most = replicas.iter().max().context("its HPA was not seen")?;
    let path: Vec<_> = replicas.iter().map(i64::to_string).collect();
    figure(format!("hpa-under-load: replicas {}", path.join(" -> ")));
    ensure!(*most > 2 && replicas.last() == Some(&2), "{replicas:?}");

    let written = Amounts::parse("50m", "192Mi")?;
    let mut seen = 0;
    for change in pods.changes() {
        let pod = Pod(change.object);
        let requests = pod.requests("model-server")?;
        ensure!(requests == written, "{} asked for {requests:?}", pod.name());
        ensure!(
            pod.annotation("vpaUpdates").is_none(),
            "{} was sized",
            pod.name()
        );
        seen += 1;
    }
    ensure!(seen >= 2 * *most, "only {seen} changes of pods were seen");
    let target = ns.recommended("fraud-detector-vpa", "target").await?;
    let condition = ns
        .condition("fraud-detector-vpa", "HorizontalAutoscaler")
        .await?;
    ensure!(condition["status"] == "True", "{condition}");
    figure(format!(
        "hpa-under-load: {written:?} in {seen} changes of pods, {target:?} recommended: {}",
        condition["message"].as_str().unwrap_or_default()
    ));
    Ok(())
}

/// How many replicas an HPA wished for, without repetitions.
fn replicas(hpas: &Recording, name: &str) -> Vec<i64> {
    let changes = hpas.changes();
    let of_it = changes
        .iter()
        .filter(|change| change.object["metadata"]["name"] == name);
    let mut wished: Vec<_> = of_it
        .filter_map(|change| change.object["status"]["desiredReplicas"].as_i64())
        .filter(|count| *count > 0)
        .collect();
    wished.dedup();
    wished
}
