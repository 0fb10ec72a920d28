//! Labels ask for VPAs: they come, follow, and go, and what somebody else has made or changed stays.

pub mod foreign_kinds;
pub mod goldilocks;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use kube::ResourceExt;
use kube::api::ListParams;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::suite::figure;
use podfit_tests::wait::{holds, secs, until};
use serde_json::{Value, json};

/// Who takes care of an object.
const MANAGED: &str = "app.kubernetes.io/managed-by";

/// A Deployment without pods: nothing but its VPA matters.
pub fn idle(name: &str, labels: &Value) -> Value {
    let mut manifest = Workload::deployment(name).replicas(0).manifest();
    manifest["metadata"]["labels"] = labels.clone();
    manifest
}

async fn label(ns: &Namespace, kind: &str, name: &str, labels: Value) -> Result<()> {
    ns.merge(kind, name, json!({"metadata": {"labels": labels}}))
        .await
}

async fn label_namespace(ns: &Namespace, labels: &[&str]) -> Result<()> {
    let what = ["label", "namespace", &ns.name, "--overwrite"];
    ns.cluster
        .kubectl(&[&what, labels].concat(), "")
        .await
        .map(drop)
}

/// The VPA once `wanted` holds for it.
async fn vpa(ns: &Namespace, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    until(&format!("VPA {name} as wanted"), secs(30), async || {
        let vpa = ns.get(VPA, name).await?;
        ensure!(wanted(&vpa), "{}", without_fields(vpa.clone()));
        Ok(vpa)
    })
    .await
}

fn without_fields(mut vpa: Value) -> Value {
    vpa["metadata"]["managedFields"].take();
    vpa
}

fn mode(vpa: &Value) -> &str {
    vpa["spec"]["updatePolicy"]["updateMode"]
        .as_str()
        .unwrap_or_default()
}

async fn gone(ns: &Namespace, name: &str) -> Result<()> {
    until(&format!("VPA {name} is gone"), secs(30), async || {
        ensure!(ns.get(VPA, name).await.is_err(), "it is there");
        Ok(())
    })
    .await
}

async fn told(ns: &Namespace, about: &str, words: &str) -> Result<()> {
    until(&format!("an event says {words}"), secs(30), async || {
        let events = ns.events(about).await?;
        ensure!(events.iter().any(|e| e.contains(words)), "{events:?}");
        Ok(())
    })
    .await
}

/// From the first label to none, with somebody's hands in it.
pub async fn followed(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let labels = json!({"podfit.dev/autosize": "off", "podfit.dev/profile": "serving"});
    let deployment = ns.create(idle("web", &labels)).await?;
    let made = vpa(&ns, "web", |vpa| mode(vpa) == "Off").await?;
    let owner = &made["metadata"]["ownerReferences"][0];
    ensure!(owner["uid"] == deployment["metadata"]["uid"], "{owner}");
    ensure!(made["metadata"]["labels"][MANAGED] == "podfit", "{made}");
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    ensure!(made["spec"]["targetRef"] == target, "{made}");
    ensure!(made["spec"]["updatePolicy"]["minReplicas"] == 2, "{made}");
    let annotations = &made["metadata"]["annotations"];
    ensure!(
        annotations["podfit.dev/limits"] == "cpu=none",
        "{annotations}"
    );

    label(
        &ns,
        "Deployment",
        "web",
        json!({"podfit.dev/autosize": "in-place"}),
    )
    .await?;
    vpa(&ns, "web", |vpa| mode(vpa) == "InPlaceOrRecreate").await?;
    label(
        &ns,
        "Deployment",
        "web",
        json!({"podfit.dev/profile": "training"}),
    )
    .await?;
    let training = vpa(&ns, "web", |vpa| mode(vpa) == "InPlace").await?;
    let policy = &training["spec"]["updatePolicy"];
    ensure!(
        policy["minReplicas"].is_null(),
        "what the profile does not set stays: {policy}"
    );
    ensure!(
        policy["evictionRequirements"][0]["resources"] == json!(["memory"]),
        "{policy}"
    );
    ensure!(
        training["metadata"]["annotations"]["podfit.dev/limits"].is_null(),
        "{training}"
    );

    edited(&ns).await?;
    label(
        &ns,
        "Deployment",
        "web",
        json!({"podfit.dev/autosize": null}),
    )
    .await?;
    gone(&ns, "web").await
}

/// A field that somebody sets is his, until the VPA is deleted.
async fn edited(ns: &Namespace) -> Result<()> {
    let by_hand = json!({"spec": {"updatePolicy": {"updateMode": "Initial"}}});
    ns.merge(VPA, "web", by_hand).await?;
    let labels = json!({"podfit.dev/autosize": "recreate", "podfit.dev/profile": "batch"});
    label(ns, "Deployment", "web", labels).await?;
    let changed = vpa(ns, "web", |vpa| {
        vpa["metadata"]["annotations"]["podfit.dev/cpu-percentile"] == "0.75"
    })
    .await?;
    ensure!(
        mode(&changed) == "Initial",
        "the hand-edited mode was overwritten: {changed}"
    );
    told(
        ns,
        "web",
        "FieldsKept: changed as its labels ask, but for .spec.updatePolicy.updateMode",
    )
    .await?;
    holds("nothing is written any more", secs(5), async || {
        let now = ns.get(VPA, "web").await?;
        ensure!(
            now["metadata"]["generation"] == changed["metadata"]["generation"],
            "{now}"
        );
        Ok(())
    })
    .await?;
    ns.delete(VPA, "web").await?;
    vpa(ns, "web", |vpa| mode(vpa) == "Recreate")
        .await
        .map(drop)
}

/// Somebody's own VPA, whatever it is called, is the one that counts.
pub async fn explicit_wins(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let asks = json!({"podfit.dev/autosize": "off"});
    ns.create(idle("web", &asks)).await?;
    let mut stateful = idle("web", &asks);
    stateful["kind"] = "StatefulSet".into();
    stateful["spec"]["serviceName"] = "web".into();
    vpa(&ns, "web", |_| true).await?;
    ns.create(stateful).await?;
    vpa(&ns, "web-statefulset", |vpa| {
        vpa["spec"]["targetRef"]["kind"] == "StatefulSet"
    })
    .await?;

    let mut mine = Workload::deployment("web").vpa("Initial");
    mine["metadata"]["name"] = "mine".into();
    ns.create(mine).await?;
    gone(&ns, "web").await?;
    let left = ns.api(VPA).list(&ListParams::default()).await?;
    let mut left: Vec<_> = left.items.iter().map(ResourceExt::name_any).collect();
    left.sort();
    ensure!(left == ["mine", "web-statefulset"], "{left:?}");
    ns.delete(VPA, "mine").await?;
    vpa(&ns, "web-deployment", |_| true).await?;

    // Whoever takes the label away keeps it.
    label(&ns, VPA, "web-statefulset", json!({MANAGED: null})).await?;
    label(
        &ns,
        "StatefulSet",
        "web",
        json!({"podfit.dev/autosize": null}),
    )
    .await?;
    holds("the VPA that was taken over stays", secs(5), async || {
        ns.get(VPA, "web-statefulset").await.map(drop)
    })
    .await?;
    ns.delete("Deployment", "web").await?;
    gone(&ns, "web-deployment").await
}

/// Values that nobody knows are told, and lead to nothing.
pub async fn not_understood(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    ns.create(idle("odd", &json!({"podfit.dev/autosize": "sometimes"})))
        .await?;
    ns.create(idle("web", &json!({"podfit.dev/autosize": "off"})))
        .await?;
    vpa(&ns, "web", |_| true).await?;
    let words = "LabelNotFollowed: label podfit.dev/autosize: \"sometimes\" is none of";
    told(&ns, "odd", words).await?;
    label(
        &ns,
        "Deployment",
        "web",
        json!({"podfit.dev/autosize": "on"}),
    )
    .await?;
    told(
        &ns,
        "web",
        "LabelNotFollowed: label podfit.dev/autosize: \"on\"",
    )
    .await?;
    holds(
        "it leads to nothing, and is told once",
        secs(8),
        async || {
            ensure!(mode(&ns.get(VPA, "web").await?) == "Off", "changed");
            ensure!(ns.get(VPA, "odd").await.is_err(), "made");
            let events = ns.events("odd").await?;
            let refusals = events.iter().filter(|e| e.starts_with("LabelNotFollowed"));
            ensure!(refusals.count() == 1, "{events:?}");
            Ok(())
        },
    )
    .await
}

/// A namespace's label is for all in it, at the rate that is allowed.
pub async fn whole_namespace(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    const WORKLOADS: usize = 50;
    for n in 0..WORKLOADS {
        ns.create(idle(&format!("web-{n}"), &json!({}))).await?;
    }
    ns.create(idle("left-out", &json!({"podfit.dev/autosize": "none"})))
        .await?;
    let count = async || -> Result<usize> {
        let podfits = ListParams::default().labels(&format!("{MANAGED}=podfit"));
        Ok(ns.api(VPA).list(&podfits).await?.items.len())
    };
    let there = async |number: usize| {
        until("as many VPAs as are asked for", secs(60), async || {
            let there = count().await?;
            ensure!(there == number, "{there} of {number}");
            Ok(())
        })
        .await
    };
    let started = Instant::now();
    label_namespace(&ns, &["podfit.dev/autosize=initial"]).await?;
    there(WORKLOADS).await?;
    let took = started.elapsed();
    // Ten a second, after a burst of twenty.
    ensure!(
        took >= secs(2),
        "made faster than --opt-in-rate-limit lets: {took:.1?}"
    );
    figure(format!(
        "a label on a namespace of {WORKLOADS} workloads: all have a VPA after {took:.1?}"
    ));
    vpa(&ns, "web-7", |vpa| mode(vpa) == "Initial").await?;
    // One that comes later, and one with a label of its own.
    ns.create(idle("late", &json!({"podfit.dev/autosize": "off"})))
        .await?;
    vpa(&ns, "late", |vpa| mode(vpa) == "Off").await?;
    // And one that wants none any more.
    let none = json!({"podfit.dev/autosize": "none"});
    label(&ns, "Deployment", "web-3", none).await?;
    gone(&ns, "web-3").await?;
    there(WORKLOADS).await?;
    label_namespace(&ns, &["podfit.dev/autosize-"]).await?;
    there(1).await
}
