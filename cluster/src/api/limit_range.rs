//! LimitRanges of a namespace.

use kube::api::ObjectMeta;
use podfit_core::policy::{LimitRangeItem, LimitRangeScope};
use serde::Deserialize;

use super::quantity::{QuantityMap, resource_list};

/// A `LimitRange`, cut down to what is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct LimitRangeObject {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    limits: Vec<Item>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    r#type: String,
    min: QuantityMap,
    max: QuantityMap,
    default: QuantityMap,
}

namespaced_resource!(LimitRangeObject, "", "v1", "LimitRange", "limitranges");

impl LimitRangeObject {
    /// Its items for pods and containers; others (volume claims) do not concern podfit.
    pub fn items(&self) -> Vec<LimitRangeItem> {
        let item = |i: &Item, scope| LimitRangeItem {
            scope,
            min: resource_list(&i.min),
            max: resource_list(&i.max),
            default: resource_list(&i.default),
        };
        self.spec
            .limits
            .iter()
            .filter_map(|i| match i.r#type.as_str() {
                "Container" => Some(item(i, LimitRangeScope::Container)),
                "Pod" => Some(item(i, LimitRangeScope::Pod)),
                _ => None,
            })
            .collect()
    }
}
