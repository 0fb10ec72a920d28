//! HorizontalPodAutoscalers: what they scale, on what, and whether they do.

use std::time::Duration;

use kube::api::ObjectMeta;
use podfit_core::horizontal::{HorizontalAutoscaler, Metric, Target};
use podfit_core::ownership::of_well_known;
use podfit_core::pod::OwnerRef;
use podfit_core::quantity::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::controller::controlling_owner;
use super::metadata;
use super::quantity::amount;
use super::scale_point;

/// The label by which KEDA knows the HPAs that it makes.
const MADE_BY_KEDA: &str = "scaledobject.keda.sh/name";

/// A `HorizontalPodAutoscaler` of `autoscaling/v2`, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct HorizontalPodAutoscalerObject {
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
    scale_target_ref: TargetRef,
    min_replicas: Option<i64>,
    max_replicas: i64,
    metrics: Vec<MetricSpec>,
    behavior: Behavior,
}

/// A reference to what is scaled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TargetRef {
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

impl TargetRef {
    /// `None` when it names no kind or nothing.
    pub fn read(&self) -> Option<OwnerRef> {
        let named = !self.kind.is_empty() && !self.name.is_empty();
        named.then(|| OwnerRef {
            api_version: of_well_known(&self.api_version),
            kind: of_well_known(&self.kind),
            name: self.name.clone(),
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetricSpec {
    r#type: String,
    resource: Option<ResourceMetric>,
    container_resource: Option<ResourceMetric>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceMetric {
    name: String,
    container: Option<String>,
    target: TargetSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TargetSpec {
    r#type: String,
    average_utilization: Option<i64>,
    average_value: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Behavior {
    scale_down: ScalingRules,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScalingRules {
    stabilization_window_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
}

namespaced_resource!(
    HorizontalPodAutoscalerObject,
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers"
);

impl HorizontalPodAutoscalerObject {
    /// As a plain value.
    pub fn to_horizontal(&self) -> HorizontalAutoscaler {
        let (meta, spec) = (&self.metadata, &self.spec);
        let window = spec.behavior.scale_down.stabilization_window_seconds;
        HorizontalAutoscaler {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            target: spec.scale_target_ref.read(),
            scaled_object: scaled_object(meta),
            metrics: spec.metrics.iter().map(MetricSpec::read).collect(),
            min_replicas: spec.min_replicas.unwrap_or(1),
            max_replicas: spec.max_replicas,
            down_stabilization: window.map(|seconds| Duration::from_secs(seconds.into())),
            inactive: self.inactive(),
            kept: scale_point::kept(meta),
        }
    }

    fn inactive(&self) -> Option<String> {
        let mut conditions = self.status.conditions.iter().flatten();
        let inactive = conditions.find(|c| c.r#type == "ScalingActive" && c.status == "False");
        inactive.map(|c| c.reason.clone())
    }
}

fn scaled_object(meta: &ObjectMeta) -> Option<String> {
    let owner = controlling_owner(meta).filter(|o| o.kind == "ScaledObject");
    let label = || meta.labels.as_ref()?.get(MADE_BY_KEDA).cloned();
    owner.map(|owner| owner.name).or_else(label)
}

impl MetricSpec {
    fn read(&self) -> Metric {
        let (of, container) = match self.r#type.as_str() {
            "Resource" => (&self.resource, false),
            "ContainerResource" => (&self.container_resource, true),
            _ => return Metric::Other,
        };
        let Some(of) = of else { return Metric::Other };
        let Some(resource) = resource(&of.name) else {
            return Metric::Other;
        };
        Metric::Resource {
            resource,
            container: of.container.clone().filter(|_| container),
            target: of.target.read(resource),
        }
    }
}

impl TargetSpec {
    fn read(&self, resource: Resource) -> Target {
        match (self.r#type.as_str(), self.average_utilization) {
            ("Utilization", Some(percent)) => Target::Utilization(percent),
            ("AverageValue", _) => average_value(resource, &self.average_value),
            _ => Target::Unknown,
        }
    }
}

/// CPU or memory, by its name.
pub(super) fn resource(name: &str) -> Option<Resource> {
    Resource::ALL.into_iter().find(|r| r.name() == name)
}

pub(super) fn average_value(resource: Resource, value: &Value) -> Target {
    amount(resource, value).map_or(Target::Unknown, Target::AverageValue)
}

#[cfg(test)]
mod tests {
    use podfit_core::horizontal::realign::Kept;
    use serde_json::json;

    use super::*;

    fn read(object: Value) -> HorizontalAutoscaler {
        let object: HorizontalPodAutoscalerObject = serde_json::from_value(object).unwrap();
        object.to_horizontal()
    }

    #[test]
    fn an_hpa_is_read() {
        let hpa = read(json!({
            "metadata": {
                "namespace": "shop", "name": "keda-hpa-web", "labels": {"scaledobject.keda.sh/name": "label"},
                "ownerReferences": [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "1", "controller": true}]
            },
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 2, "maxReplicas": 10,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods"}]}},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]
            },
            "status": {"currentMetrics": null, "conditions": [
                {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"},
                {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "…"}
            ]}
        }));
        let want = HorizontalAutoscaler {
            namespace: "shop".into(),
            name: "keda-hpa-web".into(),
            target: Some(OwnerRef {
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                name: "web".into(),
            }),
            scaled_object: Some("web".into()),
            metrics: vec![Metric::Resource {
                resource: Resource::Cpu,
                container: None,
                target: Target::Utilization(70),
            }],
            min_replicas: 2,
            max_replicas: 10,
            down_stabilization: Some(Duration::from_mins(1)),
            inactive: Some("ScalingDisabled".into()),
            kept: Kept::default(),
        };
        assert_eq!(hpa, want);
        let by_label = json!({"name": "x", "labels": {"scaledobject.keda.sh/name": "label"}});
        let by_label = read(json!({"metadata": by_label}));
        assert_eq!(by_label.scaled_object.as_deref(), Some("label"));
    }

    #[test]
    fn metrics_are_read() {
        let resource = |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
        let of = |resource, target| Metric::Resource {
            resource,
            container: None,
            target,
        };
        let value = |amount: &str| json!({"type": "AverageValue", "averageValue": amount});
        let rows = [
            (
                resource("cpu", value("350m")),
                of(Resource::Cpu, Target::AverageValue(350)),
            ),
            (
                resource("memory", value("1Gi")),
                of(Resource::Memory, Target::AverageValue(1 << 30)),
            ),
            (
                resource("memory", value("much")),
                of(Resource::Memory, Target::Unknown),
            ),
            (
                resource("cpu", json!({"type": "Value", "value": "1"})),
                of(Resource::Cpu, Target::Unknown),
            ),
            (
                resource("cpu", json!({"type": "Utilization"})),
                of(Resource::Cpu, Target::Unknown),
            ),
            (resource("nvidia.com/gpu", value("1")), Metric::Other),
            (json!({"type": "Resource"}), Metric::Other),
            (
                json!({"type": "ContainerResource", "containerResource": {
                    "name": "cpu", "container": "app", "target": {"type": "Utilization", "averageUtilization": 60}
                }}),
                Metric::Resource {
                    resource: Resource::Cpu,
                    container: Some("app".into()),
                    target: Target::Utilization(60),
                },
            ),
            (
                json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": value("5")}}),
                Metric::Other,
            ),
        ];
        for (metric, want) in rows {
            let hpa = read(json!({"metadata": {"name": "x"}, "spec": {"metrics": [metric]}}));
            assert_eq!(hpa.metrics, [want], "{metric}");
        }
    }

    #[test]
    fn what_is_missing_is_as_the_api_server_would_fill_it_in() {
        let hpa = read(json!({"metadata": {"name": "x"}, "status": {"conditions": null}}));
        let want = HorizontalAutoscaler {
            name: "x".into(),
            min_replicas: 1,
            ..HorizontalAutoscaler::default()
        };
        assert_eq!(hpa, want);
    }
}
