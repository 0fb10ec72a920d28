//! Workload controllers (Deployment, `ReplicaSet`, …): who owns them, and how many replicas they want.

use std::borrow::Cow;

use kube::api::{ApiResource, GroupVersionKind, ObjectMeta};
use kube::core::DynamicResourceScope;
use podfit_core::ownership::{Controller, of_well_known};
use podfit_core::pod::OwnerRef;
use serde::Deserialize;

/// Any workload controller, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ControllerObject {
    #[serde(deserialize_with = "super::metadata::slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Spec {
    replicas: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    number_ready: Option<i64>,
}

impl kube::Resource for ControllerObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        dt.kind.as_str().into()
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        dt.group.as_str().into()
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        dt.version.as_str().into()
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        dt.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// How the API server knows a well-known kind.
pub fn api_resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// The owner reference flagged as controller. Several are an error of whoever wrote them; upstream takes the last.
pub fn controlling_owner(meta: &ObjectMeta) -> Option<OwnerRef> {
    let owner = meta
        .owner_references
        .as_ref()?
        .iter()
        .rev()
        .find(|o| o.controller == Some(true))?;
    Some(OwnerRef {
        api_version: of_well_known(&owner.api_version),
        kind: of_well_known(&owner.kind),
        name: owner.name.clone(),
    })
}

impl ControllerObject {
    /// As a plain value.
    pub fn to_controller(&self) -> Controller {
        let replicas = self.spec.replicas.or(self.status.number_ready);
        Controller {
            owner: controlling_owner(&self.metadata).map(Box::new),
            replicas,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_controller_of_several_counts_and_odd_references_do_no_harm() {
        let owner = |kind: &str, controller: Option<bool>| json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "controller": controller});
        let cases = [
            (json!([]), None),
            (json!([owner("A", None), owner("B", Some(false))]), None),
            (json!([owner("A", Some(true)), owner("B", None)]), Some("A")),
            (
                json!([owner("A", Some(true)), owner("B", Some(true))]),
                Some("B"),
            ),
            (json!([{"controller": true}]), Some("")),
        ];
        for (references, kind) in cases {
            let meta: ObjectMeta =
                serde_json::from_value(json!({"ownerReferences": references})).unwrap();
            let owner = controlling_owner(&meta);
            assert_eq!(owner.as_ref().map(|o| &*o.kind), kind, "{references}");
        }
    }
}
