//! A cluster as it was before pods could be resized in place, without a metrics API, with the roles of an older podfit: podfit
//! waits for what it may not see, then works, evicts instead, and says so.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::Cluster;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::scrape;
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

use crate::doctor::check;
use crate::modes::uids;
use crate::opted_in::idle;

const CLUSTER: &str = "tests-old";

/// The role with what the updater may do to workloads.
const UPDATERS: &str = "podfit-updater-workloads";

/// The oldest that today's programs can be, without what was still to be switched off then.
const FLAGS: &str = "--emulated-version=1.33 --feature-gates=InPlacePodVerticalScaling=false";

pub async fn evicts_instead(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up_with_flags(CLUSTER, &["kwok"], FLAGS).await?);
    let without_goldilocks = json!({"optIn": {"goldilocksLabels": false}});
    let podfit = Podfit::prepare_with(&cluster, true, &without_goldilocks).await?;
    let rules = take_hpas_away(&cluster).await?;
    for name in ["recommender", "webhook", "updater"] {
        podfit.start(name).await?;
    }
    let ns = Namespace::create_new(&cluster, "team").await?;
    let outcome = on_old_cluster(&ns, &podfit, &rules).await;
    outcome.map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await?;
    Cluster::down(CLUSTER).await
}

/// As an older chart gave rights: the updater may neither see nor write HPAs. The rules of now.
async fn take_hpas_away(cluster: &Cluster) -> Result<Value> {
    let get = ["get", "clusterrole", UPDATERS, "-o", "json"];
    let role: Value = serde_json::from_str(&cluster.kubectl(&get, "").await?)?;
    let is_old = |rule: &&Value| rule["resources"] != json!(["horizontalpodautoscalers"]);
    let rules = role["rules"].as_array().context("no rules")?;
    let old: Vec<_> = rules.iter().filter(is_old).cloned().collect();
    ensure!(old.len() < rules.len(), "no rule about HPAs: {rules:#?}");
    set_rules(cluster, &old.into()).await?;
    Ok(role["rules"].clone())
}

async fn set_rules(cluster: &Cluster, rules: &Value) -> Result<()> {
    let change = json!([{"op": "replace", "path": "/rules", "value": rules}]).to_string();
    let patch = [
        "patch",
        "clusterrole",
        UPDATERS,
        "--type=json",
        "-p",
        &change,
    ];
    cluster.kubectl(&patch, "").await.map(drop)
}

async fn on_old_cluster(ns: &Namespace, podfit: &Podfit, rules: &Value) -> Result<()> {
    for name in ["recommender", "webhook"] {
        podfit.ready(name).await?;
    }
    let modes = [
        ("or-recreate", "InPlaceOrRecreate"),
        ("in-place", "InPlace"),
    ];
    let mut before = Vec::new();
    for (name, mode) in modes {
        let workload = Workload::deployment(name)
            .replicas(2)
            .requests("50m", "64Mi");
        ns.create(workload.manifest()).await?;
        let pods = until("two pods", secs(60), async || {
            ns.available_pods(name, 2).await
        })
        .await?;
        before.push(pods);
        ns.create(vpa(&workload, mode)).await?;
        recommend(ns, name, ["500m", "400Mi"], ["1m", "1Mi"]).await?;
    }
    waits_for_hpas(ns, podfit, &before).await?;
    set_rules(&ns.cluster, rules).await?;
    podfit.ready("updater").await?;
    let target = Amounts::parse("500m", "400Mi")?;
    until("pods are replaced at the target", secs(90), async || {
        for pod in ns.available_pods("or-recreate", 2).await? {
            ensure!(
                !uids(&before[0]).contains(&pod.uid()),
                "an old pod is there"
            );
            ensure!(pod.requests("app")? == target, "{:?}", pod.requests("app"));
        }
        Ok(())
    })
    .await?;
    for (name, _) in modes {
        until("an event says why", secs(30), async || {
            let events = ns.events(name).await?;
            ensure!(
                events
                    .iter()
                    .any(|event| event.starts_with("InPlaceResizeInfeasible: ")
                        && event.contains("this cluster cannot resize pods in place")),
                "events of {name}: {events:?}"
            );
            Ok(())
        })
        .await?;
    }
    let after = ns.available_pods("in-place", 2).await?;
    ensure!(uids(&before[1]) == uids(&after), "mode InPlace: a pod went");

    let (well, said) = podfit.kubectl_podfit(&["doctor", "-o", "json"]).await?;
    let said: Value = serde_json::from_str(&said).context(said)?;
    ensure!(!well, "well without a metrics API: {said}");
    for (what, verdict) in [("in-place resize", "WARN"), ("metrics API", "FAIL")] {
        let check = check(&said, what)?;
        ensure!(check["verdict"] == verdict, "{check}");
    }
    goldilocks_labels_mean_nothing(ns).await
}

/// Pods of two VPAs are due, and none is touched by an updater that does not know the HPAs. It says so in its log, does not
/// become ready, and doctor names the right.
async fn waits_for_hpas(ns: &Namespace, podfit: &Podfit, before: &[Vec<Pod>]) -> Result<()> {
    let updater = podfit.program("updater")?;
    let words =
        "HorizontalPodAutoscalers cannot be listed: no pod is resized or evicted until they are";
    until("the updater says what it waits for", secs(60), async || {
        ensure!(updater.log().contains(words), "{}", updater.log());
        Ok(())
    })
    .await?;
    let untouched = async || {
        let Err(unready) = scrape::get(&updater.address, "/readyz").await else {
            bail!("the updater is ready");
        };
        let unready = format!("{unready:#}");
        ensure!(
            unready.contains(words),
            "/readyz does not say why: {unready}"
        );
        for (name, before) in [("or-recreate", &before[0]), ("in-place", &before[1])] {
            let pods = ns.available_pods(name, 2).await?;
            ensure!(uids(before) == uids(&pods), "pods of {name} were replaced");
        }
        Ok(())
    };
    holds("nothing is done on a guess", secs(8), untouched).await?;
    let (_, said) = podfit.kubectl_podfit(&["doctor", "-o", "json"]).await?;
    let said: Value = serde_json::from_str(&said).context(said)?;
    let rights = check(&said, "updater's rights")?;
    let finding = rights["finding"].as_str().unwrap_or_default();
    let words = "without HPAs it resizes and evicts nothing in profile safe";
    ensure!(
        rights["verdict"] == "FAIL" && finding.contains(words),
        "{rights}"
    );
    untouched().await
}

/// Labels of Goldilocks' are not followed where the flag is not set; podfit's own are.
async fn goldilocks_labels_mean_nothing(ns: &Namespace) -> Result<()> {
    const GOLDILOCKS: &str = "goldilocks.fairwinds.com/enabled";
    let label = format!("{GOLDILOCKS}=true");
    let label = ["label", "namespace", ns.name.as_str(), label.as_str()];
    ns.cluster.kubectl(&label, "").await?;
    ns.create(idle("theirs", &json!({GOLDILOCKS: "true"})))
        .await?;
    ns.create(idle("ours", &json!({"podfit.dev/autosize": "off"})))
        .await?;
    until("a VPA for podfit's label", secs(30), async || {
        ns.get(VPA, "ours").await
    })
    .await?;
    let theirs = ns.get(VPA, "theirs").await;
    ensure!(theirs.is_err(), "made: {theirs:?}");
    Ok(())
}
