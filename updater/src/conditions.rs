//! The updater's condition of a VPA: `UpdateBlocked`, while pods wait for a change that cannot be made.

use podfit_core::disruption::UpdateReason;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Condition;

const BLOCKED: &str = "UpdateBlocked";

/// Why pods of a VPA wait: the first of them, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// A stable word: `PodDisruptionBudget`, `TooFewReplicas`, …
    pub code: String,
    /// The first pod that waits.
    pub pod: String,
    /// A sentence on it.
    pub message: String,
    /// How many pods wait.
    pub pods: usize,
}

impl Blocked {
    /// Counts one more pod into what is known of its VPA.
    pub fn add(known: &mut Option<Self>, code: &str, pod: &str, message: String) {
        match known {
            Some(blocked) => blocked.pods += 1,
            None => {
                *known = Some(Self {
                    code: code.into(),
                    pod: pod.into(),
                    message,
                    pods: 1,
                });
            }
        }
    }
}

/// True for reasons that last until somebody changes something; false for those that pass by themselves.
pub fn lasts(reason: &UpdateReason) -> bool {
    matches!(
        reason,
        UpdateReason::TooFewReplicas { .. }
            | UpdateReason::EvictionForbidden { .. }
            | UpdateReason::RunsToCompletion
            | UpdateReason::ReplicasUnknown
            | UpdateReason::RequirementsNotMet
            | UpdateReason::ResizeStuck { .. }
            | UpdateReason::ResizeRefused
            | UpdateReason::ReplacementNotSized { .. }
            | UpdateReason::NoController
            | UpdateReason::ModeNotEnabled { .. }
    )
}

/// The VPA's conditions with ours brought up to date; `None` when nothing is to be written.
///
/// The message names pods and counts that change all the time: it is written anew only when the reason changes.
pub fn merge(
    present: &[Condition],
    blocked: Option<&Blocked>,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let ours = present.iter().find(|c| c.kind == BLOCKED);
    match (ours, blocked) {
        (None, None) => return None,
        (Some(condition), Some(blocked))
            if condition.status == "True" && condition.reason == blocked.code =>
        {
            return None;
        }
        _ => {}
    }
    let mut merged: Vec<_> = present
        .iter()
        .filter(|c| c.kind != BLOCKED)
        .cloned()
        .collect();
    if let Some(blocked) = blocked {
        let others = match blocked.pods {
            1 => String::new(),
            pods => format!(" ({} more pods wait)", pods - 1),
        };
        merged.push(Condition {
            kind: BLOCKED.into(),
            status: "True".into(),
            reason: blocked.code.clone(),
            message: format!("Pod {}: {}{others}", blocked.pod, blocked.message),
            last_transition: ours
                .filter(|c| c.status == "True")
                .and_then(|c| c.last_transition)
                .or(Some(now)),
            observed_generation: None,
        });
    }
    merged.sort_by(|a, b| a.kind.cmp(&b.kind));
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(code: &str) -> Blocked {
        Blocked {
            code: code.into(),
            pod: "web-1".into(),
            message: "why".into(),
            pods: 3,
        }
    }

    #[test]
    fn the_condition_comes_changes_and_goes_without_needless_writes() {
        let now = Timestamp::from_unix_seconds(100);
        let provided = Condition {
            kind: "RecommendationProvided".into(),
            ..Condition::default()
        };
        let present = vec![provided.clone()];
        assert_eq!(merge(&present, None, now), None);

        let first = merge(&present, Some(&blocked("PodDisruptionBudget")), now).unwrap();
        assert_eq!(
            first.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>(),
            ["RecommendationProvided", BLOCKED]
        );
        assert_eq!(first[1].message, "Pod web-1: why (2 more pods wait)");

        let later = Timestamp::from_unix_seconds(200);
        assert_eq!(
            merge(&first, Some(&blocked("PodDisruptionBudget")), later),
            None
        );
        let changed = merge(&first, Some(&blocked("TooFewReplicas")), later).unwrap();
        assert_eq!(
            (changed[1].reason.as_str(), changed[1].last_transition),
            ("TooFewReplicas", Some(now))
        );
        assert_eq!(merge(&changed, None, later), Some(vec![provided]));
    }
}
