//! PodDisruptionBudgets: only to see that one has changed since it refused an eviction.

use kube::api::ObjectMeta;
use podfit_core::disruption::Budget;
use serde::Deserialize;

use super::metadata;

/// A `PodDisruptionBudget`, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct DisruptionBudgetObject {
    #[serde(deserialize_with = "metadata::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    disruptions_allowed: i64,
}

namespaced_resource!(
    DisruptionBudgetObject,
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets"
);

impl DisruptionBudgetObject {
    /// As a plain value.
    pub fn budget(&self) -> Budget {
        Budget {
            generation: self.metadata.generation.unwrap_or_default(),
            allowed: self.status.disruptions_allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_budget_is_read_with_and_without_a_status() {
        let mut object =
            json!({"metadata": {"name": "web", "generation": 3}, "spec": {"minAvailable": 1}});
        let read = |object: &serde_json::Value| {
            let object: DisruptionBudgetObject = serde_json::from_value(object.clone()).unwrap();
            let Budget {
                generation,
                allowed,
            } = object.budget();
            (generation, allowed)
        };
        assert_eq!(read(&object), (3, 0));
        object["status"] = json!({"disruptionsAllowed": 2, "observedGeneration": 3});
        assert_eq!(read(&object), (3, 2));
    }
}
