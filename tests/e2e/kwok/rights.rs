//! The rights that the chart gives, beside what the API server's audit log says was asked for: none is missing, none is idle.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::audit::{Request, resource};
use podfit_tests::chart::objects;
use podfit_tests::cluster::Cluster;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use serde_json::Value;

/// Every right of the common release by its role, verb and resource that no scenario on this cluster makes use of, and why it is
/// given all the same.
const IDLE: [(&str, &str); 4] = [
    ("podfit-recommender-own: create events", BESIDE),
    (
        "podfit-recommender-workloads: create verticalpodautoscalers.autoscaling.k8s.io",
        "the server-side apply that makes a VPA is asked for it as well, and recorded as the patch that it is",
    ),
    ("podfit-updater-own: create events", BESIDE),
    ("podfit-webhook-own: create events", BESIDE),
];

const BESIDE: &str = "where another VPA acts, as in the scenario `migration` on its own cluster";

/// What is refused, and is to be: the scenario `owners-foreign` has a kind that no right is given to.
const REFUSED: [&str; 1] = ["list crews.podfit.test"];

/// Nothing but that was refused, and every right but those was used. To be run after all others.
pub async fn suffice(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    let requests = ns.cluster.podfits_requests()?;
    let refused: BTreeSet<_> = requests
        .iter()
        .filter(|r| r.role.is_none())
        .map(|r| format!("{} {}", r.verb, r.resource))
        .filter(|what| !REFUSED.contains(&what.as_str()))
        .collect();
    ensure!(refused.is_empty(), "a right is missing: {refused:#?}");
    let idle = idle(&ns.cluster, "app.kubernetes.io/instance=podfit").await?;
    let known: BTreeSet<_> = IDLE.iter().map(|(right, _)| (*right).to_owned()).collect();
    ensure!(
        idle == known,
        "these rights were not used by the scenarios so far: {idle:#?}\nwhile these are known not to be: {known:#?}"
    );
    Ok(())
}

/// The rights of the roles with these labels that nobody has made use of since the cluster began.
pub async fn idle(cluster: &Cluster, labels: &str) -> Result<BTreeSet<String>> {
    let mut rights = given(cluster, labels).await?;
    ensure!(!rights.is_empty(), "no role has the labels {labels}");
    for used in cluster.podfits_requests()?.iter().filter_map(used) {
        rights.remove(&used);
    }
    Ok(rights)
}

/// `ROLE: VERB RESOURCE`
fn used(request: &Request) -> Option<String> {
    let role = request.role.as_ref()?;
    Some(format!("{role}: {} {}", request.verb, request.resource))
}

/// The roles' rules, taken apart.
async fn given(cluster: &Cluster, labels: &str) -> Result<BTreeSet<String>> {
    let kinds = "roles,clusterroles";
    let get = ["get", kinds, "-A", "-l", labels, "-o", "json"];
    let mut given = BTreeSet::new();
    for role in objects(&cluster.kubectl(&get, "").await?)? {
        let name = role["metadata"]["name"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for plural in texts(&rule["resources"]) {
                    let (plural, sub) = plural.split_once('/').unwrap_or((plural, ""));
                    for verb in texts(&rule["verbs"]) {
                        given.insert(format!("{name}: {verb} {}", resource(group, plural, sub)));
                    }
                }
            }
        }
    }
    Ok(given)
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
