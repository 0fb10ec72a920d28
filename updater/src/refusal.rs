//! What it means when the API server refuses an eviction or a resize.

use kube::core::response::StatusCause;
use podfit_cluster::calls::CallError;

use crate::act::Outcome;

/// What the API server's answer to an eviction means.
pub fn of_eviction(error: &CallError) -> Outcome {
    let (message, causes) = answer(error);
    let budget = || {
        causes.iter().any(|c| c.reason == "DisruptionBudget")
            || message.contains("disruption budget")
    };
    match error.status() {
        // 409: the precondition, another pod of that name.
        Some(404 | 409) => Outcome::Gone,
        // An overloaded server answers 429, too.
        Some(429) if budget() => {
            let causes = causes.iter().map(|c| c.message.as_str());
            Outcome::Budget(
                std::iter::once(message)
                    .chain(causes)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        }
        _ => Outcome::Failed(error.to_string()),
    }
}

/// The name of the budget in the server's words: `The disruption budget web needs 2 healthy pods and has 2 currently`.
pub fn budget_name(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("The disruption budget ")?;
    rest.split(' ').next().filter(|name| !name.is_empty())
}

/// What the API server's answer to a resize means. Only what an eviction can mend is infeasible: a quota or missing
/// rights would refuse the replacement as well.
pub fn of_resize(error: &CallError) -> Outcome {
    let (message, causes) = answer(error);
    let capacity = || {
        causes.iter().any(|c| c.reason == "NodeCapacity") || message.contains("enough allocatable")
    };
    match error.status() {
        // Before Kubernetes 1.33 there is no such subresource: the pod can only be made anew.
        Some(404) if message.contains("could not find the requested resource") => {
            Outcome::Infeasible(
                "this cluster cannot resize pods in place; that needs Kubernetes 1.33".into(),
            )
        }
        Some(404) => Outcome::Gone,
        // From 1.36 on admission refuses what the node can never hold.
        Some(403) if capacity() => Outcome::Infeasible(message.to_owned()),
        // The pod's class would change, or a limit fall below its request: no later try can succeed.
        Some(422) => Outcome::Infeasible(message.to_owned()),
        _ => Outcome::Failed(error.to_string()),
    }
}

/// The server's sentence and its causes; empty when it did not answer.
fn answer(error: &CallError) -> (&str, &[StatusCause]) {
    match error {
        CallError::Failed {
            source: kube::Error::Api(status),
            ..
        } => (
            &status.message,
            status.details.as_ref().map_or(&[], |d| &d.causes),
        ),
        _ => ("", &[]),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::StatusDetails;

    use super::*;

    fn refusal(code: u16, message: &str, cause: &str) -> CallError {
        let cause = StatusCause {
            reason: cause.into(),
            message: "The disruption budget web needs 2".into(),
            field: String::new(),
        };
        let details = StatusDetails {
            name: "web-1".into(),
            group: String::new(),
            kind: "pods".into(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        };
        let status = Status {
            code,
            message: message.into(),
            details: Some(details),
            ..Status::default()
        };
        CallError::Failed {
            what: "test".into(),
            source: kube::Error::Api(Box::new(status)),
        }
    }

    #[test]
    fn a_refused_resize_leads_to_an_eviction_only_where_that_can_help() {
        let rows = [
            (
                403,
                "pods \"web-1\" is forbidden: node didn't have enough allocatable resources: cpu",
                "",
                true,
            ),
            (403, "forbidden", "NodeCapacity", true),
            (
                422,
                "Pod QOS Class may not change",
                "FieldValueForbidden",
                true,
            ),
            (
                404,
                "the server could not find the requested resource",
                "",
                true,
            ),
            (
                403,
                "pods \"web-1\" is forbidden: exceeded quota: team",
                "",
                false,
            ),
            (
                403,
                "User \"x\" cannot patch resource \"pods/resize\"",
                "",
                false,
            ),
            (500, "internal", "", false),
        ];
        for (code, message, cause, infeasible) in rows {
            let outcome = of_resize(&refusal(code, message, cause));
            assert_eq!(
                matches!(outcome, Outcome::Infeasible(_)),
                infeasible,
                "{message}"
            );
        }
        assert!(matches!(
            of_resize(&refusal(404, "pods \"web-1\" not found", "")),
            Outcome::Gone
        ));
    }

    #[test]
    fn the_budget_is_named_in_the_servers_words() {
        let words = "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget web needs 2 \
                     healthy pods and has 2 currently";
        assert_eq!(budget_name(words), Some("web"));
        for words in [
            "",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        ] {
            assert_eq!(budget_name(words), None);
        }
    }

    #[test]
    fn only_a_budget_counts_as_a_budget() {
        let sentence = "Cannot evict pod as it would violate the pod's disruption budget.";
        let outcome = of_eviction(&refusal(429, sentence, "DisruptionBudget"));
        assert!(matches!(outcome, Outcome::Budget(why) if why.contains("budget web needs 2")));
        let busy = of_eviction(&refusal(
            429,
            "too many requests, please try again later",
            "RetryAfter",
        ));
        assert!(matches!(busy, Outcome::Failed(_)));
        assert!(matches!(
            of_eviction(&refusal(409, "uid", "")),
            Outcome::Gone
        ));
    }
}
