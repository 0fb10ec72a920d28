//! Which labels select a workload's pods, read from the workload itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::core::Selector;
use podfit_core::ownership::{ControllerKey, FAMILY_LABEL, POD_FAMILY, WELL_KNOWN_KINDS};
use serde_json::Value;

use crate::calls::{CallError, Calls};

/// The selector of a workload's pods as text; empty for kinds that podfit does not know, and for workloads that are gone.
///
/// It is read by a list, for which podfit has the right anyway.
pub async fn of(calls: &Calls, target: &ControllerKey) -> Result<String, CallError> {
    if target.kind == POD_FAMILY {
        return Ok(format!("{FAMILY_LABEL}={}", target.name));
    }
    let known = WELL_KNOWN_KINDS
        .iter()
        .find(|(_, kind)| *kind == target.kind);
    let Some((api_version, kind)) = known else {
        return Ok(String::new());
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> =
        Api::namespaced_with(calls.client().clone(), &target.namespace, &resource);
    let only = ListParams::default().fields(&format!("metadata.name={}", target.name));
    let found = calls.run("list one workload", api.list(&only)).await?;
    let selector = found.items.first().map(|object| selector(&object.data));
    Ok(selector.unwrap_or_default())
}

fn selector(object: &Value) -> String {
    let spec = &object["spec"];
    let jobs = &spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"];
    let selector = &spec["selector"];
    let wrapped =
        selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    // Of a CronJob the labels of its pods, of a ReplicationController a plain map.
    let plain = if jobs.is_object() { jobs } else { selector };
    let selector = if wrapped {
        serde_json::from_value::<LabelSelector>(selector.clone()).ok()
    } else {
        serde_json::from_value(plain.clone())
            .ok()
            .map(|match_labels| LabelSelector {
                match_labels,
                match_expressions: None,
            })
    };
    let selector = selector.and_then(|s| Selector::try_from(s).ok());
    selector.map(|s| s.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_says_it_in_its_way() {
        let labels = json!({"app": "web", "tier": "front"});
        let cases = [
            (
                json!({"selector": {"matchLabels": labels}}),
                "app=web,tier=front",
            ),
            (
                json!({"selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["a", "b"]},
                    {"key": "old", "operator": "DoesNotExist"},
                ]}}),
                "app=web,tier in (a,b),!old",
            ),
            (json!({"selector": labels}), "app=web,tier=front"),
            (
                json!({"jobTemplate": {"spec": {"template": {"metadata": {"labels": labels}}}}}),
                "app=web,tier=front",
            ),
            (json!({}), ""),
        ];
        for (spec, expected) in cases {
            assert_eq!(selector(&json!({ "spec": spec })), expected, "{spec}");
        }
    }
}
