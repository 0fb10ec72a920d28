//! `{"cpu": "250m", "memory": 1073741824}` as a [`ResourceList`].

use std::collections::BTreeMap;

use podfit_core::quantity::{Bytes, Millicores, Resource, ResourceList};
use serde_json::{Map, Value};

/// A map of resource names to quantities as it stands in an object. Values are texts, or numbers in CRDs.
pub type QuantityMap = BTreeMap<String, Value>;

/// CPU and memory of a map; other resources and unreadable amounts are left out.
pub fn resource_list(quantities: &QuantityMap) -> ResourceList {
    resource_list_or(quantities, |_, _| {})
}

/// As [`resource_list`], telling `problem` of each amount that cannot be read: resource name, why.
pub fn resource_list_or(
    quantities: &QuantityMap,
    mut problem: impl FnMut(&str, String),
) -> ResourceList {
    let mut list = ResourceList::default();
    for resource in Resource::ALL {
        let Some(value) = quantities.get(resource.name()) else {
            continue;
        };
        match amount(resource, value) {
            Ok(amount) => list.set(resource, Some(amount)),
            Err(why) => problem(resource.name(), why),
        }
    }
    list
}

/// One amount in its base unit, rounded up as Kubernetes does.
pub fn amount(resource: Resource, value: &Value) -> Result<i64, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("`{other}` is not a quantity")),
    };
    match resource {
        Resource::Cpu => Millicores::parse(&text)
            .map(|m| m.0)
            .map_err(|e| e.to_string()),
        Resource::Memory => Bytes::parse(&text).map(|b| b.0).map_err(|e| e.to_string()),
    }
}

/// A list as it is written into objects.
pub fn to_json(list: &ResourceList) -> Value {
    let mut map = Map::new();
    if let Some(cpu) = list.cpu {
        map.insert("cpu".into(), cpu.to_string().into());
    }
    if let Some(memory) = list.memory {
        map.insert("memory".into(), memory.to_string().into());
    }
    Value::Object(map)
}
