//! Other vertical autoscalers in the cluster: two that act on one VPA undo each other's work.

use podfit_cluster::other_vpa::LEASES;
use serde_json::Value;

use super::admission::{CONFIGURATION, configuration};
use super::check::{Check, some};
use super::components::{State, lease_name};
use super::facts::Facts;
use crate::installation::COMPONENTS;

/// Upstream's programs, as its images and Deployments are called.
const PROGRAMS: [&str; 3] = ["vpa-recommender", "vpa-updater", "vpa-admission-controller"];

const REMEDY: &str = "let one act: docs/install.md, \"Another VPA\"";
const REMEDY_LEFT: &str =
    "if that VPA is gone, delete what it left: docs/migrate.md, \"2. Take over\"";

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    const WHAT: &str = "other VPA installs";
    let unknown = facts.deployments.unknown().or(facts.leases.unknown());
    let mut found = deployments(facts);
    found.extend(leases(facts));
    let remedy = if found.is_empty() {
        REMEDY_LEFT
    } else {
        REMEDY
    };
    found.extend(webhooks(facts));
    let mut components = COMPONENTS.into_iter();
    let in_shadow = components.any(|component| facts.installation.is_shadow(component));
    checks.push(match unknown {
        _ if !found.is_empty() && in_shadow => {
            Check::ok(WHAT, format!("beside podfit in shadow: {}", some(&found)))
        }
        _ if !found.is_empty() => Check::fail(WHAT, some(&found), remedy),
        Some(why) => Check::unknown(WHAT, why),
        None => Check::ok(WHAT, "none found"),
    });
}

/// Deployments that run upstream's images, and are not scaled to zero.
fn deployments(facts: &Facts) -> Vec<String> {
    let is_upstream = |d: &&Value| {
        let containers = d["spec"]["template"]["spec"]["containers"].as_array();
        containers.into_iter().flatten().any(|container| {
            let image = container["image"].as_str().unwrap_or_default();
            let image = image.rsplit('/').next().unwrap_or_default();
            let name = image.split([':', '@']).next().unwrap_or_default();
            PROGRAMS.contains(&name)
        })
    };
    let runs = |d: &&Value| d["spec"]["replicas"].as_i64().unwrap_or(1) > 0;
    let found = facts.deployments.items().filter(is_upstream).filter(runs);
    found.map(|d| format!("Deployment {}", path(d))).collect()
}

/// Renewed leases of upstream's names and of podfit's own, but for podfit's own in its namespace. Older recommenders of upstream's
/// have one that is called as they are.
fn leases(facts: &Facts) -> Vec<String> {
    let namespace = facts.installation.namespace.as_str();
    let ours = COMPONENTS.map(|c| lease_name(facts, c));
    let foreign = facts.leases.items().filter(|lease| {
        let metadata = &lease["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let is_own_name = ours.iter().any(|own| own == name);
        let is_vpas = is_own_name || name == "vpa-recommender" || LEASES.contains(&name);
        is_vpas && !(is_own_name && metadata["namespace"] == namespace)
    });
    foreign
        .map(|lease| (path(lease), State::of(lease, facts.at)))
        .filter(|(_, state)| !state.is_stale)
        .map(|(path, state)| {
            let holder = state.holder.unwrap_or_else(|| "somebody".into());
            format!("lease {path}, held by {holder}")
        })
        .collect()
}

/// A webhook that upstream registered, under the common name or another.
fn webhooks(facts: &Facts) -> Vec<String> {
    let ours = configuration(facts).filter(|c| {
        let service = &c["webhooks"][0]["clientConfig"]["service"];
        // Without a Service it is reached by an address, and nothing tells whose that is.
        service.is_null() || service["namespace"] == facts.installation.namespace.as_str()
    });
    let is_vpa = |c: &&Value| {
        let webhooks = c["webhooks"].as_array().into_iter().flatten();
        let mut names = webhooks.filter_map(|w| w["name"].as_str());
        c["metadata"]["name"] == CONFIGURATION || names.any(|name| name == "vpa.k8s.io")
    };
    let all = facts.webhooks.items().filter(is_vpa);
    all.filter(|c| !ours.is_some_and(|ours| std::ptr::eq(ours, *c)))
        .map(|c| {
            let name = c["metadata"]["name"].as_str().unwrap_or_default();
            format!(
                "MutatingWebhookConfiguration {name}, whose webhook is not in podfit's namespace"
            )
        })
        .collect()
}

/// `namespace/name`.
fn path(object: &Value) -> String {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    format!("{}/{}", text("namespace"), text("name"))
}
