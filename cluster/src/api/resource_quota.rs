//! ResourceQuotas of a namespace.

use kube::api::ObjectMeta;
use podfit_core::quantity::{Bytes, Millicores, Resource, ResourceList};
use podfit_core::quota::{Quota, Totals};
use serde::Deserialize;

use super::metadata;
use super::quantity::{QuantityMap, amount};

/// A `ResourceQuota`, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ResourceQuotaObject {
    #[serde(deserialize_with = "metadata::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    scopes: Vec<String>,
    scope_selector: Option<ScopeSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScopeSelector {
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Expression {
    scope_name: String,
    operator: String,
}

/// What the API server goes by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    hard: QuantityMap,
    used: QuantityMap,
}

namespaced_resource!(
    ResourceQuotaObject,
    "",
    "v1",
    "ResourceQuota",
    "resourcequotas"
);

/// Scopes that all pods are in which podfit evicts: they have requests afterwards, and no deadline.
const ALL_PODS: [&str; 2] = ["NotBestEffort", "NotTerminating"];

impl ResourceQuotaObject {
    /// As a plain value; `None` for one of which podfit cannot tell whether it counts a pod (by priority class, by affinity),
    /// or which counts no pod that podfit evicts (best effort, with a deadline).
    pub fn quota(&self) -> Option<Quota> {
        let selector = self.spec.scope_selector.iter();
        let expressions = selector.flat_map(|selector| &selector.match_expressions);
        let scopes = self.spec.scopes.iter().map(String::as_str);
        let counts = |scope: &str| ALL_PODS.contains(&scope);
        let counted = scopes.clone().all(counts)
            && expressions
                .clone()
                .all(|e| e.operator == "Exists" && counts(&e.scope_name));
        counted.then(|| Quota {
            name: self.metadata.name.clone().unwrap_or_default(),
            hard: totals(&self.status.hard),
            used: totals(&self.status.used),
            too_many_pods: ["pods", "count/pods"]
                .iter()
                .any(|name| number(&self.status.used, name) > number(&self.status.hard, name)),
        })
    }
}

/// How many; without a bound, none is used of it.
fn number(map: &QuantityMap, name: &str) -> i64 {
    map.get(name)
        .and_then(|value| amount(Resource::Cpu, value).ok())
        .unwrap_or(0)
}

/// `cpu` and `memory` mean requests. The tighter of two names for one thing counts.
fn totals(map: &QuantityMap) -> Totals {
    let get = |resource: Resource, names: [String; 2]| {
        let values = names.iter().filter_map(|name| map.get(name));
        values
            .filter_map(|value| amount(resource, value).ok())
            .min()
    };
    let list = |names: fn(&str) -> [String; 2]| ResourceList {
        cpu: get(Resource::Cpu, names("cpu")).map(Millicores),
        memory: get(Resource::Memory, names("memory")).map(Bytes),
    };
    Totals {
        requests: list(|name| [name.into(), format!("requests.{name}")]),
        limits: list(|name| [format!("limits.{name}"), String::new()]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn quota(spec: &Value, hard: &Value, used: &Value) -> Option<Quota> {
        let object = json!({
            "metadata": {"name": "team", "namespace": "shop"},
            "spec": spec,
            "status": {"hard": hard, "used": used},
        });
        serde_json::from_value::<ResourceQuotaObject>(object)
            .unwrap()
            .quota()
    }

    #[test]
    fn amounts_are_read_under_both_of_their_names() {
        let hard = json!({"cpu": "4", "requests.memory": "8Gi", "limits.cpu": "6", "pods": "10", "services": "1"});
        let used =
            json!({"cpu": "3500m", "requests.memory": "1Gi", "limits.cpu": "1", "pods": "10"});
        let read = quota(&json!({}), &hard, &used).unwrap();
        assert_eq!(
            (read.hard.requests.cpu, read.used.requests.cpu),
            (Some(Millicores(4000)), Some(Millicores(3500)))
        );
        assert_eq!(read.hard.requests.memory, Some(Bytes(8 << 30)));
        assert_eq!(
            (read.hard.limits.cpu, read.hard.limits.memory),
            (Some(Millicores(6000)), None)
        );
        assert_eq!((read.name.as_str(), read.too_many_pods), ("team", false));
        let lowered = quota(&json!({}), &json!({"pods": "2"}), &json!({"pods": "3"}));
        assert!(lowered.unwrap().too_many_pods);
        let fresh = quota(&json!({}), &json!({}), &json!({})).unwrap();
        assert_eq!(
            (fresh.hard, fresh.too_many_pods),
            (Totals::default(), false)
        );
    }

    #[test]
    fn a_quota_of_which_nobody_knows_whether_it_counts_a_pod_is_left_to_the_api_server() {
        let by = |scope: &str, operator: &str| json!({"scopeSelector": {"matchExpressions": [{"scopeName": scope, "operator": operator}]}});
        for (spec, counted) in [
            (json!({}), true),
            (json!({"scopes": ["NotBestEffort", "NotTerminating"]}), true),
            (json!({"scopes": ["BestEffort"]}), false),
            (json!({"scopes": ["Terminating"]}), false),
            (
                json!({"scopes": ["NotTerminating", "PriorityClass"]}),
                false,
            ),
            (by("NotBestEffort", "Exists"), true),
            (by("PriorityClass", "In"), false),
        ] {
            let read = quota(&spec, &json!({"cpu": "1"}), &json!({}));
            assert_eq!(read.is_some(), counted, "{spec}");
        }
    }
}
