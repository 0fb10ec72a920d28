//! An under-asked Deployment in mode Recreate.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use http::Request;
use podfit_tests::amounts::Amounts;
use podfit_tests::installation::{Installation, RECOMMENDER_INTERVAL};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::recording::Recording;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::Value;

/// Uses much more than it requests; limits are ten and four times its requests.
pub fn under_asked(name: &str) -> Workload {
    Workload::deployment(name)
        .requests("50m", "128Mi")
        .limits("500m", "512Mi")
        .really_using(&["--cpu", "0.15", "--memory", "300Mi"])
}

/// An error unless an amount is what that use implies: 15 % on top, the width of a bucket, and what a busy machine adds
/// or takes.
pub fn ensure_implied_by_use(target: Amounts) -> Result<()> {
    let usage = Amounts::parse("150m", "300Mi")?;
    target.ensure_between(0.9, 1.7, usage)
}

/// An error unless the limits have the proportion to the requests that [`under_asked`] was written with.
pub fn ensure_proportional(requests: Amounts, limits: Amounts) -> Result<()> {
    let expected = Amounts {
        cpu: requests.cpu * 10,
        memory: requests.memory * 4,
    };
    ensure!(limits == expected, "limits {limits:?} of {requests:?}");
    Ok(())
}

/// The recommendation comes within two intervals of the first samples and fits the use; pods are evicted one at a time
/// under a PodDisruptionBudget, and each replacement has exactly a published target and limits in proportion.
pub async fn one_at_a_time(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let web = under_asked("web").replicas(3);
    ns.create(web.budget(1)).await?;
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Recreate")).await?;
    let old = until("three pods", secs(60), async || {
        ns.available_pods("web", 3).await
    })
    .await?;
    let pods = Recording::start(&ns, "Pod", "app=web").await?;
    let vpas = Recording::start(&ns, VPA, "").await?;

    until("the first samples", secs(90), async || sampled(&ns).await).await?;
    let sampled = Instant::now();
    let first = until("a recommendation", secs(60), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    let took = sampled.elapsed();
    // Two intervals, and a second for the write and for looking.
    ensure!(
        took <= secs(2 * RECOMMENDER_INTERVAL + 1),
        "the recommendation came {took:.1?} after the first samples"
    );
    ensure_implied_by_use(first)?;
    figure(format!("first sample to recommendation: {took:.1?}"));

    until("the first replacement", secs(60), async || {
        let now = ns.pods("web").await?;
        ensure!(
            now.iter().any(|p| p.annotation("vpaUpdates").is_some()),
            "none yet"
        );
        Ok(())
    })
    .await?;
    figure(format!(
        "first sample to a pod with the new request, by eviction: {:.1?}",
        sampled.elapsed()
    ));
    let new = until("all pods replaced", secs(120), async || {
        let now = ns.available_pods("web", 3).await?;
        let left = now
            .iter()
            .filter(|p| old.iter().any(|o| o.uid() == p.uid()));
        ensure!(left.count() == 0, "old pods are there");
        Ok(now)
    })
    .await?;
    let least = pods.least_available(3)?;
    ensure!(least == 2, "{least} of 3 pods were available at one time");
    let targets = targets(&vpas)?;
    for pod in &new {
        let requests = pod.requests("app")?;
        ensure!(
            targets.contains(&requests),
            "{requests:?} was never a target: {targets:?}"
        );
        ensure_proportional(requests, pod.limits("app")?)?;
    }
    Ok(())
}

/// Every target that was published.
pub fn targets(vpas: &Recording) -> Result<Vec<Amounts>> {
    let changes = vpas.changes();
    let lists = changes.iter().map(|change| {
        &change.object["status"]["recommendation"]["containerRecommendations"][0]["target"]
    });
    lists
        .filter(|list| !list.is_null())
        .map(Amounts::from_list)
        .collect()
}

/// An error while the metrics API knows no pod of this namespace.
pub async fn sampled(ns: &Namespace) -> Result<()> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", ns.name);
    let request = Request::get(path).body(Vec::new())?;
    let list: Value = ns.cluster.client.request(request).await?;
    let items = list["items"].as_array().context("no list")?;
    ensure!(!items.is_empty(), "no samples");
    Ok(())
}
