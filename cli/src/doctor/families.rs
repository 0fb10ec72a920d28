//! Families of pods that no VPA sizes.

use std::collections::BTreeSet;

use podfit_core::ownership::{ControllerKey, FAMILY_LABEL, POD_FAMILY};

use super::check::{Check, some};
use super::facts::Facts;

/// A label that nothing reads was meant for something. Nothing is said where there is no such label at all.
pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    const WHAT: &str = "families of pods";
    let index = &facts.index;
    let families: BTreeSet<_> = index
        .pods
        .values()
        .filter_map(|pod| Some((pod.namespace.as_str(), pod.family.as_deref()?)))
        .collect();
    if families.is_empty() {
        return;
    }
    if let [why, ..] = facts.not_read.as_slice() {
        checks.push(Check::unknown(WHAT, why));
        return;
    }
    let targets = index.vpas.iter().filter_map(|vpa| {
        let target = vpa.target.as_ref()?;
        Some(ControllerKey::of(&vpa.namespace, target))
    });
    let sized: BTreeSet<_> = targets.collect();
    let lost: Vec<_> = families
        .iter()
        .filter(|(namespace, family)| {
            !sized.contains(&ControllerKey::new(namespace, POD_FAMILY, family))
        })
        .map(|(namespace, family)| format!("{namespace}/{family}"))
        .collect();
    checks.push(if lost.is_empty() {
        Check::ok(WHAT, format!("{}, each with a VPA", families.len()))
    } else {
        Check::warn(
            WHAT,
            format!("{} of {} without a VPA: {}", lost.len(), families.len(), some(&lost)),
            format!(
                "the label {FAMILY_LABEL} does nothing by itself: make a VPA with targetRef podfit.dev/v1, PodFamily and the family's name"
            ),
        )
    });
}
