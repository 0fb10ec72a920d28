//! How many pods a group had lately, for controllers that cannot be asked how many they want.

use std::collections::HashMap;
use std::time::Duration;

use super::group::is_live;
use super::{ConfiguredReplicas, Snapshot};
use crate::pod::OwnerRef;
use crate::time::Timestamp;

/// A count is remembered for as long as this at least, and for less than twice as long.
const SPAN: Duration = Duration::from_mins(30);

/// The most live pods that groups of unknown kinds had lately. Were it what lives now, a controller that does not replace
/// its pods would lose half of them, then half of the rest, and so on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lately(HashMap<String, HashMap<OwnerRef, Most>>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Most {
    before: i64,
    now: i64,
    since: Timestamp,
}

impl Most {
    fn new(count: i64, since: Timestamp) -> Self {
        Self {
            before: 0,
            now: count,
            since,
        }
    }

    fn age(self, now: Timestamp) -> Self {
        let age = now.since(self.since);
        if age < SPAN {
            return self;
        }
        Self {
            before: if age < SPAN * 2 { self.now } else { 0 },
            ..Self::new(0, now)
        }
    }
}

impl Lately {
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for group in self.0.values_mut() {
            for most in group.values_mut() {
                *most = most.age(now);
            }
            group.retain(|_, most| most.before.max(most.now) > 0);
        }
        self.0.retain(|_, groups| !groups.is_empty());
        let unknown = |replicas: &ConfiguredReplicas| *replicas == ConfiguredReplicas::Custom;
        for workload in &snapshot.workloads {
            let owners = workload.replicas.iter();
            for (owner, _) in owners.filter(|(_, replicas)| unknown(replicas)) {
                let of_owner = |pod: &crate::pod::Pod| pod.owner.as_ref() == Some(owner);
                let pods = workload.pods.iter();
                let live = pods.filter(|pod| of_owner(pod) && is_live(pod)).count() as i64;
                let groups = self.0.entry(workload.vpa.namespace.clone()).or_default();
                let most = groups
                    .entry(owner.clone())
                    .or_insert_with(|| Most::new(live, now));
                most.now = most.now.max(live);
            }
        }
    }

    /// The most pods a group had lately; zero when it was not observed.
    pub(super) fn most(&self, namespace: &str, owner: &OwnerRef) -> i64 {
        let most = self.0.get(namespace).and_then(|groups| groups.get(owner));
        most.map_or(0, |most| most.before.max(most.now))
    }
}
