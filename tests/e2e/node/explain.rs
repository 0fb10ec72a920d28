//! Why a recommendation is what it is, asked as an operator would.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::wait::{secs, until};
use serde_json::Value;

use crate::installation::Installation;

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
