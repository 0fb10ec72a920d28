//! What was refused to a pod, and until when it is not asked for again.

use std::time::Duration;

use super::super::memory::Memory;
use super::super::{Action, Decision, Setting, UpdateReason};
use super::{back_to_force, named_resource, refused_resource, sums};
use crate::pod::Pod;
use crate::policy::ContainerChange;
use crate::quantity::Resource;
use crate::time::Timestamp;

/// Resizes that the API server or the kubelet refused to a pod, or did not do in time: the last for each resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Refused {
    cpu: Option<Refusal>,
    memory: Option<Refusal>,
}

#[derive(Clone, Debug, PartialEq)]
struct Refusal {
    /// What was asked for.
    changes: Vec<ContainerChange>,
    /// When it was refused last.
    at: Timestamp,
    /// How often in a row.
    times: u32,
}

/// Where the pods of the node are known, so long after the first refusal until the next try, if the node has room then.
const WITH_ROOM: Duration = Duration::from_mins(1);

/// Where they are not.
const UNSEEN: Duration = Duration::from_mins(5);

/// The longest that a try is put off; each refusal doubles it up to here.
const LONGEST: Duration = Duration::from_hours(6);

impl Refused {
    fn of(&self, resource: Resource) -> Option<&Refusal> {
        match resource {
            Resource::Cpu => self.cpu.as_ref(),
            Resource::Memory => self.memory.as_ref(),
        }
    }

    /// Once more.
    fn add(&mut self, resource: Resource, changes: &[ContainerChange], at: Timestamp) {
        let last = self
            .of(resource)
            .filter(|last| at.since(last.at) < LONGEST * 2);
        let refusal = Refusal {
            changes: changes.to_vec(),
            at,
            times: last.map_or(0, |last| last.times) + 1,
        };
        match resource {
            Resource::Cpu => self.cpu = Some(refusal),
            Resource::Memory => self.memory = Some(refusal),
        }
    }

    /// True when less than what was refused of a resource is asked for.
    pub(in super::super) fn is_lower(
        &self,
        resource: Resource,
        changes: &[ContainerChange],
    ) -> bool {
        let refused = self
            .of(resource)
            .map_or(&[][..], |refusal| &refusal.changes);
        let lower = |change: &ContainerChange| {
            refused.iter().any(|refused| {
                let (new, old) = (
                    change.requests.get(resource),
                    refused.requests.get(resource),
                );
                refused.name == change.name
                    && matches!((new, old), (Some(new), Some(old)) if new < old)
            })
        };
        changes.iter().any(lower)
    }
}

impl Refusal {
    fn pause(&self, first: Duration) -> Duration {
        let doublings = self.times.saturating_sub(1);
        first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(LONGEST)
    }

    /// True when the node may have more room than it had, or enough time has passed. The pod's requests are to go from
    /// `now` to `then`.
    fn is_over(
        &self,
        resource: Resource,
        (now, then): (i64, i64),
        pod: &Pod,
        setting: &Setting<'_>,
    ) -> bool {
        let waited = setting.now.since(self.at);
        let nodes = setting.fits.nodes().filter(|_| then > now);
        match nodes.and_then(|nodes| nodes.room_beside_others(pod)) {
            Some(room) => room.get(resource) >= then && waited >= self.pause(WITH_ROOM),
            None => waited >= self.pause(UNSEEN),
        }
    }
}

impl Memory {
    /// Takes note of a resize that was carried out, or with `refusal` was not: the node cannot hold it, in the API
    /// server's words.
    pub fn resized(&mut self, decision: &Decision, refusal: Option<&str>, now: Timestamp) {
        let (Action::Resize(changes) | Action::Unboost(changes)) = &decision.action else {
            return;
        };
        let pod = &decision.pod;
        let (asked, named) = match (refusal, &decision.reason) {
            (Some(message), _) => (changes.clone(), named_resource(message)),
            (None, UpdateReason::ResizeTakenBack { .. }) => (spec(pod), refused_resource(pod)),
            (None, _) => return,
        };
        // What was not asked for was not refused.
        let was_asked = |r: &Resource| match refusal {
            Some(_) => asked.iter().any(|c| c.requests.get(*r).is_some()),
            None => !back_to_force(pod, Some(*r)).is_empty(),
        };
        let known = self.refused.entry(pod.uid.clone()).or_default();
        for resource in Resource::ALL.into_iter().filter(was_asked) {
            if named.is_none_or(|named| named == resource) {
                known.add(resource, &asked, now);
            }
        }
    }

    /// Takes note of changes that a pod was refused, whatever for, and that time does not make new.
    #[cfg(test)]
    pub(in super::super) fn refuse(&mut self, pod_uid: &str, changes: &[ContainerChange]) {
        let known = self.refused.entry(pod_uid.into()).or_default();
        for resource in Resource::ALL {
            known.add(resource, changes, Timestamp::from_unix_millis(i64::MAX));
        }
    }

    /// The resources of which a change is not to be asked for now, as that was refused.
    pub(in super::super) fn held_back(
        &self,
        pod: &Pod,
        changes: &[ContainerChange],
        setting: &Setting<'_>,
    ) -> Vec<Resource> {
        let Some(refused) = self.refused.get(&pod.uid) else {
            return Vec::new();
        };
        let is_held = |resource: &Resource| {
            let sums = sums(pod, changes, *resource);
            let held = refused.of(*resource);
            held.is_some_and(|held| !held.is_over(*resource, sums, pod, setting))
                && !refused.is_lower(*resource, changes)
        };
        Resource::ALL.into_iter().filter(is_held).collect()
    }
}

/// What a pod's spec asks for.
fn spec(pod: &Pod) -> Vec<ContainerChange> {
    let asked = |(index, container): (usize, &crate::pod::Container)| ContainerChange {
        index,
        name: container.name.clone(),
        requests: container.requests,
        limits: container.limits,
        ..ContainerChange::default()
    };
    pod.containers.iter().enumerate().map(asked).collect()
}
