//! Replication groups, and how many of their pods may be disrupted at once.

use std::collections::HashMap;
use std::rc::Rc;

use super::budget::{Level, Scope};
use super::lately::Lately;
use super::{ConfiguredReplicas, Setting, UpdateReason, Workload, protection};
use crate::pod::{OwnerRef, Phase, Pod};

/// The groups of one VPA's pods by their direct owner, with the disruptions planned so far.
pub(super) struct Groups<'a>(HashMap<&'a OwnerRef, Group<'a>>);

/// The pods of one owner.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// The kind of controller that makes its pods long work.
    pub long_work: Option<&'a str>,
    /// What the VPA as a whole may lose.
    pub workload: Rc<Level>,
    /// Pods on nodes that neither ended nor are being deleted.
    live: i64,
    /// Those of them that have started.
    running: i64,
    /// How many the owner asks for; `None` when it is not known, or asks for none.
    configured: Option<i64>,
    /// How many must live before one may be disrupted.
    required: i64,
    /// How many of the configured may be disrupted at once.
    tolerated: i64,
    /// How many this plan disrupts.
    disrupted: i64,
}

/// True for a pod that the group can count on, or can lose.
pub(super) fn is_live(pod: &Pod) -> bool {
    !pod.terminating && !pod.is_finished() && pod.node.is_some()
}

/// The pods of a workload, counted by their direct owner.
pub(super) struct Counts<'a>(HashMap<&'a OwnerRef, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    live: i64,
    running: i64,
    ready: i64,
    /// Pods that are being deleted, of a DaemonSet: what is known of its wishes is how many pods are ready.
    leaving: i64,
    /// How many the owner asks for; `None` when that is not known.
    configured: Option<i64>,
}

impl Count {
    fn wanted(self) -> i64 {
        self.configured.unwrap_or(0).max(self.live + self.leaving)
    }
}

impl<'a> Counts<'a> {
    pub(super) fn of(workload: &'a Workload, lately: &Lately) -> Self {
        let mut counts: HashMap<&OwnerRef, Count> = HashMap::new();
        for owner in workload.replicas.keys() {
            counts.insert(owner, Count::default());
        }
        for pod in &workload.pods {
            let live = is_live(pod);
            if let Some(owner) = &pod.owner
                && (live || pod.terminating && owner.kind == "DaemonSet")
            {
                let count = counts.entry(owner).or_default();
                if !live {
                    count.leaving += i64::from(!pod.is_finished());
                    continue;
                }
                count.live += 1;
                count.running += i64::from(pod.phase != Phase::Pending);
                count.ready += i64::from(pod.ready_since.is_some());
            }
        }
        for (owner, count) in &mut counts {
            count.configured = match workload.replicas.get(owner) {
                Some(ConfiguredReplicas::Known(n)) => Some(*n),
                Some(ConfiguredReplicas::Custom) => {
                    Some(count.live.max(lately.most(&workload.vpa.namespace, owner)))
                }
                Some(ConfiguredReplicas::LivePods) => Some(count.live),
                None => None,
            };
        }
        Self(counts)
    }

    /// How many pods there should be.
    fn wanted(&self) -> i64 {
        self.0.values().map(|count| count.wanted()).sum()
    }

    /// How many of those are not ready.
    pub(super) fn missing(&self) -> i64 {
        let missing = |count: &Count| (count.wanted() - count.ready).max(0);
        self.0.values().map(missing).sum()
    }
}

impl<'a> Groups<'a> {
    pub(super) fn of(workload: &'a Workload, setting: &Setting<'_>) -> Self {
        let config = setting.config;
        let counts = Counts::of(workload, setting.memory.lately());
        let limit = config.limits.workload;
        let level = Level::new(Scope::Workload, limit, counts.wanted(), counts.missing());
        let level = Rc::new(level);
        let required = workload.vpa.min_replicas.unwrap_or(config.min_replicas);
        let group = |(owner, count): (&'a OwnerRef, Count)| {
            let own_kind = protection::is_long_work(&owner.kind).then_some(&*owner.kind);
            let long_work = || workload.long_work.get(owner).map(String::as_str);
            let configured = match workload.replicas.get(owner) {
                Some(ConfiguredReplicas::Custom) if !config.is_safe() => Some(0),
                Some(ConfiguredReplicas::Known(n)) if *n <= 0 => None,
                _ => count.configured,
            };
            let tolerated = (configured.unwrap_or(0) as f64 * config.eviction_tolerance) as i64;
            let group = Group {
                long_work: own_kind.or_else(long_work),
                workload: Rc::clone(&level),
                live: count.live,
                running: count.running,
                configured,
                required,
                tolerated,
                disrupted: 0,
            };
            (owner, group)
        };
        Self(counts.0.into_iter().map(group).collect())
    }

    /// The group of a live pod; `None` when it has no controller.
    pub(super) fn of_pod(&mut self, pod: &Pod) -> Option<&mut Group<'a>> {
        self.0.get_mut(pod.owner.as_ref()?)
    }
}

impl Group<'_> {
    /// An error unless one more pod may be disrupted.
    ///
    /// It may as long as more pods run than the configured replicas less the tolerated ones. Where the tolerance rounds
    /// down to none, one pod of a complete group may go: else small groups would never be updated.
    pub(super) fn tolerates(&self) -> Result<(), UpdateReason> {
        let configured = self.configured.ok_or(UpdateReason::ReplicasUnknown)?;
        let first_of_complete =
            configured == self.running && self.tolerated == 0 && self.disrupted == 0;
        if self.running - self.disrupted > configured - self.tolerated || first_of_complete {
            return Ok(());
        }
        Err(UpdateReason::BudgetSpent {
            running: self.running,
            configured,
            tolerated: self.tolerated,
            disrupted: self.disrupted,
        })
    }

    /// An error unless the group is large enough to be disrupted.
    pub(super) fn available(&self) -> Result<(), UpdateReason> {
        let configured = self.configured.ok_or(UpdateReason::ReplicasUnknown)?;
        if self.live < self.required && configured <= 1 {
            return Err(UpdateReason::SingleReplica);
        }
        if self.live < self.required {
            return Err(UpdateReason::TooFewReplicas {
                live: self.live,
                required: self.required,
            });
        }
        Ok(())
    }

    /// Counts an action, so that later ones in the group see it.
    pub(super) fn count(&mut self) {
        self.disrupted += 1;
    }
}
