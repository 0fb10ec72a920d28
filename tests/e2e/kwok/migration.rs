//! From upstream's VPA to podfit and back, on a cluster of its own, by the commands of docs/migrate.md. Pods of the release are
//! simulated; the programs run beside them, with the flags and the rights that the release has given them.

mod compared;
mod documented;
mod seen;
mod upstream;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use podfit_tests::chart::values_file;
use podfit_tests::cluster::{Cluster, repository};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::{Podfit, values};
use podfit_tests::scrape::{Metrics, get, loops};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use self::compared::Teller;
use self::documented::Documented;
use self::seen::Seen;
use self::upstream::{UPDATERS_LEASE, Upstream};
use crate::modes::{under_asked, usage};

const CLUSTER: &str = "tests-migration";
const NAMES: [&str; 3] = ["recommender", "updater", "webhook"];

/// The page has it twice: to none, and back.
const SCALE: &str = "kubectl -n kube-system scale deployment";

/// podfit in shadow beside upstream's three programs; then in their place; then upstream again. Every object and every history
/// stays, no recommendation moves by more than a bucket of its histogram, and no pod goes.
pub async fn there_and_back(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up(CLUSTER, &["kwok", "metrics-server"]).await?);
    // Upstream's, which are equal field by field.
    let chart = repository().join("charts/podfit").display().to_string();
    let crds = cluster.helm(&["show", "crds", &chart]).await?;
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, &crds).await?;
    let ns = Namespace::create_new(&cluster, "team").await?;
    migrate(&ns, &Documented::read(&cluster)?).await?;
    Cluster::down(CLUSTER).await
}

async fn migrate(ns: &Namespace, documented: &Documented) -> Result<()> {
    let cluster = &ns.cluster;
    Upstream::deploy(cluster).await?;
    let mut upstream = Upstream::start(cluster).await?;
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
    let values = values_file(cluster, &values(cluster))?;
    documented
        .run("helm install podfit", &format!("-f {values}"))
        .await?;
    let shadow = Podfit::installed(cluster).await?;
    let looked_on = in_shadow(ns, &shadow, documented).await;
    looked_on.map_err(|error| anyhow!("in shadow: {error:#}\n{}", shadow.logs()))?;
    Seen::of(ns)
        .await?
        .ensure_follows(&before, "upstream beside a shadow")?;

    let podfit = changed_over(ns, documented).await?;
    let over = async {
        too_early(ns, &podfit, &mut upstream).await?;
        upstream.kill_webhook().await?;
        taken_over(ns, &podfit, &before, documented).await
    };
    let over = over
        .await
        .map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await?;

    documented.run("helm uninstall podfit", "").await?;
    ensure!(registrations(cluster).await?.is_empty(), "a webhook stayed");
    documented.run(SCALE, "").await?;
    ensure!(Upstream::replicas(cluster).await? == "1 1 1");
    documented.ensure_all_done()?;
    let upstream = Upstream::start(cluster).await?;
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
async fn in_shadow(ns: &Namespace, shadow: &Podfit, documented: &Documented) -> Result<()> {
    let verbs = documented
        .run("helm template podfit", "")
        .await?
        .replace(['[', ']', ','], " ");
    let mut verbs = verbs.split_whitespace();
    ensure!(verbs.all(|verb| ["verbs:", "list", "watch"].contains(&verb)));
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
    as_documented(shadow, &url, documented).await?;
    shadow.ensure_alive().await?;
    shadow.stop_all().await?;
    let writes = ns.cluster.podfits_writes()?;
    ensure!(writes.is_empty(), "written in shadow: {writes:?}");
    let mut refused = ns.cluster.podfits_requests()?;
    refused.retain(|request| request.role.is_none());
    ensure!(refused.is_empty(), "refused in shadow: {refused:?}");
    Ok(())
}

/// What the page says to look at. Simulated pods have no ports, so it is told where the programs are.
async fn as_documented(shadow: &Podfit, url: &str, documented: &Documented) -> Result<()> {
    let address = format!("--recommender-address {url}");
    let (code, said) = documented.ends("kubectl podfit diff -A", &address).await?;
    ensure!(
        code == 1 && said.contains("other"),
        "exit code {code}: {said}"
    );
    let plan = "kubectl podfit plan --take-over -A";
    documented.run(plan, &address).await?;
    let metrics = get(&shadow.program("updater")?.address, "/metrics").await?;
    let skipped = "kubectl get --raw $podfit/podfit-updater:metrics/proxy/metrics";
    documented.filter(skipped, &metrics).await.map(drop)
}

/// By the page: upstream's Deployments ask for no pods, no webhook of its is asked, and the release acts, with the flags that it
/// has had and with those of the page.
async fn changed_over(ns: &Namespace, documented: &Documented) -> Result<Podfit> {
    documented.run(SCALE, "").await?;
    ensure!(Upstream::replicas(&ns.cluster).await? == "0 0 0");
    let forget = "kubectl get mutatingwebhookconfigurations";
    documented.run(forget, "").await?;
    let left = registrations(&ns.cluster).await?;
    ensure!(left.is_empty(), "left behind: {left}");
    documented.run("helm upgrade podfit", "").await?;
    documented.run("helm show crds", "").await?;
    let status = "kubectl -n podfit rollout status deployment";
    documented.run(status, "").await?;
    let podfit = Podfit::installed(&ns.cluster).await?;
    for name in NAMES {
        let flags = &podfit.program(name)?.arguments;
        let has = |flag: &str| flags.iter().any(|f| f == flag);
        ensure!(
            !has("--shadow=true") && has("--profile=upstream"),
            "{flags:?}"
        );
    }
    let quick = &podfit.program("updater")?.arguments;
    ensure!(quick.contains(&"--updater-interval=2s".into()), "{quick:?}");
    Ok(podfit)
}

/// Upstream's pods take their time to end: while one of them has its lease, podfit sees it, and does nothing.
async fn too_early(ns: &Namespace, podfit: &Podfit, upstream: &mut Upstream) -> Result<()> {
    upstream.kill_recommender().await?;
    let versions = async || -> Result<Vec<Value>> {
        let mut versions = Vec::new();
        for name in ["web", "batch", "other"] {
            versions.push(ns.get(VPA, name).await?["metadata"]["resourceVersion"].clone());
        }
        Ok(versions)
    };
    let before = versions().await?;
    podfit.start_all().await?;
    stands_aside(podfit, UPDATERS_LEASE).await?;
    upstream.kill_updater().await?;
    let lease = ["-n", "kube-system", "delete", "lease", UPDATERS_LEASE];
    ns.cluster.kubectl(&lease, "").await?; // it would count for a minute
    stands_aside(podfit, "vpa-admission-controller").await?;
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
    Ok(())
}

/// All three name the lease by which they see that upstream runs.
async fn stands_aside(podfit: &Podfit, lease: &str) -> Result<()> {
    for name in NAMES {
        let address = &podfit.program(name)?.address;
        until(&format!("{name} sees {lease}"), secs(60), async || {
            let ready = get(address, "/readyz").await?;
            ensure!(
                ready.contains("another VPA is active: ") && ready.contains(lease),
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
    Ok(())
}

/// podfit goes on by itself once upstream's last program is gone.
async fn taken_over(
    ns: &Namespace,
    podfit: &Podfit,
    before: &Seen,
    documented: &Documented,
) -> Result<Seen> {
    let over = more_samples(ns, before, secs(300)).await?;
    over.ensure_follows(before, "podfit after upstream")?;
    podfit.loops("updater", 3).await?;
    podfit.ensure_alive().await?;
    let ready = get(&podfit.program("recommender")?.address, "/readyz").await?;
    let asked = "kubectl get --raw $podfit/podfit-recommender:metrics/proxy/readyz";
    let ready = documented.filter(asked, &ready).await?;
    ensure!(ready.trim() == "OK", "{ready}");
    let listed = documented.run("kubectl get vpa -A", "").await?;
    ensure!(listed.lines().count() == 4, "{listed}");
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

/// The names of all webhooks' registrations.
async fn registrations(cluster: &Cluster) -> Result<String> {
    let get = ["get", "mutatingwebhookconfigurations", "-o", "name"];
    cluster.kubectl(&get, "").await
}
