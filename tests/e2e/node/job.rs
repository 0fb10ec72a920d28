//! A run that would lose its work.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::installation::Installation;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::wait::{secs, until};

/// A Job's pod is measured but not evicted, even in mode `Recreate`; the VPA says why. It ends by itself.
pub async fn not_evicted(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let train = Workload::job("train")
        .requests("20m", "64Mi")
        .limits("500m", "512Mi")
        .really_using(&["--cpu", "0.1", "--memory", "300Mi", "--for", "100s"]);
    ns.create(train.manifest()).await?;
    ns.create(train.vpa("Recreate")).await?;
    let before = until("its pod", secs(30), async || {
        ns.available_pods("train", 1).await
    })
    .await?;
    let blocked = until("the reason in a condition", secs(90), async || {
        ns.condition("train", "UpdateBlocked").await
    })
    .await?;
    let words = blocked["message"].as_str().unwrap_or_default();
    ensure!(
        blocked["reason"] == "RunsToCompletion" && words.contains("Job"),
        "{blocked}"
    );
    until("the Job is done", secs(150), async || {
        let job = ns.get("Job", "train").await?;
        ensure!(job["status"]["succeeded"] == 1, "{}", job["status"]);
        Ok(())
    })
    .await?;
    let after = ns.pods("train").await?;
    let last = after.last().context("its pod is gone")?;
    ensure!(
        after.len() == 1 && last.uid() == before[0].uid(),
        "its pod was replaced"
    );
    Ok(())
}
