//! What `doctor` says of facts.

// Rows of a table read better without them.
#![allow(clippy::needless_pass_by_value, clippy::semicolon_if_nothing_returned)]

mod admission;
mod cluster;
mod podfit;
mod vpas;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use podfit_cluster::api::time;
use podfit_cluster::index::Index;
use serde_json::{Value, json};

use super::facts::Chain;
use super::*;
use crate::installation::Installation;
use crate::objects::Answer;

/// Good until 2126.
const CA: &[u8] = include_bytes!("../../testdata/ca.pem");

const NOW: &str = "2026-11-26T12:00:00Z";

fn list(items: Value) -> Answer {
    Answer::Found(json!({"items": items}))
}

fn denied() -> Answer {
    Answer::Denied("list things: forbidden (403 Forbidden)".into())
}

fn lease(namespace: &str, name: &str, holder: &str, renewed: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed},
    })
}

fn deployment(component: &str) -> Value {
    json!({
        "metadata": {
            "namespace": "podfit", "name": format!("podfit-{component}"),
            "labels": {"app.kubernetes.io/name": "podfit", "app.kubernetes.io/component": component},
        },
        "spec": {"replicas": 2, "template": {"spec": {
            "serviceAccountName": format!("podfit-{component}"),
            "containers": [{"image": format!("registry/podfit-{component}:1"), "args": []}],
        }}},
        "status": {"readyReplicas": 2},
    })
}

fn definition(fields: Value) -> Answer {
    let schema = json!({"openAPIV3Schema": {"properties": fields}});
    Answer::Found(json!({"spec": {"versions": [{"name": "v1", "served": true, "schema": schema}]}}))
}

/// All is well.
fn healthy() -> Facts {
    let deployments = list(json!(["recommender", "updater", "webhook"].map(deployment)));
    let fresh = "2026-11-26T11:59:55.000000Z";
    let leases = [
        lease("podfit", "vpa-recommender-lease", "a", fresh),
        lease("podfit", "vpa-updater", "b", fresh),
        lease("podfit", "vpa-admission-controller", "c", fresh),
    ];
    let vpa = json!({
        "spec": {"properties": {
            "targetRef": {"type": "object"}, "recommenders": {"type": "array"},
            "resourcePolicy": {"properties": {"containerPolicies": {"type": "array"}}},
            "updatePolicy": {"properties": {"updateMode": {"enum": ["Off", "InPlaceOrRecreate", "InPlace"]}}},
        }},
        "status": {"properties": {"conditions": {"type": "array"}}},
    });
    let histogram = json!({"type": "object"});
    let checkpoint = json!({
        "spec": {"properties": {"vpaObjectName": {"type": "string"}}},
        "status": {"properties": {"cpuHistogram": histogram, "memoryHistogram": histogram}},
    });
    Facts {
        at: time::parse(NOW).unwrap(),
        version: Answer::Found(json!({"major": "1", "minor": "33+", "gitVersion": "v1.33.1"})),
        core: Answer::Found(json!({"resources": [{"name": "pods"}, {"name": "pods/resize"}]})),
        crds: [
            ("verticalpodautoscalers", definition(vpa)),
            ("verticalpodautoscalercheckpoints", definition(checkpoint)),
        ],
        vpa_api: Answer::Absent,
        metrics: list(json!([{"timestamp": "2026-11-26T11:59:30Z"}])),
        prometheus: None,
        installation: Installation {
            namespace: "podfit".into(),
            deployments: deployments.clone(),
            pods: list(json!([])),
            accounts: list(json!([])),
        },
        deployments,
        leases: list(json!(leases)),
        webhooks: list(json!([{
            "metadata": {"name": "vpa-webhook-config"},
            "webhooks": [{
                "name": "vpa.k8s.io", "failurePolicy": "Ignore", "timeoutSeconds": 2,
                "clientConfig": {
                    "caBundle": BASE64_STANDARD.encode(CA),
                    "service": {"namespace": "podfit", "name": "podfit-webhook"},
                },
            }],
        }])),
        endpoints: Some(list(
            json!([{"endpoints": [{"conditions": {"ready": true}}]}]),
        )),
        chain: Ok(()),
        certificate: Ok(Duration::from_hours(24 * 90)),
        rights: BTreeMap::from(
            ["recommender", "updater", "webhook"].map(|component| (component, Ok(Vec::new()))),
        ),
        index: Index::default(),
        not_read: Vec::new(),
        bare_pods: Ok(Vec::new()),
        hpas: list(json!([])),
        scaled_objects: Answer::Absent,
    }
}

/// The checks that are not OK, as `verdict what: finding`.
fn complaints(facts: &Facts) -> Vec<String> {
    let bad = checks(facts)
        .into_iter()
        .filter(|c| c.verdict != Verdict::Ok);
    bad.map(|c| format!("{} {}: {}", c.verdict.word(), c.what, c.finding))
        .collect()
}

/// A change to the facts, and the beginnings of what is then said.
type Row<'a> = (&'a dyn Fn(&mut Facts), &'a [&'a str]);

fn table(rows: &[Row<'_>]) {
    for (number, (change, expected)) in rows.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let said = complaints(&facts);
        let fits = said.len() == expected.len()
            && said
                .iter()
                .zip(*expected)
                .all(|(said, begins)| said.contains(begins));
        assert!(fits, "row {number}: {said:#?}\nexpected {expected:#?}");
    }
}

#[test]
fn lines_are_aligned_and_tell_what_to_do() {
    let mut facts = healthy();
    facts.metrics = Answer::Absent;
    let checks = checks(&facts);
    let text = text(&checks);
    assert!(
        text.starts_with("OK    Kubernetes              v1.33.1\n"),
        "{text}"
    );
    assert!(
        text.contains("FAIL  metrics API             metrics.k8s.io is not served\n"),
        "{text}"
    );
    assert!(text.contains("→ install metrics-server"), "{text}");
    assert!(text.ends_with("0 to look at, 1 failed\n"), "{text}");
    assert_eq!(to_json(&checks)["checks"][0]["verdict"], "OK");
}

/// One builds on another: what the API server has, what is measured, podfit's programs, the way of a new pod, and last what
/// users have written.
#[test]
fn checks_come_in_order() {
    let order = |facts: &Facts| checks(facts).iter().map(|c| c.what).collect::<Vec<_>>();
    let mut facts = healthy();
    let all = [
        "Kubernetes",
        "in-place resize",
        "VPA definition",
        "checkpoint definition",
        "metrics API",
        "Prometheus",
        "recommender",
        "updater",
        "webhook",
        "webhook registered",
        "webhook's CA bundle",
        "webhook's Service",
        "new pods are sized",
        "webhook's certificate",
        "recommender's lease",
        "updater's lease",
        "webhook's sign of life",
        "recommender's rights",
        "updater's rights",
        "webhook's rights",
        "other VPA installs",
        "VPAs' targets",
        "HPAs beside VPAs",
        "HPAs",
        "pods under VPAs",
        "pods of nobody",
        "labels for VPAs",
        "families of pods",
    ];
    let always = |what: &&str| !matches!(*what, "Prometheus" | "families of pods");
    let of_healthy: Vec<_> = all.into_iter().filter(always).collect();
    assert_eq!(order(&facts), of_healthy);

    facts.prometheus = Some(prometheus::Asked {
        address: "http://prometheus:9090".into(),
        rows: Ok(None),
    });
    let of_family = podfit_core::pod::Pod {
        namespace: "shop".into(),
        name: "run".into(),
        family: Some("etl".into()),
        ..podfit_core::pod::Pod::default()
    };
    let key = ("shop".into(), "run".into());
    facts.index.pods.insert(key, std::sync::Arc::new(of_family));
    assert_eq!(order(&facts), all);
}
