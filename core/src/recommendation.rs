//! The published recommendation: estimates of all containers of a workload, shaped by policy, each with its reasons.

use crate::estimator::{Estimate, EstimatorConfig, estimate};
use crate::history::ContainerHistory;
use crate::policy::{cap, controls, for_container};
use crate::quantity::{MAX_AMOUNT, Resource, ResourceList, round_up_to_step};
use crate::reason::RecommendationReason;
use crate::time::Timestamp;
use crate::vpa::{ContainerPolicy, ContainerRecommendation};

/// Recommendations, and why they are what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommended {
    /// In order of the containers' names. Containers without a sample, or with policy mode Off, have none.
    pub recommendations: Vec<ContainerRecommendation>,
    /// At least one for each container.
    pub reasons: Vec<RecommendationReason>,
}

/// Recommends for the containers of one workload, at `now`.
pub fn recommend(
    histories: &[(&str, &ContainerHistory)],
    policies: &[ContainerPolicy],
    config: &EstimatorConfig,
    now: Timestamp,
) -> Recommended {
    let mut result = Recommended::default();
    let mut sized: Vec<_> = histories.to_vec();
    sized.sort_by_key(|(name, _)| *name);
    sized.retain(|(name, _)| {
        let off = for_container(policies, name).is_some_and(|p| p.off);
        if off {
            result.reasons.push(RecommendationReason::PolicyOff {
                container: (*name).to_owned(),
            });
        }
        !off
    });
    for (name, history) in &sized {
        let estimate = estimate(history, config, sized.len(), now);
        for resource in Resource::ALL {
            if estimate.target.get(resource).is_none() {
                let container = (*name).to_owned();
                result.reasons.push(RecommendationReason::NoSamples {
                    container,
                    resource,
                });
            }
        }
        if estimate.target.is_empty() {
            continue;
        }
        let policy = for_container(policies, name);
        explain(&mut result.reasons, name, &estimate, (history, config));
        let recommendation = shape(name, &estimate, policy, config);
        explain_cap(&mut result.reasons, &recommendation);
        result.recommendations.push(recommendation);
    }
    result
}

/// Rounds, keeps what policy controls, and caps.
fn shape(
    name: &str,
    estimate: &Estimate,
    policy: Option<&ContainerPolicy>,
    config: &EstimatorConfig,
) -> ContainerRecommendation {
    let kept = |list: &ResourceList| {
        let mut kept = ResourceList::default();
        for resource in Resource::ALL.into_iter().filter(|r| controls(policy, *r)) {
            kept.set(
                resource,
                list.get(resource)
                    .map(|amount| rounded(resource, amount, config)),
            );
        }
        kept
    };
    let target = kept(&estimate.target);
    let mut recommendation = ContainerRecommendation {
        container_name: name.to_owned(),
        target,
        lower_bound: kept(&estimate.lower_bound),
        // With a single sample it is "more than there is" (upstream publishes 100G cores): no bound says that better.
        upper_bound: bounded(&estimate.upper_bound, kept(&estimate.upper_bound)),
        uncapped_target: target,
    };
    cap(&mut recommendation, policy, config.global_max);
    recommendation
}

fn rounded(resource: Resource, amount: i64, config: &EstimatorConfig) -> i64 {
    let step = match resource {
        Resource::Cpu => config.round_cpu.0,
        Resource::Memory => config.round_memory.0,
    };
    round_up_to_step(amount, step).unwrap_or(amount)
}

fn bounded(estimated: &ResourceList, mut kept: ResourceList) -> ResourceList {
    for resource in Resource::ALL {
        if estimated.get(resource) == Some(MAX_AMOUNT) {
            kept.set(resource, None);
        }
    }
    kept
}

fn explain(
    reasons: &mut Vec<RecommendationReason>,
    name: &str,
    estimate: &Estimate,
    (history, config): (&ContainerHistory, &EstimatorConfig),
) {
    for resource in Resource::ALL {
        let Some(target) = estimate.target.get(resource) else {
            continue;
        };
        let container = name.to_owned();
        if let (Resource::Memory, Some(floor)) = (resource, estimate.raised_by_oom) {
            reasons.push(RecommendationReason::OutOfMemory { container, floor });
            continue;
        }
        let percentile = match resource {
            Resource::Cpu => config.cpu.target,
            Resource::Memory => config.memory.target,
        };
        let of_samples = crate::estimator::with_margin(
            crate::estimator::percentile(history, resource, percentile),
            config.margin,
        );
        reasons.push(if of_samples == target {
            RecommendationReason::Percentile {
                container,
                resource,
                percentile,
                margin: config.margin,
                target,
            }
        } else {
            RecommendationReason::Minimum {
                container,
                resource,
                target,
            }
        });
    }
}

fn explain_cap(reasons: &mut Vec<RecommendationReason>, recommendation: &ContainerRecommendation) {
    for resource in Resource::ALL {
        let (from, to) = (
            recommendation.uncapped_target.get(resource),
            recommendation.target.get(resource),
        );
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            let container = recommendation.container_name.clone();
            reasons.push(RecommendationReason::Capped {
                container,
                resource,
                from,
                to,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{HistoryConfig, PodContainerWindow};
    use crate::quantity::{Bytes, Millicores};

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

    fn history(millicores: i64, bytes: i64) -> ContainerHistory {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        window
            .add_cpu(&mut history, Millicores(millicores), (T0, T0))
            .unwrap();
        window
            .add_memory(&mut history, Bytes(bytes), (T0, T0), &config)
            .unwrap();
        history
    }

    fn list(cpu: i64, memory: i64) -> ResourceList {
        ResourceList {
            cpu: Some(Millicores(cpu)),
            memory: Some(Bytes(memory)),
        }
    }

    fn policy(name: &str) -> ContainerPolicy {
        ContainerPolicy {
            container_name: name.into(),
            ..ContainerPolicy::default()
        }
    }

    /// Upstream's rows: idle containers share the pod's minimum.
    #[test]
    fn idle_containers_share_the_minimum() {
        let idle = history(1, 1_000_000);
        let config = EstimatorConfig::default();
        for (names, target) in [
            (&["a"][..], list(25, 262_144_000)),
            (&["b", "a"], list(12, 131_072_000)),
        ] {
            let histories: Vec<_> = names.iter().map(|n| (*n, &idle)).collect();
            let result = recommend(&histories, &[], &config, T0);
            let mut sorted = names.to_vec();
            sorted.sort_unstable();
            assert_eq!(
                result
                    .recommendations
                    .iter()
                    .map(|r| r.container_name.as_str())
                    .collect::<Vec<_>>(),
                sorted
            );
            assert!(
                result
                    .recommendations
                    .iter()
                    .all(|r| r.target == target && r.lower_bound == target)
            );
            assert!(result.reasons.iter().all(|r| r.code() == "Minimum"));
        }
    }

    #[test]
    fn nothing_is_recommended_before_the_first_sample() {
        let empty = ContainerHistory::new(&HistoryConfig::default(), T0);
        let busy = history(400, 300 << 20);
        let result = recommend(
            &[("empty", &empty), ("busy", &busy)],
            &[],
            &EstimatorConfig::default(),
            T0,
        );
        assert_eq!(result.recommendations.len(), 1);
        assert_eq!(result.recommendations[0].target, list(476, 380_258_472));
        // A single sample bounds nothing from above.
        assert!(result.recommendations[0].upper_bound.is_empty());
        assert!(result.reasons.contains(&RecommendationReason::NoSamples {
            container: "empty".into(),
            resource: Resource::Cpu
        }));
    }

    #[test]
    fn policies_drop_filter_and_cap() {
        let busy = history(400, 300 << 20);
        let histories = [("a", &busy), ("b", &busy), ("c", &busy)];
        let policies = [
            ContainerPolicy {
                off: true,
                ..policy("a")
            },
            ContainerPolicy {
                controlled_resources: Some(vec![Resource::Memory]),
                ..policy("b")
            },
            ContainerPolicy {
                max_allowed: list(100, 1 << 40),
                ..policy("*")
            },
        ];
        let config = EstimatorConfig {
            round_memory: Bytes(1 << 20),
            ..EstimatorConfig::default()
        };
        let result = recommend(&histories, &policies, &config, T0);
        let names: Vec<_> = result
            .recommendations
            .iter()
            .map(|r| r.container_name.as_str())
            .collect();
        assert_eq!(names, ["b", "c"]);
        let memory = 363 << 20; // 380258472 rounded up
        assert_eq!(
            result.recommendations[0].target,
            ResourceList {
                cpu: None,
                memory: Some(Bytes(memory))
            }
        );
        assert_eq!(result.recommendations[1].target, list(100, memory));
        assert_eq!(result.recommendations[1].uncapped_target, list(476, memory));
        let codes: Vec<_> = result
            .reasons
            .iter()
            .map(RecommendationReason::code)
            .collect();
        assert!(
            codes.contains(&"Capped") && codes.contains(&"PolicyOff"),
            "{codes:?}"
        );
    }
}
