//! What was lowered lately, and what came of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::{Action, Decision, Setting, Snapshot, Workload};
use super::ShrinkHold;
use crate::pod::Container;
use crate::quantity::{Resource, ResourceList};
use crate::time::Timestamp;

/// After a step that went wrong, so long until the next; doubled with each that follows.
const FIRST_HOLD: Duration = Duration::from_hours(6);

/// The longest.
const LONGEST_HOLD: Duration = Duration::from_hours(7 * 24);

/// A step is watched for as long as it lasts, and at least for this.
const LEAST_WATCH: Duration = Duration::from_mins(30);

/// What was lowered, by the uid of the VPA. Forgotten with it, and when it cannot matter any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Shrinks(HashMap<String, OfWorkload>);

/// What was lowered of one workload, by container. Boxed, as a map makes room for several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct OfWorkload(HashMap<String, Box<Shrunk>>);

/// What was lowered of one container of a workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Shrunk {
    /// When the last step began, and how low it goes.
    step: Option<(Timestamp, ResourceList)>,
    /// For how long what was lowered is watched.
    watch: Duration,
    /// The running pods in which it was lowered, by uid.
    pods: HashMap<Arc<str>, Before>,
    /// When a pod was last evicted to lower it.
    evicted: Option<Timestamp>,
    /// Until when it is not lowered again, and how often in a row that went wrong.
    held: Option<(Timestamp, u32)>,
}

/// A container before it was lowered.
#[derive(Clone, Debug, PartialEq)]
struct Before {
    at: Timestamp,
    /// Restarts that have nothing to do with it.
    restarts: i32,
    requests: ResourceList,
    /// True once it was restarted since.
    went_wrong: bool,
}

impl OfWorkload {
    pub(super) fn of(&self, container: &str) -> Option<&Shrunk> {
        self.0.get(container).map(Box::as_ref)
    }
}

impl Shrunk {
    /// What a pod had of a resource and is to have again.
    pub(super) fn to_give_back(&self, pod_uid: &str, resource: Resource) -> Option<i64> {
        let before = self.pods.get(pod_uid).filter(|b| b.went_wrong)?;
        before.requests.get(resource)
    }

    /// Why a request of `now` is not lowered at all.
    pub(super) fn hold(
        &self,
        resource: Resource,
        now: i64,
        setting: &Setting<'_>,
    ) -> Option<ShrinkHold> {
        if self.held.is_some_and(|(until, _)| setting.now < until) {
            return Some(ShrinkHold::WentWrong);
        }
        let floor = self.floor(resource, setting);
        floor
            .is_some_and(|floor| now <= floor)
            .then_some(ShrinkHold::StepTooYoung)
    }

    /// How low the present step goes; while it lasts.
    pub(super) fn floor(&self, resource: Resource, setting: &Setting<'_>) -> Option<i64> {
        let (since, to) = self.step?;
        let lasts = setting.now.since(since) < setting.config.shrink_interval;
        to.get(resource).filter(|_| lasts)
    }

    fn lower(&mut self, to: ResourceList, interval: Duration, now: Timestamp) {
        let step = match &mut self.step {
            Some((since, step)) if now.since(*since) < interval => step,
            step => &mut step.insert((now, ResourceList::default())).1,
        };
        for resource in Resource::ALL {
            let least = match (step.get(resource), to.get(resource)) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            step.set(resource, least);
        }
    }

    /// Looks at a workload's pods for restarts that followed.
    fn observe(&mut self, container: &str, workload: &Workload, now: Timestamp) {
        let watch = self.watch;
        let mut wrong = false;
        let there = workload.pods.iter().filter(|pod| !pod.terminating);
        for pod in there {
            let Some(container) = pod.container(container) else {
                continue;
            };
            match self.pods.get_mut(&pod.uid) {
                Some(before) if !before.went_wrong && restarts(container) > before.restarts => {
                    before.went_wrong = true;
                    wrong = true;
                }
                Some(_) => {}
                // A pod that came after one was evicted.
                None => {
                    let since = self
                        .evicted
                        .filter(|at| pod.created.is_some_and(|c| c >= *at));
                    if since.is_some() && restarts(container) > 0 {
                        self.evicted = None;
                        wrong = true;
                    }
                }
            }
        }
        if wrong {
            let times = self.held.map_or(0, |(_, times)| times);
            let pause = FIRST_HOLD
                .saturating_mul(2_u32.saturating_pow(times))
                .min(LONGEST_HOLD);
            self.held = Some((now + pause, times + 1));
        }
        let is_held = self.held.is_some_and(|(until, _)| now < until);
        let alive: HashSet<_> = workload.pods.iter().map(|pod| &*pod.uid).collect();
        let mut went_well = false;
        self.pods.retain(|uid, before| {
            let over = now.since(before.at) > watch;
            went_well |= over && !before.went_wrong && alive.contains(&**uid);
            alive.contains(&**uid) && if before.went_wrong { is_held } else { !over }
        });
        if self.evicted.is_some_and(|at| now.since(at) > watch) {
            self.evicted = None;
            went_well = true;
        }
        if went_well && !is_held {
            self.held = None;
        }
    }

    /// True when nothing of it matters any more. How often it went wrong is kept for as long as it was put off.
    fn is_over(&self, now: Timestamp) -> bool {
        self.pods.is_empty()
            && self.evicted.is_none()
            && self
                .step
                .is_none_or(|(since, _)| now.since(since) > self.watch)
            && self
                .held
                .is_none_or(|(until, _)| now.since(until) > LONGEST_HOLD)
    }
}

/// How often a container was started again, and once more when it ended and is to be.
fn restarts(container: &Container) -> i32 {
    container.status.as_ref().map_or(0, |status| {
        let ended = status.terminated.is_some() || status.last_terminated.is_some();
        status.restart_count + i32::from(!status.running && ended)
    })
}

impl Shrinks {
    pub(in super::super) fn of(&self, vpa_uid: &str) -> Option<&OfWorkload> {
        self.0.get(vpa_uid)
    }

    /// Looks what came of what was lowered.
    pub(in super::super) fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        if self.0.is_empty() {
            return;
        }
        let mut gone: HashSet<_> = self.0.keys().cloned().collect();
        for workload in &snapshot.workloads {
            if let Some(of_workload) = self.0.get_mut(&workload.vpa.uid) {
                gone.remove(&workload.vpa.uid);
                for (container, shrunk) in &mut of_workload.0 {
                    shrunk.observe(container, workload, now);
                }
                of_workload.0.retain(|_, shrunk| !shrunk.is_over(now));
            }
        }
        self.0
            .retain(|uid, of_workload| !gone.contains(uid) && !of_workload.0.is_empty());
    }

    /// Takes note of what a decision that was carried out lowers. A step lasts for `interval`.
    pub(in super::super) fn note(
        &mut self,
        decision: &Decision,
        interval: Duration,
        now: Timestamp,
    ) {
        let (Action::Resize(changes) | Action::Evict(changes)) = &decision.action else {
            return;
        };
        let Decision { pod, vpa, .. } = decision;
        for change in changes {
            let Some(container) = pod.containers.get(change.index) else {
                continue;
            };
            let lowered = lowered(container, change.requests);
            if lowered.is_empty() || decision.takes_back() {
                continue;
            }
            let of_workload = self.0.entry(vpa.uid.clone()).or_default();
            let shrunk = of_workload.0.entry(container.name.clone()).or_default();
            shrunk.lower(lowered, interval, now);
            shrunk.watch = interval.max(LEAST_WATCH);
            if decision.evicts() {
                shrunk.evicted = Some(now);
            } else {
                let restarts_itself = Resource::ALL.into_iter().any(|r| {
                    container.restarts_on_resize(r) && change.alters_resource(container, r)
                });
                shrunk
                    .pods
                    .insert(pod.uid.clone(), before(container, restarts_itself, now));
            }
        }
    }
}

fn before(container: &Container, restarts_itself: bool, now: Timestamp) -> Before {
    Before {
        at: now,
        restarts: restarts(container) + i32::from(restarts_itself),
        requests: container.effective().requests,
        went_wrong: false,
    }
}

/// What of `to` is less than what a container has.
fn lowered(container: &Container, to: ResourceList) -> ResourceList {
    let own = container.effective().requests;
    let mut lowered = ResourceList::default();
    for resource in Resource::ALL {
        let less = to
            .get(resource)
            .filter(|to| own.get(resource).is_some_and(|own| *to < own));
        lowered.set(resource, less);
    }
    lowered
}
