use podfit_core::policy::{LimitPolicies, LimitPolicy};
use podfit_core::window::Maintenance;

use super::*;

fn vpa(spec: &Value, status: &Value) -> Vpa {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "web", "generation": 3},
        "spec": spec, "status": status
    });
    Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
}

#[test]
fn a_full_object_is_read() {
    let vpa = vpa(
        &json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "updatePolicy": {"updateMode": "InPlaceOrRecreate", "minReplicas": 1, "evictionRequirements":
                [{"resources": ["cpu", "memory"], "changeRequirement": "TargetHigherThanRequests"}]},
            "resourcePolicy": {"containerPolicies": [{"containerName": "*", "minAllowed": {"cpu": 1, "memory": "64Mi"},
                "controlledResources": [], "controlledValues": "RequestsOnly"}]},
            "startupBoost": {"cpu": {"type": "Quantity", "quantity": "500m", "durationSeconds": 10}},
            "recommenders": [{"name": "gpu"}]
        }),
        &json!({"recommendation": {"containerRecommendations": [{"containerName": "app", "target": {"cpu": "250m", "memory": "1Gi"}}]},
            "conditions": [{"type": "RecommendationProvided", "status": "True"}]}),
    );
    assert_eq!(vpa.problems, Vec::<String>::new());
    let room = (
        vpa.container_policies.capacity(),
        vpa.recommendation.as_ref().map(Vec::capacity),
        vpa.conditions.capacity(),
        vpa.recommenders.capacity(),
    );
    assert_eq!(room, (1, Some(1), 1, 1), "as many as there are");
    assert_eq!(vpa.target.as_ref().unwrap().name, "web");
    assert_eq!(
        (vpa.update_mode, vpa.min_replicas),
        (UpdateMode::InPlaceOrRecreate, Some(1))
    );
    assert_eq!(vpa.eviction_requirements[0].resources, Resource::ALL);
    let boost = CpuBoost {
        by: BoostBy::Quantity(Millicores(500)),
        lasts: Duration::from_secs(10),
    };
    assert_eq!(vpa.startup_boost, Some(StartupBoost { cpu: Some(boost) }));
    let policy = &vpa.container_policies[0];
    assert_eq!(
        policy.min_allowed,
        ResourceList {
            cpu: Some(Millicores(1000)),
            memory: Some(Bytes(64 << 20))
        }
    );
    assert!(policy.requests_only && policy.controlled_resources.as_ref().unwrap().is_empty());
    assert_eq!(
        vpa.recommendation_for("app").unwrap().target.memory,
        Some(Bytes(1 << 30))
    );
    assert_eq!(vpa.conditions[0].kind, "RecommendationProvided");
}

/// Every field of the wrong type or with an impossible value: the rest still holds, and the operator is told.
#[test]
fn a_bad_field_costs_that_field() {
    let cases = [
        (json!(null), "spec.targetRef"),
        (json!({"targetRef": null}), "spec.targetRef"),
        (json!({"targetRef": 7}), "spec.targetRef"),
        (
            json!({"updatePolicy": {"updateMode": "Sometimes"}}),
            "spec.updatePolicy.updateMode",
        ),
        (
            json!({"updatePolicy": {"updateMode": 7}}),
            "spec.updatePolicy.updateMode",
        ),
        (json!({"updatePolicy": [7]}), "spec.updatePolicy"),
        (json!({"resourcePolicy": "none"}), "spec.resourcePolicy"),
        (
            json!({"resourcePolicy": {"containerPolicies": {}}}),
            "spec.resourcePolicy",
        ),
        (
            json!({"updatePolicy": {"evictionRequirements": [{"changeRequirement": "Up"}]}}),
            "spec.updatePolicy.evictionRequirements",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"minAllowed": {"cpu": "lots"}}]}}),
            "spec.resourcePolicy.containerPolicies[0].minAllowed",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"maxAllowed": {"memory": "-1Gi"}}]}}),
            "spec.resourcePolicy.containerPolicies[0].maxAllowed",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"oomBumpUpRatio": "900m"}]}}),
            "spec.resourcePolicy.containerPolicies[0].oomBumpUpRatio",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"oomMinBumpUp": "-1"}]}}),
            "spec.resourcePolicy.containerPolicies[0].oomMinBumpUp",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"memoryAggregationIntervalSeconds": 0}]}}),
            "spec.resourcePolicy.containerPolicies[0].memoryAggregationIntervalSeconds",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"memoryAggregationIntervalCount": "4"}]}}),
            "spec.resourcePolicy.containerPolicies[0].memoryAggregationIntervalCount",
        ),
        (
            json!({"updatePolicy": {"evictAfterOOMSeconds": -5}}),
            "spec.updatePolicy.evictAfterOOMSeconds",
        ),
        (
            json!({"resourcePolicy": {"containerPolicies": [{"controlledResources": ["gpu"]}]}}),
            "spec.resourcePolicy.containerPolicies[0].controlledResources",
        ),
    ];
    for (spec, path) in cases {
        let vpa = vpa(&spec, &json!({"conditions": "none", "recommendation": []}));
        assert!(
            vpa.problems.iter().any(|p| p.starts_with(path)),
            "{spec}: {:?}",
            vpa.problems
        );
        assert_eq!(vpa.name, "web");
    }
}

#[test]
fn an_unknown_mode_never_evicts() {
    for policy in [
        json!({"updateMode": "Sometimes"}),
        json!({"updateMode": 7}),
        json!([7]),
    ] {
        let vpa = vpa(&json!({ "updatePolicy": policy }), &json!({}));
        assert_eq!(vpa.update_mode, UpdateMode::Off);
    }
    for policy in [json!(null), json!({}), json!({"updateMode": ""})] {
        let vpa = vpa(&json!({ "updatePolicy": policy }), &json!({}));
        assert_eq!(vpa.update_mode, UpdateMode::Recreate);
    }
}

#[test]
fn what_is_written_reads_back() {
    let recommendation = vec![ContainerRecommendation {
        container_name: "app".into(),
        target: ResourceList {
            cpu: Some(Millicores(476)),
            memory: Some(Bytes(380_258_472)),
        },
        ..ContainerRecommendation::default()
    }];
    let conditions = vec![Condition {
        kind: "RecommendationProvided".into(),
        status: "True".into(),
        last_transition: time::parse("2026-11-24T10:11:12Z"),
        ..Condition::default()
    }];
    let status = json!({
        "recommendation": recommendation_to_json(&recommendation),
        "conditions": conditions_to_json(&conditions)
    });
    let vpa = vpa(&json!({}), &status);
    assert_eq!(vpa.recommendation, Some(recommendation));
    assert_eq!(vpa.conditions, conditions);
}

#[test]
fn policies_of_histories_are_read() {
    let policy = json!({
        "containerName": "app", "oomBumpUpRatio": "1.5", "oomMinBumpUp": "50Mi",
        "memoryAggregationIntervalSeconds": 3600, "memoryAggregationIntervalCount": 4
    });
    let spec = json!({
        "resourcePolicy": {"containerPolicies": [policy, {"containerName": "*"}]},
        "updatePolicy": {"evictAfterOOMSeconds": 60}
    });
    let vpa = vpa(&spec, &json!({}));
    let expected = HistoryPolicy {
        oom_bump_up_ratio: Some(1500),
        oom_min_bump_up: Some(Bytes(50 << 20)),
        memory_interval: Some(Duration::from_hours(1)),
        memory_interval_count: Some(4),
    };
    let read: Vec<_> = vpa.container_policies.iter().map(|p| p.history).collect();
    assert_eq!(read, [expected, HistoryPolicy::default()]);
    assert_eq!(vpa.evict_after_oom, Some(Duration::from_mins(1)));
}

/// Vectors 12.2, what is refused: it boosts nothing, nor does it stand in the way.
#[test]
fn a_boost_that_is_not_understood_boosts_nothing() {
    let cases = [
        (json!({}), ""),
        (json!({"cpu": null}), ""),
        (
            json!({"cpu": {"type": "Factor", "factor": 0}}),
            "spec.startupBoost.cpu: boost factor must be >= 1",
        ),
        (
            json!({"cpu": {"factor": null}}),
            "spec.startupBoost.cpu: boost factor must be >= 1",
        ),
        (
            json!({"cpu": {"type": "Quantity", "quantity": "-1"}}),
            "spec.startupBoost.cpu: quantity is negative",
        ),
        (
            json!({"cpu": {"type": "Invalid", "factor": 2}}),
            "spec.startupBoost.cpu: unsupported startup boost type: Invalid",
        ),
    ];
    for (boost, problem) in cases {
        let vpa = vpa(&json!({ "startupBoost": boost }), &json!({}));
        assert_eq!(vpa.startup_boost, Some(StartupBoost::default()), "{boost}");
        let told = |p: &&String| p.starts_with("spec.startupBoost");
        let told = vpa.problems.iter().find(told);
        assert!(
            told.map_or(problem.is_empty(), |p| p.starts_with(problem)),
            "{boost}: {told:?}"
        );
    }
}

#[test]
fn the_annotation_on_limits_is_read() {
    let read = |text: &str| {
        let object = json!({"metadata": {"annotations": {"podfit.dev/limits": text}}});
        Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
    };
    let good = read("memory=headroom=64Mi");
    assert_eq!(good.limits.memory, LimitPolicy::Headroom(64 << 20));
    let bad = read("double");
    assert_eq!(bad.limits, LimitPolicies::default());
    let told = |p: &String| p.starts_with("metadata.annotations[podfit.dev/limits]: \"double\"");
    assert!(bad.problems.iter().any(told), "{:?}", bad.problems);
}

#[test]
fn how_requests_go_down_is_read() {
    use podfit_core::policy::ScaleDown;
    let read = |text: &str| {
        let object = json!({"metadata": {"annotations": {"podfit.dev/scale-down": text}}});
        Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
    };
    assert_eq!(read("never").scale_down, ScaleDown::Never);
    let odd = read("often");
    assert_eq!(odd.scale_down, ScaleDown::Free);
    let told = |p: &String| p.starts_with("metadata.annotations[podfit.dev/scale-down]: \"often\"");
    assert!(odd.problems.iter().any(told), "{:?}", odd.problems);
}

#[test]
fn the_annotation_on_hpas_is_read() {
    use podfit_core::horizontal::Horizontal;
    let read = |text: &str| {
        let object = json!({"metadata": {"annotations": {"podfit.dev/horizontal": text}}});
        Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
    };
    assert_eq!(read("realign").horizontal, Some(Horizontal::Realign));
    let odd = read("both");
    assert_eq!(odd.horizontal, None);
    let told = |p: &String| p.starts_with("metadata.annotations[podfit.dev/horizontal]: \"both\"");
    assert!(odd.problems.iter().any(told), "{:?}", odd.problems);
}

#[test]
fn the_annotation_on_estimators_is_read() {
    use podfit_core::estimator::Method;
    let read = |text: &str| {
        let object = json!({"metadata": {"annotations": {"podfit.dev/estimator": text}}});
        Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
    };
    assert_eq!(read("adaptive").method, Some(Method::Adaptive));
    assert_eq!(read("histogram").method, Some(Method::Histogram));
    let odd = read("best");
    assert_eq!(odd.method, None);
    let told = |p: &String| p.starts_with("metadata.annotations[podfit.dev/estimator]: \"best\"");
    assert!(odd.problems.iter().any(told), "{:?}", odd.problems);
}

#[test]
fn the_annotation_on_windows_is_read() {
    let read = |text: Option<&str>| {
        let annotations = text.map(|text| json!({"podfit.dev/window": text}));
        let object = json!({"metadata": {"annotations": annotations}});
        Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
    };
    assert_eq!(read(None).maintenance, Maintenance::Always);
    let good = read(Some("Sun 01:00-05:00 Europe/Berlin"));
    assert!(matches!(good.maintenance, Maintenance::Within(_)));
    let bad = read(Some("Sun"));
    assert!(matches!(bad.maintenance, Maintenance::NotUnderstood { .. }));
    let told = |p: &String| p.starts_with("metadata.annotations[podfit.dev/window]: \"Sun\"");
    assert!(bad.problems.iter().any(told), "{:?}", bad.problems);
}
