//! VerticalPodAutoscalers that cannot do their work, and HorizontalPodAutoscalers that do the opposite.

use std::sync::Arc;

use podfit_core::ownership::{ControllerKey, unsupported};
use podfit_core::pod::OwnerRef;
use podfit_core::quantity::Resource;
use podfit_core::vpa::{UpdateMode, Vpa};
use serde_json::Value;

use super::check::{Check, some};
use super::facts::Facts;

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    checks.push(targets(facts));
    checks.push(horizontal(facts));
    checks.push(without_controller(facts));
}

/// All VPAs, in order.
fn vpas(facts: &Facts) -> Vec<&Arc<Vpa>> {
    let mut vpas: Vec<_> = facts.index.vpas.iter().collect();
    vpas.sort_by_key(|vpa| vpa.key());
    vpas
}

fn targets(facts: &Facts) -> Check {
    const WHAT: &str = "VPAs' targets";
    if let [why, ..] = facts.not_read.as_slice() {
        return Check::unknown(WHAT, why);
    }
    let vpas = vpas(facts);
    let without = |vpa: &&Arc<Vpa>| Some((vpa.key(), unsupported(vpa, &facts.index.owners)?));
    let without: Vec<_> = vpas.iter().filter_map(without).collect();
    let Some((_, why)) = without.first() else {
        return Check::ok(WHAT, format!("{} VPAs, all targets found", vpas.len()));
    };
    let names: Vec<_> = without.iter().map(|(vpa, _)| vpa.clone()).collect();
    let (number, all) = (names.len(), vpas.len());
    Check::warn(
        WHAT,
        format!(
            "{number} of {all} cannot be sized: {}. The first: {why}",
            some(&names)
        ),
        "correct targetRef, or delete the VPA",
    )
}

fn horizontal(facts: &Facts) -> Check {
    const WHAT: &str = "HPAs beside VPAs";
    let unknown = facts.hpas.unknown().or(facts.scaled_objects.unknown());
    if let Some(why) = unknown {
        return Check::unknown(WHAT, why);
    }
    let mut found = Vec::new();
    for hpa in facts.hpas.items() {
        let metrics = hpa["spec"]["metrics"].as_array().into_iter().flatten();
        let resources: Vec<_> = metrics.filter_map(scales_on).collect();
        found.extend(conflicts(facts, hpa, "HPA", &resources));
    }
    for scaled in facts.scaled_objects.items() {
        let triggers = scaled["spec"]["triggers"].as_array().into_iter().flatten();
        let resources: Vec<_> = triggers.filter_map(triggers_on).collect();
        found.extend(conflicts(facts, scaled, "ScaledObject", &resources));
    }
    // KEDA makes an HPA of a ScaledObject: one of the two is enough.
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Check::ok(WHAT, "none scales on the utilisation of what a VPA sizes");
    }
    Check::warn(
        WHAT,
        format!("they work against each other: {}", some(&found)),
        "scale on another metric, or on an AverageValue, or take the resource out of the VPA's controlledResources",
    )
}

/// The resource on whose utilisation a metric of an HPA scales, and the container where it is of one.
fn scales_on(metric: &Value) -> Option<(Resource, Option<String>)> {
    let (source, container) = match metric["type"].as_str()? {
        "Resource" => (&metric["resource"], None),
        "ContainerResource" => {
            let source = &metric["containerResource"];
            (source, source["container"].as_str().map(String::from))
        }
        _ => return None,
    };
    let resource = resource(source["name"].as_str()?)?;
    (source["target"]["type"] == "Utilization").then_some((resource, container))
}

/// The same of a trigger of a ScaledObject. Utilization is the default there.
fn triggers_on(trigger: &Value) -> Option<(Resource, Option<String>)> {
    let resource = resource(trigger["type"].as_str()?)?;
    let kind = trigger["metricType"].as_str().unwrap_or("Utilization");
    let container = &trigger["metadata"]["containerName"];
    (kind == "Utilization").then(|| (resource, container.as_str().map(String::from)))
}

fn resource(name: &str) -> Option<Resource> {
    Resource::ALL
        .into_iter()
        .find(|resource| resource.name() == name)
}

/// The VPAs that change the requests against which `object` measures utilisation.
fn conflicts(
    facts: &Facts,
    object: &Value,
    kind: &str,
    resources: &[(Resource, Option<String>)],
) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&object["metadata"]["namespace"]);
    let target = &object["spec"]["scaleTargetRef"];
    let or = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
    let owner = OwnerRef {
        api_version: or(&target["apiVersion"], "apps/v1"),
        kind: or(&target["kind"], "Deployment"),
        name: text(&target["name"]),
    };
    let target = ControllerKey::of(&namespace, &owner);
    let sizes = |vpa: &&Arc<Vpa>| {
        let of = vpa.target.as_ref();
        let same = of.is_some_and(|of| ControllerKey::of(&vpa.namespace, of) == target);
        same && vpa.update_mode != UpdateMode::Off
    };
    let mut found = Vec::new();
    for vpa in vpas(facts).into_iter().filter(sizes) {
        for (resource, container) in resources {
            if controls(vpa, *resource, container.as_deref()) {
                let name = text(&object["metadata"]["name"]);
                let (vpa, resource) = (vpa.key(), resource.name());
                found.push(format!(
                    "{kind} {namespace}/{name} and VPA {vpa} on {resource}"
                ));
            }
        }
    }
    found
}

/// True when a VPA sizes that resource of that container, or of any when none is named.
fn controls(vpa: &Vpa, resource: Resource, container: Option<&str>) -> bool {
    let policy_of = |name: &str| {
        let mut policies = vpa.container_policies.iter();
        policies.find(|policy| policy.container_name == name)
    };
    let rest = policy_of("*");
    let sizes = |policy: &podfit_core::vpa::ContainerPolicy| {
        let listed = policy.controlled_resources.as_ref();
        !policy.off && listed.is_none_or(|listed| listed.contains(&resource))
    };
    if let Some(container) = container {
        return policy_of(container).or(rest).is_none_or(sizes);
    }
    // Without a policy for the rest, containers that are not named are sized.
    let named = |policy: &&podfit_core::vpa::ContainerPolicy| policy.container_name != "*";
    rest.is_none_or(sizes) || vpa.container_policies.iter().filter(named).any(sizes)
}

fn without_controller(facts: &Facts) -> Check {
    const WHAT: &str = "pods under VPAs";
    if let [why, ..] = facts.not_read.as_slice() {
        return Check::unknown(WHAT, why);
    }
    let index = &facts.index;
    let (mut under, mut orphans) = (0, Vec::new());
    for pod in index.pods.values() {
        let changes = |vpa: &Vpa| !matches!(vpa.update_mode, UpdateMode::Off | UpdateMode::Initial);
        if index.controlling_vpa(pod, changes).is_none() {
            continue;
        }
        under += 1;
        let owner = pod.owner.as_ref().filter(|owner| owner.is_well_known());
        let known = owner.map(|owner| index.owners.get(&ControllerKey::of(&pod.namespace, owner)));
        if known.is_some_and(|known| known.is_none()) {
            orphans.push(format!("{}/{}", pod.namespace, pod.name));
        }
    }
    orphans.sort();
    if orphans.is_empty() {
        return Check::ok(
            WHAT,
            format!("{under}, each with a controller that would replace it"),
        );
    }
    Check::warn(
        WHAT,
        format!(
            "{} of {under} without a controller: {}",
            orphans.len(),
            some(&orphans)
        ),
        "nothing would replace them, so they are not evicted; delete them, or give them a controller",
    )
}
