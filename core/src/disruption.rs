//! Which running pods get their new size now, and how: a plan, as a function of what is known.
//!
//! ```text
//! pods of a VPA ─► consider: is a change due?  ─► priority ─► act: in place or by eviction, within the group's budget
//!                     └─ skip, with the reason                  └─ skip, with the reason
//! ```
//!
//! Every pod gets exactly one [`Decision`]. PodDisruptionBudgets are not looked at: the API server keeps them when it
//! is asked to evict.

mod act;
mod boost;
mod breaker;
mod budget;
mod capped;
mod consider;
mod fit;
mod group;
mod lately;
mod memory;
mod ongoing;
mod outcome;
mod priority;
mod protection;
mod reason;
mod refusals;
mod requirements;
mod resize;
mod shrink;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use breaker::Judgement;
pub use budget::{Limit, LimitError, Limits, Scope};
pub use capped::{CappedByLimit, capped_by_limit};
pub use fit::{CappedByNode, capped_by_node};
pub use memory::Memory;
pub use outcome::{Fault, NotApplied, Outcomes};
pub use protection::long_work;
pub use reason::UpdateReason;
pub use refusals::{Budget, Refusals};
pub use shrink::ShrinkHold;

pub use crate::profile::Profile;

use crate::feature_gates::FeatureGates;
use crate::horizontal::Claims;
use crate::node::Nodes;
use crate::pod::{OwnerRef, Pod};
use crate::policy::{ContainerChange, LimitRangeItem, Surroundings};
use crate::quota::{Headroom, Quota};
use crate::time::Timestamp;
use crate::vpa::Vpa;
use crate::window::Maintenance;

/// The annotation of pods that were resized in place.
pub const IN_PLACE_ANNOTATION: &str = "vpaInPlaceUpdated";

/// A container that was started again so often, and is down, does not come up by itself.
const CRASH_LOOP: i32 = 2;

/// The updater's settings; the flags of the same names.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whose rules win.
    pub profile: Profile,
    /// Live pods a replication group must have before one of them may be disrupted; a VPA's own `minReplicas` wins.
    pub min_replicas: i64,
    /// The part of a group's configured replicas that may be disrupted at once, from 0 to 1.
    pub eviction_tolerance: f64,
    /// The relative change from which a long-lived pod is updated although its requests lie within bounds.
    pub update_threshold: f64,
    /// The age from which a pod is long-lived.
    pub lifetime_threshold: Duration,
    /// Profile `upstream`: a container OOM-killed sooner than this after its start makes its pod's update due. Profile
    /// `safe` does not ask how long it ran, but whether it is to get more.
    pub oom_threshold: Duration,
    /// How long the kubelet may defer a resize before the pod is evicted instead.
    pub deferred_timeout: Duration,
    /// How long a resize may be in progress before the pod is evicted instead.
    pub in_progress_timeout: Duration,
    /// Profile `safe`: a workload goes down one step in this time at most.
    pub shrink_interval: Duration,
    /// True when a resize that restarts no container counts as no disruption, and so needs neither budget nor replicas.
    pub in_place_skip_disruption_budget: bool,
    /// Whether update mode `InPlace` is acted on, startup boosts are taken back once they are over (and boosted pods left
    /// alone until then), and a VPA's own `evictAfterOOMSeconds` wins over `oom_threshold`.
    pub gates: FeatureGates,
    /// How many pods may be disrupted at one time.
    pub limits: Limits,
    /// How long nothing is disrupted after this process began to lead.
    pub warm_up: Duration,
    /// How many times the norm a plan may want to disrupt before only the norm is let through; zero for any number.
    pub breaker_factor: f64,
    /// True when no pod is to get more than some node it could run on can hold.
    pub node_fit: bool,
}

impl Config {
    /// The defaults of a profile. Numbers are upstream's; in-place resizing is on, and free of budgets, where it is safe.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            min_replicas: 2,
            eviction_tolerance: 0.5,
            update_threshold: 0.1,
            lifetime_threshold: Duration::from_hours(12),
            oom_threshold: Duration::from_mins(10),
            deferred_timeout: Duration::from_mins(5),
            in_progress_timeout: Duration::from_hours(1),
            shrink_interval: Duration::from_hours(1),
            in_place_skip_disruption_budget: profile == Profile::Safe,
            gates: FeatureGates {
                in_place: profile == Profile::Safe,
                ..FeatureGates::default()
            },
            limits: Limits::new(profile),
            warm_up: Duration::from_mins(if profile.is_safe() { 3 } else { 0 }),
            breaker_factor: if profile.is_safe() { 3.0 } else { 0.0 },
            node_fit: profile == Profile::Safe,
        }
    }

    fn is_safe(&self) -> bool {
        self.profile.is_safe()
    }
}

/// How many replicas the owner of a group of pods asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredReplicas {
    /// So many, as its object says; for a DaemonSet, as many as are ready.
    Known(i64),
    /// As many as live: a Job.
    LivePods,
    /// Its kind is none that podfit can ask. Counts as the most pods that lived lately; in profile `upstream` as zero, as
    /// there.
    Custom,
}

/// What the plan is made from.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The VPAs with their pods, in the order in which they are to be served.
    pub workloads: Vec<Workload>,
    /// LimitRange items by namespace.
    pub limit_ranges: BTreeMap<String, Vec<LimitRangeItem>>,
    /// The nodes; none when they are not known.
    pub nodes: Nodes,
    /// ResourceQuotas by namespace.
    pub quotas: BTreeMap<String, Vec<Quota>>,
    /// What the machine's clock showed. Maintenance windows are held against it, as people mean them by it; all else is
    /// measured by a [`SteadyClock`](crate::time::SteadyClock).
    pub wall_clock: Timestamp,
}

impl Snapshot {
    /// The LimitRange items of a namespace.
    pub fn limit_ranges(&self, namespace: &str) -> &[LimitRangeItem] {
        self.limit_ranges
            .get(namespace)
            .map_or(&[][..], Vec::as_slice)
    }

    /// What besides their VPA bears on the pods of a workload.
    pub fn surroundings<'a>(&'a self, workload: &'a Workload) -> Surroundings<'a> {
        Surroundings {
            limit_ranges: self.limit_ranges(&workload.vpa.namespace),
            claims: &workload.claims,
        }
    }
}

/// A VPA and the pods that it controls.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// The VPA.
    pub vpa: Arc<Vpa>,
    /// Its pods, whatever their state.
    pub pods: Vec<Arc<Pod>>,
    /// What HPAs claim of its pods' resources.
    pub claims: Claims,
    /// The replicas that the direct owners of those pods ask for. An owner that is missing here is not known to exist.
    pub replicas: HashMap<OwnerRef, ConfiguredReplicas>,
    /// Those of the owners under which pods do long work, with the kind in their chain that says so ([`long_work`]).
    pub long_work: HashMap<OwnerRef, String>,
}

/// What is to be done with a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The VPA that controls it.
    pub vpa: Arc<Vpa>,
    /// What to do.
    pub action: Action,
    /// Why that, or why nothing.
    pub reason: UpdateReason,
}

impl Decision {
    /// True when a pod that serves, or a container of it, is to go down.
    pub fn disrupts(&self) -> bool {
        // What is taken back was never put in force.
        !self.takes_back() && act::disrupts(&self.pod, &self.action)
    }

    /// True when the pod is to be evicted.
    pub fn evicts(&self) -> bool {
        matches!(self.action, Action::Evict(_))
    }

    /// True when the pod is to be changed in place.
    pub fn resizes(&self) -> bool {
        matches!(self.action, Action::Resize(_) | Action::Unboost(_)) && !self.takes_back()
    }

    /// True when what the pod was asked for in vain is to be taken back: what is in force stays.
    pub fn takes_back(&self) -> bool {
        matches!(self.reason, UpdateReason::ResizeTakenBack { .. })
    }
}

/// What can be done with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give the running pod these resources.
    Resize(Vec<ContainerChange>),
    /// Evict it. Its replacement should be admitted with these resources.
    Evict(Vec<ContainerChange>),
    /// Take back the startup boost of these containers of the running pod, and the annotations that tell of it. An empty
    /// change is about the annotation alone.
    Unboost(Vec<ContainerChange>),
    /// Leave it alone.
    Skip,
}

/// Decides on every pod of the snapshot, beginning with the VPA that budgets held up in the plan before.
///
/// Per VPA the pods to act on come last, the most urgent of them first; decisions count on the ones before them being
/// carried out. A group of pods is never split over VPAs, as each pod has one. `now` never jumps; it may be off the
/// snapshot's wall clock.
pub fn plan(
    snapshot: &Snapshot,
    memory: &Memory,
    config: &Config,
    now: Timestamp,
) -> Vec<Decision> {
    let pods = snapshot.workloads.iter().map(|w| w.pods.len()).sum();
    let mut decisions = Vec::with_capacity(pods);
    let budgets = budget::Budgets::new(snapshot, memory, config);
    let fits = fit::Fits::new(&snapshot.nodes, config);
    let headroom = Headroom::new(&snapshot.quotas);
    let (later, first) = snapshot.workloads.split_at(memory.first(snapshot));
    for workload in first.iter().chain(later) {
        let setting = Setting {
            vpa: &workload.vpa,
            surroundings: snapshot.surroundings(workload),
            fits: &fits,
            shrinks: memory
                .shrinks
                .of(&workload.vpa.uid)
                .filter(|_| config.is_safe()),
            window_open: workload.vpa.maintenance.is_within(snapshot.wall_clock),
            headroom: &headroom,
            memory,
            config,
            now,
            paused: memory
                .outcomes
                .hold_back(&workload.vpa, now)
                .filter(|_| config.is_safe()),
            closed: closed(&workload.vpa, snapshot.wall_clock).filter(|_| config.is_safe()),
            warm_up: memory.warm_up(config, now),
            budgets: &budgets,
        };
        plan_workload(workload, &setting, &mut decisions);
    }
    let judgement = memory.breaker().judge(&decisions, budgets.pods, config);
    breaker::hold_back(&mut decisions, judgement);
    decisions
}

/// What all decisions on one VPA's pods depend on.
struct Setting<'a> {
    vpa: &'a Vpa,
    surroundings: Surroundings<'a>,
    fits: &'a fit::Fits<'a>,
    /// What of the VPA's pods was lowered lately.
    shrinks: Option<&'a shrink::OfWorkload>,
    /// True in the VPA's maintenance window.
    window_open: bool,
    headroom: &'a Headroom<'a>,
    memory: &'a Memory,
    config: &'a Config,
    now: Timestamp,
    /// Why none of the VPA's pods is evicted for now.
    paused: Option<UpdateReason>,
    /// Why none of the VPA's pods is disrupted, or gets less, for now.
    closed: Option<UpdateReason>,
    /// How long nothing is disrupted yet.
    warm_up: Option<Duration>,
    /// What may be disrupted in cluster and namespaces.
    budgets: &'a budget::Budgets<'a>,
}

/// That now is no time to disrupt a VPA's pods.
fn closed(vpa: &Vpa, wall_clock: Timestamp) -> Option<UpdateReason> {
    if let Maintenance::NotUnderstood { why } = &vpa.maintenance {
        return Some(UpdateReason::WindowNotUnderstood { why: why.clone() });
    }
    (!vpa.maintenance.is_open(wall_clock)).then(|| UpdateReason::OutsideWindow {
        opens: vpa.maintenance.opens(wall_clock),
    })
}

fn plan_workload(workload: &Workload, setting: &Setting<'_>, decisions: &mut Vec<Decision>) {
    let mut decide = |pod: &Arc<Pod>, action: Action, reason: UpdateReason| {
        decisions.push(Decision {
            pod: Arc::clone(pod),
            vpa: Arc::clone(&workload.vpa),
            action,
            reason,
        });
    };
    let mut candidates = Vec::new();
    let mut groups = group::Groups::of(workload, setting);
    for pod in &workload.pods {
        match boost::unboost(pod, &mut groups, setting) {
            Some(Ok((action, reason))) => {
                decide(pod, action, reason);
                continue;
            }
            Some(Err(reason)) => {
                decide(pod, Action::Skip, reason);
                continue;
            }
            None => {}
        }
        match consider::consider(pod, setting) {
            Ok(candidate) => candidates.push((pod, candidate)),
            Err(reason) => {
                let reason = act::unless_in_vain(pod, reason, &mut groups, setting);
                let (action, reason) = nothing_else(pod, reason, setting);
                decide(pod, action, reason);
            }
        }
    }
    candidates.sort_by(|(_, a), (_, b)| b.priority.cmp(&a.priority));
    for (pod, candidate) in candidates {
        match act::act(candidate, &mut groups, setting) {
            Ok((action, reason)) => decide(pod, action, reason),
            Err(reason) => {
                let (action, reason) = nothing_else(pod, reason, setting);
                decide(pod, action, reason);
            }
        }
    }
}

/// For a pod that is not to be changed: at most what it was asked for in vain is taken back.
fn nothing_else(pod: &Pod, reason: UpdateReason, setting: &Setting<'_>) -> (Action, UpdateReason) {
    resize::take_back(pod, setting).unwrap_or((Action::Skip, reason))
}

#[cfg(test)]
mod tests;
