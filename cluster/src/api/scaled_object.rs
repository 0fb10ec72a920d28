//! KEDA's ScaledObjects: what they scale, and their CPU and memory triggers.

use kube::api::ObjectMeta;
use podfit_core::horizontal::{Metric, ScaledObject, Target};
use podfit_core::pod::OwnerRef;
use serde::Deserialize;
use serde_json::Value;

use super::horizontal_pod_autoscaler::{TargetRef, average_value, resource};
use super::metadata;

/// With either annotation KEDA does not scale, and takes its HPA away.
const PAUSED: [&str; 2] = [
    "autoscaling.keda.sh/paused",
    "autoscaling.keda.sh/paused-replicas",
];

/// A `ScaledObject` of `keda.sh/v1alpha1`, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ScaledObjectObject {
    #[serde(deserialize_with = "metadata::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    scale_target_ref: TargetRef,
    triggers: Vec<Trigger>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Trigger {
    r#type: String,
    metric_type: String,
    metadata: Value,
}

namespaced_resource!(
    ScaledObjectObject,
    "keda.sh",
    "v1alpha1",
    "ScaledObject",
    "scaledobjects"
);

impl ScaledObjectObject {
    /// As a plain value.
    pub fn to_scaled_object(&self) -> ScaledObject {
        let meta = &self.metadata;
        ScaledObject {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            target: self.spec.target(),
            paused: is_paused(meta),
            triggers: self.spec.triggers.iter().map(Trigger::read).collect(),
        }
    }
}

fn is_paused(meta: &ObjectMeta) -> bool {
    let text = |key: &str| meta.annotations.as_ref()?.get(key).map(String::as_str);
    let [paused, replicas] = PAUSED.map(text);
    // As Go reads truth; what is neither counts as true.
    let is_false = |text: &str| matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE");
    replicas.is_some() || paused.is_some_and(|text| !is_false(text))
}

impl Spec {
    /// KEDA takes a Deployment where no kind is given.
    fn target(&self) -> Option<OwnerRef> {
        let mut target = self.scale_target_ref.clone();
        for (field, default) in [
            (&mut target.api_version, "apps/v1"),
            (&mut target.kind, "Deployment"),
        ] {
            if field.is_empty() {
                default.clone_into(field);
            }
        }
        target.read()
    }
}

impl Trigger {
    fn read(&self) -> Metric {
        let Some(resource) = resource(&self.r#type) else {
            return Metric::Other;
        };
        // The place where older versions have it.
        let kind = match self.metric_type.as_str() {
            "" => self.metadata["type"].as_str().unwrap_or("Utilization"),
            kind => kind,
        };
        let value = &self.metadata["value"];
        let percent = || value.as_str()?.trim().parse().ok();
        let target = match kind {
            "Utilization" => percent().map_or(Target::Unknown, Target::Utilization),
            "AverageValue" => average_value(resource, value),
            _ => Target::Unknown,
        };
        let container = self.metadata["containerName"].as_str();
        Metric::Resource {
            resource,
            container: container.filter(|name| !name.is_empty()).map(String::from),
            target,
        }
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::Resource;
    use serde_json::json;

    use super::*;

    fn read(object: Value) -> ScaledObject {
        let object: ScaledObjectObject = serde_json::from_value(object).unwrap();
        object.to_scaled_object()
    }

    #[test]
    fn a_scaled_object_is_read() {
        let scaled = read(json!({
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {
                "scaleTargetRef": {"name": "web"}, "minReplicaCount": 0,
                "triggers": [
                    {"type": "prometheus", "metadata": {"query": "q", "threshold": "10"}},
                    {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60", "containerName": "app"}},
                    {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "1Gi"}},
                    {"type": "cpu", "metadata": {"type": "AverageValue", "value": "350m"}},
                    {"type": "memory", "metadata": {"value": "80"}},
                    {"type": "cpu", "metadata": {"value": "much"}}
                ]
            }
        }));
        let on = |resource, target| Metric::Resource {
            resource,
            container: None,
            target,
        };
        let want = [
            Metric::Other,
            Metric::Resource {
                resource: Resource::Cpu,
                container: Some("app".into()),
                target: Target::Utilization(60),
            },
            on(Resource::Memory, Target::AverageValue(1 << 30)),
            on(Resource::Cpu, Target::AverageValue(350)),
            on(Resource::Memory, Target::Utilization(80)),
            on(Resource::Cpu, Target::Unknown),
        ];
        assert_eq!(scaled.triggers, want);
        let target = scaled.target.unwrap();
        assert_eq!(
            (&*target.api_version, &*target.kind, target.name.as_str()),
            ("apps/v1", "Deployment", "web")
        );
    }

    #[test]
    fn a_pause_is_seen() {
        let rows = [
            (json!({}), false),
            (json!({"autoscaling.keda.sh/paused": "true"}), true),
            (json!({"autoscaling.keda.sh/paused": "False"}), false),
            (json!({"autoscaling.keda.sh/paused": "sure"}), true),
            (json!({"autoscaling.keda.sh/paused-replicas": "0"}), true),
            (
                json!({"autoscaling.keda.sh/paused-scale-in": "true"}),
                false,
            ),
        ];
        for (annotations, want) in rows {
            let scaled = read(json!({"metadata": {"name": "x", "annotations": annotations}}));
            assert_eq!(
                (scaled.paused, scaled.target),
                (want, None),
                "{annotations}"
            );
        }
    }
}
