//! What containers use, from external.metrics.k8s.io: one question per pod and resource.

use std::collections::BTreeMap;

use http::Request;
use podfit_core::quantity::{Bytes, Millicores, Resource};
use podfit_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::api::quantity::amount;
use crate::api::time;
use crate::calls::{CallError, Calls};
use crate::usage::{ContainerUsage, PodUsage};

/// What the metrics are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalMetrics {
    /// Cores in use; `None` when they are not measured.
    pub cpu: Option<String>,
    /// Bytes in use; `None` when they are not measured.
    pub memory: Option<String>,
    /// The label with the container's name.
    pub container_label: String,
}

#[derive(Deserialize)]
struct ValueList {
    #[serde(default)]
    items: Vec<MetricValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricValue {
    #[serde(default)]
    metric_labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    timestamp: String,
    value: Value,
}

impl ExternalMetrics {
    /// The usage of one pod's containers; `None` when there is none. `selector` selects the pods of its workload, and may
    /// be empty.
    pub async fn of_pod(
        &self,
        calls: &Calls,
        (namespace, pod): (&str, &str),
        selector: &str,
    ) -> Result<Option<PodUsage>, CallError> {
        let selector = match selector {
            "" => format!("pod={pod}"),
            _ => format!("{selector},pod={pod}"),
        };
        let mut usage = Assembly::default();
        for (resource, metric) in [(Resource::Cpu, &self.cpu), (Resource::Memory, &self.memory)] {
            let Some(metric) = metric else { continue };
            let list = list(calls, (namespace, metric), &selector).await?;
            usage.add(resource, &list.items, &self.container_label);
        }
        Ok(usage.finish(namespace, pod))
    }
}

async fn list(
    calls: &Calls,
    (namespace, metric): (&str, &str),
    selector: &str,
) -> Result<ValueList, CallError> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("labelSelector", selector)
        .finish();
    let path =
        format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}?{query}");
    let request = async {
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        calls.client().request(request).await
    };
    calls.run("list external metrics", request).await
}

/// Values of several metrics on their way to one pod's usage.
#[derive(Default)]
struct Assembly {
    at: Option<Timestamp>,
    containers: BTreeMap<String, [Option<i64>; 2]>,
}

impl Assembly {
    /// Values without the container's label, or that are no amounts, are left out.
    fn add(&mut self, resource: Resource, items: &[MetricValue], label: &str) {
        let at = items.first().and_then(|item| time::parse(&item.timestamp));
        self.at = self.at.max(at);
        for item in items {
            let container = item
                .metric_labels
                .as_ref()
                .and_then(|labels| labels.get(label));
            if let (Some(container), Ok(amount)) = (container, amount(resource, &item.value)) {
                let [cpu, memory] = self.containers.entry(container.clone()).or_default();
                match resource {
                    Resource::Cpu => *cpu = Some(amount),
                    Resource::Memory => *memory = Some(amount),
                }
            }
        }
    }

    fn finish(self, namespace: &str, pod: &str) -> Option<PodUsage> {
        let containers: Vec<_> = self
            .containers
            .into_iter()
            .map(|(name, [cpu, memory])| ContainerUsage {
                name,
                cpu: cpu.map(Millicores),
                memory: memory.map(Bytes),
            })
            .collect();
        Some(PodUsage {
            namespace: namespace.into(),
            pod: pod.into(),
            at: self.at.filter(|_| !containers.is_empty())?,
            containers,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(values: &Value) -> Vec<MetricValue> {
        let list: ValueList = serde_json::from_value(json!({ "items": values })).unwrap();
        list.items
    }

    #[test]
    fn values_of_two_metrics_become_one_usage() {
        let mut usage = Assembly::default();
        let cpu = items(&json!([
            {"metricLabels": {"c": "app"}, "timestamp": "2026-11-26T10:00:00Z", "value": "250m"},
            {"metricLabels": {"c": "side"}, "timestamp": "2026-11-26T10:00:00Z", "value": "much"},
            {"metricLabels": {"other": "x"}, "timestamp": "2026-11-26T10:00:00Z", "value": "1"},
            {"metricLabels": null, "timestamp": "2026-11-26T10:00:00Z", "value": "1"},
        ]));
        let memory = items(&json!([
            {"metricLabels": {"c": "app"}, "timestamp": "2026-11-26T10:00:05Z", "value": "52Mi"},
        ]));
        usage.add(Resource::Cpu, &cpu, "c");
        usage.add(Resource::Memory, &memory, "c");
        let usage = usage.finish("shop", "web-1").unwrap();
        assert_eq!(usage.at, time::parse("2026-11-26T10:00:05Z").unwrap());
        let expected = ContainerUsage {
            name: "app".into(),
            cpu: Some(Millicores(250)),
            memory: Some(Bytes(52 << 20)),
        };
        assert_eq!(usage.containers, [expected]);
    }

    #[test]
    fn nothing_is_no_usage() {
        let mut usage = Assembly::default();
        usage.add(Resource::Cpu, &items(&json!([])), "c");
        assert_eq!(usage.finish("shop", "web-1"), None);
        let mut timeless = Assembly::default();
        timeless.add(
            Resource::Cpu,
            &items(&json!([{"metricLabels": {"c": "app"}, "value": "1"}])),
            "c",
        );
        assert_eq!(timeless.finish("shop", "web-1"), None);
    }
}
