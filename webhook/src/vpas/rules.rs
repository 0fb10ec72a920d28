//! The rules of upstream's validation, in its order and with its texts.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{ContainerPolicy, Draft, Quantity, UpdatePolicy};
use super::field::FieldError;

const UPDATE_MODES: &[&str] = &["InPlace", "InPlaceOrRecreate", "Initial", "Off", "Recreate"];
const SCALING_MODES: &[&str] = &["Auto", "Off"];
const RESOURCES: &[&str] = &["cpu", "memory"];

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// What is wrong with a VPA, and what is merely unwise.
#[derive(Debug, Default)]
pub struct Findings {
    /// Any of these refuses it.
    pub errors: Vec<FieldError>,
    /// Shown to the author.
    pub warnings: Vec<String>,
}

/// Checks a VPA. What `old` already had may stay, with a warning.
pub fn check(new: &Draft, old: Option<&Draft>, create: bool) -> Findings {
    let mut found = Findings::default();
    if create && new.target_ref.is_none() {
        found.errors.push(FieldError::Required {
            path: "spec.targetRef".into(),
            detail: "If you're using v1beta1 version of the API, please migrate to v1",
        });
    }
    if let Some(policy) = &new.update_policy {
        update_policy(policy, &mut found);
    }
    let recommenders = new.recommenders.as_ref().map_or(0, Vec::len);
    if recommenders > 1 {
        found.errors.push(FieldError::TooMany {
            path: "spec.recommenders",
            count: recommenders,
            most: 1,
        });
    }
    let grandfathered: BTreeSet<&str> = old
        .into_iter()
        .flat_map(Draft::container_policies)
        .flat_map(|policy| policy.controlled_resources.iter().flatten())
        .map(String::as_str)
        .collect();
    for (index, policy) in new.container_policies().iter().enumerate() {
        let path = format!("spec.resourcePolicy.containerPolicies[{index}]");
        container_policy(&path, policy, &mut found);
        controlled_resources(&path, policy, &grandfathered, &mut found);
    }
    found
}

fn update_policy(policy: &UpdatePolicy, found: &mut Findings) {
    let path = || "spec.updatePolicy.updateMode".to_owned();
    match policy.update_mode.as_deref() {
        None => found.errors.push(FieldError::Required {
            path: path(),
            detail: "updateMode is required if UpdatePolicy is used",
        }),
        Some("Auto") => found.warnings.push(format!(
            "spec.updatePolicy: \"Auto\" mode is deprecated and will be removed in a future API version. Use explicit \
             update modes like: [{}]. See https://github.com/kubernetes/autoscaler/issues/8424 for more details.",
            UPDATE_MODES.join(" ")
        )),
        Some(mode) if !UPDATE_MODES.contains(&mode) => found.errors.push(FieldError::Unsupported {
            path: path(),
            value: mode.to_owned(),
            supported: UPDATE_MODES,
        }),
        Some(_) => {}
    }
    if let Some(replicas) = policy.min_replicas.filter(|replicas| *replicas <= 0) {
        found.errors.push(FieldError::Invalid {
            path: "spec.updatePolicy.minReplicas".into(),
            value: replicas.to_string(),
            detail: "minReplicas has to be positive".into(),
        });
    }
}

fn container_policy(path: &str, policy: &ContainerPolicy, found: &mut Findings) {
    if policy
        .container_name
        .as_deref()
        .unwrap_or_default()
        .is_empty()
    {
        found.errors.push(FieldError::Required {
            path: format!("{path}.containerName"),
            detail: "",
        });
    }
    if let Some(mode) = policy
        .mode
        .as_deref()
        .filter(|mode| !SCALING_MODES.contains(mode))
    {
        found.errors.push(FieldError::Unsupported {
            path: format!("{path}.mode"),
            value: mode.to_owned(),
            supported: SCALING_MODES,
        });
    }
    let nothing = BTreeMap::new();
    let min = policy.min_allowed.as_ref().unwrap_or(&nothing);
    let max = policy.max_allowed.as_ref().unwrap_or(&nothing);
    for (resource, least) in min {
        found
            .errors
            .extend(fraction(&format!("{path}.minAllowed"), resource, least));
        found.errors.extend(
            max.get(resource)
                .filter(|most| most.nanos < least.nanos)
                .map(|most| FieldError::Invalid {
                    path: format!("{path}.maxAllowed[{resource}]"),
                    value: format!("{:?}", most.text),
                    detail: format!(
                        "max resource for {resource} is lower than min of {:?}",
                        least.text
                    ),
                }),
        );
    }
    for (resource, most) in max {
        found
            .errors
            .extend(fraction(&format!("{path}.maxAllowed"), resource, most));
    }
    let off = policy.mode.as_deref() == Some("Off");
    if off && policy.controlled_values.as_deref() == Some("RequestsAndLimits") {
        found.errors.push(FieldError::Forbidden {
            path: format!("{path}.controlledValues"),
            detail: "controlledValues shouldn't be specified if container scaling mode is off",
        });
    }
}

/// Amounts finer than what a container can be given.
fn fraction(path: &str, resource: &str, quantity: &Quantity) -> Option<FieldError> {
    let (step, detail) = match resource {
        "cpu" => (NANOS_PER_MILLI, "must be a whole number of milli CPUs"),
        "memory" => (NANOS_PER_UNIT, "must be a whole number of bytes"),
        _ => return None,
    };
    (quantity.nanos % step != 0).then(|| FieldError::Invalid {
        path: format!("{path}[{resource}]"),
        value: format!("{:?}", quantity.text),
        detail: detail.into(),
    })
}

fn controlled_resources(
    path: &str,
    policy: &ContainerPolicy,
    grandfathered: &BTreeSet<&str>,
    found: &mut Findings,
) {
    for (index, resource) in policy.controlled_resources.iter().flatten().enumerate() {
        let path = format!("{path}.controlledResources[{index}]");
        if RESOURCES.contains(&resource.as_str()) {
            continue;
        }
        if grandfathered.contains(resource.as_str()) {
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
