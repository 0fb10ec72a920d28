//! VerticalPodAutoscalers that cannot do their work.

use std::sync::Arc;

use podfit_core::ownership::{ControllerKey, unsupported};
use podfit_core::vpa::{UpdateMode, Vpa};

use super::check::{Check, some};
use super::facts::Facts;

/// All VPAs, in order.
fn vpas(facts: &Facts) -> Vec<&Arc<Vpa>> {
    let mut vpas: Vec<_> = facts.index.vpas.iter().collect();
    vpas.sort_by_key(|vpa| vpa.key());
    vpas
}

/// Do their targets exist, and can they be sized?
pub fn targets(facts: &Facts) -> Check {
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

/// Would anybody replace their pods?
pub fn without_controller(facts: &Facts) -> Check {
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
