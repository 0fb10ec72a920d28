//! Which workload a pod is of: the rules of names the other way round, after what kube-state-metrics recorded.

use std::collections::BTreeMap;

use super::client::{Error, Prometheus, Range};
use super::pods::{Between, GENERATED, JOBS, REPLICA_SETS};
use super::query::Queries;

/// How many letters a name ends with that a controller made up.
const RANDOM: usize = 5;

/// How long a pod template's hash is (of a thousand all but three), and the minute that a Job was due. Shorter ones could be
/// words of a name.
const MADE: std::ops::RangeInclusive<usize> = 8..=10;

/// Who owns what in a namespace, as recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    pods: BTreeMap<String, Owner>,
    replica_sets: BTreeMap<String, Owner>,
    jobs: BTreeMap<String, Owner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    kind: String,
    name: String,
}

impl Owners {
    /// Asks for all of a namespace. Where nobody recorded them, or there are too many, none are known.
    pub async fn of(
        prometheus: &Prometheus,
        queries: &Queries,
        namespace: &str,
        range: Range,
    ) -> Result<Self, Error> {
        let find = async |metric: &str, label: &str| {
            let selector = queries.state(metric, &[("namespace", namespace)], (label, ".+"));
            match prometheus.series(&selector, range, true).await {
                Ok(found) => Ok(owners(found, label)),
                Err(error) if error.is_refusal() || error.is_too_much() => Ok(BTreeMap::new()),
                Err(error) => Err(error),
            }
        };
        let between = async |between: Between| find(between.metric, between.label).await;
        Ok(Self {
            pods: find("kube_pod_owner", "pod").await?,
            replica_sets: between(REPLICA_SETS).await?,
            jobs: between(JOBS).await?,
        })
    }

    /// The name of the workload that a pod is of: that of its topmost owner; the pod's own when it has none.
    pub fn workload<'a>(&'a self, pod: &'a str) -> &'a str {
        let Some(owner) = self.pods.get(pod) else {
            return by_name(pod);
        };
        let name = owner.name.as_str();
        let between = match owner.kind.as_str() {
            "ReplicaSet" => &self.replica_sets,
            "Job" => &self.jobs,
            "Node" => return pod,
            _ if owner.is_none() => return pod,
            _ => return name,
        };
        match between.get(name) {
            Some(owner) if owner.is_none() => name,
            Some(owner) => &owner.name,
            None => without(name, is_made).unwrap_or(name),
        }
    }
}

impl Owner {
    /// The word for nobody is empty, or was `<none>`.
    fn is_none(&self) -> bool {
        matches!(self.kind.as_str(), "" | "<none>")
    }
}

/// By name of what is owned, which stands under `label`.
fn owners(found: Vec<BTreeMap<String, String>>, label: &str) -> BTreeMap<String, Owner> {
    let controlled = found.into_iter().filter(|labels| {
        let controller = labels.get("owner_is_controller");
        controller.is_none_or(|controller| controller != "false")
    });
    controlled
        .filter_map(|mut labels| {
            let owner = Owner {
                kind: labels.remove("owner_kind")?,
                name: labels.remove("owner_name")?,
            };
            Some((labels.remove(label)?, owner))
        })
        .collect()
}

/// The workload that a pod's name tells.
fn by_name(pod: &str) -> &str {
    if let Some(owner) = without(pod, is_random) {
        return without(owner, is_made).unwrap_or(owner);
    }
    without(pod, is_number).unwrap_or(pod)
}

/// A name without its last part, if that is of such a kind.
fn without(name: &str, is: fn(&str) -> bool) -> Option<&str> {
    let (rest, last) = name.rsplit_once('-')?;
    (!rest.is_empty() && is(last)).then_some(rest)
}

fn is_random(part: &str) -> bool {
    part.len() == RANDOM && part.chars().all(|c| GENERATED.contains(c))
}

fn is_made(part: &str) -> bool {
    MADE.contains(&part.len()) && (part.chars().all(|c| GENERATED.contains(c)) || is_number(part))
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_workload() {
        for (pod, workload) in [
            ("web-7d4b9c6f5d-x2x4z", "web"),
            ("web.eu-api-7d4b9c6f5d-x2x4z", "web.eu-api"),
            ("tidy-29385120-x2x4z", "tidy"),
            ("agent-x2x4z", "agent"),
            ("log-db-x2x4z", "log-db"),
            ("db-0", "db"),
            ("db-eu-12", "db-eu"),
            ("by-hand", "by-hand"),
            ("alone", "alone"),
            ("-0", "-0"),
            ("", ""),
        ] {
            assert_eq!(Owners::default().workload(pod), workload);
        }
    }

    fn recorded(label: &str, rows: &[[&str; 4]]) -> BTreeMap<String, Owner> {
        let found = rows.iter().map(|[owned, kind, name, controller]| {
            let labels = [
                (label, *owned),
                ("owner_kind", *kind),
                ("owner_name", *name),
                ("owner_is_controller", *controller),
            ];
            let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
            labels.into()
        });
        owners(found.collect(), label)
    }

    #[test]
    fn who_is_recorded_wins_over_names() {
        let owners = Owners {
            pods: recorded(
                "pod",
                &[
                    ["a-bcdfg", "DaemonSet", "agent-of-another-name", "true"],
                    ["a-bcdfg", "Other", "looks-on", "false"],
                    ["web-555555-bcdfg", "ReplicaSet", "web-555555", "true"],
                    ["set-bcdfg", "ReplicaSet", "set", "true"],
                    [
                        "new-7d4b9c6f5d-bcdfg",
                        "ReplicaSet",
                        "new-7d4b9c6f5d",
                        "true",
                    ],
                    ["tidy-by-hand-bcdfg", "Job", "tidy-by-hand", "true"],
                    ["load-3-bcdfg", "Job", "load", "true"],
                    ["etcd-node-1", "Node", "node-1", "true"],
                    ["bare-0", "<none>", "<none>", "<none>"],
                    ["bare-1", "", "", ""],
                ],
            ),
            replica_sets: recorded(
                "replicaset",
                &[
                    ["web-555555", "Rollout", "web", "true"],
                    ["set", "", "", ""],
                ],
            ),
            jobs: recorded("job_name", &[["tidy-by-hand", "CronJob", "tidy", "true"]]),
        };
        for (pod, workload) in [
            ("a-bcdfg", "agent-of-another-name"),
            ("web-555555-bcdfg", "web"),
            ("set-bcdfg", "set"),
            ("new-7d4b9c6f5d-bcdfg", "new"),
            ("tidy-by-hand-bcdfg", "tidy"),
            ("load-3-bcdfg", "load"),
            ("etcd-node-1", "etcd-node-1"),
            ("bare-0", "bare-0"),
            ("bare-1", "bare-1"),
            ("not-recorded-0", "not-recorded"),
        ] {
            assert_eq!(owners.workload(pod), workload);
        }
    }
}
