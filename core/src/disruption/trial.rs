//! One eviction of a workload before all others: does the pod that comes back carry a new size?
//!
//! Until that is seen, a workload loses no second pod. So a webhook that does nothing costs each workload one pod, whatever
//! its budget.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Snapshot, UpdateReason, Workload};
use crate::admission::UPDATES_ANNOTATION;
use crate::time::Timestamp;
use crate::vpa::Vpa;

/// So long a sized replacement speaks for the next evictions of its workload.
const SPEAKS_FOR: Duration = Duration::from_mins(10);

/// A replacement that has not come by then is not waited for any more.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Namespace and name of a VPA.
type Key = (String, String);

/// What is known of the evictions of each VPA.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trials {
    /// When a sized replacement was last seen.
    sized: HashMap<Key, Timestamp>,
    awaited: HashMap<Key, Awaited>,
}

/// An eviction whose replacement has not come.
#[derive(Clone, Debug, PartialEq)]
struct Awaited {
    since: Timestamp,
    /// The pods there were: any other has come since.
    before: HashSet<String>,
}

impl Trials {
    /// Takes note that pods of a workload were evicted.
    pub fn evicted(&mut self, workload: &Workload, now: Timestamp) {
        let awaited = Awaited {
            since: now,
            before: workload.pods.iter().map(|pod| pod.uid.clone()).collect(),
        };
        self.awaited.insert(key(&workload.vpa), awaited);
    }

    /// Looks at what came back.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.sized.retain(|_, at| now.since(*at) < SPEAKS_FOR);
        if self.awaited.is_empty() {
            return;
        }
        let mut still = HashMap::new();
        for workload in &snapshot.workloads {
            let key = key(&workload.vpa);
            let Some(awaited) = self.awaited.remove(&key) else {
                continue;
            };
            let came = |uid: &String| !awaited.before.contains(uid);
            let mut newcomers = workload
                .pods
                .iter()
                .filter(|pod| !pod.terminating && came(&pod.uid))
                .peekable();
            if newcomers.peek().is_none() {
                if now.since(awaited.since) < LONGEST_WAIT {
                    still.insert(key, awaited);
                }
            } else if newcomers.all(|pod| pod.annotation(UPDATES_ANNOTATION).is_some()) {
                self.sized.insert(key, now);
            } else {
                self.sized.remove(&key);
            }
        }
        self.awaited = still;
    }

    /// Whether pods of a VPA may be evicted, as far as this goes.
    pub(super) fn of(&self, vpa: &Vpa) -> Trial {
        let key = key(vpa);
        Trial(Cell::new(if self.sized.contains_key(&key) {
            State::Passed
        } else if self.awaited.contains_key(&key) {
            State::Awaited
        } else {
            State::Open
        }))
    }
}

fn key(vpa: &Vpa) -> Key {
    (vpa.namespace.clone(), vpa.name.clone())
}

/// The trial of one VPA while its evictions are planned.
pub(super) struct Trial(Cell<State>);

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Replacements come back sized, or nobody asks.
    Passed,
    /// One pod may go.
    Open,
    /// It went, or is about to.
    Awaited,
}

impl Trial {
    /// For those who do not ask.
    pub fn passed() -> Self {
        Self(Cell::new(State::Passed))
    }

    /// Why no pod may be evicted before another's replacement is seen.
    pub fn allows(&self) -> Result<(), UpdateReason> {
        match self.0.get() {
            State::Awaited => Err(UpdateReason::FirstReplacementAwaited),
            _ => Ok(()),
        }
    }

    /// Takes note that an eviction is planned.
    pub fn evicts(&self) {
        if self.0.get() == State::Open {
            self.0.set(State::Awaited);
        }
    }
}
