//! What podfit knows of a VerticalPodAutoscaler.

use std::time::Duration;

use crate::estimator::{Method, OwnPercentiles};
use crate::horizontal::Horizontal;
use crate::opt_in::Managed;
use crate::pod::OwnerRef;
use crate::policy::{LimitPolicies, ScaleDown};
use crate::profile::Profile;
use crate::quantity::{Bytes, Millicores, ResourceList};
use crate::time::Timestamp;
use crate::window::Maintenance;

/// Annotations that change how a recommendation is rounded begin with this.
const POST_PROCESSOR: &str = "vpa-post-processor.kubernetes.io/";

/// True for the annotations of VPAs that change how a recommendation is rounded.
pub fn is_post_processor(annotation: &str) -> bool {
    annotation.starts_with(POST_PROCESSOR)
}

/// A VerticalPodAutoscaler as podfit sees it. Defaults are upstream's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vpa {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The unique id.
    pub uid: String,
    /// The version that a status write is checked against.
    pub resource_version: String,
    /// When it was created; the oldest of several VPAs for one target wins.
    pub created: Timestamp,
    /// `metadata.generation`.
    pub generation: i64,
    /// Those of its annotations that change how a recommendation is rounded ([`is_post_processor`]).
    pub post_processors: Vec<(String, String)>,
    /// The controller whose pods it sizes.
    pub target: Option<OwnerRef>,
    /// How changes reach pods.
    pub update_mode: UpdateMode,
    /// Live pods needed before one may be disrupted; `None` takes the updater's flag.
    pub min_replicas: Option<i64>,
    /// A container killed for memory sooner than this after its start makes its pod's update due; `None` takes the
    /// updater's flag. Holds with feature gate `PerVPAConfig`.
    pub evict_after_oom: Option<Duration>,
    /// All must hold before a pod is disrupted.
    pub eviction_requirements: Vec<EvictionRequirement>,
    /// Per-container rules, in the order of the spec.
    pub container_policies: Vec<ContainerPolicy>,
    /// What becomes of limits: the annotation `podfit.dev/limits`.
    pub limits: LimitPolicies,
    /// How requests go down: the annotation `podfit.dev/scale-down`.
    pub scale_down: ScaleDown,
    /// What becomes of resources that an HPA scales on: the annotation `podfit.dev/horizontal`; `None` takes the profile's.
    pub horizontal: Option<Horizontal>,
    /// How its histories become numbers: the annotation `podfit.dev/estimator`; `None` takes the recommender's flag.
    pub method: Option<Method>,
    /// Which percentiles of its histories become targets: the annotations `podfit.dev/cpu-percentile` and
    /// `podfit.dev/memory-percentile`.
    pub percentiles: OwnPercentiles,
    /// Set where podfit made it, because a label asks for it.
    pub managed: Option<Box<Managed>>,
    /// When its pods may be disrupted, or get less: the annotation `podfit.dev/window`.
    pub maintenance: Maintenance,
    /// How much more CPU its containers get while they start.
    pub startup_boost: Option<StartupBoost>,
    /// Which recommenders size it; empty means `default`.
    pub recommenders: Vec<String>,
    /// The published recommendation; `None` before the first.
    pub recommendation: Option<Vec<ContainerRecommendation>>,
    /// Its conditions, ours and others'.
    pub conditions: Vec<Condition>,
    /// What in the object could not be understood and was ignored, for the operator: `spec.x: why`.
    pub problems: Vec<String>,
}

/// `spec.updatePolicy.updateMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpdateMode {
    /// Recommends only.
    Off,
    /// Sizes new pods only.
    Initial,
    /// Evicts pods, whose replacements are sized at admission. The default.
    #[default]
    Recreate,
    /// The old name of [`UpdateMode::Recreate`].
    Auto,
    /// Resizes in place, and evicts where that cannot be done.
    InPlaceOrRecreate,
    /// Resizes in place, never evicts.
    InPlace,
}

impl UpdateMode {
    /// All modes with their names in the API.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::Off, "Off"),
        (Self::Initial, "Initial"),
        (Self::Recreate, "Recreate"),
        (Self::Auto, "Auto"),
        (Self::InPlaceOrRecreate, "InPlaceOrRecreate"),
        (Self::InPlace, "InPlace"),
    ];

    /// The mode of that name in the API.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(mode, _)| *mode)
    }

    /// True for the modes that resize pods in place where they can.
    pub fn is_in_place(self) -> bool {
        matches!(self, Self::InPlace | Self::InPlaceOrRecreate)
    }

    /// True for the modes in which pods may be evicted.
    pub fn evicts(self) -> bool {
        matches!(self, Self::Recreate | Self::Auto | Self::InPlaceOrRecreate)
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(mode, _)| *mode == self)
            .map_or("", |(_, name)| *name)
    }
}

/// One entry of `spec.updatePolicy.evictionRequirements`: holds when at least one resource moves that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionRequirement {
    /// The resources any of which may satisfy it.
    pub resources: Vec<crate::quantity::Resource>,
    /// The direction asked for.
    pub change: ChangeRequirement,
}

/// The direction an [`EvictionRequirement`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRequirement {
    /// The target lies above the request.
    TargetHigherThanRequests,
    /// The target lies below the request.
    TargetLowerThanRequests,
}

/// One entry of `spec.resourcePolicy.containerPolicies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerPolicy {
    /// A container's name, or `*`.
    pub container_name: String,
    /// False when the mode is `Off`: the container is left alone.
    pub off: bool,
    /// The least that may be recommended.
    pub min_allowed: ResourceList,
    /// The most that may be recommended.
    pub max_allowed: ResourceList,
    /// Which resources are sized; `None` means both, an empty list none.
    pub controlled_resources: Option<Vec<crate::quantity::Resource>>,
    /// True for `controlledValues: RequestsOnly`: limits are left alone.
    pub requests_only: bool,
    /// Instead of the VPA's own, as a whole.
    pub startup_boost: Option<StartupBoost>,
    /// How the container's history is kept; holds with feature gate `PerVPAConfig`.
    pub history: HistoryPolicy,
}

/// What a [`ContainerPolicy`] says of histories; the recommender's flags stand in for what is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryPolicy {
    /// `oomBumpUpRatio` in thousandths, 1000 or more.
    pub oom_bump_up_ratio: Option<i64>,
    /// `oomMinBumpUp`, not negative.
    pub oom_min_bump_up: Option<Bytes>,
    /// `memoryAggregationIntervalSeconds`, not zero.
    pub memory_interval: Option<Duration>,
    /// `memoryAggregationIntervalCount`, not zero.
    pub memory_interval_count: Option<u32>,
}

/// A `startupBoost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartupBoost {
    /// For CPU; `None` boosts nothing.
    pub cpu: Option<CpuBoost>,
}

/// More CPU from the start of a pod until some time after it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuBoost {
    /// How much more.
    pub by: BoostBy,
    /// How long the pod must have been ready.
    pub lasts: Duration,
}

/// How much more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoostBy {
    /// So many times as much; at least 1.
    Factor(i32),
    /// So much on top.
    Quantity(Millicores),
}

/// What is recommended for one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerRecommendation {
    /// The container's name.
    pub container_name: String,
    /// What it should request.
    pub target: ResourceList,
    /// Below this a running pod is worth disrupting.
    pub lower_bound: ResourceList,
    /// Above this a running pod is worth disrupting.
    pub upper_bound: ResourceList,
    /// The target before policy was applied.
    pub uncapped_target: ResourceList,
}

/// One entry of `status.conditions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// For example `RecommendationProvided`.
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// A word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition: Option<Timestamp>,
    /// The object's generation when the condition was judged.
    pub observed_generation: Option<i64>,
}

impl Vpa {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What becomes of resources that an HPA scales on.
    pub fn horizontal_in(&self, profile: Profile) -> Horizontal {
        self.horizontal
            .unwrap_or_else(|| Horizontal::of_profile(profile))
    }

    /// True while the recommender says that it knows little yet (condition `LowConfidence`).
    pub fn has_low_confidence(&self) -> bool {
        let low = |c: &Condition| c.kind == "LowConfidence" && c.status == "True";
        self.conditions.iter().any(low)
    }

    /// True when some of its containers get more CPU while they start. Runs have none: nobody would take it back.
    pub fn boosts(&self) -> bool {
        if self.is_of_runs() {
            return false;
        }
        let policies = self.container_policies.iter();
        let mut all = policies
            .map(|p| p.startup_boost)
            .chain([self.startup_boost]);
        all.any(|boost| boost.is_some())
    }

    /// True when an annotation asks for whole cores for that container.
    pub fn wants_integer_cpu(&self, container: &str) -> bool {
        let wanted = |(key, value): &(String, String)| {
            let of = key.strip_prefix(POST_PROCESSOR);
            value == "true" && of.and_then(|of| of.strip_suffix("_integerCPU")) == Some(container)
        };
        self.post_processors.iter().any(wanted)
    }

    /// The recommendation for one container.
    pub fn recommendation_for(&self, container: &str) -> Option<&ContainerRecommendation> {
        self.recommendation
            .as_ref()?
            .iter()
            .find(|r| r.container_name == container)
    }
}
