use serde_json::{Value, json};

use super::*;
use crate::review::Answer;

fn judge(operation: &str, object: &Value, old: Option<&Value>, gates: FeatureGates) -> Value {
    let review = json!({"request": {
        "uid": "u", "operation": operation, "name": "web", "namespace": "shop",
        "resource": {"group": "autoscaling.k8s.io", "version": "v1", "resource": "verticalpodautoscalers"},
        "object": object, "oldObject": old
    }})
    .to_string();
    let review: crate::review::Review<'_> = serde_json::from_str(&review).unwrap();
    let (_, response) = admit(review.request.unwrap().0, gates);
    serde_json::to_value(Answer::from(response)).unwrap()["response"].clone()
}

/// The gates of `--feature-gates`.
fn gates(text: &str) -> FeatureGates {
    let settings: Vec<_> = text
        .split(',')
        .filter(|setting| !setting.is_empty())
        .map(|setting| setting.parse().unwrap())
        .collect();
    FeatureGates::default().with(&settings)
}

/// Upstream's table, and the rows that it lacks: each broken rule in its words, and what passes. All gates are off unless a
/// row says otherwise.
#[test]
fn every_rule_is_told_in_upstreams_words() {
    let table = include_str!("../../testdata/vpa-validation.json");
    let rows: Vec<Value> = serde_json::from_str(table).unwrap();
    for row in &rows {
        let case = row["case"].as_str().unwrap();
        let spec = |name: &str| json!({"spec": row[name]});
        let old = row.get("old").map(|_| spec("old"));
        let gates = gates(row["gates"].as_str().unwrap_or_default());
        let operation = row["operation"].as_str().unwrap();
        let verdict = judge(operation, &spec("spec"), old.as_ref(), gates);

        let errors: Vec<_> = row["errors"].as_array().unwrap().iter().collect();
        let told = match errors.as_slice() {
            [] => Value::Null,
            [one] => one.as_str().unwrap().into(),
            several => {
                let texts: Vec<_> = several.iter().map(|e| e.as_str().unwrap()).collect();
                format!("[{}]", texts.join(", ")).into()
            }
        };
        let start = "VerticalPodAutoscaler.autoscaling.k8s.io \"web\" is invalid: ";
        let message = verdict["status"]["message"].as_str();
        assert_eq!(verdict["allowed"], errors.is_empty(), "{case}: {verdict}");
        assert_eq!(
            message.map_or(Value::Null, |m| m.strip_prefix(start).into()),
            told,
            "{case}"
        );
        assert_eq!(verdict["warnings"], row["warnings"], "{case}");
        if !errors.is_empty() {
            let status = (&verdict["status"]["code"], &verdict["status"]["reason"]);
            assert_eq!(status, (&json!(422), &json!("Invalid")), "{case}");
            assert!(
                verdict["patch"].is_null(),
                "{case}: a refused object gets no patch"
            );
        }
    }
    assert!(rows.len() > 70, "the table was cut");
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

#[test]
fn a_family_that_no_pod_can_name_is_told() {
    let long = "x".repeat(64);
    let rows = [
        ("podfit.dev/v1", "etl-nightly", ""),
        ("podfit.dev/v1", &long[1..], ""),
        ("apps/v1", "etl", "spec.targetRef.apiVersion: \"apps/v1\""),
        (
            "podfit.dev/v1",
            "etl nightly",
            "spec.targetRef.name: \"etl nightly\"",
        ),
        ("podfit.dev/v1", "etl-", "spec.targetRef.name: \"etl-\""),
        ("podfit.dev/v1", "", "spec.targetRef.name: \"\""),
        ("podfit.dev/v1", &long, "spec.targetRef.name: \"xxx"),
    ];
    for (api_version, name, want) in rows {
        let target = json!({"apiVersion": api_version, "kind": "PodFamily", "name": name});
        let object = json!({"spec": {"targetRef": target}});
        let verdict = judge("CREATE", &object, None, FeatureGates::default());
        assert_eq!(verdict["allowed"], true);
        let warning = verdict["warnings"][0].as_str().unwrap_or_default();
        assert_eq!(warning.is_empty(), want.is_empty(), "{verdict}");
        assert!(warning.starts_with(want), "{verdict}");
    }
}

#[test]
fn an_annotation_that_is_not_understood_is_told() {
    let rows = [
        ("limits", "cpu=none", ""),
        ("limits", "cpu=double", "\"double\" is none of"),
        ("horizontal", "yield", ""),
        ("horizontal", "both", "\"both\" is none of"),
        ("window", "Sun 01:00-05:00 Europe/Berlin", ""),
        ("window", "Sun", "\"Sun\" is no window"),
    ];
    for (name, text, why) in rows {
        let object = json!({
            "metadata": {"annotations": {format!("podfit.dev/{name}"): text}},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}}
        });
        let verdict = judge("CREATE", &object, None, FeatureGates::default());
        assert_eq!(verdict["allowed"], true);
        let warning = verdict["warnings"][0].as_str().unwrap_or_default();
        let want = format!("metadata.annotations[podfit.dev/{name}]: {why}");
        assert_eq!(warning.is_empty(), why.is_empty(), "{verdict}");
        assert!(why.is_empty() || warning.starts_with(&want), "{verdict}");
    }
}
