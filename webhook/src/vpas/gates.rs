//! Which fields behind feature gates a VPA may use.

use std::collections::BTreeSet;

use podfit_core::feature_gates::FeatureGates;

use super::draft::{ContainerPolicy, Draft};

/// What is allowed beyond the stable fields: what a gate opens, and on an update what the object had before, so that a gate
/// that was closed again leaves nobody with an object that cannot be written any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Allowed<'a> {
    /// `startupBoost`.
    pub startup_boost: bool,
    /// The fields of `PerVPAConfig`.
    pub per_vpa_config: bool,
    /// Update mode `InPlace`.
    pub in_place: bool,
    /// Resources besides CPU and memory.
    pub resources: BTreeSet<&'a str>,
}

impl<'a> Allowed<'a> {
    /// By `gates`, and by what `old` uses: the object before an update.
    pub fn by(gates: FeatureGates, old: Option<&'a Draft>) -> Self {
        let open = Self {
            startup_boost: gates.cpu_startup_boost,
            per_vpa_config: gates.per_vpa_config,
            in_place: gates.in_place,
            resources: BTreeSet::new(),
        };
        let Some(old) = old else { return open };
        let update = old.update_policy.as_ref();
        let policies = old.container_policies();
        Self {
            startup_boost: open.startup_boost
                || old.startup_boost.as_ref().is_some_and(|b| b.cpu.is_some())
                || policies.iter().any(|p| p.startup_boost.is_some()),
            per_vpa_config: open.per_vpa_config
                || update.is_some_and(|p| p.evict_after_oom_seconds.is_some())
                || policies.iter().any(has_per_vpa_config),
            in_place: open.in_place
                || update.is_some_and(|p| p.update_mode.as_deref() == Some("InPlace")),
            resources: policies
                .iter()
                .flat_map(|policy| policy.controlled_resources.iter().flatten())
                .map(String::as_str)
                .collect(),
        }
    }
}

fn has_per_vpa_config(policy: &ContainerPolicy) -> bool {
    policy.oom_bump_up_ratio.is_some()
        || policy.oom_min_bump_up.is_some()
        || policy.memory_aggregation_interval_seconds.is_some()
        || policy.memory_aggregation_interval_count.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Upstream's table: the object before, and whether boost and per-VPA configuration stay allowed with closed gates.
    #[test]
    fn what_an_object_has_it_may_keep() {
        let policies =
            |list: Value| json!({"spec": {"resourcePolicy": {"containerPolicies": list}}});
        let cases = [
            (json!({"spec": {"startupBoost": {"cpu": {}}}}), true, false),
            (
                policies(json!([{"startupBoost": {"cpu": {}}}])),
                true,
                false,
            ),
            (
                json!({"spec": {"updatePolicy": {"evictAfterOOMSeconds": 600}}}),
                false,
                true,
            ),
            (policies(json!([{"oomBumpUpRatio": 2}])), false, true),
            (policies(json!([{"oomMinBumpUp": 100}])), false, true),
            (
                policies(json!([{"memoryAggregationIntervalCount": 1}])),
                false,
                true,
            ),
            (
                policies(json!([{"memoryAggregationIntervalSeconds": 1}])),
                false,
                true,
            ),
            (policies(json!([{"containerName": "app"}])), false, false),
            (policies(json!([])), false, false),
            (json!({"spec": {"startupBoost": {}}}), false, false),
        ];
        let open = FeatureGates {
            cpu_startup_boost: true,
            in_place: true,
            per_vpa_config: true,
        };
        for (object, boost, per_vpa) in cases {
            let old = Draft::from_object(&object).unwrap();
            let kept = Allowed::by(FeatureGates::default(), Some(&old));
            assert_eq!(
                (kept.startup_boost, kept.per_vpa_config),
                (boost, per_vpa),
                "{object}"
            );
            let all = Allowed::by(open, Some(&old));
            assert!(
                all.startup_boost && all.per_vpa_config && all.in_place,
                "{object}"
            );
        }
        assert_eq!(
            Allowed::by(FeatureGates::default(), None),
            Allowed::default()
        );
        let old = Draft::from_object(&json!({"spec": {"updatePolicy": {"updateMode": "InPlace"}}}))
            .unwrap();
        assert!(Allowed::by(FeatureGates::default(), Some(&old)).in_place);
    }
}
