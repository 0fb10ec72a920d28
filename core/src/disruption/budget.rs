//! How many pods may be disrupted at one time: in the cluster, in a namespace, under a VPA.
//!
//! What is disrupted already counts until it is whole again. Of a workload that is read from the snapshot: replicas that
//! are wanted and not ready, whatever the cause. Of namespaces and the cluster our own disruptions count ([`Ongoing`]):
//! somebody else's broken workloads must not hold up all others.
//!
//! [`Ongoing`]: super::ongoing::Ongoing

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::group::is_live;
use super::{Config, Memory, Snapshot, UpdateReason};
use crate::profile::Profile;

/// A number of pods, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// As many as there are.
    None,
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded up.
    Percent(f64),
}

/// Why a text is no [`Limit`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no limit; write a number of pods like 10, a percentage like 5%, or none")]
pub struct LimitError(String);

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        if text == "none" {
            return Ok(Self::None);
        }
        let wrong = || LimitError(text.into());
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Count).map_err(|_| wrong());
        };
        match percent.parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
            _ => Err(wrong()),
        }
    }
}

/// How many pods may be disrupted at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Of all pods under VPAs.
    pub cluster: Limit,
    /// Of those in one namespace.
    pub namespace: Limit,
    /// Of those under one VPA.
    pub workload: Limit,
}

impl Limits {
    /// The defaults of a profile.
    pub fn new(profile: Profile) -> Self {
        if !profile.is_safe() {
            return Self {
                cluster: Limit::None,
                namespace: Limit::None,
                workload: Limit::None,
            };
        }
        Self {
            cluster: Limit::Percent(5.0),
            namespace: Limit::Percent(20.0),
            workload: Limit::Percent(25.0),
        }
    }
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All pods under VPAs.
    Cluster,
    /// Those in one namespace.
    Namespace,
    /// Those under one VPA.
    Workload,
}

impl Scope {
    /// What a percentage comes to at least: of few pods it would come to next to nothing, and one workload that does not
    /// get ready again would hold up all others.
    fn least(self) -> i64 {
        match self {
            Self::Cluster => 10,
            Self::Namespace => 5,
            Self::Workload => 1,
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Cluster => "--max-disruptions",
            Self::Namespace => "--max-disruptions-per-namespace",
            Self::Workload => "--max-disruptions-per-workload",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "in the cluster",
            Self::Namespace => "in its namespace",
            Self::Workload => "under its VPA",
        })?;
        write!(f, " ({})", self.flag())
    }
}

/// One limit with what is taken of it.
#[derive(Debug)]
pub(super) struct Level {
    scope: Scope,
    /// `None`: as many as there are.
    pub allowed: Option<i64>,
    /// Disrupted before this plan, and not whole again.
    ongoing: i64,
    /// Disrupted by this plan.
    planned: Cell<i64>,
}

impl Level {
    pub(super) fn new(scope: Scope, limit: Limit, pods: i64, ongoing: i64) -> Self {
        let allowed = match limit {
            Limit::None => None,
            Limit::Count(count) => Some(i64::from(count)),
            Limit::Percent(percent) => {
                let part = (pods as f64 * percent / 100.0).ceil() as i64;
                Some(part.max(scope.least()))
            }
        };
        Self {
            scope,
            allowed,
            ongoing,
            planned: Cell::new(0),
        }
    }

    fn has_room(&self) -> Result<(), UpdateReason> {
        let taken = self.ongoing + self.planned.get();
        match self.allowed {
            Some(allowed) if taken >= allowed => Err(UpdateReason::DisruptionsSpent {
                scope: self.scope,
                allowed,
                ongoing: self.ongoing,
                planned: self.planned.get(),
            }),
            _ => Ok(()),
        }
    }

    fn take(&self) {
        self.planned.set(self.planned.get() + 1);
    }
}

/// The limits of cluster and namespaces, with what a plan takes of them.
#[derive(Debug)]
pub(super) struct Budgets<'a> {
    /// Live pods under VPAs.
    pub pods: i64,
    cluster: Level,
    namespaces: HashMap<&'a str, Level>,
}

impl<'a> Budgets<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, memory: &Memory, config: &Config) -> Self {
        let mut by_namespace: HashMap<&str, (i64, i64)> = HashMap::new();
        for workload in &snapshot.workloads {
            let (pods, ongoing) = by_namespace.entry(&workload.vpa.namespace).or_default();
            *pods += workload.pods.iter().filter(|pod| is_live(pod)).count() as i64;
            *ongoing += memory.ongoing(&workload.vpa);
        }
        let sum = |part: fn(&(i64, i64)) -> i64| by_namespace.values().map(part).sum();
        let (pods, ongoing) = (sum(|n| n.0), sum(|n| n.1));
        let Limits {
            cluster, namespace, ..
        } = config.limits;
        Self {
            pods,
            cluster: Level::new(Scope::Cluster, cluster, pods, ongoing),
            namespaces: by_namespace
                .into_iter()
                .map(|(name, (pods, ongoing))| {
                    (name, Level::new(Scope::Namespace, namespace, pods, ongoing))
                })
                .collect(),
        }
    }

    /// Takes one disruption of a pod under a VPA of `namespace`, or says of what there is none left. The workload's own
    /// limit is about pods that are `ready`: one that is not counts as missing already.
    pub(super) fn take(
        &self,
        namespace: &str,
        workload: &Level,
        ready: bool,
    ) -> Result<(), UpdateReason> {
        if ready {
            workload.has_room()?;
        }
        let namespace = self.namespaces.get(namespace);
        namespace.map_or(Ok(()), Level::has_room)?;
        self.cluster.has_room()?;
        if ready {
            workload.take();
        }
        namespace.into_iter().for_each(Level::take);
        self.cluster.take();
        Ok(())
    }
}
