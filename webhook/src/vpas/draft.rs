//! A VPA as somebody wrote it, before anything is known to be right: only types are, and quantities that read.

use std::collections::BTreeMap;

use podfit_core::quantity::parse_nanos;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What the rules look at in `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Draft {
    pub target_ref: Option<IgnoredAny>,
    pub update_policy: Option<UpdatePolicy>,
    resource_policy: Option<ResourcePolicy>,
    pub startup_boost: Option<StartupBoost>,
    pub recommenders: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UpdatePolicy {
    pub update_mode: Option<String>,
    pub min_replicas: Option<i32>,
    #[serde(rename = "evictAfterOOMSeconds")]
    pub evict_after_oom_seconds: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourcePolicy {
    container_policies: Option<Vec<ContainerPolicy>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerPolicy {
    pub container_name: Option<String>,
    pub mode: Option<String>,
    pub min_allowed: Option<BTreeMap<String, Quantity>>,
    pub max_allowed: Option<BTreeMap<String, Quantity>>,
    pub controlled_resources: Option<Vec<String>>,
    pub controlled_values: Option<String>,
    pub oom_bump_up_ratio: Option<Quantity>,
    pub oom_min_bump_up: Option<Quantity>,
    pub memory_aggregation_interval_seconds: Option<i32>,
    pub memory_aggregation_interval_count: Option<i64>,
    pub startup_boost: Option<StartupBoost>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StartupBoost {
    pub cpu: Option<CpuBoost>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuBoost {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub factor: Option<i32>,
    pub quantity: Option<Quantity>,
}

impl Draft {
    /// Reads `spec` of a whole object; a missing one counts as empty.
    pub fn from_object(object: &Value) -> Result<Self, serde_json::Error> {
        match object.get("spec") {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(spec) => Self::deserialize(spec),
        }
    }

    /// All container policies.
    pub fn container_policies(&self) -> &[ContainerPolicy] {
        self.resource_policy
            .as_ref()
            .and_then(|p| p.container_policies.as_deref())
            .unwrap_or_default()
    }
}

/// An amount with the text it was written as.
#[derive(Debug)]
pub struct Quantity {
    pub text: String,
    /// Billionths of a unit.
    pub nanos: i128,
}

/// What API servers say of a quantity that does not read.
const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(D::Error::custom(NO_QUANTITY)),
        };
        let nanos = parse_nanos(&text).map_err(|_| D::Error::custom(NO_QUANTITY))?;
        Ok(Self { text, nanos })
    }
}
