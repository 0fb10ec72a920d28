//! RFC 6902 operations, in the order and with the paths that upstream writes.

use std::collections::HashMap;

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use jsonptr::PointerBuf;
use podfit_cluster::api::quantity::{texts, to_json};
use podfit_core::admission::{Admission, BOOST_ANNOTATION_PREFIX, Boost, ContainerChange};
use podfit_core::pod::{Pod, PresentMaps};
use podfit_core::quantity::ResourceList;
use serde_json::{Value, json};

/// The patch that makes `admission`'s changes to `pod`: first what later operations write into, then the resources of
/// each container, then the annotations. Always in one order: CPU before memory, requests before limits.
pub fn render(pod: &Pod, admission: &Admission) -> Patch {
    let mut operations = Vec::new();
    if pod.annotations.is_none() && !admission.annotations.is_empty() {
        operations.push(add(&["metadata", "annotations"], json!({})));
    }
    let boosts: HashMap<_, _> = admission
        .boosts
        .iter()
        .map(|boost| (boost.container.as_str(), boost))
        .collect();
    for change in &admission.containers {
        if let Some(boost) = boosts.get(change.name.as_str()) {
            operations.push(before(boost));
        }
        let present = pod
            .containers
            .get(change.index)
            .map(|c| c.present)
            .unwrap_or_default();
        container(change, present, &mut operations);
    }
    for (key, value) in &admission.annotations {
        operations.push(annotation(key, value));
    }
    Patch(operations)
}

fn annotation(key: &str, value: &str) -> PatchOperation {
    add(&["metadata", "annotations", key], value.into())
}

/// What a boosted container had before. The text is upstream's, requests first.
fn before(Boost { container, before }: &Boost) -> PatchOperation {
    let text = format!(
        "{{\"requests\":{},\"limits\":{}}}",
        to_json(&before.requests),
        to_json(&before.limits)
    );
    annotation(&format!("{BOOST_ANNOTATION_PREFIX}{container}"), &text)
}

fn container(change: &ContainerChange, present: PresentMaps, operations: &mut Vec<PatchOperation>) {
    let (list, index) = match change.sidecar {
        Some(index) => ("initContainers", index),
        None => ("containers", change.index),
    };
    let index = index.to_string();
    let at = ["spec", list, &index, "resources"];
    let sets_any = !change.requests.is_empty() || !change.limits.is_empty();
    if sets_any && !present.resources {
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
    for resource in &change.removed_limits {
        operations.push(PatchOperation::Remove(RemoveOperation {
            path: PointerBuf::from_tokens([at.as_slice(), &["limits", resource.name()]].concat()),
        }));
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
    for (resource, text) in texts(amounts) {
        operations.push(add(&[path, &[resource.name()]].concat(), text.into()));
    }
}

/// One `add`. The path is built of tokens, which escapes `~` and `/`.
pub fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path.iter().copied()),
        value,
    })
}

#[cfg(test)]
mod tests;
