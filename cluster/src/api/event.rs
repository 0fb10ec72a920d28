//! The kubelet's events of evicting a pod because its node ran short of memory.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use podfit_core::quantity::{Bytes, QuantityError};
use podfit_core::time::Timestamp;
use serde::Deserialize;

use super::time;
use crate::options::Profile;

/// Which events are watched for evictions: a field selector.
pub const EVICTIONS: &str = "reason=Evicted";

/// An event, cut down to what is read of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EventObject {
    /// Its metadata. The annotations say what the pod's containers used.
    pub metadata: ObjectMeta,
    reason: String,
    involved_object: Involved,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Involved {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
}

namespaced_resource!(EventObject, "", "v1", "Event", "events");

/// A pod that the kubelet evicted for memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Eviction {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's unique id; a new pod of the same name has another.
    pub uid: String,
    /// When.
    pub at: Timestamp,
    /// The containers that used more than they had requested, and what they used.
    pub containers: Vec<(String, Bytes)>,
}

/// Why an event tells of no out-of-memory eviction.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum NoEviction {
    /// It is about something else: another reason, another object, another resource. That is normal.
    #[error("it is about something else")]
    Other,
    /// It has no time.
    #[error("it has no creationTimestamp")]
    NoTime,
    /// The lists in its annotations do not fit together.
    #[error(
        "{containers} names in offending_containers, {usages} in offending_containers_usage and {resources} in starved_resource"
    )]
    Lengths {
        /// How many containers.
        containers: usize,
        /// How many amounts.
        usages: usize,
        /// How many resources.
        resources: usize,
    },
    /// An amount is none.
    #[error("offending_containers_usage of {container}: {source}")]
    Usage {
        /// Whose.
        container: String,
        /// Why.
        source: QuantityError,
    },
}

impl EventObject {
    /// What it tells of an eviction for memory. One unreadable amount makes all of them doubtful.
    ///
    /// The kubelet names the starved resource once, however many containers it lists. Upstream wants it once per container
    /// and so misses the evictions of pods with several; with its profile they do not count here, either.
    pub fn eviction(&self, profile: Profile) -> Result<Eviction, NoEviction> {
        if self.reason != "Evicted" || self.involved_object.kind != "Pod" {
            return Err(NoEviction::Other);
        }
        let annotations = self.metadata.annotations.as_ref();
        let names = list(annotations, "offending_containers");
        let usages = list(annotations, "offending_containers_usage");
        let starved = list(annotations, "starved_resource");
        if !starved.contains(&"memory") {
            return Err(NoEviction::Other);
        }
        let once = starved.len() == 1 && profile == Profile::Safe;
        if names.len() != usages.len() || (names.len() != starved.len() && !once) {
            return Err(NoEviction::Lengths {
                containers: names.len(),
                usages: usages.len(),
                resources: starved.len(),
            });
        }
        let starved = starved.iter().cycle();
        let of_memory = names.into_iter().zip(usages).zip(starved);
        let containers = of_memory
            .filter(|(_, resource)| **resource == "memory")
            .map(|((name, usage), _)| used(name, usage));
        Ok(Eviction {
            namespace: self.involved_object.namespace.clone(),
            pod: self.involved_object.name.clone(),
            uid: self.involved_object.uid.clone(),
            at: time::created(&self.metadata).ok_or(NoEviction::NoTime)?,
            containers: containers.collect::<Result<_, _>>()?,
        })
    }
}

fn list<'a>(annotations: Option<&'a BTreeMap<String, String>>, key: &str) -> Vec<&'a str> {
    let text = annotations.and_then(|a| a.get(key));
    text.map_or_else(Vec::new, |text| text.split(',').collect())
}

fn used(container: &str, usage: &str) -> Result<(String, Bytes), NoEviction> {
    let container = container.to_owned();
    match Bytes::parse(usage) {
        Ok(bytes) => Ok((container, bytes)),
        Err(source) => Err(NoEviction::Usage { container, source }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(containers: &str, usages: &str, resources: &str) -> EventObject {
        serde_json::from_value(json!({
            "metadata": {
                "creationTimestamp": "2018-02-23T13:38:48Z",
                "annotations": {
                    "offending_containers": containers,
                    "offending_containers_usage": usages,
                    "starved_resource": resources,
                },
            },
            "reason": "Evicted",
            "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "pod-1", "uid": "u"},
        }))
        .unwrap()
    }

    /// `name=bytes …`, or the word for why not.
    fn told(event: &EventObject, profile: Profile) -> String {
        match event.eviction(profile) {
            Ok(eviction) => {
                let containers = eviction.containers.iter();
                let containers = containers.map(|(name, used)| format!("{name}={}", used.0));
                containers.collect::<Vec<_>>().join(" ")
            }
            Err(NoEviction::Other) => "other".into(),
            Err(NoEviction::NoTime) => "no time".into(),
            Err(NoEviction::Lengths { .. }) => "lengths".into(),
            Err(NoEviction::Usage { .. }) => "usage".into(),
        }
    }

    #[test]
    fn annotations_are_read() {
        let table = include_str!("../../testdata/evictions.csv");
        for row in table.lines().skip(1) {
            let columns: Vec<_> = row.split(';').collect();
            let [containers, usages, resources, safe, upstream] = columns[..] else {
                unreachable!("{row}");
            };
            let event = event(containers, usages, resources);
            assert_eq!(told(&event, Profile::Safe), safe, "{row}");
            assert_eq!(told(&event, Profile::Upstream), upstream, "{row}");
        }
    }

    #[test]
    fn an_eviction_names_the_pod_and_the_time() {
        let mut event = event("app", "1Mi", "memory");
        let eviction = event.eviction(Profile::Safe).unwrap();
        assert_eq!(
            (eviction.namespace, eviction.pod, eviction.uid),
            ("ns".into(), "pod-1".into(), "u".into())
        );
        assert_eq!(eviction.at.unix_seconds(), 1_519_393_128);

        event.metadata.creation_timestamp = None;
        assert_eq!(told(&event, Profile::Safe), "no time");
        event.metadata.annotations = None;
        assert_eq!(told(&event, Profile::Safe), "other");
        for broken in [
            json!({}),
            json!({"metadata": {}, "reason": "Evicted"}),
            json!({"metadata": {}, "reason": "Killing", "involvedObject": {"kind": "Pod"}}),
        ] {
            let event: EventObject = serde_json::from_value(broken).unwrap();
            assert_eq!(told(&event, Profile::Safe), "other");
        }
    }
}
