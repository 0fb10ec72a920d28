//! What a scenario asks of a pod.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::amounts::Amounts;

/// A pod as the API server gave it.
#[derive(Clone, Debug)]
pub struct Pod(pub Value);

impl Pod {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its unique id; a replacement has another.
    pub fn uid(&self) -> &str {
        self.0["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// True while it can take traffic: ready and not being deleted.
    pub fn is_available(&self) -> bool {
        let ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
        self.0["metadata"]["deletionTimestamp"].is_null()
            && self.0["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(ready))
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0["metadata"]["annotations"][key].as_str()
    }

    /// What the spec requests for a container.
    pub fn requests(&self, container: &str) -> Result<Amounts> {
        Amounts::from_list(&self.container(container)?["resources"]["requests"])
    }

    /// The spec's limits of a container.
    pub fn limits(&self, container: &str) -> Result<Amounts> {
        Amounts::from_list(&self.container(container)?["resources"]["limits"])
    }

    /// A container of the spec.
    pub fn container(&self, name: &str) -> Result<&Value> {
        self.named("/spec/containers", name)
    }

    /// What the kubelet says of a container.
    pub fn status(&self, name: &str) -> Result<&Value> {
        self.named("/status/containerStatuses", name)
    }

    /// How often a container was restarted.
    pub fn restarts(&self, container: &str) -> Result<i64> {
        self.status(container)?["restartCount"]
            .as_i64()
            .context("no restartCount")
    }

    fn named(&self, list: &str, name: &str) -> Result<&Value> {
        self.0
            .pointer(list)
            .and_then(Value::as_array)
            .and_then(|all| all.iter().find(|c| c["name"] == name))
            .with_context(|| format!("pod {} has no {name} in {list}", self.name()))
    }
}
