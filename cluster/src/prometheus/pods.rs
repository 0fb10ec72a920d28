//! Which pods are a workload's, those that are long gone, too.
//!
//! Their names tell, for Kubernetes' own kinds: controllers build them by rules. Owners that kube-state-metrics recorded
//! correct this where names are ambiguous, and stand in for it where a kind has no rule. Where there is neither, a
//! workload's pods are those that live.

use std::collections::{BTreeMap, BTreeSet};

use podfit_core::ownership::ControllerKey;

use super::client::{Error, Prometheus, Range};
use super::query::Queries;

/// The letters of generated names: no vowels, so that no words come about.
pub(super) const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// A generated name is cut to this many letters before five random ones are put behind it.
const LONGEST_PREFIX: usize = 58;

/// The most that a regular expression of names may have, since it is sent in an address.
const LONGEST_NAMES: usize = 3000;

/// How the pods of a workload are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Regular expressions; each pod's name is matched by one.
    pub patterns: Vec<String>,
    /// Pods that match, but are another's.
    pub strangers: BTreeSet<String>,
}

/// Where the owners of a kind's pods are found: in which series, under which label, and what owns them in turn.
pub(super) struct Between {
    pub metric: &'static str,
    pub label: &'static str,
    kind: &'static str,
}

pub(super) const REPLICA_SETS: Between = Between {
    metric: "kube_replicaset_owner",
    label: "replicaset",
    kind: "ReplicaSet",
};
pub(super) const JOBS: Between = Between {
    metric: "kube_job_owner",
    label: "job_name",
    kind: "Job",
};

/// The pods of `target`. `live` are those known to be its own.
pub async fn of(
    prometheus: &Prometheus,
    queries: &Queries,
    (target, live): (&ControllerKey, &[String]),
    range: Range,
) -> Result<Pods, Error> {
    let owners = Owners {
        prometheus,
        queries,
        target,
        range,
    };
    let Some(pattern) = pattern(target) else {
        let recorded = unless_refused(owners.owned().await)?;
        let names = recorded.into_iter().chain(live.iter().cloned()).collect();
        return Ok(Pods {
            patterns: alternatives(&names),
            strangers: BTreeSet::new(),
        });
    };
    let mut strangers = unless_refused(owners.strangers(&pattern).await)?;
    strangers.retain(|pod| !live.contains(pod));
    Ok(Pods {
        patterns: vec![pattern],
        strangers,
    })
}

/// A server that does not search for series has no owners to tell.
fn unless_refused(names: Result<BTreeSet<String>, Error>) -> Result<BTreeSet<String>, Error> {
    match names {
        Err(error) if error.is_refusal() => Ok(BTreeSet::new()),
        other => other,
    }
}

/// The names that pods of a workload have, as a regular expression; `None` where the kind has no rule.
fn pattern(target: &ControllerKey) -> Option<String> {
    let name = target.name.replace('.', r"\.");
    let between = between_pattern(target);
    // What is cut off is not known.
    let longest = LONGEST_PREFIX - if between.is_some() { 12 } else { 1 };
    if target.name.len() > longest && target.kind != "StatefulSet" {
        return None;
    }
    let random = format!("[{GENERATED}]{{5}}");
    match &*target.kind {
        "Deployment" | "Rollout.argoproj.io" => Some(format!("{}-{random}", between?)),
        "ReplicaSet" | "ReplicationController" | "DaemonSet" => Some(format!("{name}-{random}")),
        "StatefulSet" => Some(format!("{name}-[0-9]+")),
        // With an index in it, where completions are indexed.
        "Job" => Some(format!("{name}-([0-9]+-)?{random}")),
        "CronJob" => Some(format!("{}-([0-9]+-)?{random}", between?)),
        _ => None,
    }
}

/// The names of the controllers between a workload and its pods.
fn between_pattern(target: &ControllerKey) -> Option<String> {
    let name = target.name.replace('.', r"\.");
    match &*target.kind {
        "Deployment" | "Rollout.argoproj.io" => Some(format!("{name}-[{GENERATED}]{{1,10}}")),
        // The minute that it was due, since 1970.
        "CronJob" => Some(format!("{name}-[0-9]{{8,10}}")),
        _ => None,
    }
}

/// Names as regular expressions that are each short enough.
fn alternatives(names: &BTreeSet<String>) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for name in names.iter().map(|name| name.replace('.', r"\.")) {
        match patterns.last_mut() {
            Some(last) if last.len() + name.len() < LONGEST_NAMES => {
                last.push('|');
                last.push_str(&name);
            }
            _ => patterns.push(name),
        }
    }
    patterns
}

/// What kube-state-metrics recorded.
struct Owners<'a> {
    prometheus: &'a Prometheus,
    queries: &'a Queries,
    target: &'a ControllerKey,
    range: Range,
}

type Labels = BTreeMap<String, String>;

impl Owners<'_> {
    /// Pods with such names that another controller owns.
    async fn strangers(&self, pattern: &str) -> Result<BTreeSet<String>, Error> {
        let between = match &*self.target.kind {
            "CronJob" => Some(JOBS),
            "Deployment" | "Rollout.argoproj.io" => Some(REPLICA_SETS),
            _ => None,
        };
        let kind = between.as_ref().map_or(self.kind(), |b| b.kind);
        let mut others = BTreeSet::new();
        if let (Some(between), Some(names)) = (&between, between_pattern(self.target)) {
            let found = self.find(between.metric, (between.label, &names));
            let foreign = |labels: &Labels| !self.is_owner(labels);
            others = take(found.await?, between.label, foreign);
        }
        let foreign = |labels: &Labels| {
            let name = labels.get("owner_name").map_or("", String::as_str);
            let ours = match between {
                Some(_) => !others.contains(name),
                None => name == self.target.name,
            };
            labels.get("owner_kind").is_none_or(|k| k != kind) || !ours
        };
        let found = self.find("kube_pod_owner", ("pod", pattern)).await?;
        Ok(take(found, "pod", foreign))
    }

    /// Pods that the target owns, by itself or through ReplicaSets or Jobs.
    async fn owned(&self) -> Result<BTreeSet<String>, Error> {
        let mut pods = self.pods_of(self.kind(), &self.target.name).await?;
        let owner = self.target.name.replace('.', r"\.");
        for between in [REPLICA_SETS, JOBS] {
            let found = self.find(between.metric, ("owner_name", &owner));
            let names = take(found.await?, between.label, |labels| self.is_owner(labels));
            for names in alternatives(&names) {
                pods.extend(self.pods_of(between.kind, &names).await?);
            }
        }
        Ok(pods)
    }

    async fn pods_of(&self, kind: &str, names: &str) -> Result<BTreeSet<String>, Error> {
        let found = self.find("kube_pod_owner", ("owner_name", names)).await?;
        Ok(take(found, "pod", |labels| {
            labels.get("owner_kind").is_some_and(|k| k == kind)
        }))
    }

    async fn find(&self, metric: &str, like: (&str, &str)) -> Result<Vec<Labels>, Error> {
        let namespace = [("namespace", self.target.namespace.as_str())];
        let selector = self.queries.state(metric, &namespace, like);
        // Owners that a store out of order does not tell are only a second opinion.
        self.prometheus.series(&selector, self.range, true).await
    }

    /// The kind without its group.
    fn kind(&self) -> &str {
        self.target.kind.split('.').next().unwrap_or_default()
    }

    fn is_owner(&self, labels: &Labels) -> bool {
        let has = |label: &str, value: &str| labels.get(label).is_some_and(|v| v == value);
        has("owner_kind", self.kind()) && has("owner_name", &self.target.name)
    }
}

/// One label of the series for which `wanted` holds.
fn take(found: Vec<Labels>, label: &str, wanted: impl Fn(&Labels) -> bool) -> BTreeSet<String> {
    let wanted = found.into_iter().filter(|labels| wanted(labels));
    wanted
        .filter_map(|mut labels| labels.remove(label))
        .collect()
}

#[cfg(test)]
mod tests;
