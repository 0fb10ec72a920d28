//! Labels that ask for VPAs and cannot be followed, and the VPAs that podfit has made.

use podfit_core::opt_in::{Refusal, Scene, plan};

use super::check::{Check, some};
use super::facts::Facts;

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    const WHAT: &str = "labels for VPAs";
    if let [why, ..] = facts.not_read.as_slice() {
        checks.push(Check::unknown(WHAT, why));
        return;
    }
    let index = &facts.index;
    let plan = plan(&Scene {
        owners: &index.owners,
        vpas: &index.vpas,
        labelled: &index.labelled,
        in_place: true,
        covers: &|_| true,
    });
    let made = format!("{} VPAs made by podfit", plan.managed);
    let refused: Vec<_> = plan.refusals.iter().map(told).collect();
    let check = if !facts.installation.opts_in() {
        Check::ok(WHAT, format!("{made}; the recommender follows no labels"))
    } else if refused.is_empty() {
        Check::ok(WHAT, made)
    } else {
        let number = refused.len();
        Check::warn(
            WHAT,
            format!("{made}; {number} not followed: {}", some(&refused)),
            "correct the label; docs/opt-in.md has its values",
        )
    };
    checks.push(check);
}

fn told(refusal: &Refusal) -> String {
    match &refusal.workload {
        Some(workload) => format!("{workload}: {}", refusal.message),
        None => format!("namespace {}: {}", refusal.namespace, refusal.message),
    }
}
