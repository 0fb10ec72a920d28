//! A cluster as it was before pods could be resized in place, without a metrics API: podfit works, evicts instead, says so.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::Cluster;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::wait::{secs, until};
use serde_json::Value;

use crate::doctor::check;
use crate::modes::uids;

const CLUSTER: &str = "tests-old";

/// The oldest that today's programs can be, without what was still to be switched off then.
const FLAGS: &str = "--emulated-version=1.33 --feature-gates=InPlacePodVerticalScaling=false";

pub async fn evicts_instead(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up_with_flags(CLUSTER, &["kwok"], FLAGS).await?);
    let podfit = Podfit::prepare(&cluster, true).await?;
    podfit.start_all().await?;
    let ns = Namespace::create_new(&cluster, "team").await?;
    let outcome = on_old_cluster(&ns, &podfit).await;
    outcome.map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await?;
    Cluster::down(CLUSTER).await
}

async fn on_old_cluster(ns: &Namespace, podfit: &Podfit) -> Result<()> {
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
    Ok(())
}
