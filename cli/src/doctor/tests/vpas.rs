//! VPAs, their pods, and HPAs beside them.

use std::sync::Arc;

use podfit_core::horizontal::Horizontal;
use podfit_core::opt_in::Labels;
use podfit_core::ownership::{Controller, ControllerKey};
use podfit_core::pod::Pod;
use podfit_core::quantity::Resource;
use podfit_core::vpa::{ContainerPolicy, UpdateMode, Vpa};

use super::*;
use crate::fixtures::web;

/// With the VPA of a Deployment that is there.
fn with_web(f: &mut Facts, change: impl Fn(&mut Vpa)) {
    let mut vpa = web("web");
    change(&mut vpa);
    f.index.vpas.apply(vpa);
    f.index.owners.apply(
        ControllerKey::new("shop", "Deployment", "web"),
        Controller::default(),
    );
}

fn hpa(name: &str, metric: Value) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [metric],
        },
    })
}

fn on_cpu() -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": 70});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

#[test]
fn families_without_a_vpa() {
    let run = |f: &mut Facts, family: &str| {
        let pod = Pod {
            namespace: "shop".into(),
            name: family.into(),
            family: Some(family.into()),
            ..Pod::default()
        };
        let key = ("shop".to_owned(), family.to_owned());
        f.index.pods.insert(key, Arc::new(pod));
    };
    let sized = |f: &mut Facts| {
        let mut vpa = web("etl");
        if let Some(target) = &mut vpa.target {
            target.api_version = "podfit.dev/v1".into();
            target.kind = "PodFamily".into();
        }
        f.index.vpas.apply(vpa);
        run(f, "etl");
    };
    table(&[
        (&sized, &[]),
        (
            &|f| {
                sized(f);
                run(f, "training");
            },
            &["WARN families of pods: 1 of 2 without a VPA: shop/training"],
        ),
    ]);
}

#[test]
fn vpas_and_hpas() {
    let ignores = |vpa: &mut Vpa| vpa.horizontal = Some(Horizontal::Ignore);
    let memory_only = |vpa: &mut Vpa| {
        vpa.horizontal = Some(Horizontal::Ignore);
        vpa.container_policies = vec![ContainerPolicy {
            container_name: "*".into(),
            controlled_resources: Some(vec![Resource::Memory]),
            ..ContainerPolicy::default()
        }];
    };
    let one = |hpa: Value| list(json!([hpa]));
    let fight =
        "WARN HPAs beside VPAs: they work against each other: HPA shop/web and VPA shop/web on cpu";
    table(&[
        (
            &|f| {
                with_web(f, |_| {});
                f.hpas = one(hpa("web", on_cpu()));
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, ignores);
                f.hpas = one(hpa("web", on_cpu()));
            },
            &[fight],
        ),
        (
            &|f| {
                with_web(f, memory_only);
                f.hpas = one(hpa("web", on_cpu()));
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, |vpa| {
                    ignores(vpa);
                    vpa.update_mode = UpdateMode::Off;
                });
                f.hpas = one(hpa("web", on_cpu()));
            },
            &[],
        ),
        (
            &|f| {
                with_web(f, ignores);
                let target = json!({"type": "AverageValue", "averageValue": "350m"});
                let metric =
                    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
                f.hpas = one(hpa("web", metric));
            },
            &[],
        ),
        (
            &|f| f.hpas = denied(),
            &["WARN HPAs beside VPAs: not checked"],
        ),
    ]);
}

#[test]
fn hpas_that_cannot_scale() {
    table(&[
        (
            &|f| f.hpas = list(json!([hpa("web", on_cpu())])),
            &["WARN HPAs: HPA shop/web scales Deployment shop/web, which does not exist"],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                f.hpas = list(json!([hpa("a", on_cpu()), hpa("b", on_cpu())]));
            },
            &["WARN HPAs: HPAs a and b scale the same pods as VPA shop/web"],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                let mut inactive = hpa("web", on_cpu());
                inactive["status"]["conditions"] = json!([
                    {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}
                ]);
                f.hpas = list(json!([inactive]));
            },
            &["WARN HPAs: HPA shop/web cannot scale: FailedGetResourceMetric"],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                f.scaled_objects = list(json!([{
                    "metadata": {"namespace": "shop", "name": "web"},
                    "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "memory", "metadata": {"value": "80"}}]},
                }]));
            },
            &["WARN HPAs: beside VPA shop/web: ScaledObject web has no HPA"],
        ),
    ]);
}

#[test]
fn vpas_and_pods() {
    table(&[
        (
            &|f| f.index.vpas.apply(web("web")),
            &[
                "WARN VPAs' targets: 1 of 1 cannot be sized: shop/web. The first: Cannot read targetRef",
            ],
        ),
        (
            &|f| f.bare_pods = Ok(vec!["shop/debug of Deployment shop/web".into()]),
            &[
                "WARN pods of nobody: they have the labels, but no controller: shop/debug of Deployment",
            ],
        ),
        (
            &|f| {
                with_web(f, |_| {});
                let label = |_: &str| Some("sometimes");
                let web = ControllerKey::new("shop", "Deployment", "web");
                f.index.labelled.workload(&web, Labels::read(label, false));
            },
            &[
                "WARN labels for VPAs: 0 VPAs made by podfit; 1 not followed: Deployment shop/web: label podfit.dev/autosize: \"sometimes\" is none of",
            ],
        ),
        (
            &|f| f.not_read.push("list pods: forbidden".into()),
            &[
                "WARN VPAs' targets: not checked",
                "WARN pods under VPAs: not checked",
                "WARN pods of nobody: not checked",
                "WARN labels for VPAs: not checked",
            ],
        ),
    ]);
}
