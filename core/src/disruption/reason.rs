//! Why a running pod is updated, or is not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Scope;
use super::outcome::Fault;
use super::{CappedByNode, ShrinkHold};
use crate::pod::ResizeState;
use crate::quantity::{Bytes, Resource};
use crate::quota::Obstacle;
use crate::time::Timestamp;
use crate::vpa::UpdateMode;
use crate::window::{WINDOW_ANNOTATION, WindowError};

/// The reason of a decision on one pod, with the numbers behind it. `Display` is a sentence for operators.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateReason {
    /// Due: a request is missing, or lies outside of the recommended bounds.
    OutsideBounds {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// What is requested, in base units.
        request: Option<i64>,
        /// The least that is not worth a disruption.
        lower: Option<i64>,
        /// The most that is not worth a disruption.
        upper: Option<i64>,
    },
    /// Due: a container was killed for memory soon after its start.
    QuickOom {
        /// The container.
        container: String,
        /// How long it had run.
        ran: Duration,
    },
    /// Due: a container was killed for memory and is to get more.
    OutOfMemory {
        /// The container.
        container: String,
        /// The memory it requests.
        request: Option<Bytes>,
        /// The memory recommended.
        target: Bytes,
    },
    /// Due: a long-lived pod would change enough.
    Drifted {
        /// The relative change.
        change: f64,
        /// The pod's age.
        age: Duration,
    },
    /// Due: the startup boost of a container is over.
    BoostOver {
        /// The container.
        container: String,
    },
    /// Due by eviction: the resize in place did not end in time.
    ResizeTimedOut {
        /// The state it was left in.
        state: ResizeState,
        /// For how long.
        waited: Duration,
    },
    /// The node cannot do the resize, or failed to: due by eviction, or in mode `InPlace` the end.
    ResizeStuck {
        /// What the kubelet says.
        state: ResizeState,
    },
    /// Due: what was asked for is taken back, as the kubelet cannot do it, or did not in time, and no eviction can be made.
    ResizeTakenBack {
        /// What the kubelet says.
        state: ResizeState,
        /// For how long it was waited for; `None` when waiting could not help.
        waited: Option<Duration>,
    },
    /// The API server, or the node, refused the resize earlier: due by eviction, or in mode `InPlace` the end until
    /// less is recommended.
    ResizeRefused,
    /// Due by eviction: the pod was resized in place, and still a container is killed for memory and stays down.
    ResizedInVain {
        /// The container.
        container: String,
        /// How often it was started again.
        restarts: i32,
    },
    /// Not now: a container that was killed for memory is down, and is resized once it runs again.
    ContainerDown {
        /// The container.
        container: String,
    },
    /// Not now: the last eviction of the VPA led to a pod that was not sized at admission, and the next might as well.
    ReplacementNotSized {
        /// That pod.
        pod: String,
        /// What is wrong with it.
        fault: Fault,
        /// How long until the next eviction is tried.
        next_try: Duration,
    },
    /// Not now: evictions of several VPAs led to nothing, and until new pods are seen to be sized again nothing is evicted.
    EvictionsStopped {
        /// Those VPAs, in words.
        workloads: Arc<str>,
    },
    /// Not now: a PodDisruptionBudget refused the last try, and nothing has changed since.
    RefusedByBudget {
        /// The API server's words; they name the budget.
        words: String,
        /// How long until the next try.
        next_try: Duration,
    },
    /// No: its replacement would be refused.
    CouldNotComeBack(Obstacle),
    /// Not now: the resize is under way.
    ResizeUnderWay {
        /// How far it is.
        state: ResizeState,
        /// Since when.
        waited: Duration,
        /// How long it may take.
        timeout: Duration,
    },
    /// Not now: the pod's spec is as recommended, and the kubelet has not put that in force yet.
    NotInForceYet,
    /// No: the pod ended, is being deleted or has no node.
    NotLive,
    /// Not now: a pod is resized once its containers have started.
    NotStarted,
    /// No: the VPA does not change running pods.
    ModeLeavesPodsAlone {
        /// Its mode.
        mode: UpdateMode,
    },
    /// No: the VPA's mode is behind a feature gate that is off.
    ModeNotEnabled {
        /// Its mode.
        mode: UpdateMode,
    },
    /// No: the pod as a whole has resources, which are not sized.
    PodLevelResources,
    /// Not now: the pod has more CPU while it starts.
    StartupBoost,
    /// No: nobody would replace the pod.
    NoController,
    /// No: nothing is recommended for the pod's containers.
    NoRecommendation,
    /// Due: a container was restarted after it was lowered, and gets back what it had.
    ShrunkTooFar {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
    },
    /// Not now: less is recommended, and is not to be given now.
    ShrinkHeld {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// Why not.
        why: ShrinkHold,
    },
    /// No: the pod is as recommended.
    UpToDate,
    /// Not now: the change is too small for the pod's age.
    WithinBounds {
        /// The relative change.
        change: f64,
        /// The pod's age; `None` before it started.
        age: Option<Duration>,
        /// The change that is enough.
        update_threshold: f64,
        /// From which age.
        lifetime_threshold: Duration,
    },
    /// No: its replacement would be larger than any node that it could run on.
    LargerThanNodes(CappedByNode),
    /// No: the VPA's eviction requirements do not all hold.
    RequirementsNotMet,
    /// No: the pod says that it must not be evicted.
    EvictionForbidden {
        /// The annotation that says so.
        annotation: &'static str,
        /// Its value.
        value: &'static str,
    },
    /// No: the pod belongs to a Job, or its restart policy says that it works towards an end.
    RunsToCompletion,
    /// No: the pod's controller, or one above, runs long work, and is no Job.
    LongWork {
        /// Its kind.
        kind: String,
    },
    /// No: the pod holds GPUs or other devices.
    HoldsDevices,
    /// No: the pod's priority class is one of the system's.
    SystemCritical,
    /// No: the pod is in `kube-system`.
    SystemNamespace,
    /// No: the pod would get less, and long work is given no less while it runs.
    OnlyGrows,
    /// No: it is not known how many replicas the owner asks for, or it asks for none.
    ReplicasUnknown,
    /// Not now: the VPA's maintenance window is closed, and the change would disrupt the pod or take from it.
    OutsideWindow {
        /// When it opens.
        opens: Option<Timestamp>,
    },
    /// No: what is written as the VPA's maintenance window is none.
    WindowNotUnderstood {
        /// Why.
        why: WindowError,
    },
    /// No: it is the only one, and nobody said that it may be missed for a while.
    SingleReplica,
    /// Not now: the group is too small.
    TooFewReplicas {
        /// Its live pods.
        live: i64,
        /// The pods it needs.
        required: i64,
    },
    /// Not now: as many pods as may be are being disrupted.
    DisruptionsSpent {
        /// Where.
        scope: Scope,
        /// How many may be.
        allowed: i64,
        /// How many were before this plan, and are not whole again.
        ongoing: i64,
        /// How many this plan disrupts already.
        planned: i64,
    },
    /// Not now: the plan would disrupt far more pods than is the norm, and this one is beyond that.
    BreakerOpen {
        /// How many pods it would disrupt.
        wanted: usize,
        /// How many are the norm.
        norm: usize,
    },
    /// Not now: this updater just began to lead.
    WarmingUp {
        /// How long it still waits.
        left: Duration,
    },
    /// Not now: as many pods of the group as may be are disrupted or missing.
    BudgetSpent {
        /// Its running pods.
        running: i64,
        /// What its owner asks for.
        configured: i64,
        /// How many of those may be disrupted at once.
        tolerated: i64,
        /// How many this plan disrupts already.
        disrupted: i64,
    },
}

impl UpdateReason {
    /// A stable word for events, conditions and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutsideBounds { .. } => "OutsideBounds",
            Self::QuickOom { .. } => "QuickOom",
            Self::OutOfMemory { .. } => "OutOfMemory",
            Self::Drifted { .. } => "Drifted",
            Self::BoostOver { .. } => "BoostOver",
            Self::ResizeTimedOut { .. } => "ResizeTimedOut",
            Self::ResizeStuck { .. } => "ResizeStuck",
            Self::ResizeTakenBack { .. } => "ResizeTakenBack",
            Self::ResizeRefused => "ResizeRefused",
            Self::ResizedInVain { .. } => "ResizedInVain",
            Self::ContainerDown { .. } => "ContainerDown",
            Self::ReplacementNotSized { .. } => "ReplacementNotSized",
            Self::EvictionsStopped { .. } => "EvictionsStopped",
            Self::RefusedByBudget { .. } => "PodDisruptionBudget",
            Self::CouldNotComeBack(Obstacle::LimitRange { .. }) => "LimitRange",
            Self::CouldNotComeBack(_) => "ResourceQuota",
            Self::ResizeUnderWay { .. } => "ResizeUnderWay",
            Self::NotInForceYet => "NotInForceYet",
            Self::NotLive => "NotLive",
            Self::NotStarted => "NotStarted",
            Self::ModeLeavesPodsAlone { .. } => "ModeLeavesPodsAlone",
            Self::ModeNotEnabled { .. } => "ModeNotEnabled",
            Self::PodLevelResources => "PodLevelResources",
            Self::StartupBoost => "StartupBoost",
            Self::NoController => "NoController",
            Self::NoRecommendation => "NoRecommendation",
            Self::ShrunkTooFar { .. } => "ShrunkTooFar",
            Self::ShrinkHeld { .. } => "ShrinkHeld",
            Self::UpToDate => "UpToDate",
            Self::WithinBounds { .. } => "WithinBounds",
            Self::LargerThanNodes(_) => "LargerThanNodes",
            Self::RequirementsNotMet => "RequirementsNotMet",
            Self::EvictionForbidden { .. } => "EvictionForbidden",
            Self::RunsToCompletion => "RunsToCompletion",
            Self::LongWork { .. } => "LongWork",
            Self::HoldsDevices => "HoldsDevices",
            Self::SystemCritical => "SystemCritical",
            Self::SystemNamespace => "SystemNamespace",
            Self::OnlyGrows => "OnlyGrows",
            Self::ReplicasUnknown => "ReplicasUnknown",
            Self::OutsideWindow { .. } => "OutsideWindow",
            Self::WindowNotUnderstood { .. } => "WindowNotUnderstood",
            Self::SingleReplica => "SingleReplica",
            Self::TooFewReplicas { .. } => "TooFewReplicas",
            Self::BudgetSpent { .. } => "BudgetSpent",
            Self::DisruptionsSpent { .. } => "DisruptionsSpent",
            Self::BreakerOpen { .. } => "BreakerOpen",
            Self::WarmingUp { .. } => "WarmingUp",
        }
    }
}

impl fmt::Display for UpdateReason {
    #[allow(clippy::too_many_lines, reason = "one arm per sentence")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideBounds {
                container,
                resource,
                request: None,
                ..
            } => {
                write!(f, "container {container} requests no {}", resource.name())
            }
            Self::OutsideBounds {
                container,
                resource,
                request: Some(request),
                lower,
                upper,
            } => {
                let bound =
                    |b: &Option<i64>| b.map_or_else(|| "any".to_owned(), |b| resource.show(b));
                let (name, request) = (resource.name(), resource.show(*request));
                write!(
                    f,
                    "container {container} requests {name} {request}, outside of the recommended {} to {}",
                    bound(lower),
                    bound(upper)
                )
            }
            Self::QuickOom { container, ran } => {
                write!(
                    f,
                    "container {container} was killed for memory {} after its start",
                    span(*ran)
                )
            }
            Self::OutOfMemory {
                container,
                request,
                target,
            } => {
                let request =
                    request.map_or_else(|| "none".to_owned(), |r| Resource::Memory.show(r.0));
                write!(
                    f,
                    "container {container} was killed for memory; it requests {request} and should have {}",
                    Resource::Memory.show(target.0)
                )
            }
            Self::Drifted { change, age } => {
                write!(
                    f,
                    "its requests would change by {}, and it is {} old",
                    percent(*change),
                    span(*age)
                )
            }
            Self::BoostOver { container } => {
                write!(f, "the startup boost of container {container} is over")
            }
            Self::ResizeTimedOut { state, waited } => {
                write!(
                    f,
                    "its resize in place did not end: {} for {}",
                    words(state),
                    span(*waited)
                )
            }
            Self::ResizeStuck { state } => {
                write!(f, "its resize in place failed: {}", words(state))
            }
            Self::ResizeTakenBack { state, waited } => {
                let waited = waited.map_or_else(String::new, |w| format!(" for {}", span(w)));
                write!(f, "its resize in place is {}{waited}; what is in force stays", words(state))
            }
            Self::ResizeRefused => {
                f.write_str("a resize to no more than this was refused: its node cannot hold it")
            }
            Self::ResizedInVain {
                container,
                restarts,
            } => write!(
                f,
                "container {container} is killed for memory although the pod was resized in place ({restarts} restarts)"
            ),
            Self::ContainerDown { container } => write!(
                f,
                "container {container} is down after it was killed for memory; it is resized once it runs again"
            ),
            Self::ReplacementNotSized {
                pod,
                fault,
                next_try,
            } => write!(f, "pod {pod} {fault} Next try in {}", span(*next_try)),
            Self::EvictionsStopped { workloads } => write!(
                f,
                "nothing is evicted until new pods are seen to be sized again: those of {workloads} were not"
            ),
            Self::RefusedByBudget { words, next_try } => {
                write!(f, "{words} Next try in {}", span(*next_try))
            }
            Self::CouldNotComeBack(obstacle) => write!(f, "{obstacle}"),
            Self::ResizeUnderWay {
                state,
                waited,
                timeout,
            } => write!(
                f,
                "its resize in place is {} for {}; it may take {}",
                words(state),
                span(*waited),
                span(*timeout)
            ),
            Self::NotInForceYet => f.write_str(
                "its spec is as recommended, and the kubelet has yet to put that in force",
            ),
            Self::NotLive => f.write_str("it ended, is being deleted or has no node yet"),
            Self::NotStarted => f.write_str("its containers have not started yet"),
            Self::ModeLeavesPodsAlone { mode } => {
                write!(f, "update mode {} leaves running pods alone", mode.name())
            }
            Self::ModeNotEnabled { mode } => {
                write!(
                    f,
                    "update mode {0} is not enabled: it needs --feature-gates={0}=true",
                    mode.name()
                )
            }
            Self::PodLevelResources => f.write_str(
                "the pod as a whole has resources (spec.resources), which are not sized",
            ),
            Self::StartupBoost => f.write_str("it has its startup boost"),
            Self::NoController => f.write_str("no controller would replace it"),
            Self::NoRecommendation => f.write_str("nothing is recommended for its containers"),
            Self::ShrunkTooFar { container, resource } => write!(
                f,
                "container {container} was restarted after its {} was lowered, and gets it back",
                resource.name()
            ),
            Self::ShrinkHeld { container, resource, why } => write!(
                f,
                "container {container} should have less {}, and keeps what it has: {why}",
                resource.name()
            ),
            Self::UpToDate => f.write_str("it is as recommended"),
            Self::WithinBounds {
                change,
                age,
                update_threshold,
                lifetime_threshold,
            } => {
                let age = age.map_or_else(
                    || "has not started".to_owned(),
                    |age| format!("is {} old", span(age)),
                );
                write!(
                    f,
                    "its requests lie within bounds and would change by {}; at an age of {} a change of {} is enough, and it {age}",
                    percent(*change),
                    span(*lifetime_threshold),
                    percent(*update_threshold)
                )
            }
            Self::LargerThanNodes(capped) => {
                write!(f, "its replacement could run nowhere: {capped}")
            }
            Self::RequirementsNotMet => {
                f.write_str("the VPA's evictionRequirements do not all hold for any container")
            }
            Self::EvictionForbidden { annotation, value } => {
                write!(
                    f,
                    "it is never evicted: its annotation {annotation} is \"{value}\""
                )
            }
            Self::RunsToCompletion => f.write_str(
                "it is never evicted: the work of a Job, or of a pod with restartPolicy Never or OnFailure, would be lost",
            ),
            Self::LongWork { kind } => {
                write!(f, "it is never evicted: the work of its {kind} would be lost")
            }
            Self::HoldsDevices => f.write_str(
                "it is never evicted: it holds GPUs or other devices (extended resources, resource claims)",
            ),
            Self::SystemCritical => {
                f.write_str("it is never evicted: its priority class is critical to the system")
            }
            Self::SystemNamespace => {
                f.write_str("it is never evicted: it belongs to the system (namespace kube-system)")
            }
            Self::OnlyGrows => {
                f.write_str("it would get less, and long work is given no less while it runs")
            }
            Self::ReplicasUnknown => {
                f.write_str("its controller was not found, or asks for no replicas")
            }
            Self::OutsideWindow { opens } => {
                write!(f, "outside of its maintenance window (annotation {WINDOW_ANNOTATION})")?;
                match opens {
                    Some(opens) => write!(f, ", which opens at {opens}"),
                    None => Ok(()),
                }
            }
            Self::WindowNotUnderstood { why } => write!(
                f,
                "its maintenance window (annotation {WINDOW_ANNOTATION}) is not understood, so nothing disrupts it: {why}"
            ),
            Self::SingleReplica => f.write_str(
                "waiting: single replica; it is evicted only where minReplicas: 1 in the VPA, or --min-replicas=1, says \
                 that it may be missed for a while",
            ),
            Self::TooFewReplicas { live, required } => write!(
                f,
                "{live} {} and {required} are needed before one may be disrupted (minReplicas, --min-replicas)",
                if *live == 1 {
                    "replica lives"
                } else {
                    "replicas live"
                }
            ),
            Self::DisruptionsSpent {
                scope,
                allowed,
                ongoing,
                planned,
            } => write!(
                f,
                "{allowed} may be disrupted at one time {scope}: {ongoing} are not ready again, {planned} are being disrupted now"
            ),
            Self::BreakerOpen { wanted, norm } => write!(
                f,
                "{wanted} pods would be disrupted at once, far more than is the norm; until that is over or the norm has \
                 grown, {norm} in each loop are (--disruption-breaker)"
            ),
            Self::WarmingUp { left } => write!(
                f,
                "the updater just began to lead, and disrupts nothing for another {} (--warm-up)",
                span(*left)
            ),
            Self::BudgetSpent {
                running,
                configured,
                tolerated,
                disrupted,
            } => write!(
                f,
                "{running} of {configured} replicas run; the tolerance lets {tolerated} be disrupted, {} missing and {disrupted} being disrupted now",
                (configured - running).max(0)
            ),
        }
    }
}

/// What the kubelet says of a resize.
fn words(state: &ResizeState) -> String {
    let (word, message) = match state {
        ResizeState::None => ("absent", ""),
        ResizeState::InProgress => ("in progress", ""),
        ResizeState::Deferred { message } => ("deferred", message.as_str()),
        ResizeState::Infeasible { message } => ("infeasible", message.as_str()),
        ResizeState::Error { message } => ("in error", message.as_str()),
        ResizeState::Unknown { message } => ("in an unknown state", message.as_str()),
    };
    if message.is_empty() {
        word.to_owned()
    } else {
        format!("{word} ({message})")
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.0} %", fraction * 100.0)
}

/// A time span in its largest whole unit.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
