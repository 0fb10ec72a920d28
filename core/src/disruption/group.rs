//! Replication groups, and how many of their pods may be disrupted at once.

use std::collections::HashMap;

use super::{ConfiguredReplicas, Setting, UpdateReason, Workload, protection};
use crate::pod::{OwnerRef, Phase, Pod};

/// The groups of one VPA's pods by their direct owner, with the disruptions planned so far.
pub(super) struct Groups<'a>(HashMap<&'a OwnerRef, Group<'a>>);

/// The pods of one owner.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// The kind of controller that makes its pods long work.
    pub long_work: Option<&'a str>,
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

impl<'a> Groups<'a> {
    pub(super) fn of(workload: &'a Workload, setting: &Setting<'_>) -> Self {
        let config = setting.config;
        let namespace = &workload.vpa.namespace;
        let mut counts: HashMap<&OwnerRef, (i64, i64)> = HashMap::new();
        for pod in workload.pods.iter().filter(|pod| is_live(pod)) {
            if let Some(owner) = &pod.owner {
                let (live, running) = counts.entry(owner).or_default();
                *live += 1;
                *running += i64::from(pod.phase != Phase::Pending);
            }
        }
        let required = workload.vpa.min_replicas.unwrap_or(config.min_replicas);
        let group = |(owner, (live, running)): (&'a OwnerRef, (i64, i64))| {
            let lately = || setting.memory.most_lately(namespace, owner);
            let own_kind = protection::is_long_work(&owner.kind).then_some(owner.kind.as_str());
            let long_work = || workload.long_work.get(owner).map(String::as_str);
            let configured = match workload.replicas.get(owner) {
                Some(ConfiguredReplicas::Known(n)) => Some(*n).filter(|n| *n > 0),
                Some(ConfiguredReplicas::Custom) if !config.is_safe() => Some(0),
                Some(ConfiguredReplicas::Custom) => Some(live.max(lately())),
                Some(ConfiguredReplicas::LivePods) => Some(live),
                None => None,
            };
            let tolerated = (configured.unwrap_or(0) as f64 * config.eviction_tolerance) as i64;
            (
                owner,
                Group {
                    long_work: own_kind.or_else(long_work),
                    live,
                    running,
                    configured,
                    required,
                    tolerated,
                    disrupted: 0,
                },
            )
        };
        Self(counts.into_iter().map(group).collect())
    }

    /// The group of a live pod; `None` when it has no controller.
    pub(super) fn of_pod(&mut self, pod: &Pod) -> Option<&mut Group<'a>> {
        self.0.get_mut(pod.owner.as_ref()?)
    }
}

impl Group<'_> {
    /// Plans one more disruption, or says why that cannot be.
    ///
    /// Allowed as long as more pods run than the configured replicas less the tolerated ones. Where the tolerance
    /// rounds down to none, one pod of a complete group may go: else small groups would never be updated.
    pub(super) fn disrupt(&mut self) -> Result<(), UpdateReason> {
        self.available()?;
        self.disrupt_at_any_size()
    }

    /// The same, without regard to how many pods must live.
    pub(super) fn disrupt_at_any_size(&mut self) -> Result<(), UpdateReason> {
        let configured = self.configured.ok_or(UpdateReason::ReplicasUnknown)?;
        let first_of_complete =
            configured == self.running && self.tolerated == 0 && self.disrupted == 0;
        if self.running - self.disrupted > configured - self.tolerated || first_of_complete {
            self.disrupted += 1;
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

    /// Counts an action that needed no budget, so that later ones in the group see it.
    pub(super) fn count(&mut self) {
        self.disrupted += 1;
    }
}
