//! The published recommendation: estimates of all containers of a workload, shaped by policy, each with its reasons.

use std::time::Duration;

use crate::estimator::{Estimate, EstimatorConfig, container_minimum, estimate};
use crate::explanation::{
    Cause, ContainerExplanation, Derivation, OomFloorExplanation, ResourceExplanation,
    RunsExplanation,
};
use crate::history::{ContainerHistory, HistoryConfig};
use crate::policy::{caps, controls, for_container, min_allowed};
use crate::quantity::{Bytes, Millicores, Resource, round_up_to_step};
use crate::reason::RecommendationReason;
use crate::time::Timestamp;
use crate::vpa::{ContainerPolicy, ContainerRecommendation, Vpa};

/// Recommendations, and why they are what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommended {
    /// In order of the containers' names. Containers without a sample, or with policy mode Off, have none.
    pub recommendations: Vec<ContainerRecommendation>,
    /// At least one for each container.
    pub reasons: Vec<RecommendationReason>,
    /// In order of the containers' names; also of containers that nothing is known of. Those with policy mode Off have
    /// none.
    pub explanations: Vec<ContainerExplanation>,
}

/// Recommends for the containers of a VPA's target, at `now`.
pub fn recommend(
    histories: &[(&str, &ContainerHistory)],
    vpa: &Vpa,
    config: &EstimatorConfig,
    now: Timestamp,
) -> Recommended {
    let own = config.for_vpa(vpa);
    let config = &*own;
    let mut result = Recommended::default();
    let mut sized: Vec<_> = histories.to_vec();
    sized.sort_by_key(|(name, _)| *name);
    sized.retain(|(name, _)| {
        let off = for_container(&vpa.container_policies, name).is_some_and(|p| p.off);
        if off {
            result.reasons.push(RecommendationReason::PolicyOff {
                container: (*name).to_owned(),
            });
        }
        !off
    });
    for (name, history) in &sized {
        let container = Container {
            name,
            history,
            policy: for_container(&vpa.container_policies, name),
            integer_cpu: config.integer_cpu && vpa.wants_integer_cpu(name),
            config,
        };
        let explanation = container.explain(sized.len(), now);
        explanation.add_reasons(&mut result.reasons);
        if explanation.is_known() {
            result.recommendations.push(explanation.recommendation());
        }
        result.explanations.push(explanation);
    }
    result
}

/// A container that is sized.
struct Container<'a> {
    name: &'a str,
    history: &'a ContainerHistory,
    policy: Option<&'a ContainerPolicy>,
    integer_cpu: bool,
    config: &'a EstimatorConfig,
}

impl Container<'_> {
    /// Derives all its numbers. The pod has `containers` of them.
    fn explain(&self, containers: usize, now: Timestamp) -> ContainerExplanation {
        let kept = self.config.history.for_policy(self.policy);
        let floor = self.history.oom_floor(&kept, now);
        let resources = Resource::ALL.map(|resource| {
            let minimum = self.minimum(resource, containers);
            let floor = floor.filter(|_| resource == Resource::Memory);
            let estimate = estimate(self.history, resource, self.config, minimum, floor);
            self.shape(resource, estimate, &kept)
        });
        ContainerExplanation {
            container: self.name.to_owned(),
            samples: self.history.total_samples(),
            first_sample: self.history.first_sample(),
            last_sample: self.history.last_sample(),
            runs: self.history.runs().map(RunsExplanation::of),
            oom_floor: floor.map(|floor| OomFloorExplanation {
                floor: floor.clone(),
                until: (self.history.runs().is_none()).then(|| floor.at + kept.lifetime()),
                capped: self.history.runs().is_some() && floor.is_capped(&kept),
            }),
            resources,
        }
    }

    /// Its share of the pod's minimum. Profile `safe`: a `minAllowed` below that is what somebody wants.
    fn minimum(&self, resource: Resource, containers: usize) -> i64 {
        let share = container_minimum(self.config.pod_minimum, resource, containers);
        match min_allowed(self.policy, resource) {
            Some(min) if self.config.history.profile.is_safe() => share.min(min),
            _ => share,
        }
    }

    /// Rounds and caps, in upstream's order.
    fn shape(
        &self,
        resource: Resource,
        estimate: Estimate,
        kept: &HistoryConfig,
    ) -> ResourceExplanation {
        let controlled = controls(self.policy, resource);
        let shaped = |derivation: Option<Derivation>| {
            let mut derivation = derivation?;
            if controlled {
                self.round(resource, &mut derivation);
                for cap in caps(self.policy, resource, self.config.global_max) {
                    derivation.change(cap, cap.capped(derivation.amount()));
                }
            }
            Some(derivation)
        };
        let (half_life, window) = half_life_and_window(resource, kept);
        let cpu = self.history.cpu();
        ResourceExplanation {
            mean: (resource == Resource::Cpu && !cpu.is_empty())
                .then(|| Millicores::from_cores(cpu.mean()).0),
            resource,
            controlled,
            half_life,
            window,
            confidence: self.config.confidence(self.history, resource),
            class: self.history.adaptive().map(|known| known.told(resource)),
            target: shaped(estimate.target),
            lower_bound: shaped(estimate.lower_bound),
            upper_bound: shaped(estimate.upper_bound),
        }
    }

    fn round(&self, resource: Resource, derivation: &mut Derivation) {
        let step = match resource {
            Resource::Cpu => self.config.round_cpu.0,
            Resource::Memory => self.config.round_memory.0,
        };
        if let Ok(rounded) = round_up_to_step(derivation.amount(), step) {
            derivation.change(Cause::Rounding(step), rounded);
        }
        if self.config.humanize_memory && resource == Resource::Memory {
            let text = Bytes(derivation.amount()).humanize();
            if let Ok(read) = Bytes::parse(&text) {
                derivation.change(Cause::Humanized, read.0);
            }
        }
        if self.integer_cpu
            && resource == Resource::Cpu
            && let Ok(whole) = round_up_to_step(derivation.amount(), Millicores::CORE.0)
        {
            derivation.change(Cause::IntegerCpu, whole);
        }
    }
}

fn half_life_and_window(resource: Resource, kept: &HistoryConfig) -> (Duration, Option<Duration>) {
    match resource {
        Resource::Cpu => (kept.cpu_half_life, None),
        Resource::Memory => (kept.memory_half_life, Some(kept.memory_interval)),
    }
}

impl ContainerExplanation {
    /// The numbers that are published.
    fn recommendation(&self) -> ContainerRecommendation {
        let mut recommendation = ContainerRecommendation {
            container_name: self.container.clone(),
            ..ContainerRecommendation::default()
        };
        for explained in self.resources.iter().filter(|r| r.controlled) {
            let resource = explained.resource;
            let target = explained.target.as_ref();
            for (list, amount) in [
                (&mut recommendation.target, target.map(Derivation::amount)),
                (
                    &mut recommendation.uncapped_target,
                    target.map(Derivation::uncapped),
                ),
                (
                    &mut recommendation.lower_bound,
                    explained.lower_bound.as_ref().map(Derivation::amount),
                ),
                (
                    &mut recommendation.upper_bound,
                    explained.upper_bound.as_ref().map(Derivation::amount),
                ),
            ] {
                list.set(resource, amount);
            }
        }
        recommendation
    }

    /// True when anything is known, whether policy lets it be published or not.
    fn is_known(&self) -> bool {
        self.resources.iter().any(|r| r.target.is_some())
    }

    fn add_reasons(&self, reasons: &mut Vec<RecommendationReason>) {
        for explained in &self.resources {
            reasons.push(self.reason(explained));
        }
        if let Some(explained) = self.oom_floor.as_ref().filter(|floor| floor.capped) {
            reasons.push(RecommendationReason::ClimbEnded {
                container: self.container.clone(),
                floor: explained.floor.clone(),
            });
        }
        for explained in self.resources.iter().filter(|r| r.controlled) {
            let resource = explained.resource;
            if let Some(target) = &explained.target
                && target.amount() != target.uncapped()
            {
                reasons.push(RecommendationReason::Capped {
                    container: self.container.clone(),
                    resource,
                    from: target.uncapped(),
                    to: target.amount(),
                });
            }
        }
    }

    /// How many runs its numbers of a resource rest on.
    pub fn figures(&self, resource: Resource) -> usize {
        let runs = self.runs.iter().flat_map(|runs| &runs.ended);
        runs.filter(|run| run.figure(resource).is_some()).count()
    }

    /// What decided a resource's target, before any cap.
    fn reason(&self, explained: &ResourceExplanation) -> RecommendationReason {
        let (container, resource) = (self.container.clone(), explained.resource);
        let Some(target) = &explained.target else {
            return RecommendationReason::NoSamples {
                container,
                resource,
            };
        };
        let amount = target.uncapped();
        let decided = |step: &&crate::explanation::Step| {
            matches!(
                step.cause,
                Cause::Margin(_)
                    | Cause::Adaptive(_)
                    | Cause::Peaks(_)
                    | Cause::OutOfMemory(_)
                    | Cause::Minimum(_)
            )
        };
        match (
            target.steps.iter().rev().find(decided).map(|s| s.cause),
            &self.oom_floor,
        ) {
            (Some(Cause::OutOfMemory(_)), Some(explained)) => RecommendationReason::OutOfMemory {
                container,
                floor: explained.floor.clone(),
                target: amount,
            },
            (Some(Cause::Minimum(_)), _) => RecommendationReason::Minimum {
                container,
                resource,
                target: amount,
            },
            (Some(cause @ (Cause::Adaptive(_) | Cause::Peaks(_))), _) => {
                RecommendationReason::Adaptive {
                    container,
                    resource,
                    cause,
                    class: explained.class.unwrap_or_default(),
                    target: amount,
                }
            }
            _ if self.runs.is_some() => RecommendationReason::Runs {
                container,
                resource,
                percentile: target.percentile,
                runs: self.figures(resource),
                raw: target.raw.unwrap_or_default(),
                target: amount,
            },
            (cause, _) => RecommendationReason::Percentile {
                container,
                resource,
                percentile: target.percentile,
                margin: if let Some(Cause::Margin(margin)) = cause {
                    margin
                } else {
                    0.0
                },
                target: amount,
            },
        }
    }
}

#[cfg(test)]
mod tests;
