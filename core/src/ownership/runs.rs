//! Workloads that are runs: pods that come, do their work and go, and of which the next is the first that can be given more.

use super::{ControllerKey, Owners};
use crate::pod::{OwnerRef, Pod};
use crate::vpa::Vpa;

/// The label with which a pod says to which family of runs it belongs.
pub const FAMILY_LABEL: &str = "podfit.dev/family";

/// The kind of a family, as in [`ControllerKey::kind`]. There is no such object: the pods' label alone makes it.
pub const POD_FAMILY: &str = "PodFamily.podfit.dev";

/// The kind of KEDA's `ScaledJob`, as in [`ControllerKey::kind`].
pub const SCALED_JOB: &str = "ScaledJob.keda.sh";

/// True for the kinds, as in [`ControllerKey::kind`], whose pods are runs: their history counts in runs, and they are sized
/// at their creation alone.
pub fn is_of_runs(kind: &str) -> bool {
    matches!(kind, POD_FAMILY | SCALED_JOB)
}

impl OwnerRef {
    /// True for a family of pods, which is no object that anybody could look up.
    pub fn is_family(&self) -> bool {
        (self.group(), &*self.kind) == ("podfit.dev", "PodFamily")
    }
}

impl Pod {
    /// The family that the pod says it belongs to. It counts as the highest of what is above the pod, so that its VPA wins
    /// over that of a controller.
    pub(super) fn family_key(&self) -> Option<ControllerKey> {
        let family = self.family.as_deref()?;
        Some(ControllerKey::new(&self.namespace, POD_FAMILY, family))
    }
}

impl Vpa {
    /// True when its pods are runs: nothing is changed in them once they are created.
    pub fn is_of_runs(&self) -> bool {
        let target = self.target.as_ref();
        target.is_some_and(|target| {
            target.is_family() || (target.group(), &*target.kind) == ("keda.sh", "ScaledJob")
        })
    }
}

impl Owners {
    /// The controller that a Job is named after, if that is known: KEDA and the CronJob controller call Jobs by their own
    /// name, a dash and something. The pod's admission may come before the Job's watch event.
    pub(super) fn maker_by_name(&self, namespace: &str, owner: &OwnerRef) -> Option<OwnerRef> {
        if owner.qualified_kind() != "Job" {
            return None;
        }
        let (name, rest) = owner.name.rsplit_once('-')?;
        // CronJobs number theirs.
        let (api_version, kind) = if rest.bytes().all(|byte| byte.is_ascii_digit()) {
            ("batch/v1", "CronJob")
        } else {
            ("keda.sh/v1alpha1", "ScaledJob")
        };
        let maker = OwnerRef {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
        };
        let known = self.get(&ControllerKey::of(namespace, &maker)).is_some();
        known.then_some(maker)
    }
}
