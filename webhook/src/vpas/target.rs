//! What is unwise in a target. Upstream checks nothing of it.

use podfit_core::ownership::{FAMILY_LABEL, of_well_known};
use podfit_core::pod::OwnerRef;
use serde_json::Value;

/// The longest value a label can have.
const LONGEST_LABEL: usize = 63;

/// Why the target of a VPA means no pod at all, if so: a family that no label can name.
pub fn warning(object: &Value) -> Option<String> {
    let field = |name: &str| {
        object["spec"]["targetRef"][name]
            .as_str()
            .unwrap_or_default()
    };
    if field("kind") != "PodFamily" {
        return None;
    }
    let target = OwnerRef {
        api_version: of_well_known(field("apiVersion")),
        kind: of_well_known(field("kind")),
        name: field("name").into(),
    };
    if !target.is_family() {
        return Some(format!(
            "spec.targetRef.apiVersion: {:?}: families of pods are of podfit.dev/v1",
            target.api_version
        ));
    }
    (!is_label(&target.name)).then(|| {
        format!(
            "spec.targetRef.name: {:?} cannot be the value of the label {FAMILY_LABEL}, so no pod is of this family",
            target.name
        )
    })
}

/// True for what a label can have as its value, and is not empty.
fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= LONGEST_LABEL
        && text.chars().all(inner)
        && outer(text.chars().next())
        && outer(text.chars().last())
}
