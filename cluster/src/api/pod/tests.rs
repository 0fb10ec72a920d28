//! What is read of a pod, and of odd ones.

use podfit_core::pod::Phase;
use podfit_core::quantity::{Bytes, Millicores};
use serde_json::json;

use super::*;

fn pod(value: serde_json::Value) -> Pod {
    Pod::from(&serde_json::from_value::<PodObject>(value).unwrap())
}

#[test]
fn a_pod_is_read_with_its_status() {
    let pod = pod(json!({
        "metadata": {
            "name": "web-1", "namespace": "shop", "uid": "u1",
            "labels": {"pod-template-hash": "5d4f"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "1"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "2", "controller": true}
            ]
        },
        "spec": {"nodeName": "n1", "initContainers": [{"name": "init"}], "containers": [{
            "name": "app",
            "resources": {"requests": {"cpu": "250m", "memory": "1Gi", "nvidia.com/gpu": 1}},
            "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
        }]},
        "status": {"phase": "Running", "startTime": "2026-11-24T10:00:00Z",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T10:00:05Z"}],
            "containerStatuses": [{
                "name": "app", "restartCount": 2, "state": {"running": {"startedAt": "2026-11-24T10:00:02Z"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137,
                    "startedAt": "2026-11-24T10:00:00Z", "finishedAt": "2026-11-24T10:00:01Z"}},
                "resources": {"requests": {"cpu": "300m"}}
            }]}
    }));
    assert_eq!(
        pod.owner.as_ref().map(|o| o.name.as_str()),
        Some("web-5d4f")
    );
    assert_eq!(
        (pod.phase, pod.template_hash.as_deref()),
        (Phase::Running, Some("5d4f"))
    );
    assert!(pod.annotations.is_none() && pod.ready_since.is_some() && !pod.is_resizing());
    let app = pod.container("app").unwrap();
    assert_eq!(
        (app.requests.cpu, app.requests.memory),
        (Some(Millicores(250)), Some(Bytes(1 << 30)))
    );
    assert_eq!(app.effective().requests.cpu, Some(Millicores(300)));
    assert_eq!(
        app.present,
        PresentMaps {
            resources: true,
            requests: true,
            limits: false
        }
    );
    assert!(app.restarts_on_memory_resize && !app.restarts_on_cpu_resize);
    let status = app.status.as_ref().unwrap();
    assert!(status.running && status.last_terminated.as_ref().unwrap().is_oom());
}

/// A sidecar stands after the containers, with its own place and status; other init containers are apart.
#[test]
fn native_sidecars_are_containers() {
    let pod = pod(json!({
        "metadata": {"annotations": {
            "vpaCpuStartupBoost/app": "{\"requests\":{\"cpu\":\"100m\"},\"limits\":{}}",
            "vpaCpuStartupBoost/proxy": "nonsense",
        }},
        "spec": {
            "initContainers": [
                {"name": "download", "resources": {"requests": {"cpu": "2"}}},
                {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}
            ],
            "containers": [{"name": "app"}],
            "resources": {"requests": {"cpu": "1"}}
        },
        "status": {"initContainerStatuses": [
            {"name": "proxy", "restartCount": 3, "state": {"running": {}}, "resources": {"requests": {"cpu": "60m"}}}
        ]}
    }));
    let places: Vec<_> = pod
        .containers
        .iter()
        .map(|c| (c.name.as_str(), c.sidecar))
        .collect();
    assert_eq!(places, [("app", None), ("proxy", Some(1))]);
    assert_eq!(pod.init_containers[0].name, "download");
    let proxy = pod.container("proxy").unwrap();
    assert_eq!(
        (proxy.requests.cpu, proxy.effective().requests.cpu),
        (Some(Millicores(50)), Some(Millicores(60)))
    );
    assert_eq!(proxy.status.as_ref().unwrap().restart_count, 3);
    let before = |name: &str| pod.container(name).unwrap().before_boost.as_deref();
    assert_eq!(
        before("app").map(|r| r.requests.cpu),
        Some(Some(Millicores(100)))
    );
    assert!(pod.has_pod_resources && before("proxy").is_none());
    let upstream = pod.clone().seen_by(podfit_core::profile::Profile::Upstream);
    assert_eq!(upstream.containers.len(), 1);
}

#[test]
fn resize_conditions_are_read_in_any_order() {
    let condition = |text: &str| {
        let [kind, status, reason, message] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        json!({
            "type": kind,
            "status": status,
            "reason": (reason != "-").then_some(reason),
            "message": (message == "yes").then_some("words"),
        })
    };
    let table = include_str!("../../../testdata/resize_statuses.csv");
    for row in table.lines().filter(|line| !line.starts_with('#')) {
        let (cell, want) = row.split_once(';').unwrap();
        let texts = cell.split(" + ").filter(|text| !text.is_empty());
        let conditions: Vec<_> = texts.map(condition).collect();
        let state = pod(json!({"status": {"conditions": conditions}})).resize;
        let name = format!("{state:?}");
        assert_eq!(name.split(' ').next(), Some(want), "{row}");
    }
}

#[test]
fn an_array_is_no_object() {
    for spec in [
        json!([]),
        json!({"containers": [["app"]]}),
        json!({"initContainers": [["app"]]}),
        json!({"containers": [{"name": "app", "resources": []}]}),
    ] {
        let pod = json!({"metadata": {}, "spec": spec});
        assert!(
            serde_json::from_value::<PodObject>(pod.clone()).is_err(),
            "{pod}"
        );
    }
}

#[test]
fn a_bare_or_odd_pod_is_read_all_the_same() {
    for value in [
        json!({}),
        json!({"metadata": {}, "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "lots"}}}]}}),
    ] {
        let pod = pod(value);
        assert!(pod.owner.is_none() && pod.containers.iter().all(|c| c.requests.is_empty()));
    }
}
