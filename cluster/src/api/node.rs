//! Nodes, and where pods may run.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use podfit_core::node::{Node, Operator, Placement, Requirement, Taint, Toleration, is_passing};
use serde::Deserialize;

use super::metadata;
use super::quantity::{QuantityMap, resource_list};

/// A node, cut down to what is read of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeObject {
    /// Its metadata.
    #[serde(default, deserialize_with = "metadata::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
    taints: Vec<SpecTaint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SpecTaint {
    key: String,
    value: String,
    effect: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    allocatable: QuantityMap,
}

resource!(
    NodeObject,
    kube::core::ClusterResourceScope,
    "",
    "v1",
    "Node",
    "nodes"
);

impl From<&NodeObject> for Node {
    fn from(object: &NodeObject) -> Self {
        let taint = |t: &SpecTaint| Taint {
            key: t.key.clone(),
            value: t.value.clone(),
            effect: t.effect.clone(),
        };
        Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            allocatable: resource_list(&object.status.allocatable),
            labels: object.metadata.labels.clone().unwrap_or_default(),
            taints: object
                .spec
                .taints
                .iter()
                .map(taint)
                .filter(Taint::stays)
                .collect(),
            cordoned: object.spec.unschedulable,
        }
    }
}

/// A pod's `affinity`; only that to nodes is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeSelector {
    node_selector_terms: Vec<Term>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Term {
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpecToleration {
    key: String,
    operator: String,
    value: String,
    effect: String,
}

/// Where a pod may run; `None` for one that may run on all nodes without taints, as most may.
///
/// What is not understood asks for nothing, and neither do `matchFields`, with which DaemonSets name one node: it is
/// better to take a node for suitable than to cap a pod for nothing.
pub(super) fn placement(
    node_selector: Option<&BTreeMap<String, String>>,
    affinity: Option<&Affinity>,
    tolerations: &[SpecToleration],
) -> Option<Placement> {
    let required = affinity
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|a| a.required.as_ref());
    let terms = required.map_or(&[][..], |r| &r.node_selector_terms);
    let affinity: Vec<Vec<_>> = terms
        .iter()
        .map(|term| {
            term.match_expressions
                .iter()
                .filter_map(requirement)
                .collect()
        })
        .collect();
    let asks_nothing = affinity.iter().any(Vec::is_empty);
    let tolerations = tolerations.iter().filter(|t| !is_passing(&t.key));
    let placement = Placement {
        selector: node_selector
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        affinity: if asks_nothing { Vec::new() } else { affinity },
        tolerations: tolerations.map(toleration).collect(),
    };
    (placement != Placement::default()).then_some(placement)
}

fn requirement(expression: &Expression) -> Option<Requirement> {
    let operator = match expression.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        _ => return None,
    };
    Some(Requirement {
        key: expression.key.clone(),
        operator,
        values: expression.values.clone(),
    })
}

fn toleration(toleration: &SpecToleration) -> Toleration {
    Toleration {
        key: toleration.key.clone(),
        value: (toleration.operator != "Exists").then(|| toleration.value.clone()),
        effect: toleration.effect.clone(),
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::pod::Pod;
    use podfit_core::quantity::{Bytes, Millicores};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::pod::PodObject;

    #[test]
    fn a_node_is_read_without_what_passes() {
        let object: NodeObject = serde_json::from_value(json!({
            "metadata": {"name": "n1", "labels": {"pool": "gpu"}},
            "spec": {"unschedulable": true, "podCIDR": "10.0.0.0/24", "taints": [
                {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
                {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
                {"key": "gpu", "effect": "PreferNoSchedule"}
            ]},
            "status": {"allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"}, "capacity": {"cpu": "4"}}
        }))
        .unwrap();
        let node = Node::from(&object);
        assert_eq!((node.name.as_str(), node.cordoned), ("n1", true));
        assert_eq!(node.allocatable.cpu, Some(Millicores(3920)));
        assert_eq!(node.allocatable.memory, Some(Bytes(15 << 30)));
        assert_eq!(node.labels["pool"], "gpu");
        let taints: Vec<_> = node
            .taints
            .iter()
            .map(|t| (t.key.as_str(), t.value.as_str()))
            .collect();
        assert_eq!(taints, [("gpu", "yes")]);
    }

    #[test]
    fn most_pods_need_no_placement_and_odd_ones_ask_for_nothing() {
        let read = |spec: Value| {
            let pod: PodObject = serde_json::from_value(json!({"spec": spec})).unwrap();
            Pod::from(&pod).placement
        };
        let affinity = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": terms}}}})
        };
        let default = json!([
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
        ]);
        for spec in [
            json!({}),
            json!({"tolerations": default}),
            affinity(
                json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]),
            ),
            affinity(json!([{"matchExpressions": [{"key": "a", "operator": "Odd"}]}])),
        ] {
            assert_eq!(read(spec.clone()), None, "{spec}");
        }
        let mut all = affinity(
            json!([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]),
        );
        all["nodeSelector"] = json!({"pool": "gpu"});
        all["tolerations"] =
            json!([{"operator": "Exists"}, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
        let placement = read(all).unwrap();
        assert_eq!(placement.selector, [("pool".to_owned(), "gpu".to_owned())]);
        assert_eq!(placement.affinity[0][0].operator, Operator::In);
        let values: Vec<_> = placement
            .tolerations
            .iter()
            .map(|t| t.value.as_deref())
            .collect();
        assert_eq!(values, [None, Some("yes")]);
    }
}
