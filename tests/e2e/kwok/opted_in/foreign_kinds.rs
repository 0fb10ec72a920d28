//! Labels on objects of other operators, here Argo's.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use super::{gone, label, mode, told, vpa};
use crate::owners::pod_of;

const ARGO: &str = "argoproj.io/v1alpha1";

/// Of definitions that are made here: a label on a Rollout, which has `scale`, is followed; one on a Workflow,
/// which has not, is told.
pub async fn followed(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    define_argo(&ns).await?;
    let create = async |kind: &str, name: &str, asks: &str| -> Result<Value> {
        let object = ns
            .create(json!({
                "apiVersion": ARGO, "kind": kind,
                "metadata": {"name": name, "labels": {"podfit.dev/autosize": asks}},
            }))
            .await?;
        // Pods name their kind: without one podfit does not know of it.
        ns.create(pod_of(&object, &format!("{name}-0"))).await?;
        Ok(object)
    };
    let rollout = create("Rollout", "web", "off").await?;
    create("Workflow", "nightly", "off").await?;
    let made = vpa(&ns, "web", |vpa| mode(vpa) == "Off").await?;
    let owner = &made["metadata"]["ownerReferences"][0];
    let named = json!({
        "apiVersion": ARGO, "kind": "Rollout", "name": "web", "uid": rollout["metadata"]["uid"],
    });
    ensure!(owner == &named, "{owner}");
    let target = json!({"apiVersion": ARGO, "kind": "Rollout", "name": "web"});
    ensure!(made["spec"]["targetRef"] == target, "{made}");

    let words = "LabelNotFollowed: no VPA is made: Workflow.argoproj.io has no scale subresource";
    told(&ns, "nightly", words).await?;
    ensure!(ns.get(VPA, "nightly").await.is_err(), "made");

    label(
        &ns,
        "Rollout",
        "web",
        json!({"podfit.dev/autosize": "initial"}),
    )
    .await?;
    vpa(&ns, "web", |vpa| mode(vpa) == "Initial").await?;
    until("it is sized", secs(60), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    label(&ns, "Rollout", "web", json!({"podfit.dev/autosize": null})).await?;
    gone(&ns, "web").await
}

/// Of Argo's own manifests this is what counts here.
async fn define_argo(ns: &Namespace) -> Result<()> {
    let definition = |kind: &str, subresources: Value| {
        let singular = kind.to_lowercase();
        let plural = format!("{singular}s");
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.argoproj.io")},
            "spec": {
                "group": "argoproj.io", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List")},
                "versions": [{
                    "name": "v1alpha1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                    "subresources": subresources,
                }],
            },
        })
    };
    let scale = json!({
        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        definition("Rollout", json!({"status": {}, "scale": scale})),
        definition("Workflow", json!({"status": {}})),
    ]});
    let apply = ["apply", "--server-side", "-f", "-"];
    ns.cluster.kubectl(&apply, &list.to_string()).await?;
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/rollouts.argoproj.io",
        "crd/workflows.argoproj.io",
    ];
    ns.cluster.kubectl(&wait, "").await.map(drop)
}
