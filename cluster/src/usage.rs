//! What containers use, from metrics.k8s.io.

use std::fmt;

use futures::AsyncBufReadExt;
use http::Request;
use kube::Client;
use podfit_core::quantity::{Bytes, Millicores};
use podfit_core::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::api::metrics::PodMetrics;
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
/// kept once, as the text that came, and decoded pod by pod.
pub async fn from_metrics_api(calls: &Calls, namespace: &str) -> Result<Vec<PodUsage>, CallError> {
    let list = async {
        let path = match namespace {
            "" => "/apis/metrics.k8s.io/v1beta1/pods".to_owned(),
            one => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{one}/pods"),
        };
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let text = text(calls.client(), request).await?;
        read(&text).map_err(kube::Error::SerdeError)
    };
    calls.run("list pods of metrics.k8s.io", list).await
}

/// An answer's body. The client's own function holds up to three copies of it at a time.
async fn text(client: &Client, request: Request<Vec<u8>>) -> Result<Vec<u8>, kube::Error> {
    let mut body = std::pin::pin!(client.request_stream(request).await?);
    let mut text = Vec::new();
    loop {
        let part = body.fill_buf().await;
        let part = part.map_err(|error| kube::Error::Service(error.into()))?;
        if part.is_empty() {
            return Ok(text);
        }
        text.extend_from_slice(part);
        let read = part.len();
        body.consume_unpin(read);
    }
}

/// The usage in a `PodMetricsList`.
fn read(text: &[u8]) -> Result<Vec<PodUsage>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        #[serde(deserialize_with = "pods")]
        items: Vec<PodUsage>,
    }
    let list: List = serde_json::from_slice(text)?;
    Ok(list.items)
}

/// Each pod becomes its usage before the next is looked at.
fn pods<'de, D: Deserializer<'de>>(items: D) -> Result<Vec<PodUsage>, D::Error> {
    struct Pods;
    impl<'de> Visitor<'de> for Pods {
        type Value = Vec<PodUsage>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of pods' usage")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut usage = Vec::new();
            while let Some(pod) = items.next_element::<PodMetrics<'de>>()? {
                usage.extend(pod_usage(&pod));
            }
            Ok(usage)
        }
    }
    items.deserialize_seq(Pods)
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
        assert_eq!(read(list.to_string().as_bytes()).unwrap(), [expected]);
    }

    /// A server that answers one request with these parts, and hangs up.
    fn serve_once(parts: Vec<String>) -> String {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            for part in parts {
                stream.write_all(part.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_and_half_of_one_is_an_error() {
        let long = "x".repeat(100_000);
        let chunk = format!("{:x}\r\n{long}\r\n", long.len());
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        let cases = [
            (
                vec![
                    head.clone(),
                    chunk.clone(),
                    chunk.clone(),
                    "0\r\n\r\n".into(),
                ],
                Some(200_000),
            ),
            (vec![head, chunk], None),
            (
                vec!["HTTP/1.1 503 Gone\r\ncontent-length: 0\r\n\r\n".into()],
                None,
            ),
        ];
        for (parts, length) in cases {
            let mut config = kube::Config::new(serve_once(parts).parse().unwrap());
            config.default_retry = false;
            let client = Client::try_from(config).unwrap();
            let request = Request::get("/").body(Vec::new()).unwrap();
            let read = text(&client, request).await;
            assert_eq!(read.ok().map(|text| text.len()), length);
        }
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
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
