//! The fields that the API server names when somebody else has set them.

use serde_json::Value;

use crate::calls::CallError;

/// Of one conflict, as in `.spec.updatePolicy.updateMode`; none when the error is no conflict of server-side apply.
pub fn in_conflict(error: &CallError) -> Vec<String> {
    let CallError::Failed {
        source: kube::Error::Api(status),
        ..
    } = error
    else {
        return Vec::new();
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut fields: Vec<_> = causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| cause.field.clone())
        .collect();
    fields.sort();
    // Several others may have set the same.
    fields.dedup();
    fields
}

/// Takes a field out of `object`; false for those that make it podfit's, and for those that are not found.
pub fn remove(object: &mut Value, field: &str) -> bool {
    const ANNOTATIONS: &str = ".metadata.annotations.";
    if let Some(name) = field.strip_prefix(ANNOTATIONS) {
        let is_mark = name == podfit_core::opt_in::OPTED_IN_ANNOTATION;
        let annotations = object["metadata"]["annotations"].as_object_mut();
        return !is_mark && annotations.is_some_and(|all| all.remove(name).is_some());
    }
    let Some(path) = field.strip_prefix(".spec.updatePolicy.") else {
        return false;
    };
    // Lists are set as a whole.
    let name = path.split(['.', '[']).next().unwrap_or(path);
    let policy = object["spec"]["updatePolicy"].as_object_mut();
    policy.is_some_and(|policy| policy.remove(name).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conflicts_are_read_and_their_fields_taken_out() {
        let status = json!({
            "kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed with 3 conflicts",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\"", "field": ".spec.updatePolicy.updateMode"},
                {"reason": "FieldManagerConflict", "message": "conflict with \"helm\"", "field": ".spec.updatePolicy.updateMode"},
                {"reason": "FieldManagerConflict", "message": "", "field": ".metadata.annotations.podfit.dev/limits"},
                {"reason": "FieldValueInvalid", "message": "", "field": "spec.x"},
            ]},
        });
        let error = |status: Value| CallError::Failed {
            what: "apply VPA".into(),
            source: kube::Error::Api(serde_json::from_value(status).unwrap()),
        };
        let fields = in_conflict(&error(status));
        let both = [
            ".metadata.annotations.podfit.dev/limits",
            ".spec.updatePolicy.updateMode",
        ];
        assert_eq!(fields, both);
        let old =
            json!({"kind": "Status", "code": 409, "reason": "Conflict", "message": "old version"});
        assert!(in_conflict(&error(old)).is_empty());

        let mut object = json!({
            "metadata": {"annotations": {"podfit.dev/limits": "keep", "podfit.dev/opted-in": "x"}},
            "spec": {"updatePolicy": {"updateMode": "Off", "minReplicas": 2}, "targetRef": {"name": "web"}},
        });
        for field in both {
            assert!(remove(&mut object, field), "{field}");
        }
        for field in [
            ".spec.targetRef.name",
            ".metadata.annotations.podfit.dev/opted-in",
            ".metadata.labels.app.kubernetes.io/managed-by",
            ".metadata.ownerReferences[uid=\"1\"]",
            ".spec.updatePolicy.updateMode",
        ] {
            assert!(!remove(&mut object, field), "{field}");
        }
        assert_eq!(
            object,
            json!({
                "metadata": {"annotations": {"podfit.dev/opted-in": "x"}},
                "spec": {"updatePolicy": {"minReplicas": 2}, "targetRef": {"name": "web"}},
            })
        );
    }
}
