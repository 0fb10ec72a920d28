//! Every kind of controller is sized, also those that Kubernetes does not bring, and a wrong target says so.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::{FOREIGN_GROUP, Podfit};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{under_asked, usage};

/// The API version of the kinds that the scenario makes.
fn foreign() -> String {
    format!("{FOREIGN_GROUP}/v1")
}

/// A VPA called `name` for the object of that name.
pub fn vpa(api_version: &str, kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.k8s.io/v1", "kind": VPA, "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": api_version, "kind": kind, "name": name},
            "updatePolicy": {"updateMode": "Initial"},
        },
    })
}

/// A pod as `under_asked` has them, with an owner.
pub fn pod_of(owner: &Value, name: &str) -> Value {
    let mut pod = under_asked().manifest()["spec"]["template"].take();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["ownerReferences"] = owned_by(owner);
    pod
}

pub fn owned_by(owner: &Value) -> Value {
    let meta = &owner["metadata"];
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
        "controller": true,
    }])
}

async fn recommended(ns: &Namespace, name: &str) -> Result<()> {
    let what = format!("a recommendation for {name}");
    let target = until(&what, secs(120), async || {
        ns.recommended(name, "target").await
    })
    .await?;
    target.ensure_between(1.0, 1.5, usage()?).context(what)
}

/// Waits until the VPA's condition `ConfigUnsupported` says `words`.
async fn unsupported(ns: &Namespace, name: &str, words: &str) -> Result<()> {
    let what = format!("{name} says why its target is not sized");
    until(&what, secs(60), async || {
        let condition = ns.condition(name, "ConfigUnsupported").await?;
        let message = condition["message"].as_str().unwrap_or_default();
        ensure!(message.contains(words), "it says: {message}");
        Ok(())
    })
    .await
}

/// Kubernetes' own controllers, but those of Jobs: a simulated Job is over before anybody could measure it. And a ReplicaSet
/// under a Deployment is no target.
pub async fn well_known(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
    ];
    for (api_version, kind) in kinds {
        let name = kind.to_lowercase();
        let labels = json!({"app": name});
        let mut object = under_asked().manifest();
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        object["metadata"]["name"] = name.as_str().into();
        let spec = &mut object["spec"];
        spec["template"]["metadata"]["labels"] = labels.clone();
        spec["selector"]["matchLabels"] = labels.clone();
        match kind {
            "StatefulSet" => spec["serviceName"] = name.as_str().into(),
            "DaemonSet" => spec["replicas"] = Value::Null,
            "ReplicationController" => spec["selector"] = labels,
            _ => {}
        }
        ns.create(object).await?;
        ns.create(vpa(api_version, kind, &name)).await?;
    }
    for (_, kind) in kinds {
        recommended(&ns, &kind.to_lowercase()).await?;
    }
    let pods = ns.pods("deployment").await?;
    let owner = &pods.first().context("no pod")?.0["metadata"]["ownerReferences"][0];
    let replica_set = owner["name"].as_str().context("no owner")?;
    ns.create(vpa("apps/v1", "ReplicaSet", replica_set)).await?;
    let words = format!("The target apps/v1.ReplicaSet/{replica_set} has a parent controller");
    unsupported(&ns, replica_set, &words).await
}

/// Kinds that come with a definition: told missing before it is there, then sized, also through two of them, at admission
/// too; a Deployment below one is no target; without the right to read a kind the VPA says so.
pub async fn foreign_kinds(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let kinds = ["Fleet", "Armada", "Crew"];
    // A cluster that was kept has them from the run before.
    let left: Vec<_> = kinds.iter().map(|kind| definition(kind)).collect();
    let mut delete = vec!["delete", "--ignore-not-found"];
    delete.extend(left.iter().map(String::as_str));
    ns.cluster.kubectl(&delete, "").await?;

    ns.create(vpa(&foreign(), "Fleet", "fleet")).await?;
    let absent = format!("last error no matches for kind \"Fleet\" in group \"{FOREIGN_GROUP}\"");
    unsupported(&ns, "fleet", &absent).await?;
    define(&ns, &kinds).await?;
    let missing = format!("fleets.{FOREIGN_GROUP} \"fleet\" not found");
    unsupported(&ns, "fleet", &missing).await?;

    let make = async |kind: &str, name: &str, owner: Option<&Value>| {
        let mut object = json!({"apiVersion": foreign(), "kind": kind, "metadata": {"name": name}});
        if let Some(owner) = owner {
            object["metadata"]["ownerReferences"] = owned_by(owner);
        }
        ns.create(object).await
    };
    let fleet = make("Fleet", "fleet", None).await?;
    let armada = make("Armada", "armada", None).await?;
    let flagship = make("Fleet", "flagship", Some(&armada)).await?;
    ns.create(vpa(&foreign(), "Armada", "armada")).await?;
    ns.create(pod_of(&fleet, "fleet-0")).await?;
    ns.create(pod_of(&flagship, "flagship-0")).await?;
    recommended(&ns, "fleet").await?;
    recommended(&ns, "armada").await?;
    ensure!(
        ns.condition("fleet", "ConfigUnsupported").await.is_err(),
        "the condition stays"
    );
    for (owner, name, sized_by) in [
        (&fleet, "fleet-1", "fleet"),
        (&flagship, "flagship-1", "armada"),
    ] {
        let pod = ns.create(pod_of(owner, name)).await?;
        let note = &pod["metadata"]["annotations"]["vpaUpdates"];
        let words = format!("Pod resources updated by {sized_by}: ");
        let says = note.as_str().unwrap_or_default();
        ensure!(says.starts_with(&words), "{name}: {note}");
    }

    let web = Workload::deployment("web");
    let mut deployment = web.manifest();
    deployment["metadata"]["ownerReferences"] = owned_by(&fleet);
    ns.create(deployment).await?;
    ns.create(web.vpa("Off")).await?;
    unsupported(
        &ns,
        "web",
        "The target apps/v1.Deployment/web has a parent controller",
    )
    .await?;
    make("Crew", "crew", None).await?;
    ns.create(vpa(&foreign(), "Crew", "crew")).await?;
    unsupported(&ns, "crew", "is forbidden").await
}

/// The `CustomResourceDefinition` of a kind, as kubectl takes it.
fn definition(kind: &str) -> String {
    format!("crd/{}s.{FOREIGN_GROUP}", kind.to_lowercase())
}

/// Defines kinds with the `scale` subresource.
async fn define(ns: &Namespace, kinds: &[&str]) -> Result<()> {
    let definitions = kinds.iter().map(|kind| {
        let singular = kind.to_lowercase();
        let plural = format!("{singular}s");
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{FOREIGN_GROUP}")},
            "spec": {
                "group": FOREIGN_GROUP, "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List")},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                    "subresources": {"status": {}, "scale": {
                        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    }},
                }],
            },
        })
    });
    let list =
        json!({"apiVersion": "v1", "kind": "List", "items": definitions.collect::<Vec<_>>()});
    let apply = ["apply", "--server-side", "-f", "-"];
    ns.cluster.kubectl(&apply, &list.to_string()).await?;
    let mut wait = vec!["wait", "--for=condition=Established", "--timeout=30s"];
    let names: Vec<_> = kinds.iter().map(|kind| definition(kind)).collect();
    wait.extend(names.iter().map(String::as_str));
    ns.cluster.kubectl(&wait, "").await.map(drop)
}
