//! Workers for a queue, from none to many to none.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use podfit_tests::namespace::Namespace;
use podfit_tests::pod::Pod;
use podfit_tests::recording::Recording;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};

use crate::samples::Platform;

const WORKERS: &str = "batch-inference";
const VPA: &str = "batch-inference-vpa";

/// A hundred items bring ten workers, an empty queue none. The recommendation outlasts the time without pods, and the first
/// worker after it is made with it.
pub async fn to_zero(_: Namespace, platform: Arc<Platform>) -> Result<()> {
    let ns = &platform.samples;
    platform.check(&["keda-to-zero"]).await?;

    fill(ns, 100).await?;
    let up = reach(ns, 10, 60).await?;
    // Ten items each: no worker takes one here, as pods of this node do not reach Services.
    until("a recommendation", secs(120), async || {
        ns.recommended(VPA, "target").await
    })
    .await?;
    fill(ns, 0).await?;
    let down = reach(ns, 0, 60).await?;
    until("all workers are gone", secs(180), async || {
        let left = ns.pods(WORKERS).await?.len();
        ensure!(left == 0, "{left} are there");
        Ok(())
    })
    .await?;
    figure(format!(
        "queue-to-zero: 100 items: 10 workers after {up:.1} s; none: 0 workers after {down:.1} s"
    ));

    let kept = ns.recommended(VPA, "target").await?;
    let pods = Recording::start(ns, "Pod", "app=batch-inference").await?;
    fill(ns, 1).await?;
    let again = reach(ns, 1, 60).await?;
    let first = until("the first worker", secs(30), async || {
        let first = pods.changes().into_iter().next();
        first.ok_or_else(|| anyhow::anyhow!("none yet"))
    })
    .await?;
    let first = Pod(first.object);
    let requests = first.requests("worker")?;
    ensure!(
        requests == kept && first.annotation("vpaUpdates").is_some(),
        "the first worker asks for {requests:?}, {kept:?} was known: {:?}",
        first.annotation("vpaUpdates")
    );
    figure(format!(
        "queue-to-zero: 1 item: the first worker after {again:.1} s, made with {kept:?}"
    ));
    fill(ns, 0).await?;
    reach(ns, 0, 60).await.map(drop)
}

/// Sets how many items wait.
async fn fill(ns: &Namespace, items: u32) -> Result<()> {
    let path = format!(
        "/api/v1/namespaces/{}/services/inference-queue:http/proxy/queue?length={items}",
        ns.name
    );
    let set = ["create", "--raw", &path, "-f", "/dev/null"];
    ns.cluster.kubectl(&set, "").await.map(drop)
}

/// Waits until the Deployment is to have so many replicas; the seconds that took.
async fn reach(ns: &Namespace, wanted: u64, within: u64) -> Result<f64> {
    let began = Instant::now();
    until(&format!("{wanted} workers"), secs(within), async || {
        let deployment = ns.get("Deployment", WORKERS).await?;
        let now = deployment["spec"]["replicas"].as_u64();
        ensure!(now == Some(wanted), "{now:?} workers");
        Ok(())
    })
    .await?;
    Ok(began.elapsed().as_secs_f64())
}
