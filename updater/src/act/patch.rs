//! What is sent to resize a pod.

use podfit_cluster::api::quantity::to_json;
use podfit_core::policy::ContainerChange;
use serde_json::{Map, Value, json};

/// The `spec` of a strategic merge patch on `pods/resize`; `None` when nothing changes. Sidecars stand among the init
/// containers.
pub fn resize_patch(changes: &[ContainerChange]) -> Option<Value> {
    let changes = changes
        .iter()
        .filter(|change| !change.requests.is_empty() || !change.limits.is_empty());
    let (sidecars, containers): (Vec<_>, Vec<_>) =
        changes.partition(|change| change.sidecar.is_some());
    let mut spec = Map::new();
    for (list, changes) in [("containers", containers), ("initContainers", sidecars)] {
        if !changes.is_empty() {
            spec.insert(list.into(), changes.into_iter().map(resized).collect());
        }
    }
    (!spec.is_empty()).then(|| spec.into())
}

fn resized(change: &ContainerChange) -> Value {
    json!({
        "name": change.name,
        "resources": { "requests": to_json(&change.requests), "limits": to_json(&change.limits) },
    })
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Millicores, ResourceList};

    use super::*;

    #[test]
    fn sidecars_are_resized_among_the_init_containers() {
        let change = |name: &str, sidecar| ContainerChange {
            sidecar,
            name: name.into(),
            requests: ResourceList {
                cpu: Some(Millicores(250)),
                memory: None,
            },
            ..ContainerChange::default()
        };
        let part = |name: &str| json!([{"name": name, "resources": {"requests": {"cpu": "250m"}, "limits": {}}}]);
        let (app, proxy) = (change("app", None), change("proxy", Some(0)));
        assert_eq!(
            resize_patch(&[app.clone(), proxy]),
            Some(json!({"containers": part("app"), "initContainers": part("proxy")}))
        );
        let unchanged = ContainerChange::default();
        assert_eq!(
            resize_patch(&[unchanged.clone(), app]),
            Some(json!({"containers": part("app")}))
        );
        assert_eq!(resize_patch(&[unchanged]), None);
    }
}
