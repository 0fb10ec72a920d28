//! podfit's own programs: are they there, and do they work?

use std::time::Duration;

use podfit_cluster::api::time;
use podfit_core::time::Timestamp;
use serde_json::Value;

use super::check::Check;
use super::facts::Facts;
use crate::installation::COMPONENTS;
use crate::objects::Answer;

/// A lease that says nothing else is good for so long.
const LEASE: Duration = Duration::from_mins(1);

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    for component in COMPONENTS {
        checks.push(deployment(facts, component));
    }
    checks.extend(shadow(facts));
}

/// What they hold and renew while they work.
pub fn leases(facts: &Facts, checks: &mut Vec<Check>) {
    checks.extend(COMPONENTS.map(|component| lease(facts, component)));
}

fn deployment(facts: &Facts, component: &'static str) -> Check {
    let installed = &facts.installation;
    if let Some(why) = installed.deployments.unknown() {
        return Check::unknown(component, why);
    }
    let Some(deployment) = installed.deployment(component) else {
        return Check::warn(
            component,
            format!("no Deployment of it in namespace {}", installed.namespace),
            "install the chart, or say where it is: --podfit-namespace",
        );
    };
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let ready = deployment["status"]["readyReplicas"].as_i64().unwrap_or(0);
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    let image = image.as_str().unwrap_or("no image");
    let finding = format!("{ready} of {wanted} ready, {image}");
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let look = format!("kubectl -n {} logs deployment/{name}", installed.namespace);
    match ready {
        _ if ready >= wanted && wanted > 0 => Check::ok(component, finding),
        0 => Check::fail(component, finding, look),
        _ => Check::warn(component, finding, look),
    }
}

/// In shadow podfit is well, and does nothing; one half of it in shadow is a mistake.
fn shadow(facts: &Facts) -> Option<Check> {
    const WHAT: &str = "shadow";
    const ACT: &str = "kubectl podfit diff shows its numbers beside those published; docs/migrate.md, \"2. Take over\", lets it act";
    let installed = COMPONENTS
        .into_iter()
        .filter(|component| facts.installation.deployment(component).is_some());
    let (inside, outside): (Vec<_>, Vec<_>) =
        installed.partition(|component| facts.installation.is_shadow(component));
    if inside.is_empty() {
        return None;
    }
    if outside.is_empty() {
        let finding = "podfit computes for every VPA, and writes nothing";
        return Some(Check::ok(WHAT, finding).with_remedy(ACT));
    }
    let finding = format!(
        "of {}, but not of {}",
        inside.join(", "),
        outside.join(", ")
    );
    let remedy = "set all three alike: the chart's value `shadow` does";
    Some(Check::warn(WHAT, finding, remedy))
}

/// The name of a component's lease.
pub fn lease_name(facts: &Facts, component: &str) -> String {
    let (flag, default) = match component {
        "recommender" => ("leader-elect-resource-name", "vpa-recommender-lease"),
        "updater" => ("leader-elect-resource-name", "vpa-updater"),
        _ => ("status-lease-name", "vpa-admission-controller"),
    };
    facts.installation.flag(component, flag, default)
}

fn lease(facts: &Facts, component: &'static str) -> Check {
    let (what, missing) = match component {
        "recommender" => ("recommender's lease", "nobody recommends"),
        "updater" => ("updater's lease", "nobody updates running pods"),
        _ => (
            "webhook's sign of life",
            "the updater evicts nothing meanwhile",
        ),
    };
    if facts.installation.is_shadow(component) {
        return Check::ok(what, "not needed in shadow");
    }
    let no_election = facts.installation.flag(component, "leader-elect", "true") == "false";
    if component != "webhook" && no_election {
        return Check::ok(what, "not needed: leader election is off");
    }
    if let Some(why) = facts.leases.unknown() {
        return Check::unknown(what, why);
    }
    let (namespace, name) = (&facts.installation.namespace, lease_name(facts, component));
    let look = format!(
        "look at the log: kubectl -n {namespace} logs -l app.kubernetes.io/component={component}"
    );
    let Some(lease) = find(&facts.leases, namespace, &name) else {
        let finding = format!("there is no lease {namespace}/{name}: {missing}");
        return Check::fail(what, finding, look);
    };
    let state = State::of(lease, facts.at);
    let held = format!("{name}, {}", state.holder.as_deref().unwrap_or("nobody"));
    let Some(age) = state.age else {
        return Check::fail(what, format!("{held}, was never renewed: {missing}"), look);
    };
    let seconds = age.as_secs();
    let is_held = component == "webhook" || state.holder.is_some();
    if is_held && !state.is_stale {
        Check::ok(what, format!("{held}, renewed {seconds} s ago"))
    } else {
        let finding = format!("{held}, renewed {seconds} s ago: {missing}");
        Check::fail(what, finding, look)
    }
}

/// A lease by namespace and name.
pub fn find<'a>(leases: &'a Answer, namespace: &str, name: &str) -> Option<&'a Value> {
    leases.items().find(|lease| {
        let metadata = &lease["metadata"];
        metadata["namespace"] == namespace && metadata["name"] == name
    })
}

/// Who holds a lease, and since when it was not renewed.
pub struct State {
    /// The holder.
    pub holder: Option<String>,
    /// For how long it was not renewed.
    pub age: Option<Duration>,
    /// True when that is longer than a renewal counts.
    pub is_stale: bool,
}

impl State {
    /// As the lease says.
    pub fn of(lease: &Value, at: Timestamp) -> Self {
        let spec = &lease["spec"];
        let holder = spec["holderIdentity"].as_str().filter(|h| !h.is_empty());
        let renewed = spec["renewTime"].as_str().and_then(time::parse);
        let age = renewed.map(|renewed| at.since(renewed));
        let good_for = spec["leaseDurationSeconds"]
            .as_u64()
            .map(Duration::from_secs);
        // A leader renews in a third of its time; a minute covers clocks that differ.
        let good_for = good_for.unwrap_or(LEASE).max(LEASE);
        Self {
            holder: holder.map(String::from),
            age,
            is_stale: age.is_none_or(|age| age > good_for),
        }
    }
}
