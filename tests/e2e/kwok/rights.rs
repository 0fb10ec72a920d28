//! The rights that the chart gives, beside what the API server's audit log says was asked for: none is missing, none is idle.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::audit::{Request, Role, resource};
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

/// The rights of the roles with these labels that nobody has made use of since the cluster began: `ROLE: VERB RESOURCE`.
pub async fn idle(cluster: &Cluster, labels: &str) -> Result<BTreeSet<String>> {
    let rights = given(cluster, labels).await?;
    ensure!(!rights.is_empty(), "no role has the labels {labels}");
    let requests = cluster.podfits_requests()?;
    let idle = rights
        .iter()
        .filter(|right| !requests.iter().any(|request| right.allows(request)));
    Ok(idle
        .map(|right| format!("{}: {} {}", right.role.name, right.verb, right.resource))
        .collect())
}

/// One of the things that a role allows.
struct Right {
    role: Role,
    /// Whose role it is, such as `webhook`.
    component: String,
    verb: String,
    resource: String,
}

impl Right {
    /// Where two roles of an account allow the same, which of them the authorizer names is left to chance.
    fn allows(&self, request: &Request) -> bool {
        let account = request.account.rsplit('-').next();
        let verb = request.verb == self.verb || request.streamed && self.verb == "list";
        account == Some(&self.component)
            && request.role.as_ref().map(|role| &role.kind) == Some(&self.role.kind)
            && verb
            && request.resource == self.resource
    }
}

/// The roles' rules, taken apart.
async fn given(cluster: &Cluster, labels: &str) -> Result<Vec<Right>> {
    let kinds = "roles,clusterroles";
    let get = ["get", kinds, "-A", "-l", labels, "-o", "json"];
    let mut given = Vec::new();
    for object in objects(&cluster.kubectl(&get, "").await?)? {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for rule in object["rules"].as_array().into_iter().flatten() {
            for group in texts(&rule["apiGroups"]) {
                for plural in texts(&rule["resources"]) {
                    let (plural, sub) = plural.split_once('/').unwrap_or((plural, ""));
                    given.extend(texts(&rule["verbs"]).map(|verb| Right {
                        role: Role {
                            kind: text(&object["kind"]),
                            name: text(&object["metadata"]["name"]),
                        },
                        component: text(
                            &object["metadata"]["labels"]["app.kubernetes.io/component"],
                        ),
                        verb: verb.into(),
                        resource: resource(group, plural, sub),
                    }));
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
