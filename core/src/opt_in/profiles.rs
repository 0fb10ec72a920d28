//! What the profiles of workloads set, each as fields and annotations of the VPA, so that all of it can be seen there.

use crate::estimator::{CPU_PERCENTILE_ANNOTATION, MEMORY_PERCENTILE_ANNOTATION};
use crate::policy::{LIMITS_ANNOTATION, SCALE_DOWN_ANNOTATION};
use crate::quantity::Resource;
use crate::vpa::UpdateMode;

/// What kind of work a workload does: the label `podfit.dev/profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadProfile {
    /// It answers requests, and is to answer them quickly.
    Serving,
    /// A run that is lost when it is disturbed.
    Training,
    /// Work that can wait, and be done again.
    Batch,
}

/// What is set in a VPA. Annotations are name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// What `in-place` means.
    pub in_place: UpdateMode,
    /// `spec.updatePolicy.minReplicas`.
    pub min_replicas: Option<i64>,
    /// Resources of which more must be needed before a pod is disrupted: `spec.updatePolicy.evictionRequirements`.
    pub only_for_more: &'static [Resource],
    /// The VPA's annotations.
    pub annotations: &'static [(&'static str, &'static str)],
}

impl WorkloadProfile {
    /// All of them with their names.
    pub const NAMES: [(Self, &'static str); 3] = [
        (Self::Serving, "serving"),
        (Self::Training, "training"),
        (Self::Batch, "batch"),
    ];

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.iter();
        all.find(|(_, n)| *n == name).map(|(profile, _)| *profile)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut all = Self::NAMES.iter();
        all.find(|(profile, _)| *profile == self)
            .map_or("", |(_, name)| *name)
    }
}

impl Traits {
    /// What a profile sets; what is set without one.
    pub const fn of(profile: Option<WorkloadProfile>) -> Self {
        match profile {
            None => Self {
                in_place: UpdateMode::InPlaceOrRecreate,
                min_replicas: None,
                only_for_more: &[],
                annotations: &[],
            },
            // A limit on CPU is what makes a service slow when load comes; the only replica stays.
            Some(WorkloadProfile::Serving) => Self {
                in_place: UpdateMode::InPlaceOrRecreate,
                min_replicas: Some(2),
                only_for_more: &[],
                annotations: &[
                    (CPU_PERCENTILE_ANNOTATION, "0.95"),
                    (LIMITS_ANNOTATION, "cpu=none"),
                    (SCALE_DOWN_ANNOTATION, "slow"),
                ],
            },
            // A kill costs the whole run, so the highest peak counts, and limits go up with it; and only the lack of memory is
            // worth an eviction, where the label allows any.
            Some(WorkloadProfile::Training) => Self {
                in_place: UpdateMode::InPlace,
                min_replicas: None,
                only_for_more: &[Resource::Memory],
                annotations: &[
                    (MEMORY_PERCENTILE_ANNOTATION, "1"),
                    (SCALE_DOWN_ANNOTATION, "never"),
                ],
            },
            // It may wait for CPU, and takes what is idle.
            Some(WorkloadProfile::Batch) => Self {
                in_place: UpdateMode::InPlace,
                min_replicas: None,
                only_for_more: &[],
                annotations: &[
                    (CPU_PERCENTILE_ANNOTATION, "0.75"),
                    (LIMITS_ANNOTATION, "cpu=none"),
                ],
            },
        }
    }

    /// One of [`SETTINGS`]; empty when it is not set.
    pub fn setting(&self, name: &str) -> String {
        match name {
            IN_PLACE => self.in_place.name().into(),
            MIN_REPLICAS => self.min_replicas.map(|n| n.to_string()).unwrap_or_default(),
            ONLY_FOR_MORE => {
                let names: Vec<_> = self.only_for_more.iter().map(|r| r.name()).collect();
                if names.is_empty() {
                    String::new()
                } else {
                    format!("{}: TargetHigherThanRequests", names.join(", "))
                }
            }
            annotation => {
                let mut all = self.annotations.iter();
                let set = all.find(|(name, _)| *name == annotation);
                set.map_or("", |(_, value)| *value).into()
            }
        }
    }
}

const IN_PLACE: &str = "updateMode with in-place";
const MIN_REPLICAS: &str = "minReplicas";
const ONLY_FOR_MORE: &str = "evictionRequirements";

/// Whatever a profile can set, as fields of a VPA's `updatePolicy`, or names of annotations.
pub const SETTINGS: [&str; 7] = [
    IN_PLACE,
    MIN_REPLICAS,
    ONLY_FOR_MORE,
    CPU_PERCENTILE_ANNOTATION,
    MEMORY_PERCENTILE_ANNOTATION,
    LIMITS_ANNOTATION,
    SCALE_DOWN_ANNOTATION,
];

/// All that a profile sets, by name and value, in the order of [`SETTINGS`].
pub fn settings(profile: Option<WorkloadProfile>) -> Vec<(&'static str, String)> {
    let traits = Traits::of(profile);
    let all = SETTINGS.iter().map(|name| (*name, traits.setting(name)));
    all.filter(|(_, value)| !value.is_empty()).collect()
}
