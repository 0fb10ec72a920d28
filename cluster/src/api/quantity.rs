//! `{"cpu": "250m", "memory": 1073741824}` as a [`ResourceList`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use podfit_core::quantity::{Bytes, Millicores, Resource, ResourceList};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

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
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        other => return Err(format!("`{other}` is not a quantity")),
    };
    match resource {
        Resource::Cpu => Millicores::parse(&text)
            .map(|m| m.0)
            .map_err(|e| e.to_string()),
        Resource::Memory => Bytes::parse(&text).map(|b| b.0).map_err(|e| e.to_string()),
    }
}

/// What is read of the [`QuantityMap`]s of every container there is, without making them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantities {
    /// CPU and memory, as far as they are readable.
    pub list: ResourceList,
    /// True when the map names no resource at all.
    pub is_empty: bool,
    /// True when there is some of an extended resource: a GPU, say.
    pub has_extended: bool,
}

impl<'de> Deserialize<'de> for Quantities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Quantities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of quantities")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantities, A::Error> {
                let mut read = Quantities {
                    is_empty: true,
                    ..Quantities::default()
                };
                while let Some(name) = map.next_key()? {
                    read.is_empty = false;
                    let value = map.next_value::<Value>()?;
                    match name {
                        Name::Sized(resource) => {
                            read.list.set(resource, amount(resource, &value).ok());
                        }
                        Name::Extended => read.has_extended |= !is_zero(&value),
                        Name::Other => {}
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A resource's name, told apart without keeping it.
enum Name {
    /// CPU or memory.
    Sized(Resource),
    /// Of a domain that is not Kubernetes' own: `nvidia.com/gpu`.
    Extended,
    /// Storage, huge pages.
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a resource")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                let sized = Resource::ALL.into_iter().find(|r| r.name() == name);
                let is_extended = name.contains('/') && !name.contains("kubernetes.io/");
                Ok(match sized {
                    Some(resource) => Name::Sized(resource),
                    None if is_extended => Name::Extended,
                    None => Name::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Read)
    }
}

/// True for none of a resource that is counted.
fn is_zero(amount: &Value) -> bool {
    match amount {
        Value::String(text) => Bytes::parse(text).is_ok_and(|amount| amount.0 == 0),
        amount => amount.as_f64() == Some(0.0),
    }
}

/// The amounts of a list as they are written into objects, by resource.
pub fn texts(list: &ResourceList) -> impl Iterator<Item = (Resource, String)> {
    let cpu = list.cpu.map(|cpu| (Resource::Cpu, cpu.to_string()));
    let memory = list.memory.map(|m| (Resource::Memory, m.to_string()));
    cpu.into_iter().chain(memory)
}

/// A list as it is written into objects.
pub fn to_json(list: &ResourceList) -> Value {
    let amounts = texts(list).map(|(resource, text)| (resource.name().to_owned(), text.into()));
    Value::Object(amounts.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_without_a_map_is_what_is_read_of_it() {
        let rows = [
            json!({}),
            json!({"cpu": "250m", "memory": "1Gi"}),
            json!({"memory": 1024, "nvidia.com/gpu": {"any": ["thing"]}}),
            json!({"cpu": 1, "memory": "lots"}),
            json!({"cpu": null, "memory": -5}),
        ];
        for row in rows {
            let map: QuantityMap = serde_json::from_value(row.clone()).unwrap();
            let text = row.to_string();
            for read in [
                serde_json::from_str::<Quantities>(&text),
                serde_json::from_value(row),
            ] {
                let read = read.unwrap();
                assert_eq!(read.list, resource_list(&map), "{text}");
                assert_eq!(read.is_empty, map.is_empty(), "{text}");
            }
        }
        assert!(serde_json::from_str::<Quantities>("[]").is_err());
        let escaped: Quantities = serde_json::from_str(r#"{"c\u0070u": "2"}"#).unwrap();
        assert_eq!(escaped.list.cpu, Some(Millicores(2000)));
    }
}
