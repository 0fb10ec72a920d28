//! What the cluster has, and Prometheus.

use super::super::prometheus::{Asked, Rows};
use super::*;

/// What Prometheus said when it was asked.
fn prometheus(f: &mut Facts, rows: Result<Option<Rows>, String>) {
    let address = "http://p".into();
    f.prometheus = Some(Asked { address, rows });
}

fn rows(cpu: usize, memory: usize) -> Rows {
    let pod = "shop/web-0".into();
    Rows { pod, cpu, memory }
}

#[test]
fn the_cluster() {
    table(&[
        (&|_| {}, &[]),
        (
            &|f| {
                f.version =
                    Answer::Found(json!({"major": "1", "minor": "27", "gitVersion": "v1.27.0"}))
            },
            &["FAIL Kubernetes: v1.27.0 is too old"],
        ),
        (
            &|f| f.core = Answer::Found(json!({"resources": []})),
            &["WARN in-place resize: the API server has no pods/resize"],
        ),
        (
            &|f| f.crds[0].1 = Answer::Absent,
            &["FAIL VPA definition: verticalpodautoscalers.autoscaling.k8s.io is not installed"],
        ),
        (
            &|f| f.crds[1].1 = definition(json!({"spec": {"properties": {"vpaObjectName": {}}}})),
            &[
                "WARN checkpoint definition: its schema lacks status.cpuHistogram, status.memoryHistogram",
            ],
        ),
        (
            &|f| {
                f.crds[0].1 = denied();
                f.vpa_api =
                    Answer::Found(json!({"resources": [{"name": "verticalpodautoscalers"}]}));
            },
            &[],
        ),
        (
            &|f| f.metrics = Answer::Absent,
            &["FAIL metrics API: metrics.k8s.io is not served"],
        ),
        (
            &|f| f.metrics = list(json!([])),
            &["WARN metrics API: it answers, and knows no pod"],
        ),
        (
            &|f| f.metrics = list(json!([{"timestamp": "2026-11-26T11:50:00Z"}])),
            &["FAIL metrics API: its newest numbers are 600 s old"],
        ),
        (
            &|f| prometheus(f, Err("refused".into())),
            &["WARN Prometheus: http://p does not answer from here: refused"],
        ),
        (&|f| prometheus(f, Ok(None)), &[]),
        (&|f| prometheus(f, Ok(Some(rows(1, 1)))), &[]),
        (
            &|f| prometheus(f, Ok(Some(rows(1, 0)))),
            &[
                "WARN Prometheus: http://p answers, with 1 CPU and 0 memory series of pod shop/web-0",
            ],
        ),
    ]);
}
