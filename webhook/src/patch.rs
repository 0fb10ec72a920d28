//! RFC 6902 operations, in the order and with the paths that upstream writes.

use json_patch::{AddOperation, Patch, PatchOperation};
use jsonptr::PointerBuf;
use podfit_core::admission::{Admission, ContainerChange};
use podfit_core::pod::{Pod, PresentMaps};
use podfit_core::quantity::ResourceList;
use serde_json::{Value, json};

/// The patch that makes `admission`'s changes to `pod`: first what later operations write into, then the resources of
/// each container, then the annotations.
pub fn render(pod: &Pod, admission: &Admission) -> Patch {
    let mut operations = Vec::new();
    if pod.annotations.is_none() && !admission.annotations.is_empty() {
        operations.push(add(&["metadata", "annotations"], json!({})));
    }
    for change in &admission.containers {
        let present = pod
            .containers
            .get(change.index)
            .map(|c| c.present)
            .unwrap_or_default();
        container(change, present, &mut operations);
    }
    for (key, value) in &admission.annotations {
        operations.push(add(
            &["metadata", "annotations", key],
            value.as_str().into(),
        ));
    }
    Patch(operations)
}

fn container(change: &ContainerChange, present: PresentMaps, operations: &mut Vec<PatchOperation>) {
    if change.requests.is_empty() && change.limits.is_empty() {
        return;
    }
    let (list, index) = match change.sidecar {
        Some(index) => ("initContainers", index),
        None => ("containers", change.index),
    };
    let index = index.to_string();
    let at = ["spec", list, &index, "resources"];
    if !present.resources {
        operations.push(add(&at, json!({})));
    }
    for (map, amounts, there) in [
        ("requests", &change.requests, present.requests),
        ("limits", &change.limits, present.limits),
    ] {
        resources(
            &[at.as_slice(), &[map]].concat(),
            amounts,
            there,
            operations,
        );
    }
}

fn resources(
    path: &[&str],
    amounts: &ResourceList,
    there: bool,
    operations: &mut Vec<PatchOperation>,
) {
    if !there && !amounts.is_empty() {
        operations.push(add(path, json!({})));
    }
    let cpu = amounts.cpu.map(|amount| ("cpu", amount.to_string()));
    let memory = amounts.memory.map(|amount| ("memory", amount.to_string()));
    for (resource, text) in cpu.into_iter().chain(memory) {
        operations.push(add(&[path, &[resource]].concat(), text.into()));
    }
}

/// One `add`. The path is built of tokens, which escapes `~` and `/`.
pub fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path.iter().copied()),
        value,
    })
}
