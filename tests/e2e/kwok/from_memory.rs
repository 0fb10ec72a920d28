//! The webhook answers from memory, and goes on answering while it is told to end.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::audit::Request;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::recommended::{recommend, vpa};
use podfit_tests::scrape::get;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

/// Many more than what the webhook asks by itself in the time that they take.
const PODS: usize = 100;

/// What the webhook asks of itself, beside its watches: its certificates, its registration, its sign of life, other VPAs.
const OWN: [&str; 7] = [
    "get secrets",
    "update secrets",
    "get mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "patch mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "get leases.coordination.k8s.io",
    "update leases.coordination.k8s.io",
    "list leases.coordination.k8s.io",
];

/// Pods of ReplicaSets that no cache knows are sized, and the API server was asked nothing for that.
pub async fn answers(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    sized_workload(&ns).await?;
    let before = webhooks_requests(&ns)?.len();
    for number in 0..PODS {
        ensure_sized(&ns.create(pod(number)).await?)?;
    }
    let created = webhooks_requests(&ns)?.len();
    // What came with the pods is written down by the time that it renews its sign of life again.
    let asked = until("a renewal after the pods", secs(20), async || {
        let mut asked = webhooks_requests(&ns)?;
        let renewed = asked.iter().skip(created).any(is_renewal);
        ensure!(renewed, "none of {} requests", asked.len());
        Ok(asked.split_off(before))
    })
    .await?;
    let mut by_kind = std::collections::BTreeMap::<_, usize>::new();
    for request in asked.iter().filter(|request| request.verb != "watch") {
        let what = format!("{} {}", request.verb, request.resource);
        ensure!(
            OWN.contains(&what.as_str()) || request.role.is_none(),
            "{request:?} while pods were created"
        );
        *by_kind.entry(what).or_default() += 1;
    }
    let own = format!("{}/", ns.name);
    let about_pods = asked.iter().find(|r| r.object.starts_with(&own));
    ensure!(about_pods.is_none(), "{about_pods:?}");
    ensure!(
        by_kind.values().all(|count| *count < PODS / 2),
        "as often as for each other pod: {by_kind:?}"
    );
    podfit.ensure_alive().await
}

/// SIGTERM, as in a roll-out: unready at once, and each pod of the time until its endpoint is gone is sized. Those after
/// that start as they are.
pub async fn drains(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    sized_workload(&ns).await?;
    let address = podfit.program("webhook")?.address.clone();
    podfit.signal("webhook", "TERM").await?;
    until("the webhook is unready", secs(5), async || {
        let ready = get(&address, "/readyz").await;
        ensure!(ready.is_err(), "it is ready");
        get(&address, "/healthz").await
    })
    .await?;
    let outcome = async {
        for number in 0..10 {
            ensure_sized(&ns.create(pod(number)).await?).context("while it drains")?;
        }
        get(&address, "/healthz")
            .await
            .context("it ended before the last pod: these prove nothing")
    };
    let outcome = outcome.await;
    podfit.stop("webhook").await?;
    podfit.start("webhook").await?;
    podfit.ready("webhook").await?;
    outcome.map(drop)
}

async fn sized_workload(ns: &Namespace) -> Result<()> {
    let web = Workload::deployment("web").replicas(0);
    ns.create(web.manifest()).await?;
    ns.create(vpa(&web, "Initial")).await?;
    recommend(ns, "web", ["500m", "400Mi"], ["1m", "1Mi"]).await
}

fn webhooks_requests(ns: &Namespace) -> Result<Vec<Request>> {
    let mut requests = ns.cluster.podfits_requests()?;
    requests.retain(|request| request.account == "podfit-webhook");
    Ok(requests)
}

fn is_renewal(request: &Request) -> bool {
    request.verb == "update" && request.resource == "leases.coordination.k8s.io"
}

/// A pod of `web`, by a ReplicaSet that does not exist.
fn pod(number: usize) -> Value {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("web-hash{number}"),
        "uid": "none", "controller": true,
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-hash{number}-x"), "ownerReferences": [owner],
            "labels": {"pod-template-hash": format!("hash{number}")},
        },
        "spec": {
            "schedulerName": "none",
            "containers": [{"name": "app", "image": "none", "resources": {"requests": {"cpu": "10m"}}}],
        },
    })
}

fn ensure_sized(made: &Value) -> Result<()> {
    let requests = &made["spec"]["containers"][0]["resources"]["requests"];
    ensure!(
        *requests == json!({"cpu": "500m", "memory": "400Mi"}),
        "{made}"
    );
    Ok(())
}
