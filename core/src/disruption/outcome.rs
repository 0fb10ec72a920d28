//! What evictions led to: do the replacements carry what was asked? If not, their workload waits longer and longer for its
//! next eviction, and when that happens to several workloads, nothing is evicted any more.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Config, IN_PLACE_ANNOTATION, Snapshot, UpdateReason, Workload};
use crate::admission::UPDATES_ANNOTATION;
use crate::pod::Pod;
use crate::policy::{
    ContainerChange, PodRecommendation, Rules, ScaleDown, Surroundings, cap_for_pod,
};
use crate::quantity::{Resource, ResourceList};
use crate::time::Timestamp;
use crate::vpa::Vpa;

/// After an eviction that led to nothing, so long until the next of its workload; doubled with each that follows.
const FIRST_PAUSE: Duration = Duration::from_mins(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

/// When evictions of so many workloads lead to nothing within [`MISS_WINDOW`], it is not the workloads.
const MISSES_TO_STOP: usize = 3;

const MISS_WINDOW: Duration = Duration::from_mins(10);

/// A replacement that has not come by then is not waited for any more.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Namespace and name of a VPA.
type Key = (String, String);

/// What is remembered of evictions until it is known what they led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcomes {
    watched: HashMap<Key, Watched>,
    /// When which workloads were found to be missed lately.
    misses: Vec<(Timestamp, Key)>,
    /// The workloads because of which nothing is evicted any more, in words.
    stopped: Option<Arc<str>>,
}

/// The last evictions of one VPA.
#[derive(Clone, Debug, PartialEq)]
struct Watched {
    at: Timestamp,
    /// How many replacements are waited for.
    evicted: usize,
    /// The pods there were, sorted: any other has come since.
    before: Box<[Arc<str>]>,
    /// What the replacement was to request, by container.
    asked: Vec<(String, ResourceList)>,
    /// How many evictions in a row were found to have led to nothing.
    misses: u32,
    /// Set while there is a replacement that is not as asked.
    missed: Option<Box<NotApplied>>,
}

/// A pod that came in place of an evicted one, and is not as it was to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NotApplied {
    /// The VPA.
    pub vpa: Arc<Vpa>,
    /// The pod.
    pub pod: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The webhook left no word on it.
    NotSized,
    /// The webhook sized it, and yet it requests something else.
    OtherRequest {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// What was asked, in base units.
        asked: i64,
        /// What it requests.
        has: Option<i64>,
    },
}

impl Fault {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSized => "NotSized",
            Self::OtherRequest { .. } => "OtherRequest",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSized => f.write_str(
                "came back from an eviction unsized: does the API server reach the webhook?",
            ),
            Self::OtherRequest {
                container,
                resource,
                asked,
                has,
            } => {
                let has = has.map_or_else(|| "none".into(), |has| resource.show(has));
                write!(
                    f,
                    "came back from an eviction with another {} request in container {container} than the {} that was asked \
                     for: {has}. Does something else change new pods?",
                    resource.name(),
                    resource.show(*asked)
                )
            }
        }
    }
}

impl Watched {
    fn pause_ends(&self) -> Timestamp {
        let doubled = 2_u32.saturating_pow(self.misses.saturating_sub(1));
        self.at + FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
    }

    /// The pods that came since, but for those that were resized: they tell nothing of their admission any more.
    fn replacements<'a>(&self, workload: &'a Workload) -> impl Iterator<Item = &'a Arc<Pod>> {
        workload.pods.iter().filter(|pod| {
            !pod.terminating
                && self.before.binary_search(&pod.uid).is_err()
                && pod.annotation(IN_PLACE_ANNOTATION).is_none()
        })
    }
}

impl Outcomes {
    /// Takes note that pods of a workload were evicted, each with what its replacement should have.
    pub fn evicted(&mut self, workload: &Workload, asked: &[&[ContainerChange]], now: Timestamp) {
        let key = key(&workload.vpa);
        let last = self.watched.remove(&key);
        let waited_for = last.as_ref().filter(|last| last.missed.is_none());
        let changes = asked.last().copied().unwrap_or_default();
        let mut before: Box<[_]> = workload.pods.iter().map(|pod| pod.uid.clone()).collect();
        before.sort_unstable();
        let watched = Watched {
            at: now,
            evicted: asked.len() + waited_for.map_or(0, |last| last.evicted),
            before,
            asked: changes
                .iter()
                .map(|change| (change.name.clone(), change.requests))
                .collect(),
            misses: last.map_or(0, |last| last.misses),
            missed: None,
        };
        self.watched.insert(key, watched);
    }

    /// Looks at what has come since, and tells of each eviction that led to nothing when that is first seen. Call it with
    /// each snapshot before planning.
    pub fn judge(
        &mut self,
        snapshot: &Snapshot,
        config: &Config,
        now: Timestamp,
    ) -> Vec<NotApplied> {
        let mut found = Vec::new();
        if self.watched.is_empty() {
            return found;
        }
        let mut kept = HashMap::with_capacity(self.watched.len());
        for workload in &snapshot.workloads {
            let key = key(&workload.vpa);
            let Some(mut watched) = self.watched.remove(&key) else {
                continue;
            };
            let around = snapshot.surroundings(workload);
            let mut came = 0;
            let missed = watched.replacements(workload).find_map(|pod| {
                came += 1;
                fault(pod, &watched.asked, &workload.vpa, (around, config)).map(|f| (pod, f))
            });
            let missed = missed.map(|(pod, fault)| NotApplied {
                vpa: Arc::clone(&workload.vpa),
                pod: pod.name.clone(),
                fault,
            });
            match (&watched.missed, missed) {
                (None, Some(missed)) => {
                    watched.misses += 1;
                    self.misses.push((now, key.clone()));
                    found.push(missed.clone());
                    watched.missed = Some(missed.into());
                }
                (Some(_), Some(missed)) => watched.missed = Some(missed.into()),
                // As asked; or nothing to be seen any more.
                (_, None) if came >= watched.evicted => continue,
                (_, None) if now.since(watched.at) > LONGEST_WAIT => continue,
                (_, None) => watched.missed = None,
            }
            kept.insert(key, watched);
        }
        self.watched = kept;
        self.stop_after_many(now);
        found
    }

    fn stop_after_many(&mut self, now: Timestamp) {
        self.misses.retain(|(at, _)| now.since(*at) <= MISS_WINDOW);
        let workloads: BTreeSet<_> = self.misses.iter().map(|(_, key)| key).collect();
        if workloads.len() < MISSES_TO_STOP {
            return;
        }
        let first = workloads.iter().take(MISSES_TO_STOP);
        let named: Vec<_> = first.map(|(ns, name)| format!("{ns}/{name}")).collect();
        let others = match workloads.len() - MISSES_TO_STOP {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        self.stopped = Some(format!("{}{others}", named.join(", ")).into());
    }

    /// True while nothing is evicted until [`Self::proven`].
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Takes note that new pods are sized again. Workloads that wait keep waiting.
    pub fn proven(&mut self) {
        self.stopped = None;
        self.misses.clear();
    }

    /// The replacement because of which a VPA waits, or may try again.
    pub fn missed(&self, vpa: &Vpa) -> Option<&NotApplied> {
        if self.watched.is_empty() {
            return None;
        }
        self.watched.get(&key(vpa))?.missed.as_deref()
    }

    /// Why no pod of a VPA is to be evicted for now.
    pub(super) fn hold_back(&self, vpa: &Vpa, now: Timestamp) -> Option<UpdateReason> {
        if let Some(workloads) = &self.stopped {
            return Some(UpdateReason::EvictionsStopped {
                workloads: Arc::clone(workloads),
            });
        }
        if self.watched.is_empty() {
            return None;
        }
        let watched = self.watched.get(&key(vpa))?;
        let missed = watched.missed.as_ref()?;
        let over = watched.pause_ends();
        (now < over).then(|| UpdateReason::ReplacementNotSized {
            pod: missed.pod.clone(),
            fault: missed.fault.clone(),
            next_try: over.since(now),
        })
    }
}

fn key(vpa: &Vpa) -> Key {
    (vpa.namespace.clone(), vpa.name.clone())
}

/// What is wrong with a replacement. It may request anything from what was asked to what is recommended by now, and be off
/// by as much as would be no reason to update it.
fn fault(
    pod: &Pod,
    asked: &[(String, ResourceList)],
    vpa: &Vpa,
    (around, config): (Surroundings<'_>, &Config),
) -> Option<Fault> {
    if pod.annotation(UPDATES_ANNOTATION).is_none() {
        return Some(Fault::NotSized);
    }
    let rules = Rules::new(pod, vpa, around, config.profile);
    let recommended = vpa.recommendation.as_deref().unwrap_or_default();
    let by_now = cap_for_pod(pod, recommended, &rules);
    asked.iter().find_map(|(container, requests)| {
        // An HPA may have come since, for which the webhook left a resource as it was.
        let judged = |r: &Resource| around.claims.on(container, *r).is_none();
        let mut resources = Resource::ALL.into_iter().filter(judged);
        resources.find_map(|r| {
            other_request(
                (pod, vpa),
                container,
                (r, requests.get(r)?),
                &by_now,
                config,
            )
        })
    })
}

fn other_request(
    (pod, vpa): (&Pod, &Vpa),
    container: &str,
    (resource, asked): (Resource, i64),
    by_now: &[PodRecommendation],
    config: &Config,
) -> Option<Fault> {
    let index = pod.containers.iter().position(|c| c.name == container)?;
    let own = &pod.containers[index];
    if resource == Resource::Cpu && own.before_boost.is_some() {
        return None;
    }
    let now = by_now
        .iter()
        .find(|fitted| fitted.index == index)
        .and_then(|fitted| fitted.recommendation.target.get(resource))
        .unwrap_or(asked);
    let has = own.requests.get(resource);
    let least = asked.min(now) as f64 * (1.0 - config.update_threshold);
    let most = asked.max(now) as f64 * (1.0 + config.update_threshold);
    // Admission may leave a pod what its template asks for.
    let may_keep = vpa.scale_down != ScaleDown::Free;
    let fits = has.is_some_and(|has| has as f64 >= least && (may_keep || has as f64 <= most));
    (!fits).then(|| Fault::OtherRequest {
        container: container.into(),
        resource,
        asked,
        has,
    })
}
