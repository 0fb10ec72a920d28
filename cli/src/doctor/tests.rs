//! What `doctor` says of facts.

// Rows of a table read better without them.
#![allow(clippy::needless_pass_by_value, clippy::semicolon_if_nothing_returned)]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use podfit_cluster::api::time;
use podfit_cluster::index::Index;
use podfit_core::ownership::{Controller, ControllerKey};
use podfit_core::pod::OwnerRef;
use podfit_core::vpa::Vpa;
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
            &|f| f.prometheus = Some(("http://p".into(), Err("refused".into()))),
            &["WARN Prometheus: http://p does not answer from here: refused"],
        ),
    ]);
}

#[test]
fn podfit_itself() {
    let old = lease("podfit", "vpa-updater", "b", "2026-11-26T11:50:00.0Z");
    let set = |f: &mut Facts, leases: Value| f.leases = list(leases);
    let fresh = |name: &str| lease("podfit", name, "x", NOW);
    let others = [
        fresh("vpa-recommender-lease"),
        fresh("vpa-admission-controller"),
    ];
    table(&[
        (
            &|f| set(f, json!([others[0], others[1], old])),
            &[
                "FAIL updater's lease: vpa-updater, b, renewed 600 s ago: nobody updates running pods",
            ],
        ),
        (
            &|f| {
                set(
                    f,
                    json!([
                        others[0],
                        others[1],
                        lease("podfit", "vpa-updater", "", NOW)
                    ]),
                )
            },
            &["FAIL updater's lease: vpa-updater, nobody"],
        ),
        (
            &|f| set(f, json!([others[0], others[1]])),
            &["FAIL updater's lease: there is no lease podfit/vpa-updater"],
        ),
        (
            &|f| {
                f.leases = denied();
                f.deployments = denied();
                f.installation.deployments = denied();
            },
            &[
                "WARN recommender: not checked",
                "WARN updater: not checked",
                "WARN webhook: not checked",
                "WARN recommender's lease: not checked",
                "WARN updater's lease: not checked",
                "WARN webhook's sign of life: not checked",
                "WARN other VPA installs: not checked",
            ],
        ),
        (
            &|f| {
                f.rights.insert(
                    "updater",
                    Ok(vec![rights::Missing {
                        verb: "patch",
                        resource: "pods/resize",
                        group: "",
                    }]),
                );
                f.rights.remove("webhook");
            },
            &[
                "FAIL updater's rights: missing: patch pods/resize",
                "WARN webhook's rights: not checked: its service account is not known",
            ],
        ),
    ]);
}

#[test]
fn admission() {
    let client = |f: &mut Facts, change: &dyn Fn(&mut Value)| {
        if let Answer::Found(webhooks) = &mut f.webhooks {
            change(&mut webhooks["items"][0]["webhooks"][0]);
        }
    };
    table(&[
        (
            &|f| {
                f.webhooks = list(json!([]));
                f.chain = Err(Chain::Broken("the API server did not ask".into()));
            },
            &[
                "FAIL webhook registered: there is no MutatingWebhookConfiguration",
                "FAIL new pods are sized: no: the API server did not ask",
            ],
        ),
        (
            &|f| client(f, &|w| w["clientConfig"]["caBundle"] = "".into()),
            &["FAIL webhook's CA bundle: empty"],
        ),
        (
            &|f| client(f, &|w| w["clientConfig"]["caBundle"] = "eHh4".into()),
            &["FAIL webhook's CA bundle: it cannot be read: there is no certificate in it"],
        ),
        (
            &|f| client(f, &|w| w["failurePolicy"] = "Fail".into()),
            &["WARN webhook registered: vpa-webhook-config, failurePolicy Fail"],
        ),
        (
            &|f| {
                client(f, &|w| {
                    w["clientConfig"]["service"]["namespace"] = "kube-system".into()
                })
            },
            &["FAIL other VPA installs: MutatingWebhookConfiguration vpa-webhook-config"],
        ),
        (
            &|f| f.endpoints = Some(list(json!([]))),
            &["WARN webhook's Service: podfit/podfit-webhook has no pod that is ready"],
        ),
        (
            &|f| {
                f.endpoints = Some(list(json!([])));
                f.chain = Err(Chain::NotTried("forbidden".into()));
                f.certificate = Ok(Duration::ZERO);
            },
            &[
                "FAIL webhook's Service",
                "WARN new pods are sized: not tried: forbidden",
                "FAIL webhook's certificate: it has expired",
            ],
        ),
    ]);
}

#[test]
fn other_autoscalers() {
    let upstream = json!({
        "metadata": {"namespace": "kube-system", "name": "vpa"},
        "spec": {"template": {"spec": {"containers": [{"image": "registry.k8s.io/autoscaling/vpa-updater:1.5.0"}]}}},
    });
    let mut stopped = upstream.clone();
    stopped["spec"]["replicas"] = 0.into();
    let held = lease("kube-system", "vpa-updater", "old", NOW);
    let gone = lease("kube-system", "vpa-updater", "old", "2026-11-25T12:00:00Z");
    let push = |answer: &mut Answer, item: &Value| {
        if let Answer::Found(list) = answer {
            list["items"].as_array_mut().unwrap().push(item.clone());
        }
    };
    table(&[
        (
            &|f| push(&mut f.deployments, &upstream),
            &["FAIL other VPA installs: Deployment kube-system/vpa"],
        ),
        (&|f| push(&mut f.deployments, &stopped), &[]),
        (
            &|f| push(&mut f.leases, &held),
            &["FAIL other VPA installs: lease kube-system/vpa-updater, held by old"],
        ),
        (&|f| push(&mut f.leases, &gone), &[]),
    ]);
}

fn web() -> Vpa {
    Vpa {
        namespace: "shop".into(),
        name: "web".into(),
        target: Some(OwnerRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "web".into(),
        }),
        ..Vpa::default()
    }
}

/// With the VPA of a Deployment that is there.
fn with_web(f: &mut Facts, change: impl Fn(&mut Vpa)) {
    let mut vpa = web();
    change(&mut vpa);
    f.index.vpas.apply(vpa);
    f.index.owners.apply(
        ControllerKey::new("shop", "Deployment", "web"),
        Controller::default(),
    );
}

fn hpa(metric: Value) -> Answer {
    list(json!([{
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [metric],
        },
    }]))
}

#[test]
fn vpas_and_hpas() {
    use podfit_core::quantity::Resource;
    use podfit_core::vpa::{ContainerPolicy, UpdateMode};
    let on_cpu = || json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}});
    let memory_only = |vpa: &mut Vpa| {
        vpa.container_policies = vec![ContainerPolicy {
            container_name: "*".into(),
            controlled_resources: Some(vec![Resource::Memory]),
            ..ContainerPolicy::default()
        }];
    };
    table(&[
        (
            &|f| f.index.vpas.apply(web()),
            &[
                "WARN VPAs' targets: 1 of 1 cannot be sized: shop/web. The first: Cannot read targetRef",
            ],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                f.hpas = hpa(on_cpu());
            },
            &[
                "WARN HPAs beside VPAs: they work against each other: HPA shop/web and VPA shop/web on cpu",
            ],
        ),
        (
            &|f| {
                with_web(f, memory_only);
                f.hpas = hpa(on_cpu());
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, |vpa| vpa.update_mode = UpdateMode::Off);
                f.hpas = hpa(on_cpu());
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                f.hpas = hpa(json!({
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "AverageValue"}},
                }));
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                f.scaled_objects = list(json!([{
                    "metadata": {"namespace": "shop", "name": "web"},
                    "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "memory"}]},
                }]));
            },
            &[
                "WARN HPAs beside VPAs: they work against each other: ScaledObject shop/web and VPA shop/web on memory",
            ],
        ),
        (
            &|f| f.hpas = denied(),
            &["WARN HPAs beside VPAs: not checked"],
        ),
        (
            &|f| f.not_read.push("list pods: forbidden".into()),
            &[
                "WARN VPAs' targets: not checked",
                "WARN pods under VPAs: not checked",
            ],
        ),
    ]);
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
