//! What the pods of each VPA wait for, for its condition `UpdateBlocked`.

use std::collections::HashMap;
use std::time::Duration;

use podfit_core::disruption::{Action, Decision, UpdateReason};
use podfit_core::time::Timestamp;

use crate::act::Outcome;
use crate::conditions::Blocked;

/// How long pods must have waited for something that passes by itself as a rule, before that is told.
const PATIENCE: Duration = Duration::from_mins(10);

/// Whether a pod that is left alone waits for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// It does not: all is well, or is none of our business.
    No,
    /// For what passes by itself as a rule.
    ToPass,
    /// For somebody to change something.
    ForSomebody,
}

fn waits(reason: &UpdateReason) -> Waits {
    match reason {
        UpdateReason::TooFewReplicas { .. }
        | UpdateReason::EvictionForbidden { .. }
        | UpdateReason::RunsToCompletion
        | UpdateReason::LongWork { .. }
        | UpdateReason::HoldsDevices
        | UpdateReason::SystemCritical
        | UpdateReason::SystemNamespace
        | UpdateReason::SingleReplica
        | UpdateReason::OutsideWindow { .. }
        | UpdateReason::WindowNotUnderstood { .. }
        | UpdateReason::ReplicasUnknown
        | UpdateReason::RequirementsNotMet
        | UpdateReason::ResizeStuck { .. }
        | UpdateReason::ResizeRefused
        | UpdateReason::ReplacementNotSized { .. }
        | UpdateReason::EvictionsStopped { .. }
        | UpdateReason::RefusedByBudget { .. }
        | UpdateReason::CouldNotComeBack(_)
        | UpdateReason::ResizedInVain { .. }
        | UpdateReason::PodLevelResources
        | UpdateReason::NoController
        | UpdateReason::LargerThanNodes(_)
        | UpdateReason::ModeNotEnabled { .. } => Waits::ForSomebody,
        UpdateReason::BudgetSpent { .. }
        | UpdateReason::DisruptionsSpent { .. }
        | UpdateReason::BreakerOpen { .. }
        | UpdateReason::WarmingUp { .. }
        | UpdateReason::ContainerDown { .. }
        | UpdateReason::ResizeTimedOut { .. }
        | UpdateReason::WaitsForTarget(_)
        | UpdateReason::ResizeUnderWay { .. } => Waits::ToPass,
        _ => Waits::No,
    }
}

/// Namespace and name of a VPA.
type Key = (String, String);

/// Since when pods of a VPA have waited for what passes by itself as a rule, by code of the reason.
#[derive(Debug, Default)]
pub struct Waiting(HashMap<Key, HashMap<&'static str, Timestamp>>);

/// One reason for which pods of a VPA wait.
struct Reason<'a> {
    code: &'static str,
    waits: Waits,
    /// The first of them.
    pod: &'a str,
    message: String,
    pods: usize,
}

impl Waiting {
    /// The top reason of each VPA that has pods waiting: the one of most pods, of several the one that is told already.
    pub fn blocked<'a>(
        &mut self,
        decisions: &'a [Decision],
        outcomes: &'a [(&'a Decision, Outcome)],
        now: Timestamp,
    ) -> HashMap<(&'a str, &'a str), Blocked> {
        let before = std::mem::take(&mut self.0);
        let mut blocked = HashMap::new();
        for (key, mut reasons) in reasons(decisions, outcomes) {
            let owned = (key.0.to_owned(), key.1.to_owned());
            let known = before.get(&owned);
            reasons.retain(|reason| {
                if reason.waits == Waits::ForSomebody {
                    return true;
                }
                let since = known.and_then(|known| known.get(reason.code)).copied();
                let since = since.unwrap_or(now);
                let of_vpa = self.0.entry(owned.clone()).or_default();
                of_vpa.insert(reason.code, since);
                now.since(since) >= PATIENCE
            });
            let all: usize = reasons.iter().map(|reason| reason.pods).sum();
            // Of equals the last is taken, and the first is to be.
            let top = reasons.into_iter().rev().max_by_key(|reason| reason.pods);
            if let Some(top) = top {
                let others = all - top.pods;
                blocked.insert(key, top.told(others));
            }
        }
        blocked
    }
}

impl Reason<'_> {
    fn told(self, others: usize) -> Blocked {
        Blocked {
            code: self.code.into(),
            pod: self.pod.into(),
            message: self.message,
            pods: self.pods,
            others,
        }
    }
}

/// The reasons for which pods of each VPA wait, in the order in which they are met.
fn reasons<'a>(
    decisions: &'a [Decision],
    outcomes: &'a [(&'a Decision, Outcome)],
) -> HashMap<(&'a str, &'a str), Vec<Reason<'a>>> {
    let mut all: HashMap<(&str, &str), Vec<Reason<'_>>> = HashMap::new();
    let mut add = |decision: &'a Decision, code, waits, message: &dyn Fn() -> String| {
        let key = (decision.vpa.namespace.as_str(), decision.vpa.name.as_str());
        let reasons = all.entry(key).or_default();
        match reasons.iter_mut().find(|reason| reason.code == code) {
            Some(reason) => reason.pods += 1,
            None => reasons.push(Reason {
                code,
                waits,
                pod: &decision.pod.name,
                message: message(),
                pods: 1,
            }),
        }
    };
    for (decision, outcome) in outcomes {
        match outcome {
            Outcome::Budget(why) => {
                let code = "PodDisruptionBudget";
                add(decision, code, Waits::ForSomebody, &|| why.clone());
            }
            Outcome::Failed(why) => add(decision, "UpdateFailed", Waits::ToPass, &|| why.clone()),
            _ => {}
        }
    }
    for decision in decisions.iter().filter(|d| d.action == Action::Skip) {
        let waits = waits(&decision.reason);
        if waits != Waits::No {
            let message = || decision.reason.to_string();
            add(decision, decision.reason.code(), waits, &message);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podfit_core::pod::Pod;
    use podfit_core::vpa::Vpa;

    use super::*;

    fn decision(pod: &str, action: Action, reason: UpdateReason) -> Decision {
        let pod = Pod {
            name: pod.into(),
            ..Pod::default()
        };
        let vpa = Vpa {
            namespace: "shop".into(),
            name: "web".into(),
            ..Vpa::default()
        };
        Decision {
            pod: Arc::new(pod),
            vpa: Arc::new(vpa),
            action,
            reason,
        }
    }

    fn skips(reasons: &[UpdateReason]) -> Vec<Decision> {
        let skip = |(i, reason): (usize, &UpdateReason)| {
            decision(&format!("p{i}"), Action::Skip, reason.clone())
        };
        reasons.iter().enumerate().map(skip).collect()
    }

    fn minutes(n: i64) -> Timestamp {
        Timestamp::from_unix_seconds(n * 60)
    }

    fn spent() -> UpdateReason {
        UpdateReason::BudgetSpent {
            running: 1,
            configured: 2,
            tolerated: 1,
            disrupted: 0,
        }
    }

    /// The reason that is told, its first pod, its pods and how many wait for others.
    fn told(
        waiting: &mut Waiting,
        decisions: &[Decision],
        outcomes: &[(&Decision, Outcome)],
        now: Timestamp,
    ) -> Option<(String, String, usize, usize)> {
        let mut blocked = waiting.blocked(decisions, outcomes, now);
        let Blocked {
            code,
            pod,
            pods,
            others,
            ..
        } = blocked.remove(&("shop", "web"))?;
        Some((code, pod, pods, others))
    }

    #[test]
    fn the_reason_of_most_pods_is_told() {
        use UpdateReason::{HoldsDevices, RunsToCompletion, UpToDate};
        let rows = [
            (vec![UpToDate], None),
            (
                vec![UpToDate, HoldsDevices],
                Some(("HoldsDevices", "p1", 1, 0)),
            ),
            (
                vec![HoldsDevices, RunsToCompletion, RunsToCompletion],
                Some(("RunsToCompletion", "p1", 2, 1)),
            ),
            (
                vec![HoldsDevices, RunsToCompletion],
                Some(("HoldsDevices", "p0", 1, 1)),
            ),
        ];
        for (reasons, want) in rows {
            let found = told(&mut Waiting::default(), &skips(&reasons), &[], minutes(0));
            let want = want
                .map(|(code, pod, pods, others)| (code.to_owned(), pod.to_owned(), pods, others));
            assert_eq!(found, want, "{reasons:?}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_told_when_it_does_not() {
        let mut waiting = Waiting::default();
        let plan = skips(&[spent(), UpdateReason::SingleReplica, spent()]);
        let code = |waiting: &mut Waiting, plan: &[Decision], at| {
            told(waiting, plan, &[], minutes(at)).map(|told| told.0)
        };
        let single = Some("SingleReplica".to_owned());
        assert_eq!(code(&mut waiting, &plan, 0), single);
        assert_eq!(code(&mut waiting, &plan, 9), single);
        let spent = Some("BudgetSpent".to_owned());
        assert_eq!(code(&mut waiting, &plan, 10), spent);
        assert_eq!(code(&mut waiting, &plan[1..2], 11), single, "it passed");
        assert_eq!(
            code(&mut waiting, &plan, 12),
            single,
            "from the start again"
        );
    }

    #[test]
    fn what_the_api_server_refuses_is_told() {
        let evict = decision("p0", Action::Evict(vec![]), UpdateReason::UpToDate);
        let outcome = |outcome| [(&evict, outcome)];
        let budget = outcome(Outcome::Budget("budget web".into()));
        let mut waiting = Waiting::default();
        let code = |told: Option<(String, String, usize, usize)>| told.map(|told| told.0);
        assert_eq!(
            code(told(&mut waiting, &[], &budget, minutes(0))).as_deref(),
            Some("PodDisruptionBudget")
        );
        let failed = outcome(Outcome::Failed("forbidden".into()));
        assert_eq!(told(&mut waiting, &[], &failed, minutes(1)), None);
        assert_eq!(
            code(told(&mut waiting, &[], &failed, minutes(11))).as_deref(),
            Some("UpdateFailed")
        );
    }
}
