//! Bad objects and bad requests get a clear answer, and everything else goes on.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use kube::Client;
use podfit_tests::amounts::Amounts;
use podfit_tests::chart::NAMESPACE;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::scrape::{post, tls_client};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{ensure_as_written, uids, under_asked, usage};

/// A VPA whose recommendation was written by a fool, targets that are not there, a pod without an owner, usage and requests
/// beyond all bounds: a good workload in the same namespace gets its recommendation all the same, and nobody is hurt.
pub async fn objects(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let fool = absurd_recommendation(&ns).await?;
    refused_or_harmless(&ns).await?;
    ns.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "none"}]},
    }))
    .await?;
    let huge = Workload::deployment("huge").simulated_usage("100000", "7Ei");
    ns.create(huge.manifest()).await?;
    ns.create(huge.vpa("Off")).await?;
    let absurd = Workload::deployment("absurd").requests("1000000000", "7Ei");
    ns.create(absurd.manifest()).await?;
    ns.create(absurd.vpa("Recreate")).await?;
    let web = under_asked();
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Off")).await?;

    let target = until(
        "the good workload's recommendation",
        secs(120),
        async || ns.recommended("web", "target").await,
    )
    .await?;
    target.ensure_between(1.0, 1.5, usage()?)?;
    podfit.loops("updater", 2).await?;
    podfit.ensure_alive().await?;

    let orphan = ns.get("Pod", "orphan").await?;
    ensure!(
        orphan["metadata"]["annotations"]["vpaUpdates"].is_null(),
        "the orphan was sized: {orphan}"
    );
    ns.scale("fool", 3).await?;
    let pods = until("a pod under the fool's VPA starts", secs(30), async || {
        ns.available_pods("fool", 3).await
    })
    .await?;
    ensure!(
        fool.iter().all(|uid| uids(&pods).contains(&uid.as_str())),
        "pods were evicted for an absurd recommendation"
    );
    pods.iter().try_for_each(ensure_as_written)
}

/// Two pods under a VPA in mode `Recreate` whose published recommendation is nonsense; their uids.
async fn absurd_recommendation(ns: &Namespace) -> Result<Vec<String>> {
    let fool = Workload::deployment("fool")
        .replicas(2)
        .requests("50m", "64Mi")
        .limits("100m", "128Mi");
    ns.create(fool.manifest()).await?;
    let before = until("two pods", secs(30), async || {
        ns.available_pods("fool", 2).await
    })
    .await?;
    let mut vpa = fool.vpa("Recreate");
    vpa["spec"]["recommenders"] = json!([{"name": "this-test"}]);
    ns.create(vpa).await?;
    let amount = json!({"cpu": "-5", "memory": "-1Gi"});
    let recommendation = json!({"containerRecommendations": [{
        "containerName": "app", "target": amount, "lowerBound": amount, "upperBound": amount,
    }]});
    ns.merge_status(VPA, "fool", json!({"recommendation": recommendation}))
        .await?;
    Ok(before.iter().map(|p| p.uid().to_owned()).collect())
}

/// VPAs that make no sense: each is refused with words that name the field, or does no harm.
async fn refused_or_harmless(ns: &Namespace) -> Result<()> {
    let changes = [
        ("targetRef", json!({"targetRef": null})),
        (
            "maxAllowed",
            json!({"resourcePolicy": {"containerPolicies": [
                {"containerName": "app", "minAllowed": {"cpu": "2"}, "maxAllowed": {"cpu": "1"}}
            ]}}),
        ),
        (
            "updateMode",
            json!({"updatePolicy": {"updateMode": "Sometimes"}}),
        ),
    ];
    for (number, (field, change)) in changes.into_iter().enumerate() {
        let mut vpa = Workload::deployment("web").vpa("Off");
        vpa["metadata"]["name"] = format!("bad-{number}").into();
        for (key, value) in change.as_object().into_iter().flatten() {
            vpa["spec"][key] = value.clone();
        }
        let refused = ns.create(vpa).await.err();
        let words = format!("{:#}", refused.context("a bad VPA was taken")?);
        ensure!(words.contains(field), "{field} is not named: {words}");
    }
    let harmless = [
        (
            "absurd-bounds",
            json!({"resourcePolicy": {"containerPolicies": [
                {"containerName": "*", "maxAllowed": {"cpu": "9223372036854775807", "memory": "9223372036854775807Ei"}}
            ]}}),
        ),
        (
            "no-such-kind",
            json!({"targetRef": {"apiVersion": "example.com/v1", "kind": "Nonsense", "name": "x"}}),
        ),
        (
            "no-such-object",
            json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nowhere"}}),
        ),
    ];
    for (name, change) in harmless {
        let mut vpa = Workload::deployment("elsewhere").vpa("Recreate");
        vpa["metadata"]["name"] = name.into();
        for (key, value) in change.as_object().into_iter().flatten() {
            vpa["spec"][key] = value.clone();
        }
        ns.create(vpa).await?;
    }
    Ok(())
}

/// Requests to the webhook that no API server would send: each gets the answer it deserves, and the next good one its own.
pub async fn requests(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let webhook = webhook_client(&ns, &podfit).await?;
    let json_type = "application/json";
    let no_request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
    let cases = [
        (
            415,
            "application/json",
            "text/plain",
            review(&pods(), &json!({})).to_string(),
        ),
        (400, "no request", json_type, no_request.to_string()),
        (400, "not an AdmissionReview", json_type, "{".to_owned()),
        (400, "not an AdmissionReview", json_type, String::new()),
        (413, "too large", json_type, " ".repeat(6 << 20)),
    ];
    for (status, words, content_type, body) in cases {
        let about = body.get(..60).unwrap_or(&body).trim().to_owned();
        let answer = post(&webhook, content_type, body.into_bytes()).await;
        let (code, text) = answer.with_context(|| format!("expected {status} for {about}"))?;
        ensure!(
            code == status && text.contains(words),
            "{code} {text} for {about}"
        );
        ensure_sane(&webhook).await?;
    }
    // Objects that are no pods: let through as they are, since the webhook must never be in a pod's way.
    for object in [
        json!(null),
        json!([]),
        json!({"spec": 5}),
        json!({"spec": {"containers": [null, {}]}}),
    ] {
        let answer = ask(&webhook, &review(&pods(), &object)).await?;
        ensure!(
            answer["allowed"] == true && answer["patch"].is_null(),
            "{answer} for {object}"
        );
    }
    let mut vpa = Workload::deployment("web").vpa("Off");
    vpa["spec"]["targetRef"] = json!(null);
    let vpas = json!({"group": "autoscaling.k8s.io", "version": "v1", "resource": "verticalpodautoscalers"});
    let answer = ask(&webhook, &review(&vpas, &vpa)).await?;
    let words = answer["status"]["message"].as_str().unwrap_or_default();
    ensure!(
        answer["allowed"] == false && words.contains("targetRef"),
        "{answer}"
    );
    podfit.ensure_alive().await?;
    a_pod_is_sized(&ns).await
}

/// A good question about an object that no VPA is for.
async fn ensure_sane(webhook: &Client) -> Result<()> {
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": []}});
    let answer = ask(webhook, &review(&pods(), &pod)).await?;
    ensure!(answer["allowed"] == true, "{answer}");
    Ok(())
}

/// The webhook does its work for the API server.
async fn a_pod_is_sized(ns: &Namespace) -> Result<()> {
    let web = under_asked();
    let mut vpa = web.vpa("Initial");
    vpa["spec"]["recommenders"] = json!([{"name": "this-test"}]);
    ns.create(vpa).await?;
    let amount = json!({"cpu": "300m", "memory": "200Mi"});
    let recommendation =
        json!({"containerRecommendations": [{"containerName": "app", "target": amount}]});
    ns.merge_status(VPA, "web", json!({"recommendation": recommendation}))
        .await?;
    ns.create(web.manifest()).await?;
    let expected = Amounts::parse("300m", "200Mi")?;
    // The webhook learns of the recommendation by its watch: pods made before that come as they are, and are deleted here.
    until("pods of the recommended size", secs(30), async || {
        for pod in ns.available_pods("web", 2).await? {
            if pod.requests("app")? != expected {
                ns.delete("Pod", pod.name()).await?;
                anyhow::bail!("{} requests {:?}", pod.name(), pod.requests("app")?);
            }
        }
        Ok(())
    })
    .await
}

fn pods() -> Value {
    json!({"group": "", "version": "v1", "resource": "pods"})
}

fn review(resource: &Value, object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "5a2e", "operation": "CREATE", "namespace": "default", "name": "x",
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": resource, "object": object,
        },
    })
}

/// The `response` to a review, which must echo the uid.
async fn ask(webhook: &Client, review: &Value) -> Result<Value> {
    let (code, text) = post(webhook, "application/json", review.to_string().into_bytes()).await?;
    ensure!(code == 200, "{code} {text} for {review}");
    let answer: Value = serde_json::from_str(&text)?;
    ensure!(answer["response"]["uid"] == "5a2e", "{text}");
    Ok(answer["response"].clone())
}

/// A client that trusts the authority which the webhook stored, as the API server does.
async fn webhook_client(ns: &Namespace, podfit: &Podfit) -> Result<Client> {
    let flag = |name: &str| {
        let prefix = format!("--{name}=");
        let arguments = &podfit.program("webhook")?.arguments;
        let value = arguments
            .iter()
            .rev()
            .find_map(|a| a.strip_prefix(&prefix))
            .with_context(|| format!("the chart gives no {prefix}"))?;
        Ok::<_, anyhow::Error>(value.to_owned())
    };
    let home = Namespace {
        name: NAMESPACE.into(),
        cluster: Arc::clone(&ns.cluster),
    };
    let secret = home.get("Secret", &flag("certificate-secret")?).await?;
    let authority = secret["data"]["ca.crt"]
        .as_str()
        .context("no ca.crt in the Secret")?;
    let authority = base64::engine::general_purpose::STANDARD.decode(authority)?;
    let address = format!("{}:{}", flag("bind-address")?, flag("port")?);
    let name = format!("{}.{NAMESPACE}.svc", flag("webhook-service")?);
    tls_client(&address, &name, &authority)
}
