//! Why a recommendation is what it is, asked as an operator would.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::installation::Installation;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::kubectl_podfit;
use podfit_tests::wait::{secs, until};
use serde_json::Value;

/// Through the API server's proxy to the chart's Service: nobody needs a way into the cluster's network, and RBAC decides.
pub async fn through_its_service(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let web = Workload::deployment("web")
        .requests("20m", "32Mi")
        .really_using(&["--cpu", "0.05", "--memory", "40Mi"]);
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Off")).await?;
    until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    let service = format!("/api/v1/namespaces/{NAMESPACE}/services/podfit-recommender:metrics");
    let path = |vpa: &str| format!("{service}/proxy/explain/{}/{vpa}", ns.name);
    let text = ns
        .cluster
        .kubectl(&["get", "--raw", &path("web")], "")
        .await?;
    let explained: Value = serde_json::from_str(&text)?;
    let app = &explained["containers"][0];
    let steps = &app["resources"]["memory"]["target"]["steps"];
    ensure!(
        app["name"] == "app" && steps.as_array().is_some_and(|steps| !steps.is_empty()),
        "{text}"
    );
    let unknown = ns
        .cluster
        .kubectl(&["get", "--raw", &path("none")], "")
        .await;
    let error = unknown.err().context("an unknown VPA is explained")?;
    ensure!(format!("{error:#}").contains("NotFound"), "{error:#}");
    Ok(())
}

/// `kubectl podfit` finds the chart's pods by itself, and asks them through the API server's proxy: recommender, updater and webhook.
pub async fn at_a_terminal(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let web = Workload::deployment("web")
        .requests("20m", "32Mi")
        .really_using(&["--cpu", "0.05", "--memory", "40Mi"]);
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Initial")).await?;
    until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;

    let explained = asked(&ns, &["explain", "deployment/web", "-n", &ns.name]).await?;
    let explained = &explained[0];
    ensure!(told_by_pod(&explained["source"]), "{explained}");
    let app = &explained["explanation"]["containers"][0];
    ensure!(app["samples"].as_i64() > Some(0), "{explained}");

    // What it published itself a moment ago.
    let compared = asked(&ns, &["diff", "web", "-n", &ns.name]).await?;
    ensure!(told_by_pod(&compared["sources"][0]), "{compared}");
    ensure!(compared["same"] == 2, "{compared}");

    let plan = asked(&ns, &["plan", "--take-over", "-n", &ns.name]).await?;
    let remarks = plan["remarks"].as_array().context("no remarks")?;
    let [told] = remarks.as_slice() else {
        bail!("the updater's flags are not known: {plan}");
    };
    let told = told.as_str().unwrap_or_default();
    ensure!(
        told.contains("told by recommender pod podfit-recommender-"),
        "{plan}"
    );

    let doctor = until("all well", secs(60), async || {
        let doctor = asked(&ns, &["doctor", "-n", &ns.name]).await?;
        for what in WELL {
            let checks = doctor["checks"].as_array().context("no checks")?;
            let check = checks.iter().find(|check| check["check"] == what);
            let check = check.with_context(|| format!("no check {what}"))?;
            ensure!(check["verdict"] == "OK", "{check}");
        }
        Ok(doctor)
    })
    .await;
    doctor.map(drop)
}

/// What only an installation by the chart has.
const WELL: [&str; 10] = [
    "recommender",
    "updater",
    "webhook",
    "recommender's lease",
    "updater's lease",
    "webhook's sign of life",
    "webhook's Service",
    "new pods are sized",
    "webhook's certificate",
    "recommender's rights",
];

fn told_by_pod(source: &Value) -> bool {
    let source = source.as_str().unwrap_or_default();
    source.starts_with("recommender pod podfit-recommender-")
}

async fn asked(ns: &Namespace, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["-o", "json"]].concat();
    let (status, text) = kubectl_podfit(&ns.cluster, &arguments).await?;
    ensure!(status.success(), "{text}");
    serde_json::from_str(&text).with_context(|| text.clone())
}
