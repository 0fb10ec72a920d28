use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use clap::Parser;
use podfit_cluster::index::Index;
use podfit_core::ownership::Controller;
use podfit_core::pod::{OwnerRef, Pod};
use podfit_core::quantity::{Bytes, Millicores};
use podfit_core::vpa::Vpa;

use super::*;
use crate::options::Options;

/// Two StatefulSets of one pod each, with VPAs.
fn view() -> View {
    let mut index = Index::default();
    for name in ["bad", "good"] {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: name.into(),
        };
        index
            .owners
            .apply(ControllerKey::of("shop", &owner), Controller::default());
        index.vpas.apply(Vpa {
            namespace: "shop".into(),
            name: name.into(),
            target: Some(owner.clone()),
            ..Vpa::default()
        });
        let pod = Pod {
            namespace: "shop".into(),
            name: format!("{name}-0"),
            owner: Some(owner),
            ..Pod::default()
        };
        index
            .pods
            .insert(("shop".into(), pod.name.clone()), Arc::new(pod));
    }
    View::of(&index, &"default".into())
}

/// An API server that has a selector for each workload, values for each pod but those of `bad`, and keeps what it is asked.
fn api_server() -> (Calls, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|l| !l.is_empty())
                .collect();
            kept.lock().unwrap().push(head[0].clone());
            let (status, body) = answer(&head[0]);
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    let mut config = kube::Config::new(address.parse().unwrap());
    config.default_retry = false;
    let options = Options::parse_from(["podfit-recommender"]);
    let calls = Calls::new(kube::Client::try_from(config).unwrap(), &options.cluster);
    (calls, asked)
}

fn answer(request: &str) -> (&'static str, String) {
    if request.contains("/statefulsets") {
        let name = if request.contains("bad") {
            "bad"
        } else {
            "good"
        };
        let object = format!(
            r#"{{"metadata":{{"name":"{name}"}},"spec":{{"selector":{{"matchLabels":{{"app":"{name}"}}}}}}}}"#
        );
        return (
            "200 OK",
            format!(
                r#"{{"apiVersion":"apps/v1","kind":"StatefulSetList","metadata":{{}},"items":[{object}]}}"#
            ),
        );
    }
    if request.contains("bad") {
        return ("503 Service Unavailable", String::new());
    }
    let value = if request.contains("cores") {
        "250m"
    } else {
        "64Mi"
    };
    let item = format!(
        r#"{{"metricLabels":{{"container":"app"}},"timestamp":"2026-11-26T10:00:00Z","value":"{value}"}}"#
    );
    ("200 OK", format!(r#"{{"items":[{item}]}}"#))
}

fn external() -> External {
    External::new(ExternalMetrics {
        cpu: Some("cores".into()),
        memory: Some("bytes".into()),
        container_label: "container".into(),
    })
}

#[tokio::test]
async fn trouble_with_one_workload_leaves_the_others_alone() {
    let ((calls, asked), view) = (api_server(), view());
    let mut external = external();
    let usage = external.usage(&calls, &view).await.unwrap();
    let [pod] = &usage[..] else {
        panic!("{usage:?}")
    };
    let container = &pod.containers[0];
    assert_eq!(
        (pod.pod.as_str(), container.name.as_str()),
        ("good-0", "app")
    );
    assert_eq!(container.cpu, Some(Millicores(250)));
    assert_eq!(container.memory, Some(Bytes(64 << 20)));
    assert_eq!(external.told.len(), 1);

    // Upstream's selector: the workload's, and the pod.
    let first = asked.lock().unwrap().clone();
    let metric = "GET /apis/external.metrics.k8s.io/v1beta1/namespaces/shop/cores?labelSelector=app%3Dgood%2Cpod%3Dgood-0 ";
    assert!(
        first.iter().any(|line| line.starts_with(metric)),
        "{first:?}"
    );
    // The selectors are known now.
    external.usage(&calls, &view).await.unwrap();
    let second = asked.lock().unwrap()[first.len()..].to_vec();
    assert!(
        !second.iter().any(|line| line.contains("statefulsets")),
        "{second:?}"
    );
}

#[tokio::test]
async fn trouble_with_all_is_an_error() {
    let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let options = Options::parse_from(["podfit-recommender"]);
    let calls = Calls::new(kube::Client::try_from(config).unwrap(), &options.cluster);
    external().usage(&calls, &view()).await.unwrap_err();
    // Nothing to measure is none.
    let nothing = View::of(&Index::default(), &"default".into());
    assert_eq!(external().usage(&calls, &nothing).await.unwrap(), []);
}

#[test]
fn external_metrics_need_names() {
    let metrics = |flags: &[&str]| {
        let options = Options::parse_from([&["podfit-recommender"], flags].concat());
        options.external.metrics("name")
    };
    assert_eq!(metrics(&[]).unwrap(), None);
    let error = metrics(&["--use-external-metrics"]).unwrap_err();
    assert!(error.to_string().contains("--external-metrics-cpu-metric"));
    let only_memory = metrics(&[
        "--use-external-metrics",
        "--external-metrics-memory-metric=m",
    ]);
    assert_eq!(only_memory.unwrap().unwrap().cpu, None);
}
