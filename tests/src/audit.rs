//! What podfit asked of an API server, as that one's audit log tells.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// A request about objects, by a service account of podfit's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service account's name.
    pub account: String,
    /// Such as `create`.
    pub verb: String,
    /// `RESOURCE.GROUP`, and `/SUBRESOURCE` after it where it has one; `pods/eviction` of the core group.
    pub resource: String,
    /// `NAMESPACE/NAME` of the object, either of which may be missing.
    pub object: String,
    /// A watch that began with the objects that were there: it stands for a list, which is asked for where the API server cannot
    /// do that.
    pub streamed: bool,
    /// What allowed it. `None`: it was refused.
    pub role: Option<Role>,
}

/// A role or a cluster role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// All requests since the cluster began.
pub fn requests(log: &Path) -> Result<Vec<Request>> {
    let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let mut requests = Vec::new();
    for line in text.lines() {
        requests.extend(request(&serde_json::from_str(line)?));
    }
    Ok(requests)
}

/// `None` for what is no object, such as the list of APIs.
fn request(entry: &Value) -> Option<Request> {
    let object = entry["objectRef"].as_object()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let account = entry["user"]["username"].as_str()?.rsplit(':').next()?;
    let annotations = &entry["annotations"];
    let allowed = annotations["authorization.k8s.io/decision"] == "allow";
    let reason = annotations["authorization.k8s.io/reason"].as_str();
    Some(Request {
        account: account.into(),
        verb: entry["verb"].as_str()?.into(),
        resource: resource(text("apiGroup"), text("resource"), text("subresource")),
        object: format!("{}/{}", text("namespace"), text("name")),
        streamed: entry["requestURI"]
            .as_str()?
            .contains("sendInitialEvents=true"),
        role: role(reason?).filter(|_| allowed),
    })
}

/// The name of a resource as [`Request::resource`] has it.
pub fn resource(group: &str, plural: &str, subresource: &str) -> String {
    let mut name = plural.to_owned();
    for (mark, part) in [('.', group), ('/', subresource)] {
        if !part.is_empty() {
            name.push(mark);
            name += part;
        }
    }
    name
}

/// The authorizer's words: `RBAC: allowed by RoleBinding "a/podfit" of Role "a" to ServiceAccount "a/podfit"`.
fn role(reason: &str) -> Option<Role> {
    let (_, role) = reason.split_once(" of ")?;
    let (kind, name) = role.split_once(" \"")?;
    let (name, _) = name.split_once('"')?;
    Some(Role {
        kind: kind.into(),
        name: name.into(),
    })
}
