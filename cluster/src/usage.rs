//! What containers use, from metrics.k8s.io.

use http::Request;
use podfit_core::quantity::{Bytes, Millicores};
use podfit_core::time::Timestamp;

use crate::api::metrics::{PodMetrics, PodMetricsList};
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
///
/// A large cluster's list is by far the most that is read in a loop, and all at once: the API knows no pages. So it is
/// decoded from the text that came, without objects in between.
pub async fn from_metrics_api(calls: &Calls, namespace: &str) -> Result<Vec<PodUsage>, CallError> {
    let list = async {
        let path = match namespace {
            "" => "/apis/metrics.k8s.io/v1beta1/pods".to_owned(),
            one => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{one}/pods"),
        };
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let text = calls.client().request_text(request).await?;
        read(&text).map_err(kube::Error::SerdeError)
    };
    calls.run("list pods of metrics.k8s.io", list).await
}

/// The usage in a `PodMetricsList`.
fn read(text: &str) -> Result<Vec<PodUsage>, serde_json::Error> {
    let list: PodMetricsList<'_> = serde_json::from_str(text)?;
    Ok(list.items.iter().filter_map(pod_usage).collect())
}

fn pod_usage(pod: &PodMetrics<'_>) -> Option<PodUsage> {
    Some(PodUsage {
        namespace: pod.metadata.namespace.as_deref()?.to_owned(),
        pod: pod.metadata.name.as_deref()?.to_owned(),
        at: time::parse(&pod.timestamp)?,
        containers: pod
            .containers
            .iter()
            .map(|c| ContainerUsage {
                name: c.name.clone().into_owned(),
                cpu: c
                    .usage
                    .cpu
                    .and_then(|cpu| Millicores::parse(cpu.text()).ok()),
                memory: c
                    .usage
                    .memory
                    .and_then(|memory| Bytes::parse(memory.text()).ok()),
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
        let list = json!({"kind": "PodMetricsList", "metadata": {}, "items": [
            {
                "metadata": {"namespace": "shop", "name": "web-1", "labels": {"app": "web"}, "creationTimestamp": null},
                "timestamp": "2026-11-24T10:11:12Z", "window": "15s",
                "containers": [
                    {"name": "app", "usage": {"cpu": "123456789n", "memory": "52Mi", "nvidia.com/gpu": "1"}},
                    {"name": "side \"car\"", "usage": {"cpu": "much", "memory": {"no": "amount"}}},
                    {"name": "numbers", "usage": {"cpu": 1.5, "memory": 1024}},
                    {"name": "idle"},
                ],
            },
            {"metadata": {"namespace": "shop", "name": "timeless"}},
            {"metadata": {"name": "nowhere"}, "timestamp": "2026-11-24T10:11:12Z"},
        ]});
        let container = |name: &str, cpu: Option<i64>, memory: Option<i64>| ContainerUsage {
            name: name.into(),
            cpu: cpu.map(Millicores),
            memory: memory.map(Bytes),
        };
        let expected = PodUsage {
            namespace: "shop".into(),
            pod: "web-1".into(),
            at: time::parse("2026-11-24T10:11:12Z").unwrap(),
            containers: vec![
                container("app", Some(124), Some(52 << 20)),
                container("side \"car\"", None, None),
                container("numbers", Some(1500), Some(1024)),
                container("idle", None, None),
            ],
        };
        assert_eq!(read(&list.to_string()).unwrap(), [expected]);
    }

    #[test]
    fn an_answer_that_is_no_list_is_an_error() {
        for text in [
            "",
            "<html>",
            "[]",
            r#"{"kind":"PodMetricsList"}"#,
            r#"{"items":[{"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
