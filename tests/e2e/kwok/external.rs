//! Usage from external.metrics.k8s.io, through the API server's aggregator.

use std::sync::Arc;

use anyhow::{Result, ensure};
use http::Uri;
use jiff::Timestamp;
use podfit_tests::aggregated;
use podfit_tests::amounts::Amounts;
use podfit_tests::chart::NAMESPACE;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

const ROOT: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/";

/// The last number of the Service's address.
const ADDRESS: u8 = 14;

/// Of two workloads the vendor measures one: that one is sized by its values, not by what metrics-server says, and the
/// trouble with the other one is told once.
pub async fn metrics(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let of = ns.name.clone();
    let resources = json!([
        {"name": "*", "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]},
    ]);
    let answer = move |uri: &Uri| values(uri, &of);
    aggregated::serve(
        &ns.cluster,
        ("external.metrics.k8s.io", resources),
        ADDRESS,
        answer,
    )
    .await?;
    ns.create(right()).await?;
    ns.create(binding()).await?;
    for name in ["measured", "unknown"] {
        let workload = Workload::deployment(name).simulated_usage("10m", "50Mi");
        let mut vpa = workload.vpa("Off");
        vpa["spec"]["recommenders"] = json!([{ "name": "external" }]);
        ns.create(workload.manifest()).await?;
        ns.create(vpa).await?;
    }
    let mut recommender = podfit.own_recommender("external", &ns.name)?;
    recommender.arguments.extend([
        "--use-external-metrics".into(),
        "--external-metrics-cpu-metric=cores".into(),
        "--external-metrics-memory-metric=working_set".into(),
        "--container-name-label=c".into(),
    ]);
    let mut process = recommender.start()?;
    // 0.5 cores and 800 MiB, the safety margin of 15 %, and the bucket's end.
    until("the vendor's values count", secs(90), async || {
        process.ensure_alive()?;
        let target = ns.recommended("measured", "target").await?;
        target.ensure_between(1.15, 1.25, Amounts::parse("500m", "800Mi")?)
    })
    .await?;
    until("the other's trouble is told", secs(60), async || {
        process.ensure_alive()?;
        let log = recommender.log();
        let told = log
            .lines()
            .filter(|line| line.contains("/unknown") && line.contains("external metrics"));
        let told = told.count();
        ensure!(told == 1, "told {told} times");
        ensure!(
            ns.recommended("unknown", "target").await.is_err(),
            "recommended without any usage"
        );
        Ok(())
    })
    .await?;
    process.stop().await
}

/// The right that the chart gives with `externalMetrics.enabled`, in this namespace only.
fn right() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "external"},
        "rules": [{"apiGroups": ["external.metrics.k8s.io"], "resources": ["cores", "working_set"], "verbs": ["list"]}],
    })
}

fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "external"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "external"},
        "subjects": [{"kind": "ServiceAccount", "name": "podfit-recommender", "namespace": NAMESPACE}],
    })
}

/// What the vendor says of the pods of `measured`; of others it knows no such metric.
fn values(uri: &Uri, namespace: &str) -> Option<String> {
    let metric = uri
        .path()
        .strip_prefix(ROOT)?
        .strip_prefix(namespace)?
        .strip_prefix('/')?;
    let value = match metric {
        "cores" => "500m",
        "working_set" => "800Mi",
        _ => return None,
    };
    uri.query()?.contains("measured").then(|| {
        let item = |container: &str, value: &str| -> Value {
            json!({
                "metricName": metric, "metricLabels": {"c": container},
                "timestamp": Timestamp::now().to_string(), "value": value,
            })
        };
        json!({
            "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
            "items": [item("app", value), item("app-that-is-not-there", "9")],
        })
        .to_string()
    })
}
