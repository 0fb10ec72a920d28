//! The rules of upstream's validation, in its order and with its texts.

mod boost;
mod container;

use super::draft::{Draft, Quantity, UpdatePolicy};
use super::field::FieldError;
use super::gates::Allowed;

const UPDATE_MODES: &[&str] = &["InPlace", "InPlaceOrRecreate", "Initial", "Off", "Recreate"];

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

/// Checks a VPA.
pub fn check(new: &Draft, allowed: &Allowed<'_>, create: bool) -> Findings {
    let mut found = Findings::default();
    if create && new.target_ref.is_none() {
        found.errors.push(FieldError::Required {
            path: "spec.targetRef".into(),
            detail: "If you're using v1beta1 version of the API, please migrate to v1",
        });
    }
    if let Some(policy) = &new.update_policy {
        update_policy(policy, allowed, &mut found);
    }
    for (index, policy) in new.container_policies().iter().enumerate() {
        let path = format!("spec.resourcePolicy.containerPolicies[{index}]");
        container::check(&path, policy, allowed, &mut found);
    }
    if let Some(boost) = &new.startup_boost {
        found
            .errors
            .extend(boost::check("spec.startupBoost", boost, allowed));
    }
    let recommenders = new.recommenders.as_ref().map_or(0, Vec::len);
    if recommenders > 1 {
        found.errors.push(FieldError::TooMany {
            path: "spec.recommenders",
            count: recommenders,
            most: 1,
        });
    }
    found
}

fn update_policy(policy: &UpdatePolicy, allowed: &Allowed<'_>, found: &mut Findings) {
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
        Some("InPlace") if !allowed.in_place => found.errors.push(FieldError::Forbidden {
            path: path(),
            detail: "in order to use UpdateMode InPlace, you must enable feature gate InPlace in the \
                     admission-controller args",
        }),
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
    if let Some(seconds) = policy.evict_after_oom_seconds {
        let path = "spec.updatePolicy.evictAfterOOMSeconds".to_owned();
        let (path, error) = at_least_one(path, seconds.into());
        found.errors.extend(per_vpa_config(path, allowed, error));
    }
}

/// A field, and what is wrong with it.
type Checked = (String, Option<FieldError>);

/// `error`, unless the field at `path` is not allowed at all.
fn per_vpa_config(
    path: String,
    allowed: &Allowed<'_>,
    error: Option<FieldError>,
) -> Option<FieldError> {
    if allowed.per_vpa_config {
        return error;
    }
    Some(FieldError::Forbidden {
        path,
        detail: "not supported when feature flag PerVPAConfig is disabled",
    })
}

fn at_least_one(path: String, number: i64) -> Checked {
    let error = (number < 1).then(|| FieldError::Invalid {
        path: path.clone(),
        value: number.to_string(),
        detail: "must be greater than or equal to 1".into(),
    });
    (path, error)
}

/// An amount finer than what a container can be given. Other resources than these two are not looked at.
fn fraction(path: &str, resource: &str, quantity: &Quantity) -> Option<FieldError> {
    let (step, detail) = match resource {
        "cpu" => (NANOS_PER_MILLI, "must be a whole number of milli CPUs"),
        "memory" => (NANOS_PER_UNIT, "must be a whole number of bytes"),
        _ => return None,
    };
    (quantity.nanos % step != 0).then(|| FieldError::Invalid {
        path: path.into(),
        value: format!("{:?}", quantity.text),
        detail: detail.into(),
    })
}
