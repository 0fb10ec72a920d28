//! Pods created through the real API server, which asks the webhook.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use podfit_tests::bench::fixture::{namespace, pod};
use podfit_tests::cluster::Cluster;
use podfit_tests::scrape::Metrics;
use podfit_tests::wait::{secs, until};
use serde::Serialize;
use serde_json::{Value, json};

/// Pods created.
const PODS: usize = 500;

/// By so many clients at once.
const CLIENTS: usize = 8;

/// What webhooks write into the pods they size.
const MARK: &str = "vpaUpdates";

const DURATION: &str = "apiserver_admission_webhook_admission_duration_seconds";

/// What pods waited.
#[derive(Clone, Debug, Serialize)]
pub struct Creation {
    /// Pods a second.
    pub rate: f64,
    /// Milliseconds that the API server waited for the webhook, on average; 0 without one.
    pub mean: f64,
    /// The same for 99 of 100 pods, by Prometheus' rule between the buckets.
    pub p99: f64,
}

/// Creates pods of workloads spread over `vpas`; `url` is the webhook's, or there is none. `who` names it in the metrics.
pub async fn creation(
    cluster: &Cluster,
    who: &str,
    url: Option<&str>,
    vpas: usize,
) -> Result<Creation> {
    let pods = format!("/api/v1/namespaces/{}/pods", namespace(0, 1));
    if let Some(url) = url {
        register(cluster, who, url).await?;
        let dry = pod(0, &format!("{who}-dry"));
        until("the API server asks the webhook", secs(30), async || {
            let request = create(&format!("{pods}?dryRun=All"), &dry)?;
            let made: Value = cluster.client.request(request).await?;
            ensure!(
                made["metadata"]["annotations"][MARK].is_string(),
                "no {MARK} in {}",
                made["metadata"]
            );
            Ok(())
        })
        .await?;
    }
    let requests: Vec<_> = (0..PODS)
        .map(|n| {
            create(
                &pods,
                &pod(n * (vpas / PODS).max(1) % vpas, &format!("{who}-{n}")),
            )
        })
        .collect::<Result<_>>()?;
    let before = metrics(cluster).await?;
    let started = Instant::now();
    let made = stream::iter(requests).map(|request| cluster.client.request_text(request));
    made.buffer_unordered(CLIENTS)
        .try_collect::<Vec<_>>()
        .await
        .context("a pod was not created")?;
    let rate = PODS as f64 / started.elapsed().as_secs_f64();
    let after = metrics(cluster).await?;
    if url.is_some() {
        let path =
            format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{who}");
        cluster
            .client
            .request_text(Request::delete(path).body(Vec::new())?)
            .await?;
    }
    Ok(figures(rate, who, &before, &after))
}

async fn register(cluster: &Cluster, who: &str, url: &str) -> Result<()> {
    let authority = std::fs::read(cluster.pki().join("ca.crt"))?;
    let bundle = base64::engine::general_purpose::STANDARD.encode(authority);
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": who},
        "webhooks": [{
            "name": name(who), "clientConfig": {"url": url, "caBundle": bundle}, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 5, "failurePolicy": "Fail",
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    cluster
        .client
        .request_text(create(path, &configuration)?)
        .await?;
    Ok(())
}

/// Creates an object in the collection at `path`.
fn create(path: &str, object: &Value) -> Result<Request<Vec<u8>>> {
    let request = Request::post(path).header("content-type", "application/json");
    Ok(request.body(object.to_string().into_bytes())?)
}

fn name(who: &str) -> String {
    format!("{who}.bench.podfit.dev")
}

async fn metrics(cluster: &Cluster) -> Result<Metrics> {
    let request = Request::get("/metrics").body(Vec::new())?;
    Ok(Metrics::parse(cluster.client.request_text(request).await?))
}

fn figures(rate: f64, who: &str, before: &Metrics, after: &Metrics) -> Creation {
    let webhook = name(who);
    let more = |suffix: &str, bound: &[(&str, &str)]| {
        let labels = [&[("name", webhook.as_str())], bound].concat();
        after.sum(&format!("{DURATION}{suffix}"), &labels)
            - before.sum(&format!("{DURATION}{suffix}"), &labels)
    };
    let count = more("_count", &[]);
    let mean = if count > 0.0 {
        more("_sum", &[]) / count * 1e3
    } else {
        0.0
    };
    let bounds = after.values(&format!("{DURATION}_bucket"), "le");
    let mut buckets: Vec<_> = bounds
        .iter()
        .filter_map(|le| Some((le.parse::<f64>().ok()?, more("_bucket", &[("le", le)]))))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    Creation {
        rate,
        mean,
        p99: quantile(0.99, &buckets) * 1e3,
    }
}

/// Prometheus' `histogram_quantile`: even within a bucket; the last finite bound when it lies beyond.
fn quantile(fraction: f64, buckets: &[(f64, f64)]) -> f64 {
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    let rank = fraction * total;
    let mut lower = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank && count > lower.1 {
            if bound.is_infinite() {
                return lower.0;
            }
            return lower.0 + (bound - lower.0) * (rank - lower.1) / (count - lower.1);
        }
        lower = (bound, count);
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quantile, the buckets' bounds and counts, and what is to come out.
    type Row<'a> = (f64, &'a [(f64, f64)], f64);

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let infinite = f64::INFINITY;
        let cases: [Row<'_>; 4] = [
            (
                0.99,
                &[(0.005, 90.0), (0.025, 100.0), (infinite, 100.0)],
                0.023,
            ),
            (
                0.45,
                &[(0.005, 90.0), (0.025, 100.0), (infinite, 100.0)],
                0.0025,
            ),
            (0.99, &[(0.005, 0.0), (infinite, 7.0)], 0.005),
            (0.99, &[], 0.0),
        ];
        for (fraction, buckets, expected) in cases {
            assert!(
                (quantile(fraction, buckets) - expected).abs() < 1e-12,
                "{buckets:?}"
            );
        }
    }
}
