//! What podfit knows of a pod: the dozen fields its decisions use.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::node::Placement;
use crate::profile::Profile;
use crate::quantity::{Resource, ResourceList};
use crate::time::Timestamp;

/// The annotations of pods that are kept begin with one of these. Others can be long, and there are many pods.
const READ_ANNOTATIONS: [&str; 4] = [
    "podfit.dev/",
    "vpa",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "karpenter.sh/do-not-disrupt",
];

/// True for the annotations of pods that podfit reads.
pub fn is_read(annotation: &str) -> bool {
    READ_ANNOTATIONS
        .iter()
        .any(|start| annotation.starts_with(start))
}

/// A reference from an object to its controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerRef {
    /// For example `apps/v1`. Those that are well known are not copied for each of many pods
    /// ([`of_well_known`](crate::ownership::of_well_known)).
    pub api_version: Cow<'static, str>,
    /// For example `ReplicaSet`; likewise.
    pub kind: Cow<'static, str>,
    /// The owner's name; it lives in the same namespace.
    pub name: String,
}

/// A pod as podfit sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty at admission when the API server will generate one.
    pub name: String,
    /// The unique id; empty at admission. Shared with all that is remembered by it.
    pub uid: Arc<str>,
    /// The owner reference flagged `controller: true` (the last one, when several are).
    pub owner: Option<OwnerRef>,
    /// The label `pod-template-hash`, with which a ReplicaSet that no cache knows yet still names its Deployment.
    pub template_hash: Option<String>,
    /// The label `controller-revision-hash`, which names the template of a StatefulSet's or DaemonSet's pod.
    pub revision_hash: Option<String>,
    /// The label `podfit.dev/family`: the family of runs it belongs to. An empty one names none.
    pub family: Option<Box<str>>,
    /// Those of its annotations that podfit reads ([`is_read`]); `None` when the pod has no annotation map at all.
    pub annotations: Option<Vec<(String, String)>>,
    /// Where it is in its life.
    pub phase: Phase,
    /// True when it has a deletion timestamp.
    pub terminating: bool,
    /// The node it is bound to.
    pub node: Option<String>,
    /// On which nodes it may run; `None`: on all without taints.
    pub placement: Option<Arc<Placement>>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When the kubelet first saw it.
    pub started: Option<Timestamp>,
    /// Since when its Ready condition is True; `None` when it is not ready.
    pub ready_since: Option<Timestamp>,
    /// The state of an in-place resize.
    pub resize: ResizeState,
    /// What is sized: its containers in the order of the spec, and after them its native sidecars.
    pub containers: Vec<Container>,
    /// Its other init containers, which end before the containers start and are never sized.
    pub init_containers: Vec<Container>,
    /// True when the pod as a whole has requests or limits (`spec.resources`).
    pub has_pod_resources: bool,
    /// What its loss would cost, as far as its spec tells.
    pub stakes: Stakes,
}

/// What a pod's spec tells of the cost of losing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stakes {
    /// Its `restartPolicy` is `Never` or `OnFailure`: it works towards an end.
    pub runs_to_completion: bool,
    /// It holds extended resources (GPUs), or devices by resource claims.
    pub holds_devices: bool,
    /// Its priority class is `system-cluster-critical` or `system-node-critical`.
    pub is_critical: bool,
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers have started yet.
    #[default]
    Pending,
    /// Bound to a node and started.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// The node cannot be asked.
    Unknown,
}

/// What the kubelet says of an in-place resize, from the conditions `PodResizePending` and `PodResizeInProgress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResizeState {
    /// No resize is under way.
    #[default]
    None,
    /// The node could do it later.
    Deferred {
        /// The kubelet's words.
        message: String,
    },
    /// The node can never do it.
    Infeasible {
        /// The kubelet's words.
        message: String,
    },
    /// The kubelet is at work.
    InProgress,
    /// The kubelet tried and failed.
    Error {
        /// The kubelet's words.
        message: String,
    },
    /// A condition with a reason that podfit does not know.
    Unknown {
        /// The kubelet's words.
        message: String,
    },
}

/// One container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Of a native sidecar, an init container with `restartPolicy: Always`: its position in `spec.initContainers`.
    pub sidecar: Option<usize>,
    /// Requests in the pod's spec.
    pub requests: ResourceList,
    /// Limits in the pod's spec.
    pub limits: ResourceList,
    /// What the spec's `resources` hold beside CPU and memory; decides which empty maps a JSON patch must create first.
    pub present: PresentMaps,
    /// True when a CPU change restarts the container (`resizePolicy: RestartContainer`).
    pub restarts_on_cpu_resize: bool,
    /// True when a memory change restarts the container.
    pub restarts_on_memory_resize: bool,
    /// What it had before its startup boost, as an annotation of the pod says; `None` without a boost.
    pub before_boost: Option<Box<EffectiveResources>>,
    /// What its status says; `None` before the kubelet reported it.
    pub status: Option<ContainerStatus>,
}

/// Which of a container's resource maps exist in the pod's spec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresentMaps {
    /// `resources` is there.
    pub resources: bool,
    /// `resources.requests` is there.
    pub requests: bool,
    /// `resources.limits` is there.
    pub limits: bool,
}

/// The status of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerStatus {
    /// The resources in force now, when the kubelet reports them (Kubernetes 1.33 on).
    pub resources: Option<EffectiveResources>,
    /// How often it was restarted.
    pub restart_count: i32,
    /// True while it runs.
    pub running: bool,
    /// The present state, when that is "terminated".
    pub terminated: Option<Box<Termination>>,
    /// How its previous run ended.
    pub last_terminated: Option<Box<Termination>>,
}

/// Requests and limits in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EffectiveResources {
    /// Requests.
    pub requests: ResourceList,
    /// Limits.
    pub limits: ResourceList,
}

/// How a container's run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Termination {
    /// For example `OOMKilled`.
    pub reason: String,
    /// When the run began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Termination {
    /// True when the kernel killed it for memory.
    pub fn is_oom(&self) -> bool {
        self.reason == "OOMKilled"
    }

    /// How long the run lasted, when both ends are known.
    pub fn ran_for(&self) -> Option<Duration> {
        Some(self.finished?.since(self.started?))
    }
}

impl Container {
    /// The resources in force: the status' when the kubelet reports them, else the spec's.
    pub fn effective(&self) -> EffectiveResources {
        self.status
            .as_ref()
            .and_then(|s| s.resources)
            .unwrap_or(EffectiveResources {
                requests: self.requests,
                limits: self.limits,
            })
    }

    fn is_guaranteed(&self) -> bool {
        Resource::ALL.iter().all(|r| {
            let limit = self.limits.get(*r).filter(|limit| *limit > 0);
            // The API server fills in a request that only a limit is given for.
            limit.is_some() && self.requests.get(*r).is_none_or(|r| Some(r) == limit)
        })
    }

    /// How often it was started again, while it is down after an out-of-memory kill; `None` while it runs.
    pub fn down_after_oom(&self) -> Option<i32> {
        let status = self.status.as_ref().filter(|s| !s.running)?;
        let last = status
            .terminated
            .as_ref()
            .or(status.last_terminated.as_ref())?;
        last.is_oom().then_some(status.restart_count)
    }

    /// True when changing `resource` in place restarts the container.
    pub fn restarts_on_resize(&self, resource: Resource) -> bool {
        match resource {
            Resource::Cpu => self.restarts_on_cpu_resize,
            Resource::Memory => self.restarts_on_memory_resize,
        }
    }
}

impl Pod {
    /// What tells pods of one template from those of another, when its controller labels them. A Job's are not labelled.
    pub fn template(&self) -> Option<&str> {
        self.template_hash
            .as_deref()
            .or(self.revision_hash.as_deref())
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        debug_assert!(is_read(key), "{key} is not kept");
        let (_, value) = self.annotations.as_ref()?.iter().find(|(k, _)| k == key)?;
        Some(value)
    }

    /// The pod with what a profile sizes: upstream sees no sidecars.
    pub fn seen_by(mut self, profile: Profile) -> Self {
        if !profile.is_safe() {
            self.containers.retain(|c| c.sidecar.is_none());
        }
        self
    }

    /// True when Kubernetes gives the pod the class Guaranteed: every container, init containers included, has limits for
    /// CPU and memory, and requests just those.
    pub fn is_guaranteed(&self) -> bool {
        let all = || self.containers.iter().chain(&self.init_containers);
        all().next().is_some() && all().all(Container::is_guaranteed)
    }

    /// A container by name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// The container that is down after an out-of-memory kill and was started again most often, and how often.
    pub fn down_after_oom(&self) -> Option<(&Container, i32)> {
        let down = self
            .containers
            .iter()
            .filter_map(|c| Some((c, c.down_after_oom()?)));
        down.max_by_key(|(_, restarts)| *restarts)
    }

    /// True once it ended, well or badly.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// True while a resize is asked for or under way.
    pub fn is_resizing(&self) -> bool {
        self.resize != ResizeState::None
    }
}
