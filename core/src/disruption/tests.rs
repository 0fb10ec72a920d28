//! Upstream's tables (vectors 11), our rules on top of them, and laws.

mod boost;
mod breaker;
mod budget;
mod disruptions;
mod fire;
mod horizontal;
mod in_place;
mod laws;
mod limits;
mod nodes;
mod outcome;
mod priority;
mod protection;
mod realign;
mod refusals;
mod requirements;
mod resize;
mod safe;
mod shrink;
mod window;

use super::*;
use crate::ownership::{ControllerKey, of_well_known};
use crate::pod::{Container, ContainerStatus, EffectiveResources, Phase, ResizeState, Termination};
use crate::quantity::{Bytes, Millicores, Resource, ResourceList};
use crate::rows::{number, rows};
use crate::vpa::{ContainerRecommendation, UpdateMode};

const MI: i64 = 1 << 20;
const GI: i64 = 1 << 30;
/// Millicores and bytes; zero stands for "not set".
type Amounts = (i64, i64);
const NOTHING: Amounts = (0, 0);
/// What everything is recommended where the amount does not matter, and a request far from it.
const TARGET: Amounts = (1000, GI);
const FAR: Amounts = (100, 128 * MI);

fn list((cpu, memory): Amounts) -> ResourceList {
    let set = |amount: i64| (amount != 0).then_some(amount);
    ResourceList {
        cpu: set(cpu).map(Millicores),
        memory: set(memory).map(Bytes),
    }
}

/// `250m/1Gi`; `-` for what is not there, alone for both.
fn amounts(cell: &str) -> Amounts {
    let (cpu, memory) = cell.split_once('/').unwrap_or((cell, "-"));
    let read = |text: &str, parse: fn(&str) -> i64| match text {
        "-" => 0,
        text => parse(text),
    };
    (
        read(cpu, |text| Millicores::parse(text).unwrap().0),
        read(memory, |text| Bytes::parse(text).unwrap().0),
    )
}

fn hours(n: u64) -> Timestamp {
    Timestamp::default() + Duration::from_hours(n)
}

fn owner(kind: &str) -> OwnerRef {
    OwnerRef {
        api_version: "v1".into(),
        kind: of_well_known(kind),
        name: "owner".into(),
    }
}

fn container(name: &str, requests: Amounts) -> Container {
    Container {
        name: name.into(),
        requests: list(requests),
        ..Container::default()
    }
}

/// A running pod of one container "c", started at the epoch.
fn pod(name: &str, requests: Amounts) -> Pod {
    Pod {
        namespace: "ns".into(),
        name: name.into(),
        uid: format!("uid-{name}").into(),
        owner: Some(owner("ReplicaSet")),
        phase: Phase::Running,
        node: Some("node".into()),
        started: Some(Timestamp::default()),
        containers: vec![container("c", requests)],
        ..Pod::default()
    }
}

/// `count` running pods, far from their recommendation.
fn pods(count: usize) -> Vec<Pod> {
    (0..count).map(|i| pod(&format!("p{i}"), FAR)).collect()
}

fn recommendation(name: &str, [target, lower, upper]: [Amounts; 3]) -> ContainerRecommendation {
    ContainerRecommendation {
        container_name: name.into(),
        target: list(target),
        lower_bound: list(lower),
        upper_bound: list(upper),
        uncapped_target: list(target),
    }
}

/// A VPA that recommends [`TARGET`], exactly, to container "c".
fn vpa(update_mode: UpdateMode) -> Vpa {
    Vpa {
        namespace: "ns".into(),
        name: "vpa".into(),
        update_mode,
        recommendation: Some(vec![recommendation("c", [TARGET; 3])]),
        ..Vpa::default()
    }
}

fn deferred() -> ResizeState {
    ResizeState::Deferred {
        message: "later".into(),
    }
}

fn infeasible() -> ResizeState {
    ResizeState::Infeasible {
        message: "never".into(),
    }
}

fn oom_killed_after(minutes: u64) -> ContainerStatus {
    let finished = hours(1);
    let killed = Termination {
        reason: "OOMKilled".into(),
        started: Some(finished - Duration::from_mins(minutes)),
        finished: Some(finished),
    };
    ContainerStatus {
        last_terminated: Some(killed.into()),
        running: true,
        ..ContainerStatus::default()
    }
}

/// One workload and how it is planned.
struct Case {
    vpa: Vpa,
    claims: Claims,
    pods: Vec<Pod>,
    replicas: ConfiguredReplicas,
    config: Config,
    memory: Memory,
    nodes: Nodes,
    now: Timestamp,
}

impl Case {
    /// As many replicas as pods.
    fn new(profile: Profile, mode: UpdateMode, pods: Vec<Pod>) -> Self {
        let replicas = ConfiguredReplicas::Known(pods.len() as i64);
        let (vpa, config) = (vpa(mode), Config::new(profile));
        Self {
            vpa,
            claims: Claims::default(),
            pods,
            replicas,
            config,
            memory: Memory::default(),
            nodes: Nodes::default(),
            now: hours(24),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let owners = self.pods.iter().filter_map(|pod| pod.owner.clone());
        let workload = Workload {
            vpa: Arc::new(self.vpa.clone()),
            claims: self.claims.clone(),
            pods: self.pods.iter().cloned().map(Arc::new).collect(),
            replicas: owners.map(|owner| (owner, self.replicas)).collect(),
            ..Workload::default()
        };
        Snapshot {
            workloads: vec![workload],
            nodes: self.nodes.clone(),
            wall_clock: self.now,
            ..Snapshot::default()
        }
    }

    fn plan(&self) -> Vec<Decision> {
        plan(&self.snapshot(), &self.memory, &self.config, self.now)
    }

    /// The decision on each pod, in the order of `self.pods`.
    fn decisions(&self) -> Vec<Decision> {
        let mut decisions = self.plan();
        let place = |d: &Decision| self.pods.iter().position(|pod| pod.uid == d.pod.uid);
        decisions.sort_by_key(place);
        assert_eq!(
            decisions.len(),
            self.pods.len(),
            "one decision for every pod"
        );
        decisions
    }

    /// The decision on one pod when no other pod is due.
    fn decision_on(&self, index: usize) -> Decision {
        let mut pods = self.pods.clone();
        for (i, pod) in pods.iter_mut().enumerate().filter(|(i, _)| *i != index) {
            pod.containers = vec![container("c", TARGET)];
            pod.containers[0].name = format!("not-recommended-{i}");
        }
        let vpa = self.vpa.clone();
        let case = Self {
            vpa,
            claims: self.claims.clone(),
            pods,
            memory: self.memory.clone(),
            nodes: self.nodes.clone(),
            config: self.config.clone(),
            ..*self
        };
        case.decisions().swap_remove(index)
    }
}

fn letter(decision: &Decision) -> char {
    match decision.action {
        Action::Resize(_) => 'R',
        Action::Evict(_) => 'E',
        Action::Unboost(_) => 'U',
        Action::Skip => '-',
    }
}

fn letters(decisions: &[Decision]) -> String {
    decisions.iter().map(letter).collect()
}

fn codes(decisions: &[Decision]) -> Vec<&'static str> {
    decisions.iter().map(|d| d.reason.code()).collect()
}
