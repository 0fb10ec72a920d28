//! LimitRanges of a namespace.

use kube::api::ObjectMeta;
use podfit_core::policy::{LimitRangeItem, LimitRangeScope, Ratios};
use podfit_core::quantity::Resource;
use serde::Deserialize;

use super::quantity::{QuantityMap, amount, resource_list};
use serde_json::Value;

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
    #[serde(rename = "maxLimitRequestRatio")]
    max_ratio: QuantityMap,
}

/// In thousandths, whatever it is a ratio of.
fn ratio(value: Option<&Value>) -> Option<i64> {
    amount(Resource::Cpu, value?).ok()
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
            max_ratio: Ratios {
                cpu: ratio(i.max_ratio.get("cpu")),
                memory: ratio(i.max_ratio.get("memory")),
            },
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
