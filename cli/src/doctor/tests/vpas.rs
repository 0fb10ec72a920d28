//! VPAs, their pods, and HPAs beside them.

use podfit_core::ownership::{Controller, ControllerKey};
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
            &|f| f.index.vpas.apply(web("web")),
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
            &|f| f.bare_pods = Ok(vec!["shop/debug of Deployment shop/web".into()]),
            &[
                "WARN pods of nobody: they have the labels, but no controller: shop/debug of Deployment",
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
                "WARN pods of nobody: not checked",
            ],
        ),
    ]);
}
