//! From upstream's VPA to podfit and back, on a cluster of its own: as docs/migrate.md has it.

mod compared;
mod seen;
mod upstream;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use podfit_tests::cluster::Cluster;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::scrape::{Metrics, get, loops};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use self::compared::Teller;
use self::seen::Seen;
use self::upstream::Upstream;
use crate::modes::{under_asked, usage};

const CLUSTER: &str = "tests-migration";
const NAMES: [&str; 3] = ["recommender", "updater", "webhook"];

/// podfit in shadow beside upstream's three programs; then in their place; then upstream again. Every object and every history
/// stays, no recommendation moves by more than a bucket of its histogram, and no pod goes.
pub async fn there_and_back(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up(CLUSTER, &["kwok", "metrics-server"]).await?);
    let shadow = Podfit::prepare_with(&cluster, true, &json!({"shadow": true})).await?;
    let ns = Namespace::create_new(&cluster, "team").await?;
    let outcome = migrate(&ns, &shadow).await;
    outcome.map_err(|error| anyhow!("{error:#}\n{}", shadow.logs()))?;
    Cluster::down(CLUSTER).await
}

async fn migrate(ns: &Namespace, shadow: &Podfit) -> Result<()> {
    let mut upstream = Upstream::start(&ns.cluster).await?;
    for (workload, vpa) in workloads() {
        ns.create(workload).await?;
        until("the API server takes VPAs", secs(30), async || {
            ns.create(vpa.clone()).await
        })
        .await?;
    }
    let before = until("upstream sizes web's pods", secs(300), async || {
        upstream.ensure_alive()?;
        sized_by_upstream(ns).await
    })
    .await?;

    // Upstream stores no peak of pods that still run: batch's memory is not in its checkpoint, and web's only once a loop has
    // missed the evicted pods.
    until("upstream stores what it evicted", secs(60), async || {
        compared::ensure_close(ns, &["web"], Teller::Checkpoints).await
    })
    .await?;
    in_shadow(ns, shadow).await.context("in shadow")?;
    Seen::of(ns)
        .await?
        .ensure_follows(&before, "upstream beside a shadow")?;

    let podfit = too_early(ns, &mut upstream).await?;
    upstream.kill_webhook().await?;
    let over = taken_over(ns, &podfit, &before).await;
    let over = over.map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await?;

    delete_registration(ns).await?;
    let upstream = Upstream::start(&ns.cluster).await?;
    let back = more_samples(ns, &over, secs(300)).await.context("back")?;
    back.ensure_follows(&over, "upstream after podfit")?;
    loops(upstream.updater(), "updater", 2).await?;
    Seen::of(ns)
        .await?
        .ensure_follows(&over, "upstream's updater after podfit")?;
    upstream.kill().await
}

/// One that upstream resizes, one that it only recommends for, and one of a recommender that is not there.
fn workloads() -> [(Value, Value); 3] {
    let batch = Workload::deployment("batch").simulated_usage("200m", "500Mi");
    let other = Workload::deployment("other").simulated_usage("300m", "700Mi");
    let mut of_other = other.vpa("Off");
    of_other["spec"]["recommenders"] = json!([{"name": "someone"}]);
    [
        (under_asked().manifest(), under_asked().vpa("Recreate")),
        (batch.manifest(), batch.vpa("Off")),
        (other.manifest(), of_other),
    ]
}

async fn sized_by_upstream(ns: &Namespace) -> Result<Seen> {
    let pods = ns.pods("web").await?;
    ensure!(pods.len() == 2, "{} pods", pods.len());
    for pod in pods {
        ensure!(pod.is_available(), "{} is not available", pod.name());
        pod.requests("app")?.ensure_between(1.0, 1.5, usage()?)?;
    }
    let seen = Seen::of(ns).await?;
    for name in ["web", "batch"] {
        let samples = seen.samples(name)?;
        ensure!(samples >= 4, "{samples} samples of {name}");
    }
    Ok(seen)
}

/// Every VPA has podfit's number beside the published one, and the API server's audit log holds not one write.
async fn in_shadow(ns: &Namespace, shadow: &Podfit) -> Result<()> {
    shadow.start_all().await?;
    shadow.loops("updater", 2).await?;
    shadow.loops("recommender", 4).await?;
    let address = &shadow.program("recommender")?.address;
    let url = format!("http://{address}");
    let teller = Teller::Recommender(&url);
    compared::ensure_close(ns, &["web", "deployment/batch"], teller).await?;
    compared::ensure_told_apart(ns, teller).await?;
    compared::ensure_nothing_would_move(ns, &url).await?;
    let metrics = Metrics::of(address).await?;
    let target = |vpa: &str, source: &str| {
        let labels = [("vpa", vpa), ("resource", "cpu"), ("source", source)];
        metrics.sum("podfit_shadow_target", &labels)
    };
    ensure!(
        target("web", "podfit") > 0.0 && target("web", "published") > 0.0,
        "the metrics do not show two targets"
    );
    ensure!(
        target("other", "podfit") > 0.0 && target("other", "published") == 0.0,
        "the VPA of another recommender is not computed for"
    );
    let path = format!("/explain/{}/web", ns.name);
    let explained: Value = serde_json::from_str(&get(address, &path).await?)?;
    for part in ["wouldPublish", "published"] {
        ensure!(explained[part].is_object(), "{explained}");
    }
    shadow.ensure_alive().await?;
    shadow.stop_all().await?;
    let writes = ns.cluster.podfits_writes()?;
    ensure!(writes.is_empty(), "written in shadow: {writes:?}");
    Ok(())
}

/// Upstream's recommender and updater are stopped, and its webhook forgotten: podfit sees it, and does nothing.
async fn too_early(ns: &Namespace, upstream: &mut Upstream) -> Result<Podfit> {
    upstream.kill_all_but_webhook().await?;
    delete_registration(ns).await?;
    let versions = async || -> Result<Vec<Value>> {
        let mut versions = Vec::new();
        for name in ["web", "batch", "other"] {
            versions.push(ns.get(VPA, name).await?["metadata"]["resourceVersion"].clone());
        }
        Ok(versions)
    };
    let before = versions().await?;
    let podfit = Podfit::prepare(&ns.cluster, false).await?;
    podfit.start_all().await?;
    for name in NAMES {
        let address = &podfit.program(name)?.address;
        until(&format!("{name} stands aside"), secs(60), async || {
            let ready = get(address, "/readyz").await?;
            ensure!(
                ready.contains("another VPA is active: ")
                    && ready.contains("vpa-admission-controller"),
                "{ready}"
            );
            let active = Metrics::of(address)
                .await?
                .sum("podfit_other_vpa_active", &[]);
            ensure!(active > 0.0, "podfit_other_vpa_active is {active}");
            Ok(())
        })
        .await?;
    }
    until("an event on each pod", secs(60), async || {
        let events = ["-n", "podfit", "get", "events", "-o", "name"];
        let fields = "--field-selector=reason=AnotherVpaActive";
        let told = ns
            .cluster
            .kubectl(&[&events[..], &[fields]].concat(), "")
            .await?;
        ensure!(told.lines().count() == NAMES.len(), "{told}");
        Ok(())
    })
    .await?;
    podfit.loops("recommender", 3).await?;
    ensure!(versions().await? == before, "a VPA was written");
    let own = ["leases.coordination.k8s.io", "events", "secrets"];
    let mut others = ns.cluster.podfits_writes()?;
    others.retain(|write| !own.contains(&write.resource.as_str()));
    ensure!(others.is_empty(), "written beside upstream: {others:?}");
    Ok(podfit)
}

/// podfit goes on by itself once upstream's last program is gone.
async fn taken_over(ns: &Namespace, podfit: &Podfit, before: &Seen) -> Result<Seen> {
    let over = more_samples(ns, before, secs(300)).await?;
    over.ensure_follows(before, "podfit after upstream")?;
    podfit.loops("updater", 3).await?;
    podfit.ensure_alive().await?;
    let over = Seen::of(ns).await?;
    over.ensure_follows(before, "podfit's updater after upstream")?;
    let writes = ns.cluster.podfits_writes()?;
    ensure!(
        writes
            .iter()
            .any(|w| w.resource == "verticalpodautoscalers.autoscaling.k8s.io/status"),
        "the audit log shows no status: {writes:?}"
    );
    Ok(over)
}

/// Waits until all histories have grown.
async fn more_samples(
    ns: &Namespace,
    before: &Seen,
    deadline: std::time::Duration,
) -> Result<Seen> {
    until("histories that go on", deadline, async || {
        let now = Seen::of(ns).await?;
        for name in ["web", "batch"] {
            let (was, is) = (before.samples(name)?, now.samples(name)?);
            ensure!(is > was, "{is} samples of {name} after {was}");
        }
        Ok(now)
    })
    .await
}

/// What `helm uninstall`, and docs/migrate.md, do.
async fn delete_registration(ns: &Namespace) -> Result<()> {
    let delete = [
        "delete",
        "mutatingwebhookconfiguration",
        "vpa-webhook-config",
    ];
    ns.cluster.kubectl(&delete, "").await.map(drop)
}
