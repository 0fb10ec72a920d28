//! Checks VPAs as they are written, and fills in the update policy.

mod draft;
mod field;
mod gates;
mod rules;
mod target;

use json_patch::Patch;
use podfit_core::feature_gates::FeatureGates;
use podfit_core::horizontal::{HORIZONTAL_ANNOTATION, Horizontal};
use podfit_core::policy::{LIMITS_ANNOTATION, LimitPolicies};
use podfit_core::window::{Maintenance, WINDOW_ANNOTATION};
use serde_json::{Value, json};

use crate::metrics::Outcome;
use crate::patch;
use crate::review::{Refusal, Request, Response};
use draft::Draft;
use field::FieldError;
use gates::Allowed;
use rules::Findings;

/// Lets a sound VPA through, with the default update policy where it has none, and refuses one that breaks a rule.
pub fn admit(request: Request<'_>, gates: FeatureGates) -> (Outcome, Response) {
    let Some(object) = request.object else {
        return (Outcome::Skipped, Response::allow(request.uid)); // a deletion
    };
    let judged = read(object.get()).map(|(object, new)| {
        let old = request
            .old_object
            .and_then(|old| read(old.get()).ok())
            .map(|(_, old)| old);
        let allowed = Allowed::by(gates, old.as_ref());
        let create = request.operation == "CREATE";
        (object, rules::check(&new, &allowed, create))
    });
    let refuse = |uid, errors: &[FieldError]| {
        let message = message(request.name.as_deref().unwrap_or_default(), errors);
        tracing::info!(
            namespace = request.namespace,
            name = request.name,
            why = message,
            "refused a VPA"
        );
        (
            Outcome::Error,
            Response::refuse(uid, Refusal::invalid(message)),
        )
    };
    let (
        object,
        Findings {
            errors,
            mut warnings,
        },
    ) = match judged {
        Ok(judged) => judged,
        Err(unreadable) => return refuse(request.uid, &[FieldError::Internal(unreadable)]),
    };
    warnings.extend(annotation_warnings(&object));
    warnings.extend(target::warning(&object));
    if !errors.is_empty() {
        return refuse(request.uid, &errors);
    }
    let patch = defaults(&object);
    let outcome = if patch.0.is_empty() {
        Outcome::Skipped
    } else {
        Outcome::Applied
    };
    match Response::allow(request.uid.clone()).with_patch(&patch) {
        Ok(response) => (outcome, response.with_warnings(warnings)),
        Err(error) => {
            tracing::error!(error = %error, "cannot write the defaults of a VPA; let it through without");
            (Outcome::Error, Response::allow(request.uid))
        }
    }
}

fn read(text: &str) -> Result<(Value, Draft), String> {
    let object: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    // Through a value, because errors of text end in a line and a column that the author of the VPA never wrote.
    let draft = Draft::from_object(&object).map_err(|e| e.to_string())?;
    Ok((object, draft))
}

/// Which of our own annotations are not understood.
fn annotation_warnings(object: &Value) -> impl Iterator<Item = String> {
    let annotations = &object["metadata"]["annotations"];
    let limits = |text: &str| Some(LimitPolicies::parse(text).err()?.to_string());
    let window = |text: &str| match Maintenance::parse(text) {
        Maintenance::NotUnderstood { why } => Some(format!("{why}; no pod is disrupted")),
        _ => None,
    };
    let warning = |name: &str, problem: &dyn Fn(&str) -> Option<String>| {
        let why = problem(annotations[name].as_str()?)?;
        Some(format!("metadata.annotations[{name}]: {why}"))
    };
    let horizontal = |text: &str| Some(Horizontal::parse(text).err()?.to_string());
    let all = [
        warning(HORIZONTAL_ANNOTATION, &horizontal),
        warning(LIMITS_ANNOTATION, &limits),
        warning(WINDOW_ANNOTATION, &window),
    ];
    all.into_iter().flatten()
}

/// An update policy for a VPA that has none.
fn defaults(object: &Value) -> Patch {
    let spec = object.get("spec").filter(|spec| spec.is_object());
    match spec {
        Some(spec) if spec.get("updatePolicy").is_none_or(Value::is_null) => {
            Patch(vec![patch::add(
                &["spec", "updatePolicy"],
                json!({"updateMode": "Recreate"}),
            )])
        }
        _ => Patch::default(),
    }
}

/// The text of an "Invalid" error as API servers write it.
fn message(name: &str, errors: &[FieldError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let joined = match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    format!("VerticalPodAutoscaler.autoscaling.k8s.io {name:?} is invalid: {joined}")
}

#[cfg(test)]
mod tests;
