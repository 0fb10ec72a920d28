//! Another webhook that adds a container to pods after podfit has sized them: podfit is asked again, sizes what came, and does
//! not do twice what it did.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::injector::{self, FOUND};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::wait::{secs, until};
use serde_json::json;

/// With what would show a second time: a limit in proportion, and a boost.
pub async fn injects_after(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = Workload::deployment("web")
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    let mut sizing = vpa(&web, "Initial");
    sizing["spec"]["startupBoost"] =
        json!({"cpu": {"type": "Factor", "factor": 2, "durationSeconds": 60}});
    ns.create(sizing).await?;
    recommend(&ns, "web", ["500m", "400Mi"], ["100m", "96Mi"]).await?;
    let proxy = json!({
        "name": "proxy", "image": "none",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m"}},
    });
    injector::inject(&ns, &podfit.free_address(), proxy).await?;
    let outcome = async {
        ns.create(web.manifest()).await?;
        let pods = until("a pod", secs(60), async || {
            ns.available_pods("web", 1).await
        })
        .await?;
        sized_once(&pods[0])
    };
    let outcome = outcome.await;
    injector::remove(&ns).await?;
    outcome
}

fn sized_once(pod: &Pod) -> Result<()> {
    let found = pod.annotation(FOUND).context("nothing was injected")?;
    ensure!(
        found.starts_with("Pod resources updated by web: container 0: "),
        "podfit was not asked before the injector: {found:?}"
    );
    let (app, proxy) = (pod.container("app")?, pod.container("proxy")?);
    ensure!(
        app["resources"]
            == json!({"requests": {"cpu": "1", "memory": "400Mi"}, "limits": {"cpu": "2", "memory": "800Mi"}}),
        "{app}"
    );
    // Boosted as well: it is a container of the VPA's.
    ensure!(
        proxy["resources"]
            == json!({"requests": {"cpu": "200m", "memory": "96Mi"}, "limits": {"cpu": "200m"}}),
        "{proxy}"
    );
    let updates = pod.annotation("vpaUpdates").unwrap_or_default();
    for words in ["updated by", "container 0:", "container 1:", "; "] {
        ensure!(
            updates.matches(words).count() == 1,
            "{words} in {updates:?}"
        );
    }
    let observed = pod.annotation("vpaObservedContainers");
    ensure!(observed == Some("app, proxy"), "{observed:?}");
    let before = |name: &str| pod.annotation(&format!("vpaCpuStartupBoost/{name}"));
    ensure!(
        before("app")
            == Some(
                r#"{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"100m","memory":"128Mi"}}"#
            ),
        "{:?}",
        before("app")
    );
    ensure!(
        before("proxy")
            == Some(r#"{"requests":{"cpu":"10m","memory":"16Mi"},"limits":{"cpu":"10m"}}"#),
        "{:?}",
        before("proxy")
    );
    Ok(())
}
