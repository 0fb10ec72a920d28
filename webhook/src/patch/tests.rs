//! Paths and values (vectors 12.3), and the operations of a boosted container (vectors 12.2).

use podfit_core::pod::{Container, EffectiveResources};
use podfit_core::quantity::{Bytes, Millicores, Resource};

use super::*;

fn shown(operations: &[PatchOperation]) -> Vec<(String, String, String)> {
    let show = |operation: &PatchOperation| {
        let operation = serde_json::to_value(operation).unwrap();
        let text = |key: &str| match &operation[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (text("op"), text("path"), text("value"))
    };
    operations.iter().map(show).collect()
}

fn op(op: &str, path: &str, value: &str) -> (String, String, String) {
    (op.into(), path.into(), value.into())
}

#[test]
fn paths_are_escaped() {
    let rows = [
        ("vpaObservedContainers", "vpaObservedContainers"),
        ("example.com/annotation", "example.com~1annotation"),
        (
            "custom~domain.com/annotation/name",
            "custom~0domain.com~1annotation~1name",
        ),
    ];
    for (key, path) in rows {
        let path = format!("/metadata/annotations/{path}");
        assert_eq!(shown(&[annotation(key, "v")]), [op("add", &path, "v")]);
    }
    let mut operations = Vec::new();
    let amounts = ResourceList {
        cpu: Some(Millicores(500)),
        memory: Some(Bytes(1 << 30)),
    };
    resources(
        &["spec", "containers", "1", "resources", "limits"],
        &amounts,
        true,
        &mut operations,
    );
    let at = "/spec/containers/1/resources/limits";
    assert_eq!(
        shown(&operations),
        [
            op("add", &format!("{at}/cpu"), "500m"),
            op("add", &format!("{at}/memory"), "1Gi")
        ]
    );
}

/// What a container had comes before what it gets; a limit that is to go is removed last.
#[test]
fn a_boosted_container_without_a_limit() {
    let cpu = |milli| ResourceList {
        cpu: Some(Millicores(milli)),
        memory: None,
    };
    let present = PresentMaps {
        resources: true,
        requests: true,
        limits: true,
    };
    let pod = Pod {
        containers: vec![Container {
            name: "a".into(),
            present,
            ..Container::default()
        }],
        ..Pod::default()
    };
    let admission = Admission {
        containers: vec![ContainerChange {
            name: "a".into(),
            requests: cpu(200),
            removed_limits: vec![Resource::Cpu],
            ..ContainerChange::default()
        }],
        boosts: vec![Boost {
            container: "a".into(),
            before: EffectiveResources {
                requests: cpu(1),
                limits: ResourceList::default(),
            },
        }],
        annotations: vec![("vpaUpdates".into(), "text".into())],
        left_alone: None,
    };
    assert_eq!(
        shown(&render(&pod, &admission).0),
        [
            op("add", "/metadata/annotations", "{}"),
            op(
                "add",
                "/metadata/annotations/vpaCpuStartupBoost~1a",
                r#"{"requests":{"cpu":"1m"},"limits":{}}"#
            ),
            op("add", "/spec/containers/0/resources/requests/cpu", "200m"),
            op("remove", "/spec/containers/0/resources/limits/cpu", ""),
            op("add", "/metadata/annotations/vpaUpdates", "text"),
        ]
    );
}
