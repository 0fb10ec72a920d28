use serde_json::{Value, json};

use super::*;
use crate::review::Answer;

fn judge(operation: &str, object: &Value, old: Option<&Value>) -> Value {
    let review = json!({"request": {
        "uid": "u", "operation": operation, "name": "web", "namespace": "shop",
        "resource": {"group": "autoscaling.k8s.io", "version": "v1", "resource": "verticalpodautoscalers"},
        "object": object, "oldObject": old
    }})
    .to_string();
    let review: crate::review::Review<'_> = serde_json::from_str(&review).unwrap();
    serde_json::to_value(Answer::from(admit(review.request.unwrap().0).1)).unwrap()["response"]
        .clone()
}

fn policy(value: &Value) -> Value {
    json!({"spec": {"resourcePolicy": {"containerPolicies": [value]}}})
}

const START: &str = "VerticalPodAutoscaler.autoscaling.k8s.io \"web\" is invalid: ";

/// Upstream's table of single errors (rules that hang on feature gates are not ours yet).
#[test]
fn each_broken_rule_is_told_in_upstreams_words() {
    let p = "spec.resourcePolicy.containerPolicies[0]";
    let mode = |m: &str| json!({"spec": {"updatePolicy": {"updateMode": m}}});
    let cases = [
        ("CREATE", json!({}), "spec.targetRef: Required value: If you're using v1beta1 version of the API, please migrate to v1".into()),
        ("UPDATE", json!({"spec": {"updatePolicy": {}}}), "spec.updatePolicy.updateMode: Required value: updateMode is required if UpdatePolicy is used".into()),
        ("UPDATE", mode("bad"), "spec.updatePolicy.updateMode: Unsupported value: \"bad\": supported values: \"InPlace\", \"InPlaceOrRecreate\", \"Initial\", \"Off\", \"Recreate\"".into()),
        ("UPDATE", json!({"spec": {"updatePolicy": {"updateMode": "Off", "minReplicas": 0}}}), "spec.updatePolicy.minReplicas: Invalid value: 0: minReplicas has to be positive".into()),
        ("UPDATE", policy(&json!({})), format!("{p}.containerName: Required value")),
        ("UPDATE", policy(&json!({"containerName": "a", "mode": "bad"})), format!("{p}.mode: Unsupported value: \"bad\": supported values: \"Auto\", \"Off\"")),
        ("UPDATE", json!({"spec": {"recommenders": [{"name": "a"}, {"name": "b"}]}}), "spec.recommenders: Too many: 2: must have at most 1 item".into()),
        ("UPDATE", policy(&json!({"containerName": "a", "minAllowed": {"cpu": "100"}, "maxAllowed": {"cpu": "10"}})), format!("{p}.maxAllowed[cpu]: Invalid value: \"10\": max resource for cpu is lower than min of \"100\"")),
        ("UPDATE", policy(&json!({"containerName": "a", "minAllowed": {"cpu": "187500u"}, "maxAllowed": {"cpu": "275m"}})), format!("{p}.minAllowed[cpu]: Invalid value: \"187500u\": must be a whole number of milli CPUs")),
        ("UPDATE", policy(&json!({"containerName": "a", "minAllowed": {"memory": "100m"}, "maxAllowed": {"memory": "500M"}})), format!("{p}.minAllowed[memory]: Invalid value: \"100m\": must be a whole number of bytes")),
        ("UPDATE", policy(&json!({"containerName": "a", "maxAllowed": {"cpu": "187500u"}})), format!("{p}.maxAllowed[cpu]: Invalid value: \"187500u\": must be a whole number of milli CPUs")),
        ("UPDATE", policy(&json!({"containerName": "a", "maxAllowed": {"memory": "500m"}})), format!("{p}.maxAllowed[memory]: Invalid value: \"500m\": must be a whole number of bytes")),
        ("UPDATE", policy(&json!({"containerName": "a", "mode": "Off", "controlledValues": "RequestsAndLimits"})), format!("{p}.controlledValues: Forbidden: controlledValues shouldn't be specified if container scaling mode is off")),
        ("UPDATE", policy(&json!({"containerName": "a", "controlledResources": ["cpu", "broken"]})), format!("{p}.controlledResources[1]: Unsupported value: \"broken\": supported values: \"cpu\", \"memory\"")),
        ("UPDATE", policy(&json!({"containerName": "a", "minAllowed": {"cpu": "lots"}})), ".: Internal error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".into()),
    ];
    for (operation, object, error) in cases {
        let verdict = judge(operation, &object, Some(&json!({})));
        assert_eq!(verdict["allowed"], false, "{object}");
        assert_eq!(
            verdict["status"]["message"],
            format!("{START}{error}"),
            "{object}"
        );
        assert_eq!(
            (&verdict["status"]["code"], &verdict["status"]["reason"]),
            (&json!(422), &json!("Invalid"))
        );
        assert!(verdict["patch"].is_null(), "a refused object gets no patch");
    }
}

#[test]
fn several_errors_are_listed_in_order() {
    let object = json!({"spec": {"updatePolicy": {"updateMode": "bad", "minReplicas": -1}}});
    let verdict = judge("CREATE", &object, None);
    let message = verdict["status"]["message"].as_str().unwrap();
    let list = message
        .strip_prefix(START)
        .and_then(|m| m.strip_prefix('['))
        .and_then(|m| m.strip_suffix(']'))
        .unwrap();
    let positions: Vec<_> = ["spec.targetRef: ", "updateMode: ", "minReplicas: "]
        .map(|p| list.find(p).unwrap())
        .into();
    assert!(positions.is_sorted(), "{list}");
}

#[test]
fn sound_objects_pass() {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    for (operation, spec) in [
        ("UPDATE", json!({})),
        ("UPDATE", json!(null)),
        (
            "CREATE",
            json!({"targetRef": target, "updatePolicy": {"updateMode": "InPlaceOrRecreate"}}),
        ),
        (
            "CREATE",
            json!({"targetRef": target, "updatePolicy": {"updateMode": "InPlace", "minReplicas": 1}}),
        ),
        (
            "CREATE",
            json!({"targetRef": target, "updatePolicy": {"updateMode": "Off", "minReplicas": 1}, "recommenders": null,
                "resourcePolicy": {"containerPolicies": [{"containerName": "*", "mode": "Auto", "controlledResources": [],
                    "minAllowed": {"cpu": 10, "memory": "1.5Gi", "nvidia.com/gpu": "1m"}, "maxAllowed": {"cpu": "100"}}]}}),
        ),
    ] {
        let verdict = judge(operation, &json!({"spec": spec}), None);
        assert_eq!(verdict["allowed"], true, "{spec}: {verdict}");
        assert!(verdict["warnings"].is_null());
    }
}

#[test]
fn what_is_deprecated_or_was_there_before_only_warns() {
    let auto = judge(
        "UPDATE",
        &json!({"spec": {"updatePolicy": {"updateMode": "Auto"}}}),
        None,
    );
    assert_eq!(
        auto["warnings"],
        json!([
            "spec.updatePolicy: \"Auto\" mode is deprecated and will be removed in a future API version. Use explicit update modes like: [InPlace InPlaceOrRecreate Initial Off Recreate]. See https://github.com/kubernetes/autoscaler/issues/8424 for more details."
        ])
    );
    let broken = policy(&json!({"containerName": "a", "controlledResources": ["broken"]}));
    let kept = judge("UPDATE", &broken, Some(&broken));
    assert_eq!(
        (&kept["allowed"], kept["warnings"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
}

#[test]
fn only_a_missing_update_policy_is_filled_in() {
    let target = json!({"kind": "Deployment", "name": "web"});
    let cases = [
        (json!({"spec": {"targetRef": target}}), true),
        (
            json!({"spec": {"targetRef": target, "updatePolicy": null}}),
            true,
        ),
        (
            json!({"spec": {"targetRef": target, "updatePolicy": {"updateMode": "Off"}}}),
            false,
        ),
        (json!({}), false),
    ];
    for (mut object, filled) in cases {
        let patch = defaults(&object);
        assert_eq!(!patch.0.is_empty(), filled, "{object}");
        json_patch::patch(&mut object, &patch).unwrap();
        if filled {
            assert_eq!(object["spec"]["updatePolicy"]["updateMode"], "Recreate");
        }
    }
}
