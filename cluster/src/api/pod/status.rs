//! What the kubelet says of a pod.

use podfit_core::pod::{ContainerStatus, Phase, ResizeState, Termination};
use podfit_core::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::time;
use super::{Resources, effective};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) phase: String,
    pub(super) start_time: Option<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) container_statuses: Vec<StatusContainer>,
    pub(super) init_container_statuses: Vec<StatusContainer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StatusContainer {
    pub(super) name: String,
    restart_count: i32,
    resources: Option<Resources>,
    state: State,
    last_state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<IgnoredAny>,
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Terminated {
    reason: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

pub(super) fn parse(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|t| time::parse(t))
}

pub(super) fn phase(text: &str) -> Phase {
    match text {
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Unknown" => Phase::Unknown,
        _ => Phase::Pending,
    }
}

pub(super) fn ready_since(conditions: &[Condition]) -> Option<Timestamp> {
    let ready = conditions
        .iter()
        .find(|c| c.r#type == "Ready" && c.status == "True")?;
    parse(ready.last_transition_time.as_ref())
}

/// A pending resize says more than one in progress, whatever the order in the list.
pub(super) fn resize_state(conditions: &[Condition]) -> ResizeState {
    let find = |kind: &str| {
        conditions
            .iter()
            .find(|c| c.r#type == kind && c.status == "True")
    };
    let message = |c: &Condition| c.message.clone().unwrap_or_default();
    if let Some(pending) = find("PodResizePending") {
        let message = message(pending);
        return match pending.reason.as_deref() {
            Some("Deferred") => ResizeState::Deferred { message },
            Some("Infeasible") => ResizeState::Infeasible { message },
            _ => ResizeState::Unknown { message },
        };
    }
    let Some(progress) = find("PodResizeInProgress") else {
        return ResizeState::None;
    };
    let message = message(progress);
    match progress.reason.as_deref().unwrap_or_default() {
        "" if message.is_empty() => ResizeState::InProgress,
        "Error" => ResizeState::Error { message },
        _ => ResizeState::Unknown { message },
    }
}

pub(super) fn container_status(status: &StatusContainer) -> ContainerStatus {
    ContainerStatus {
        resources: status.resources.as_ref().map(effective),
        restart_count: status.restart_count,
        running: status.state.running.is_some(),
        terminated: termination(&status.state),
        last_terminated: termination(&status.last_state),
    }
}

fn termination(state: &State) -> Option<Box<Termination>> {
    let terminated = state.terminated.as_ref()?;
    Some(Box::new(Termination {
        reason: terminated.reason.clone().unwrap_or_default(),
        started: parse(terminated.started_at.as_ref()),
        finished: parse(terminated.finished_at.as_ref()),
    }))
}
