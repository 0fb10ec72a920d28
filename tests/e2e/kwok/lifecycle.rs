//! Start and end: what is missing is waited for and told, and a request to end is followed.

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use podfit_tests::chart::objects;
use podfit_tests::cluster::{Cluster, repository};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::scrape::get;
use podfit_tests::wait::{secs, until};
use serde_json::json;

/// The name of a control plane with nothing on it.
const BARE: &str = "tests-bare";

/// SIGTERM ends all three with exit code 0, and they start again.
pub async fn stops_when_asked(_: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    podfit.ensure_alive().await?;
    podfit.stop_all().await?;
    podfit.start_all().await
}

/// On a bare control plane, with neither the VPA definitions nor the metrics API: all three wait, say so and live. When the
/// definitions come (without their validation, so that a VPA without targetRef can be stored), they begin to work.
pub async fn without_crds_and_metrics(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(BARE).await; // there is one only after a run that was broken off
    let bare = Arc::new(Cluster::up(BARE, &[]).await?);
    on_bare_cluster(&bare).await?;
    Cluster::down(BARE).await
}

async fn on_bare_cluster(bare: &Arc<Cluster>) -> Result<()> {
    let podfit = Podfit::prepare(bare, false).await?;
    let names = ["recommender", "updater", "webhook"];
    for name in names {
        podfit.start(name).await?;
    }
    let outcome = starts_waiting(bare, &podfit, &names).await;
    outcome.map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await
}

async fn starts_waiting(bare: &Arc<Cluster>, podfit: &Podfit, names: &[&str]) -> Result<()> {
    for name in names {
        let program = podfit.program(name)?;
        until(
            "it says which definition is missing",
            secs(60),
            async || {
                podfit.ensure_alive().await?;
                let log = program.log();
                ensure!(
                    log.contains("verticalpodautoscalers") && log.contains("waiting"),
                    "{name} says: {log}"
                );
                Ok(())
            },
        )
        .await?;
        let ready = get(&program.address, "/readyz").await;
        ensure!(ready.is_err(), "{name} is ready without definitions");
        get(&program.address, "/healthz").await?;
    }

    bare.kubectl(
        &[
            "delete",
            "mutatingwebhookconfiguration",
            "vpa-webhook-config",
        ],
        "",
    )
    .await?;
    let ns = Namespace::create_new(bare, "startup").await?;
    apply_lax_crds(bare).await?;
    let mut bad = Workload::deployment("bad").vpa("Recreate");
    bad["spec"]["targetRef"] = json!(null);
    let mut worse = Workload::deployment("worse").vpa("Recreate");
    worse["spec"]["updatePolicy"] = json!([7]);
    worse["spec"]["resourcePolicy"] = "none".into();
    for vpa in [bad, worse, Workload::deployment("good").vpa("Recreate")] {
        until("the API server takes VPAs", secs(30), async || {
            ns.create(vpa.clone()).await
        })
        .await?;
    }
    for name in names {
        let address = &podfit.program(name)?.address;
        until(&format!("{name} is ready"), secs(60), async || {
            get(address, "/readyz").await
        })
        .await?;
    }
    until("the good VPA is looked at", secs(60), async || {
        podfit.ensure_alive().await?;
        ns.condition("good", "NoPodsMatched").await
    })
    .await?;
    until("the bad VPA says what it lacks", secs(30), async || {
        let condition = ns.condition("bad", "ConfigUnsupported").await?;
        ensure!(
            condition["message"].to_string().contains("targetRef"),
            "{condition}"
        );
        Ok(())
    })
    .await?;
    let log = podfit.program("recommender")?.log();
    ensure!(
        log.contains("metrics.k8s.io"),
        "the metrics API is not told missing: {log}"
    );
    for vpa in ["good", "bad", "worse"] {
        let vpa = ns.get(VPA, vpa).await?;
        ensure!(vpa["status"]["recommendation"].is_null(), "{vpa}");
    }
    Ok(())
}

/// The chart's definitions with everything allowed in a VPA's spec.
async fn apply_lax_crds(bare: &Cluster) -> Result<()> {
    let folder = repository()
        .join("charts/podfit/crds")
        .display()
        .to_string();
    let strict = bare
        .kubectl(
            &["create", "--dry-run=client", "-o", "json", "-f", &folder],
            "",
        )
        .await?;
    let mut definitions = objects(&strict)?;
    for definition in &mut definitions {
        let kind = definition["spec"]["names"]["kind"].clone();
        for version in definition["spec"]["versions"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            if kind == VPA && version["served"] == true {
                version["schema"]["openAPIV3Schema"]["properties"]["spec"] =
                    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            }
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    bare.kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string())
        .await
        .map(drop)
}
