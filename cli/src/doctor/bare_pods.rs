//! Pods that a VPA's target selects by their labels, but that are not its own.

use std::collections::BTreeSet;

use podfit_cluster::calls::Calls;
use podfit_cluster::index::Index;
use podfit_cluster::selectors;
use podfit_core::ownership::ControllerKey;

use super::check::{Check, some};
use super::facts::Facts;
use crate::objects;

/// Asks which pods without a controller have the labels of a VPA's target. Only where there are such pods at all.
pub async fn ask(calls: &Calls, index: &Index) -> Result<Vec<String>, String> {
    // Those of a family are sized by their label, and nobody is to replace them.
    let bare = index.pods.values();
    let bare = bare.filter(|pod| pod.owner.is_none() && pod.family.is_none());
    let bare: BTreeSet<_> = bare.map(|pod| (&pod.namespace, &pod.name)).collect();
    let places: BTreeSet<_> = bare.iter().map(|(namespace, _)| *namespace).collect();
    let here = index
        .vpas
        .iter()
        .filter(|vpa| places.contains(&vpa.namespace));
    let targets = here.filter_map(|vpa| {
        let target = vpa.target.as_ref().filter(|target| !target.is_family())?;
        Some(ControllerKey::of(&vpa.namespace, target))
    });
    let mut found = Vec::new();
    for target in targets.collect::<BTreeSet<_>>() {
        let selector = selectors::of(calls, &target).await;
        let selector = selector.map_err(|error| error.to_string())?;
        if selector.is_empty() {
            continue;
        }
        let path = format!("/api/v1/namespaces/{}/pods", target.namespace);
        let pods = objects::list_labelled(calls, &path, &selector).await;
        if let Some(why) = pods.unknown() {
            return Err(why.into());
        }
        let names = pods
            .items()
            .filter_map(|pod| pod["metadata"]["name"].as_str());
        let names = names.map(String::from);
        let bare = names.filter(|name| bare.contains(&(&target.namespace, name)));
        found.extend(bare.map(|name| format!("{}/{name} of {target}", target.namespace)));
    }
    Ok(found)
}

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    const WHAT: &str = "pods of nobody";
    let unknown = facts.not_read.first().or(facts.bare_pods.as_ref().err());
    let found = facts.bare_pods.as_deref().unwrap_or_default();
    checks.push(match (unknown, found) {
        (Some(why), _) => Check::unknown(WHAT, why),
        (None, []) => {
            Check::ok(WHAT, "none has the labels of a VPA's target without being its own")
        }
        (None, found) => Check::warn(
            WHAT,
            format!("they have the labels, but no controller: {}", some(found)),
            "podfit leaves them as they are, since nothing would replace them: delete them, or give them a controller",
        ),
    });
}
