//! What containers use, from metrics.k8s.io.

use kube::api::{Api, ListParams};
use podfit_core::quantity::{Bytes, Millicores, Resource};
use podfit_core::time::Timestamp;

use crate::api::metrics::PodMetricsObject;
use crate::api::quantity::amount;
use crate::api::time;
use crate::calls::{CallError, Calls};

/// The usage of one pod's containers at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct PodUsage {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// When it was measured.
    pub at: Timestamp,
    /// Per container.
    pub containers: Vec<ContainerUsage>,
}

/// The usage of one container. What was not reported or cannot be read is absent, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUsage {
    /// The container's name.
    pub name: String,
    /// CPU.
    pub cpu: Option<Millicores>,
    /// Working set.
    pub memory: Option<Bytes>,
}

/// The usage of all pods of a namespace, or of the cluster when it is empty.
pub async fn from_metrics_api(calls: &Calls, namespace: &str) -> Result<Vec<PodUsage>, CallError> {
    let api: Api<PodMetricsObject> = if namespace.is_empty() {
        Api::all(calls.client().clone())
    } else {
        Api::namespaced(calls.client().clone(), namespace)
    };
    let list = calls
        .run(
            "list pods of metrics.k8s.io",
            api.list(&ListParams::default()),
        )
        .await?;
    Ok(list.items.iter().filter_map(pod_usage).collect())
}

fn pod_usage(object: &PodMetricsObject) -> Option<PodUsage> {
    let read = |resource: Resource, usage: &crate::api::quantity::QuantityMap| {
        usage
            .get(resource.name())
            .and_then(|value| amount(resource, value).ok())
    };
    Some(PodUsage {
        namespace: object.metadata.namespace.clone()?,
        pod: object.metadata.name.clone()?,
        at: time::parse(&object.timestamp)?,
        containers: object
            .containers
            .iter()
            .map(|c| ContainerUsage {
                name: c.name.clone(),
                cpu: read(Resource::Cpu, &c.usage).map(Millicores),
                memory: read(Resource::Memory, &c.usage).map(Bytes),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_is_read_and_nonsense_left_out() {
        let object = json!({
            "metadata": {"namespace": "shop", "name": "web-1"}, "timestamp": "2026-11-24T10:11:12Z",
            "containers": [
                {"name": "app", "usage": {"cpu": "123456789n", "memory": "52Mi"}},
                {"name": "side", "usage": {"cpu": "much"}},
            ]
        });
        let usage = pod_usage(&serde_json::from_value(object).unwrap()).unwrap();
        assert_eq!(usage.containers[0].cpu, Some(Millicores(124)));
        assert_eq!(usage.containers[0].memory, Some(Bytes(52 << 20)));
        assert_eq!(
            (usage.containers[1].cpu, usage.containers[1].memory),
            (None, None)
        );

        let timeless = json!({"metadata": {"namespace": "shop", "name": "web-1"}});
        assert_eq!(pod_usage(&serde_json::from_value(timeless).unwrap()), None);
    }
}
