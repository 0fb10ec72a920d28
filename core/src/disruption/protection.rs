//! Who is never evicted, however far its size is off: what would be lost is worth more.

use super::UpdateReason;
use super::group::Group;
use crate::ownership::ControllerKey;
use crate::pod::Pod;

/// Annotations, and their values, with which a pod says that it must not be evicted.
const NEVER_EVICT: [(&str, &str); 3] = [
    ("podfit.dev/evict", "never"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
    ("karpenter.sh/do-not-disrupt", "true"),
];

/// Kinds whose pods do long work, beside those that end in `Job`: `Job`, `PyTorchJob`, `RayJob`, `CronJob`, …
const LONG_WORK: [&str; 11] = [
    "DaskCluster",
    "JobSet",
    "PipelineRun",
    "RayCluster",
    "RayService",
    "ScheduledSparkApplication",
    "SparkApplication",
    "SparkConnect",
    "TaskRun",
    "Workflow",
    // A pod that pods belong to is the driver of their work.
    "Pod",
];

/// The namespace of what Kubernetes itself runs.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// True for the kinds of controllers, of whatever API group, whose pods work towards an end that their loss puts off.
pub fn is_long_work(kind: &str) -> bool {
    kind.ends_with("Job") || LONG_WORK.contains(&kind)
}

/// The kind that makes the pods under a chain of controllers long work.
pub fn long_work(chain: &[ControllerKey]) -> Option<&str> {
    chain
        .iter()
        .map(|key| key.kind.split('.').next().unwrap_or_default())
        .find(|kind| is_long_work(kind))
}

/// Why a pod is never evicted.
pub(super) fn of_evictions(pod: &Pod, group: &Group<'_>) -> Option<UpdateReason> {
    of_the_running(pod, group).or_else(|| of_system(pod))
}

/// Why none of a pod's containers is restarted: it says so, or its state would be lost.
pub(super) fn of_the_running(pod: &Pod, group: &Group<'_>) -> Option<UpdateReason> {
    let says_no = NEVER_EVICT
        .into_iter()
        .find(|(key, value)| pod.annotation(key) == Some(*value));
    if let Some((annotation, value)) = says_no {
        return Some(UpdateReason::EvictionForbidden { annotation, value });
    }
    of_work(pod, group).or_else(|| {
        pod.stakes
            .holds_devices
            .then_some(UpdateReason::HoldsDevices)
    })
}

/// What makes a pod long work. Nothing of it is lowered while it runs: its need may be still to come.
pub(super) fn of_work(pod: &Pod, group: &Group<'_>) -> Option<UpdateReason> {
    match group.long_work {
        Some("Job") => Some(UpdateReason::RunsToCompletion),
        Some(kind) => Some(UpdateReason::LongWork { kind: kind.into() }),
        None => pod
            .stakes
            .runs_to_completion
            .then_some(UpdateReason::RunsToCompletion),
    }
}

/// What the cluster itself stands on.
fn of_system(pod: &Pod) -> Option<UpdateReason> {
    if pod.stakes.is_critical {
        return Some(UpdateReason::SystemCritical);
    }
    (pod.namespace == SYSTEM_NAMESPACE).then_some(UpdateReason::SystemNamespace)
}
