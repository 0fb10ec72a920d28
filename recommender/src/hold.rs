//! Drops that there is too little evidence for: after a start, a change of leader, or with a history that was lost.

use std::time::Duration;

use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::ContainerHistory;
use podfit_core::policy::{cap, for_container};
use podfit_core::quantity::Resource;
use podfit_core::recommendation::Recommended;
use podfit_core::vpa::{ContainerRecommendation, Vpa};

/// A drop to less than this fraction of what is published is a large one.
const LARGE_DROP: f64 = 0.9;

/// So many new runs are evidence enough.
const FEW_RUNS: usize = 3;

/// Samples carry the time of the node's clock, conditions that of this process.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// What can be said for a drop.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The first loops of this leader are over.
    pub settled: bool,
    /// What is known of each container.
    pub histories: &'a [(&'a str, &'a ContainerHistory)],
}

/// Puts what is published in place of a computed amount that is far lower, while this replica settles, and where the
/// published amount was made of a history that is not there any more, until the new one is as good as any.
///
/// Policy is applied to what is held: a maximum that was lowered is no drop without evidence.
pub fn hold(vpa: &Vpa, fresh: &mut Recommended, evidence: &Evidence<'_>, config: &EstimatorConfig) {
    for new in &mut fresh.recommendations {
        let Some(old) = vpa.recommendation_for(&new.container_name) else {
            continue;
        };
        let history = evidence
            .histories
            .iter()
            .find(|(name, _)| *name == new.container_name);
        let Some((_, history)) = history else {
            continue;
        };
        let mut held = false;
        for resource in Resource::ALL {
            let backed = evidence.settled && is_backed(vpa, history, resource, config);
            if !backed && drops_far(old, new, resource) {
                tracing::debug!(
                    vpa = vpa.key(),
                    container = new.container_name,
                    resource = resource.name(),
                    "a large drop is held back"
                );
                keep(old, new, resource);
                held = true;
            }
        }
        if held {
            let policy = for_container(&vpa.container_policies, &new.container_name);
            cap(new, policy, config.global_max);
        }
    }
}

/// True when the history reaches back to before the recommendation was first published, or has grown up since.
fn is_backed(
    vpa: &Vpa,
    history: &ContainerHistory,
    resource: Resource,
    config: &EstimatorConfig,
) -> bool {
    let provided = vpa
        .conditions
        .iter()
        .find(|c| c.kind == "RecommendationProvided" && c.status == "True");
    let Some(since) = provided.and_then(|c| c.last_transition) else {
        return true;
    };
    let runs = history.runs().map_or(0, |runs| runs.ended().len());
    runs >= FEW_RUNS
        || history
            .first_sample()
            .is_some_and(|first| first <= since + CLOCK_TOLERANCE)
        || config.confidence(history, resource).value() >= 1.0
}

fn drops_far(
    old: &ContainerRecommendation,
    new: &ContainerRecommendation,
    resource: Resource,
) -> bool {
    // Not the target: that one may have been lowered by policy.
    match (
        old.uncapped_target.get(resource),
        new.uncapped_target.get(resource),
    ) {
        (Some(old), Some(new)) => (new as f64) < old as f64 * LARGE_DROP,
        _ => false,
    }
}

fn keep(old: &ContainerRecommendation, new: &mut ContainerRecommendation, resource: Resource) {
    new.target.set(resource, old.target.get(resource));
    new.lower_bound.set(resource, old.lower_bound.get(resource));
    new.upper_bound.set(resource, old.upper_bound.get(resource));
    new.uncapped_target
        .set(resource, old.uncapped_target.get(resource));
}

#[cfg(test)]
mod tests {
    use podfit_core::history::{HistoryConfig, PodContainerWindow};
    use podfit_core::quantity::{Millicores, ResourceList};
    use podfit_core::time::Timestamp;
    use podfit_core::vpa::{Condition, ContainerPolicy};

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    fn cpu(millicores: i64) -> ResourceList {
        ResourceList {
            cpu: Some(Millicores(millicores)),
            memory: None,
        }
    }

    fn recommendation(millicores: i64) -> ContainerRecommendation {
        ContainerRecommendation {
            container_name: "app".into(),
            target: cpu(millicores),
            lower_bound: cpu(millicores / 2),
            upper_bound: cpu(millicores * 2),
            uncapped_target: cpu(millicores),
        }
    }

    /// 1000m are published since T0.
    fn vpa() -> Vpa {
        let provided = Condition {
            kind: "RecommendationProvided".into(),
            status: "True".into(),
            last_transition: Some(T0),
            ..Condition::default()
        };
        Vpa {
            recommendation: Some(vec![recommendation(1000)]),
            conditions: vec![provided],
            ..Vpa::default()
        }
    }

    fn history(from: Timestamp, minutes: u32) -> ContainerHistory {
        let mut history = ContainerHistory::new(&HistoryConfig::default(), T0);
        let mut window = PodContainerWindow::default();
        for n in 0..minutes {
            let at = from + MINUTE * n;
            window
                .add_cpu(&mut history, Millicores(10), (at, at))
                .unwrap();
        }
        history
    }

    fn held(
        vpa: &Vpa,
        computed: i64,
        settled: bool,
        history: &ContainerHistory,
    ) -> ContainerRecommendation {
        let mut fresh = Recommended {
            recommendations: vec![recommendation(computed)],
            ..Recommended::default()
        };
        let evidence = Evidence {
            settled,
            histories: &[("app", history)],
        };
        hold(vpa, &mut fresh, &evidence, &EstimatorConfig::default());
        fresh.recommendations.remove(0)
    }

    #[test]
    fn large_drops_need_a_settled_leader_and_a_history() {
        let (before, after) = (T0 - MINUTE, T0 + MINUTE * 6);
        let cases = [
            (100, false, history(before, 9), 1000), // the first loops
            (901, false, history(before, 9), 901),  // not large
            (5000, false, history(after, 9), 5000), // no drop
            (100, true, history(before, 9), 100),   // the history it was made of
            (100, true, history(after, 9), 1000),   // a new and young one
            (100, true, history(after, 1500), 100), // a new one that has grown up
        ];
        for (computed, settled, history, expected) in cases {
            assert_eq!(
                held(&vpa(), computed, settled, &history),
                recommendation(expected),
                "{computed} {settled} {}",
                history.total_samples()
            );
        }
    }

    #[test]
    fn a_lowered_maximum_holds_at_once() {
        let mut vpa = vpa();
        vpa.container_policies = vec![ContainerPolicy {
            container_name: "*".into(),
            max_allowed: cpu(400),
            ..ContainerPolicy::default()
        }];
        let held = held(&vpa, 100, false, &history(T0, 9));
        assert_eq!((held.target, held.uncapped_target), (cpu(400), cpu(1000)));
    }
}
