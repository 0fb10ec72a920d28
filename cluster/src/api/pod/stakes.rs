//! What a pod's spec tells of the cost of losing it.

use podfit_core::pod::Stakes;

use super::super::object::Object;
use super::{Spec, SpecContainer};

pub(super) fn read(spec: &Spec) -> Stakes {
    let is = |text: &Option<String>, words: [&str; 2]| {
        text.as_deref().is_some_and(|text| words.contains(&text))
    };
    let mut containers = spec.containers.iter().chain(&spec.init_containers);
    let claims = spec.resource_claims.as_ref();
    Stakes {
        runs_to_completion: is(&spec.restart_policy, ["Never", "OnFailure"]),
        holds_devices: claims.is_some_and(|claims| !claims.is_empty())
            || containers.any(|Object(c)| has_extended_resources(c)),
        is_critical: is(
            &spec.priority_class_name,
            ["system-cluster-critical", "system-node-critical"],
        ),
    }
}

fn has_extended_resources(container: &SpecContainer) -> bool {
    container.resources.is_some_and(|Object(resources)| {
        let mut maps = [resources.requests, resources.limits].into_iter().flatten();
        maps.any(|amounts| amounts.has_extended)
    })
}

#[cfg(test)]
mod tests {
    use podfit_core::pod::Pod;
    use serde_json::json;

    use super::super::PodObject;

    #[test]
    fn what_is_at_stake_is_read_from_the_spec() {
        let with = |spec: serde_json::Value| {
            Pod::from(&serde_json::from_value::<PodObject>(json!({ "spec": spec })).unwrap()).stakes
        };
        let gpu = |amount: serde_json::Value| json!([{"name": "c", "resources": {"limits": {"nvidia.com/gpu": amount}}}]);
        let rows = [
            (
                json!({"restartPolicy": "Always", "priorityClassName": "high"}),
                [false; 3],
            ),
            (json!({"restartPolicy": "OnFailure"}), [true, false, false]),
            (json!({"restartPolicy": "Never"}), [true, false, false]),
            (json!({"containers": gpu(json!("1"))}), [false, true, false]),
            (json!({"containers": gpu(json!(2))}), [false, true, false]),
            (json!({"containers": gpu(json!("0"))}), [false; 3]),
            (
                json!({"initContainers": gpu(json!(1))}),
                [false, true, false],
            ),
            (
                json!({"containers": [{"name": "c", "resources": {"requests": {
                    "cpu": 1, "hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi", "pod.alpha.kubernetes.io/x": 1}}}]}),
                [false; 3],
            ),
            (
                json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "x"}]}),
                [false, true, false],
            ),
            (json!({"resourceClaims": []}), [false; 3]),
            (
                json!({"priorityClassName": "system-node-critical"}),
                [false, false, true],
            ),
            (
                json!({"priorityClassName": "system-cluster-critical"}),
                [false, false, true],
            ),
        ];
        for (spec, want) in rows {
            let told = spec.to_string();
            let stakes = with(spec);
            let is = [
                stakes.runs_to_completion,
                stakes.holds_devices,
                stakes.is_critical,
            ];
            assert_eq!(is, want, "{told}");
        }
    }
}
