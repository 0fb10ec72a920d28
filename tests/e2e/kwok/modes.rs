//! What each update mode touches, and what it leaves alone.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};

/// Asks for much less than it uses; limits are twice its requests.
pub fn under_asked() -> Workload {
    Workload::deployment("web")
        .replicas(2)
        .requests("50m", "64Mi")
        .limits("100m", "128Mi")
        .simulated_usage("400m", "300Mi")
}

/// What it uses.
pub fn usage() -> Result<Amounts> {
    Amounts::parse("400m", "300Mi")
}

/// An error unless the pod has the requests and limits it was written with.
pub fn ensure_as_written(pod: &Pod) -> Result<()> {
    ensure!(
        pod.requests("app")? == Amounts::parse("50m", "64Mi")?
            && pod.limits("app")? == Amounts::parse("100m", "128Mi")?,
        "{} was changed: {}",
        pod.name(),
        pod.container("app")?["resources"]
    );
    Ok(())
}

/// The uids of pods, in their order.
pub fn uids(pods: &[Pod]) -> Vec<&str> {
    pods.iter().map(Pod::uid).collect()
}

/// `Off`: a recommendation, right from the first one, and no pod is touched, neither running ones nor new ones.
pub async fn off(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    ns.create(under_asked().vpa("Off")).await?;
    // Looked at once only: none may be made of nothing (upstream publishes its minimum before the first sample).
    let first = until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    first
        .ensure_between(1.0, 1.5, usage()?)
        .context("the first recommendation")?;
    let provided = ns.condition("web", "RecommendationProvided").await?;
    ensure!(provided["status"] == "True", "{provided}");

    let before = ns.available_pods("web", 2).await?;
    podfit.loops("updater", 3).await?;
    ns.scale("web", 3).await?;
    let after = until("three pods", secs(30), async || {
        ns.available_pods("web", 3).await
    })
    .await?;
    for pod in &after {
        ensure_as_written(pod)?;
        ensure!(pod.annotation("vpaUpdates").is_none(), "{:?}", pod.0);
    }
    let kept = uids(&after);
    ensure!(
        uids(&before).iter().all(|uid| kept.contains(uid)),
        "a pod was replaced"
    );
    Ok(())
}

/// `Initial`: running pods stay, a new one gets exactly the target and limits in proportion.
pub async fn initial(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    ns.create(under_asked().vpa("Initial")).await?;
    let old = until("two pods", secs(30), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    podfit.loops("updater", 3).await?;

    let before = ns.recommended("web", "target").await?;
    ns.scale("web", 3).await?;
    let pods = until("three pods", secs(30), async || {
        ns.available_pods("web", 3).await
    })
    .await?;
    let after = ns.recommended("web", "target").await?;
    for pod in &pods {
        if uids(&old).contains(&pod.uid()) {
            ensure_as_written(pod)?;
            continue;
        }
        let (requests, limits) = (pod.requests("app")?, pod.limits("app")?);
        ensure!(
            [before, after].contains(&requests),
            "requests {requests:?} are neither {before:?} nor {after:?}"
        );
        let doubled = Amounts {
            cpu: 2 * requests.cpu,
            memory: 2 * requests.memory,
        };
        ensure!(limits == doubled, "limits {limits:?} of {requests:?}");
        let note = pod.annotation("vpaUpdates").unwrap_or_default();
        ensure!(
            note.starts_with("Pod resources updated by web: container 0: "),
            "{note}"
        );
        ensure!(
            pod.annotation("vpaObservedContainers") == Some("app"),
            "no vpaObservedContainers"
        );
    }
    ensure!(
        uids(&old).iter().all(|uid| uids(&pods).contains(uid)),
        "a running pod was replaced"
    );
    Ok(())
}
