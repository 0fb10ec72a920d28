//! The rules of one container policy.

use std::collections::BTreeMap;

use super::super::draft::{ContainerPolicy, Quantity};
use super::super::field::FieldError;
use super::super::gates::Allowed;
use super::{
    Checked, Findings, NANOS_PER_MILLI, NANOS_PER_UNIT, at_least_one, boost, fraction,
    per_vpa_config,
};

const SCALING_MODES: &[&str] = &["Auto", "Off"];
const RESOURCES: &[&str] = &["cpu", "memory"];

/// Checks the policy at `path`.
pub fn check(path: &str, policy: &ContainerPolicy, allowed: &Allowed<'_>, found: &mut Findings) {
    let name = policy.container_name.as_deref();
    if name.unwrap_or_default().is_empty() {
        found.errors.push(FieldError::Required {
            path: format!("{path}.containerName"),
            detail: "",
        });
    }
    let mode = policy.mode.as_deref();
    if let Some(mode) = mode.filter(|mode| !SCALING_MODES.contains(mode)) {
        found.errors.push(FieldError::Unsupported {
            path: format!("{path}.mode"),
            value: mode.to_owned(),
            supported: SCALING_MODES,
        });
    }
    amounts(path, policy, found);
    if mode == Some("Off") && policy.controlled_values.as_deref() == Some("RequestsAndLimits") {
        found.errors.push(FieldError::Forbidden {
            path: format!("{path}.controlledValues"),
            detail: "controlledValues shouldn't be specified if container scaling mode is off",
        });
    }
    controlled_resources(path, policy, allowed, found);
    own_config(path, policy, allowed, found);
    if let Some(boost) = &policy.startup_boost {
        let path = format!("{path}.startupBoost");
        found.errors.extend(boost::check(&path, boost, allowed));
    }
}

fn amounts(path: &str, policy: &ContainerPolicy, found: &mut Findings) {
    let nothing = BTreeMap::new();
    let min = policy.min_allowed.as_ref().unwrap_or(&nothing);
    let max = policy.max_allowed.as_ref().unwrap_or(&nothing);
    for (resource, least) in min {
        let at = format!("{path}.minAllowed[{resource}]");
        found.errors.extend(fraction(&at, resource, least));
        let most = max.get(resource).filter(|most| most.nanos < least.nanos);
        found.errors.extend(most.map(|most| FieldError::Invalid {
            path: format!("{path}.maxAllowed[{resource}]"),
            value: format!("{:?}", most.text),
            detail: format!(
                "max resource for {resource} is lower than min of {:?}",
                least.text
            ),
        }));
    }
    for (resource, most) in max {
        let at = format!("{path}.maxAllowed[{resource}]");
        found.errors.extend(fraction(&at, resource, most));
    }
}

fn controlled_resources(
    path: &str,
    policy: &ContainerPolicy,
    allowed: &Allowed<'_>,
    found: &mut Findings,
) {
    for (index, resource) in policy.controlled_resources.iter().flatten().enumerate() {
        let path = format!("{path}.controlledResources[{index}]");
        if RESOURCES.contains(&resource.as_str()) {
            continue;
        }
        if allowed.resources.contains(resource.as_str()) {
            found.warnings.push(format!(
                "{path}: unsupported value {resource:?} is allowed only because it is present in the existing VPA \
                 object; supported values: \"cpu\", \"memory\""
            ));
        } else {
            found.errors.push(FieldError::Unsupported {
                path,
                value: resource.clone(),
                supported: RESOURCES,
            });
        }
    }
}

/// The fields of the gate `PerVPAConfig`.
fn own_config(path: &str, policy: &ContainerPolicy, allowed: &Allowed<'_>, found: &mut Findings) {
    let at = |field: &str| format!("{path}.{field}");
    let ratio = policy.oom_bump_up_ratio.as_ref();
    let bump = policy.oom_min_bump_up.as_ref();
    let seconds = policy.memory_aggregation_interval_seconds;
    let count = policy.memory_aggregation_interval_count;
    let fields = [
        ratio.map(|ratio| ratio_of_one(at("oomBumpUpRatio"), ratio)),
        bump.map(|bump| not_negative(at("oomMinBumpUp"), bump)),
        seconds.map(|n| at_least_one(at("memoryAggregationIntervalSeconds"), n.into())),
        count.map(|n| at_least_one(at("memoryAggregationIntervalCount"), n)),
    ];
    for (path, error) in fields.into_iter().flatten() {
        found.errors.extend(per_vpa_config(path, allowed, error));
    }
}

fn ratio_of_one(path: String, ratio: &Quantity) -> Checked {
    // In thousandths, rounded up, as upstream counts it.
    let thousandths = away_from_zero(ratio.nanos, NANOS_PER_MILLI);
    let error = (thousandths < 1000).then(|| FieldError::Invalid {
        path: path.clone(),
        value: (thousandths as f64 / 1000.0).to_string(),
        detail: "must be greater than or equal to 1.0".into(),
    });
    (path, error)
}

fn not_negative(path: String, amount: &Quantity) -> Checked {
    let bytes = away_from_zero(amount.nanos, NANOS_PER_UNIT);
    let error = (bytes < 0).then(|| FieldError::Invalid {
        path: path.clone(),
        value: bytes.to_string(),
        detail: "must be greater than or equal to 0".into(),
    });
    (path, error)
}

/// `nanos / step`, where a remainder counts as one more.
fn away_from_zero(nanos: i128, step: i128) -> i128 {
    nanos / step + (nanos % step).signum()
}
