//! Mode `InPlaceOrRecreate` on a node that can resize.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::{run, script};
use podfit_tests::installation::Installation;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::recording::Recording;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::json;
use tokio::process::Command;

use crate::recreate::{ensure_implied_by_use, ensure_proportional, sampled, targets, under_asked};

/// Bytes of a page.
const PAGE: i64 = 4096;

/// The pods stay, their containers are not restarted, and the kernel's own limits are the recommended ones.
pub async fn resized(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let live = under_asked("live").replicas(2);
    ns.create(live.manifest()).await?;
    ns.create(live.vpa("InPlaceOrRecreate")).await?;
    let before = until("two pods", secs(60), async || {
        ns.available_pods("live", 2).await
    })
    .await?;
    let vpas = Recording::start(&ns, VPA, "").await?;
    let pods = Recording::start(&ns, "Pod", "app=live").await?;
    for pod in &before {
        ensure_cgroup(
            &ns,
            pod,
            Amounts::parse("50m", "128Mi")?,
            Amounts::parse("500m", "512Mi")?,
        )
        .await
        .context("before the resize")?;
    }

    until("the first samples", secs(90), async || sampled(&ns).await).await?;
    let first_sample = Instant::now();
    let after = until("both pods have the new size", secs(150), async || {
        let now = ns.available_pods("live", 2).await?;
        for pod in &now {
            let actual = Amounts::from_list(&pod.status("app")?["resources"]["requests"])?;
            ensure!(actual == pod.requests("app")?, "{actual:?} is applied");
            ensure_implied_by_use(actual)?;
        }
        Ok(now)
    })
    .await?;
    figure(format!(
        "first sample to both pods running with the new request, in place: {:.1?}",
        first_sample.elapsed()
    ));
    for (old, new) in before.iter().zip(&after) {
        ensure!(old.uid() == new.uid(), "{} was replaced", old.name());
        ensure!(new.restarts("app")? == 0, "{} was restarted", new.name());
        let (requests, limits) = (new.requests("app")?, new.limits("app")?);
        ensure!(
            targets(&vpas)?.contains(&requests),
            "{requests:?} was never a target"
        );
        ensure_proportional(requests, limits)?;
        until("the cgroup has the new size", secs(10), async || {
            ensure_cgroup(&ns, new, requests, limits).await
        })
        .await?;
    }
    let deleted = pods.changes().iter().filter(|c| c.deleted).count();
    ensure!(deleted == 0, "{deleted} pods were deleted");
    let events = ns.events("live").await?;
    ensure!(!events.iter().any(|e| e.starts_with("Evict")), "{events:?}");
    Ok(())
}

/// Memory that the node does not have does not hold back CPU. What the kubelet defers is taken back, and the pod runs on.
pub async fn more_than_the_node(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let live = under_asked("live").limits("2", "512Mi");
    ns.create(live.manifest()).await?;
    let mut vpa = live.vpa("InPlace");
    vpa["spec"]["resourcePolicy"] = json!({"containerPolicies": [{
        "containerName": "app",
        "minAllowed": {"cpu": "200m", "memory": "9Ti"},
    }]});
    ns.create(vpa).await?;
    let before = until("its pod", secs(60), async || {
        ns.available_pods("live", 1).await
    })
    .await?;
    let in_force = |pod: &Pod| Amounts::from_list(&pod.status("app")?["resources"]["requests"]);
    let cpu = until("its CPU", secs(120), async || {
        let pods = ns.available_pods("live", 1).await?;
        let now = in_force(&pods[0])?;
        ensure!(now.cpu >= 200, "{now:?} is in force");
        Ok(Instant::now())
    })
    .await?;
    until("what it waited for is taken back", secs(90), async || {
        let events = ns.events("live").await?;
        ensure!(
            events
                .iter()
                .any(|e| e.starts_with("InPlaceResizeTakenBack")),
            "{events:?}"
        );
        Ok(())
    })
    .await?;
    figure(format!(
        "CPU in force to the deferred memory taken back: {:.1?}",
        cpu.elapsed()
    ));
    until("its spec is what is in force", secs(30), async || {
        let pods = ns.available_pods("live", 1).await?;
        let (spec, now) = (pods[0].requests("app")?, in_force(&pods[0])?);
        ensure!(spec == now, "{spec:?} is asked for, {now:?} in force");
        ensure!(
            pods[0].uid() == before[0].uid() && pods[0].restarts("app")? == 0,
            "another pod, or restarted"
        );
        Ok(())
    })
    .await?;
    let capped = ns.condition("live", "CappedByNode").await?;
    ensure!(capped["reason"] == "NodesTooSmall", "{capped}");
    Ok(())
}

/// An error unless the container's cgroup has these limits. On cgroup v1 1024 shares stand for one CPU, the quota is that
/// part of each 100 ms, and memory counts in whole pages.
async fn ensure_cgroup(
    ns: &Namespace,
    pod: &Pod,
    requests: Amounts,
    limits: Amounts,
) -> Result<()> {
    let mut helper = Command::new(script("cgroup"));
    helper.args(["--name", &ns.cluster.name, &ns.name, pod.name(), "app"]);
    let text = run(&mut helper, "").await?;
    let values: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once(' ')).collect();
    let expected = [
        ("memory_limit_bytes", limits.memory / PAGE * PAGE),
        ("cpu_quota_us", limits.cpu * 100),
        ("cpu_shares", requests.cpu * 1024 / 1000),
    ];
    for (key, amount) in expected {
        let actual = values
            .get(key)
            .with_context(|| format!("no {key} in {text}"))?;
        ensure!(
            *actual == amount.to_string(),
            "{key} is {actual}, not {amount}"
        );
    }
    Ok(())
}
