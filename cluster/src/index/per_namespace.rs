//! What is read of small objects, by their namespace and name.

use std::collections::HashMap;

use kube::{Resource, ResourceExt};

use crate::watch::Change;

/// Values by namespace and name.
#[derive(Clone, Debug)]
pub struct PerNamespace<T>(HashMap<String, HashMap<String, T>>);

impl<T> Default for PerNamespace<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> PerNamespace<T> {
    /// Takes in a change. Objects of which `read` makes nothing are as good as not there.
    pub fn change<K: Resource>(&mut self, change: Change<K>, read: impl Fn(&K) -> Option<T>) {
        match change {
            Change::Apply(object) => {
                let (namespace, name) = key(&object);
                match read(&object) {
                    Some(value) => {
                        self.0.entry(namespace).or_default().insert(name, value);
                    }
                    None => self.remove(&namespace, &name),
                }
            }
            Change::Delete(object) => {
                let (namespace, name) = key(&object);
                self.remove(&namespace, &name);
            }
            Change::Listed(there) => {
                for (namespace, values) in &mut self.0 {
                    values.retain(|name, _| there.contains(&(namespace.clone(), name.clone())));
                }
            }
        }
        self.0.retain(|_, values| !values.is_empty());
    }

    fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(values) = self.0.get_mut(namespace) {
            values.remove(name);
        }
    }

    /// One value.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(namespace)?.get(name)
    }

    /// All values of a namespace.
    pub fn of(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.0.get(namespace).into_iter().flat_map(HashMap::values)
    }

    /// The namespaces that have any.
    pub fn namespaces(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    #[test]
    fn values_come_change_and_go_with_their_objects() {
        let mut known: PerNamespace<u8> = PerNamespace::default();
        let mut apply = |name: &str, value: Option<u8>| {
            known.change(Change::Apply(object("ns", name)), |_| value);
            known.of("ns").count()
        };
        assert_eq!([apply("a", Some(1)), apply("b", Some(2))], [1, 2]);
        assert_eq!([apply("a", Some(3)), apply("b", None)], [2, 1]);
        assert_eq!(
            (known.get("ns", "a"), known.get("ns", "b")),
            (Some(&3), None)
        );
        let gone = Change::<ConfigMap>::Listed(HashSet::new());
        known.change(gone, |_| Some(0));
        assert_eq!(known.namespaces().count(), 0);
        known.change(Change::Delete(object("ns", "a")), |_| Some(0));
        assert_eq!(known.of("ns").count(), 0);
    }
}
