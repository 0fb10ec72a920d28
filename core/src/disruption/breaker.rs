//! A breaker for plans that want to disrupt far more pods at once than is the norm: after a change of configuration or a
//! lost history, say, such a plan is more likely wrong than right, and somebody should have time to look.

use super::budget::Scope;
use super::{Action, Config, Decision, UpdateReason};

/// The norm: of the disruptions that plans want, an average that halves the weight of a plan with each 360 that follow
/// it. A plan counts for no more than what would not open the breaker, so that the norm at most doubles within 180 loops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Breaker {
    norm: f64,
    open: bool,
}

/// Loops after which a plan counts half.
const HALF_LIFE: f64 = 360.0;

/// What is always taken as normal: so many pods a loop, …
const LEAST: f64 = 10.0;

/// … or this part of all pods under VPAs.
const LEAST_PART: f64 = 0.01;

/// What a breaker has to say of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The pods that the plan wants to disrupt.
    pub wanted: usize,
    /// What is normal, and is let through when the breaker is open.
    pub norm: usize,
    /// True when it is open.
    pub open: bool,
    /// True when it was not so after the plan before.
    pub changed: bool,
}

impl Breaker {
    /// Judges a plan over so many `pods`. Only what groups and workloads have room for is wanted.
    pub(super) fn judge(self, decisions: &[Decision], pods: i64, config: &Config) -> Judgement {
        let wanted = decisions.iter().filter(|d| is_wanted(d)).count();
        let norm = self.norm.max(LEAST).max(pods as f64 * LEAST_PART);
        let open = config.breaker_factor > 0.0 && wanted as f64 > norm * config.breaker_factor;
        Judgement {
            wanted,
            norm: norm as usize,
            open,
            changed: open != self.open,
        }
    }

    /// Counts a plan into the norm.
    pub(super) fn observe(&mut self, judgement: Judgement, config: &Config) {
        self.open = judgement.open;
        let most = judgement.norm as f64 * config.breaker_factor.max(1.0);
        let wanted = (judgement.wanted as f64).min(most);
        self.norm += (wanted - self.norm) * (1.0 - (-1.0 / HALF_LIFE).exp2());
    }
}

fn is_wanted(decision: &Decision) -> bool {
    match &decision.reason {
        UpdateReason::DisruptionsSpent { scope, .. } => *scope != Scope::Workload,
        UpdateReason::BreakerOpen { .. } => true,
        _ => decision.disrupts(),
    }
}

/// Leaves only so many disruptions in a plan as are normal: those of pods that memory kills first.
pub(super) fn hold_back(decisions: &mut [Decision], judgement: Judgement) {
    if !judgement.open {
        return;
    }
    let Judgement { wanted, norm, .. } = judgement;
    let urgent = |d: &Decision| matches!(d.reason, UpdateReason::OutOfMemory { .. });
    let mut left = norm;
    for first in [true, false] {
        for decision in decisions
            .iter_mut()
            .filter(|d| urgent(d) == first && d.disrupts())
        {
            if left > 0 {
                left -= 1;
            } else {
                decision.action = Action::Skip;
                decision.reason = UpdateReason::BreakerOpen { wanted, norm };
            }
        }
    }
}
