//! Why a running pod is updated, or is not.

mod words;

use std::sync::Arc;
use std::time::Duration;

use super::budget::Scope;
use super::outcome::Fault;
use super::{CappedByNode, ShrinkHold};
use crate::horizontal::realign::{Aligned, Covers};
use crate::pod::ResizeState;
use crate::policy::WaitsForTarget;
use crate::quantity::{Bytes, Resource};
use crate::quota::Obstacle;
use crate::time::Timestamp;
use crate::vpa::UpdateMode;
use crate::window::WindowError;

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
    /// No: the pod is a run of a family or of a `ScaledJob`, and the next one is sized.
    SizedAtCreation,
    /// No: the pod as a whole has resources, which are not sized.
    PodLevelResources,
    /// Not now: the pod has more CPU while it starts.
    StartupBoost,
    /// No: nobody would replace the pod.
    NoController,
    /// No: nothing is recommended for the pod's containers.
    NoRecommendation,
    /// Due: the target of an HPA went ahead, for the request to follow.
    BehindTarget {
        /// The requests that it divides by.
        covers: Covers,
        /// Percent.
        target: i64,
    },
    /// Not now: the target of an HPA goes first.
    WaitsForTarget(WaitsForTarget),
    /// All that is recommended is of resources that an HPA scales on.
    LeftToHpa {
        /// The HPA.
        hpa: String,
    },
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
    pub(super) fn behind(metric: &Aligned) -> Self {
        Self::BehindTarget {
            covers: metric.covers.clone(),
            target: metric.in_force,
        }
    }

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
            Self::SizedAtCreation => "SizedAtCreation",
            Self::PodLevelResources => "PodLevelResources",
            Self::StartupBoost => "StartupBoost",
            Self::NoController => "NoController",
            Self::NoRecommendation => "NoRecommendation",
            Self::BehindTarget { .. } => "BehindTarget",
            Self::WaitsForTarget(_) => "WaitsForTarget",
            Self::LeftToHpa { .. } => "LeftToHpa",
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
