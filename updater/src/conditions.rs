//! The updater's conditions of a VPA: `UpdateBlocked`, while pods wait for a change that cannot be made, `CappedByLimit`,
//! while they need more than a limit lets them have, and `CappedByNode`, while they need more than a node has.

use podfit_core::disruption::{CappedByLimit, CappedByNode, NotApplied};
use podfit_core::time::Timestamp;
use podfit_core::vpa::{Condition, Vpa};

const BLOCKED: &str = "UpdateBlocked";
const NOT_APPLIED: &str = "UpdateNotApplied";
const CAPPED: &str = "CappedByLimit";
const CAPPED_BY_NODE: &str = "CappedByNode";

/// Why pods of a VPA wait: the first of most of them, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// A stable word: `PodDisruptionBudget`, `TooFewReplicas`, …
    pub code: String,
    /// The first pod that waits.
    pub pod: String,
    /// A sentence on it.
    pub message: String,
    /// How many pods wait for that.
    pub pods: usize,
    /// How many wait for something else.
    pub others: usize,
}

/// What the updater has to say of a VPA.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Pods that wait.
    pub blocked: Option<Blocked>,
    /// The pod that came back from an eviction otherwise than asked.
    pub not_applied: Option<NotApplied>,
    /// Limits that cut off what is recommended.
    pub capped: Vec<CappedByLimit>,
    /// What no node can hold of what is recommended.
    pub capped_by_node: Vec<CappedByNode>,
}

/// True when the VPA carries a condition of ours.
pub fn has_ours(vpa: &Vpa) -> bool {
    vpa.conditions.iter().any(|c| is_ours(&c.kind))
}

fn is_ours(kind: &str) -> bool {
    [BLOCKED, NOT_APPLIED, CAPPED, CAPPED_BY_NODE].contains(&kind)
}

/// The VPA's conditions with ours brought up to date; `None` when nothing is to be written.
///
/// The message of `UpdateBlocked` names pods and counts that change all the time: it is written anew only when the reason
/// changes.
pub fn merge(present: &[Condition], found: &Findings, now: Timestamp) -> Option<Vec<Condition>> {
    let of_kind = |kind: &str| {
        present
            .iter()
            .find(|c| c.kind == kind && c.status == "True")
    };
    let steady = |known: &Condition, new: &Condition| {
        known.reason == new.reason && (new.kind == BLOCKED || known.message == new.message)
    };
    let all_ours = [
        found.blocked.as_ref().map(blocked),
        found.not_applied.as_ref().map(not_applied),
        capped(&found.capped),
        capped_by_node(&found.capped_by_node),
    ];
    let ours: Vec<_> = all_ours
        .into_iter()
        .flatten()
        .map(|new| match of_kind(&new.kind) {
            Some(known) if steady(known, &new) => known.clone(),
            known => Condition {
                last_transition: known.and_then(|c| c.last_transition).or(Some(now)),
                ..new
            },
        })
        .collect();
    let told = present.iter().filter(|c| is_ours(&c.kind)).count();
    if ours.len() == told && ours.iter().all(|c| present.contains(c)) {
        return None;
    }
    let others = present.iter().filter(|c| !is_ours(&c.kind)).cloned();
    let mut merged: Vec<_> = others.chain(ours).collect();
    merged.sort_by(|a, b| a.kind.cmp(&b.kind));
    Some(merged)
}

fn blocked(blocked: &Blocked) -> Condition {
    let others = match (blocked.pods - 1, blocked.others) {
        (0, 0) => String::new(),
        (more, 0) => format!(" ({more} more pods wait)"),
        (more, others) => format!(" ({more} more pods wait, {others} for other reasons)"),
    };
    condition(
        BLOCKED,
        &blocked.code,
        format!("Pod {}: {}{others}", blocked.pod, blocked.message),
    )
}

fn not_applied(NotApplied { pod, fault, .. }: &NotApplied) -> Condition {
    condition(NOT_APPLIED, fault.code(), format!("Pod {pod} {fault}"))
}

fn capped(capped: &[CappedByLimit]) -> Option<Condition> {
    let all: Vec<_> = capped.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        let what = all.join("; ");
        let message = format!(
            "{what}. Raise the limit, or let podfit set it: controlledValues RequestsAndLimits, or the annotation \
             podfit.dev/limits"
        );
        condition(CAPPED, "LimitStays", message)
    })
}

fn capped_by_node(capped: &[CappedByNode]) -> Option<Condition> {
    let all: Vec<_> = capped.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        let what = all.join("; ");
        let message = format!(
            "{what}. Running pods get no more than that. New pods would wait for a larger node: set maxAllowed"
        );
        condition(CAPPED_BY_NODE, "NodesTooSmall", message)
    })
}

fn condition(kind: &str, reason: &str, message: String) -> Condition {
    Condition {
        kind: kind.into(),
        status: "True".into(),
        reason: reason.into(),
        message,
        ..Condition::default()
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::Resource;

    use super::*;

    fn blocked(code: &str) -> Blocked {
        Blocked {
            code: code.into(),
            pod: "web-1".into(),
            message: "why".into(),
            pods: 3,
            others: 0,
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
        let found = |code: &str| Findings {
            blocked: Some(blocked(code)),
            ..Findings::default()
        };
        assert_eq!(merge(&present, &Findings::default(), now), None);

        let first = merge(&present, &found("PodDisruptionBudget"), now).unwrap();
        assert_eq!(
            first.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>(),
            ["RecommendationProvided", BLOCKED]
        );
        assert_eq!(first[1].message, "Pod web-1: why (2 more pods wait)");

        let later = Timestamp::from_unix_seconds(200);
        assert_eq!(merge(&first, &found("PodDisruptionBudget"), later), None);
        let changed = merge(&first, &found("TooFewReplicas"), later).unwrap();
        assert_eq!(
            (changed[1].reason.as_str(), changed[1].last_transition),
            ("TooFewReplicas", Some(now))
        );
        assert_eq!(
            merge(&changed, &Findings::default(), later),
            Some(vec![provided])
        );
    }

    #[test]
    fn nodes_that_are_too_small_are_told() {
        let found = Findings {
            capped_by_node: vec![CappedByNode {
                resource: Resource::Memory,
                most: 4 << 30,
                stays: false,
            }],
            ..Findings::default()
        };
        let told = merge(&[], &found, Timestamp::from_unix_seconds(100)).unwrap();
        assert_eq!(
            (told[0].kind.as_str(), told[0].reason.as_str()),
            ("CappedByNode", "NodesTooSmall")
        );
        assert!(
            told[0].message.ends_with(
                "4Gi at most. Running pods get no more than that. New pods would wait for a larger node: set maxAllowed"
            ),
            "{}",
            told[0].message
        );
        assert!(has_ours(&Vpa {
            conditions: told,
            ..Vpa::default()
        }));
    }

    #[test]
    fn a_limit_in_the_way_is_told_until_it_is_not() {
        let now = Timestamp::from_unix_seconds(100);
        let capped = |limit| Findings {
            blocked: Some(blocked("TooFewReplicas")),
            capped: vec![CappedByLimit {
                container: "app".into(),
                resource: Resource::Memory,
                limit,
                is_default: false,
            }],
            ..Findings::default()
        };
        let first = merge(&[], &capped(512 << 20), now).unwrap();
        assert_eq!(
            (first[0].kind.as_str(), first[0].reason.as_str()),
            (CAPPED, "LimitStays")
        );
        assert!(first[0].message.starts_with(
            "container app needs more memory than its limit of 512Mi which stays. Raise the limit"
        ));
        let later = Timestamp::from_unix_seconds(200);
        assert_eq!(merge(&first, &capped(512 << 20), later), None);
        let raised = merge(&first, &capped(1 << 30), later).unwrap();
        assert_eq!(raised[0].last_transition, Some(now));
        assert!(raised[0].message.contains("1Gi"));
        assert_eq!(merge(&raised, &Findings::default(), later), Some(vec![]));
    }
}
