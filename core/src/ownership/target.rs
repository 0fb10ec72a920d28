//! Whether the target of a VPA can be sized: it is there, and nothing that could be sized stands above it.

use super::{ControllerKey, ForeignKind, Owners, is_well_known};
use crate::pod::OwnerRef;
use crate::vpa::Vpa;

/// Why a chain of owners has no top.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTop {
    /// Owner references lead back to where they were.
    #[error("cycle detected in ownership chain")]
    Cycle,
    /// A controller on the way is not there.
    #[error("{0} does not exist")]
    Missing(ControllerKey),
    /// A controller on the way is owned by a node.
    #[error("unhandled targetRef {} / {} / {}, last error node is not a valid owner", .0.api_version, .0.kind, .0.name)]
    Node(OwnerRef),
}

/// Why the target of a VPA cannot be sized, in upstream's words; `None` when it can, or when that is not known yet.
pub fn unsupported(vpa: &Vpa, owners: &Owners) -> Option<String> {
    let unread = |why: String| Some(format!("Cannot read targetRef. Reason: {why}"));
    let Some(target) = &vpa.target else {
        return unread("targetRef not defined. If this is a v1beta1 object, switch to v1".into());
    };
    if target.is_family() {
        // Nobody has to make it: the labels of pods do.
        return None;
    }
    let key = ControllerKey::of(&vpa.namespace, target);
    if let Some(why) = unreadable(target, &key, owners) {
        return unread(why);
    }
    let OwnerRef {
        api_version,
        kind,
        name,
    } = target;
    let target = format!("{api_version}.{kind}/{name}");
    match owners.topmost(&key) {
        Ok(top) if top == key => None,
        Ok(_) => Some(format!(
            "The target {target} has a parent controller but it should point to a topmost well-known or scalable controller"
        )),
        Err(no_top) => Some(format!(
            "Error checking if target {target} is a topmost well-known or scalable controller: {no_top}"
        )),
    }
}

fn unreadable(target: &OwnerRef, key: &ControllerKey, owners: &Owners) -> Option<String> {
    if is_well_known(&key.kind) {
        let missing = owners.get(key).is_none();
        return missing.then(|| NoTop::Missing(key.clone()).to_string());
    }
    let why = match owners.kind(&key.kind)? {
        ForeignKind::Pending => return None,
        ForeignKind::Watched { .. } if owners.get(key).is_some() => return None,
        ForeignKind::Watched { resource, .. } => format!("{resource} \"{}\" not found", key.name),
        ForeignKind::Unreadable { why } => why.clone(),
        ForeignKind::Absent => format!(
            "no matches for kind \"{}\" in group \"{}\"",
            target.kind,
            target.group()
        ),
    };
    let OwnerRef {
        api_version,
        kind,
        name,
    } = target;
    Some(format!(
        "unhandled targetRef {api_version} / {kind} / {name}, last error {why}"
    ))
}
