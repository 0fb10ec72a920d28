//! Explanations as one line for conditions. Every change of it is a write, so it names what shaped the numbers, not the
//! numbers, and counts in large steps.

use std::time::Duration;

use podfit_core::explanation::{
    Cause, ContainerExplanation, Derivation, ResourceExplanation, RunsExplanation,
};

/// So many containers are named; of the others only how many there are.
const NAMED: usize = 5;

/// What shaped the targets: `app: cpu share of the pod's minimum; memory maxAllowed`.
pub fn of_targets(explanations: &[&ContainerExplanation]) -> String {
    join(explanations.iter().filter_map(|container| {
        let of = |resource: &ResourceExplanation| of_resource(container, resource);
        let parts: Vec<_> = container.resources.iter().filter_map(of).collect();
        (!parts.is_empty()).then(|| format!("{}: {}", container.container, parts.join(", ")))
    }))
}

fn of_resource(
    container: &ContainerExplanation,
    explained: &ResourceExplanation,
) -> Option<String> {
    if !explained.controlled {
        return None;
    }
    let name = explained.resource.name();
    let Some(target) = &explained.target else {
        return Some(format!("no {name} samples yet"));
    };
    Some(match shaping(target) {
        // Its sentence changes by the hour.
        Some(Cause::Adaptive(_) | Cause::Peaks(_)) => format!("{name} adaptive"),
        Some(Cause::OutOfMemory(_)) if container.oom_floor.as_ref().is_some_and(|f| f.capped) => {
            format!("{name} killed for memory with less, and not raised further")
        }
        Some(cause) => format!("{name} {cause}"),
        None if container.runs.is_some() && target.percentile >= 1.0 => {
            format!("{name} the most of its last runs")
        }
        None if container.runs.is_some() => {
            format!(
                "{name} percentile {:.0} of its last runs",
                target.percentile * 100.0
            )
        }
        None => format!("{name} percentile {:.0}", target.percentile * 100.0),
    })
}

/// The last step that is more than arithmetic.
fn shaping(derivation: &Derivation) -> Option<Cause> {
    let arithmetic = |cause: &Cause| {
        matches!(
            cause,
            Cause::Margin(_)
                | Cause::Confidence(_)
                | Cause::Rounding(_)
                | Cause::Humanized
                | Cause::IntegerCpu
        )
    };
    let mut causes = derivation.steps.iter().rev().map(|step| step.cause);
    causes.find(|cause| !arithmetic(cause))
}

/// How little the numbers are based on, while that is little.
pub fn of_confidence(explanations: &[&ContainerExplanation]) -> Option<String> {
    let line = join(explanations.iter().filter_map(|container| {
        let name = &container.container;
        if let Some(runs) = &container.runs {
            return of_runs(name, runs);
        }
        let low = container
            .resources
            .iter()
            .filter(|r| r.controlled)
            .map(|r| r.confidence)
            .filter(|confidence| confidence.is_low())
            .min_by(|a, b| a.value().total_cmp(&b.value()))?;
        Some(match low.samples {
            0 => format!("{name} has no CPU samples"),
            samples => format!(
                "{name} has at least {} samples over {}",
                samples_step(samples),
                age_step(low.age)
            ),
        })
    }));
    (!line.is_empty()).then_some(line)
}

/// How few runs there are, while there are few.
fn of_runs(name: &str, runs: &RunsExplanation) -> Option<String> {
    match (runs.ended.len(), runs.unmeasured) {
        (0, 0) => Some(format!("{name} has not ended a run yet")),
        (0, short) => Some(format!(
            "{name} has at least {} runs that were too short to be measured, and no other",
            samples_step(short.into())
        )),
        (1, _) => Some(format!("{name} rests on one run")),
        _ => None,
    }
}

fn join(lines: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<_> = lines.collect();
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("; ")
}

/// 1, 2, 5, 10, 20, 50, …
fn samples_step(samples: u64) -> u64 {
    let power = 10_u64.pow(samples.max(1).ilog10());
    let digit = match samples / power {
        5.. => 5,
        2.. => 2,
        _ => 1,
    };
    digit * power
}

/// Minutes up to an hour, then hours, in steps that about double.
fn age_step(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    let steps = [30, 20, 10, 5, 2, 1];
    match minutes / 60 {
        0 => match steps.iter().find(|step| minutes >= **step) {
            Some(step) => format!("{step}m"),
            None => "less than 1m".into(),
        },
        hours => format!("{}h", 1_u64 << hours.ilog2()),
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::estimator::EstimatorConfig;
    use podfit_core::history::{ContainerHistory, HistoryConfig, PodContainerWindow};
    use podfit_core::quantity::{Bytes, Millicores, ResourceList};
    use podfit_core::recommendation::recommend;
    use podfit_core::time::Timestamp;
    use podfit_core::vpa::{ContainerPolicy, Vpa};

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

    /// A sample a minute, of 1 core and 1 GiB.
    fn history(samples: u64) -> ContainerHistory {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        for minute in 0..samples {
            let at = T0 + Duration::from_mins(minute);
            window
                .add_cpu(&mut history, Millicores(1000), (at, at))
                .unwrap();
            window
                .add_memory(&mut history, Bytes(1 << 30), (at, at), &config)
                .unwrap();
        }
        history
    }

    /// What is said of containers with so many samples, the first of which may have 500 MB at most.
    fn lines(samples: &[u64]) -> (String, Option<String>) {
        let histories: Vec<_> = samples.iter().map(|n| history(*n)).collect();
        let names: Vec<_> = (0..samples.len()).map(|i| format!("c{i}")).collect();
        let histories: Vec<_> = names.iter().map(String::as_str).zip(&histories).collect();
        let max_allowed = ResourceList {
            cpu: None,
            memory: Some(Bytes(500_000_000)),
        };
        let vpa = Vpa {
            container_policies: vec![ContainerPolicy {
                container_name: "c0".into(),
                max_allowed,
                ..ContainerPolicy::default()
            }],
            ..Vpa::default()
        };
        let now = T0 + Duration::from_hours(24);
        let recommended = recommend(&histories, &vpa, &EstimatorConfig::default(), now);
        let explanations: Vec<_> = recommended.explanations.iter().collect();
        (of_targets(&explanations), of_confidence(&explanations))
    }

    #[test]
    fn what_shaped_the_targets_and_how_little_is_known() {
        let shaped = "c0: cpu percentile 90, memory maxAllowed";
        let (targets, confidence) = lines(&[13]);
        assert_eq!(targets, shaped);
        assert_eq!(confidence.unwrap(), "c0 has at least 10 samples over 10m");
        let (targets, confidence) = lines(&[400, 0]);
        assert_eq!(
            targets,
            format!("{shaped}; c1: no cpu samples yet, no memory samples yet")
        );
        assert_eq!(confidence.unwrap(), "c1 has no CPU samples");
        assert_eq!(lines(&[400]).1, None);
        let (targets, _) = lines(&[1; 8]);
        assert!(targets.ends_with("; and 3 more"), "{targets}");
    }

    /// A message that changed with every sample would be a write with every sample.
    #[test]
    fn in_the_first_hours_the_message_changes_a_few_times() {
        let mut messages: Vec<_> = (1..=360).map(|n| lines(&[n]).1).collect();
        messages.dedup();
        assert!(messages.len() <= 18, "{messages:#?}");
    }

    #[test]
    fn counts_go_in_steps() {
        for (samples, step) in [(1, 1), (4, 2), (9, 5), (10, 10), (49, 20), (360, 200)] {
            assert_eq!(samples_step(samples), step);
        }
        for (minutes, step) in [
            (0, "less than 1m"),
            (1, "1m"),
            (9, "5m"),
            (59, "30m"),
            (60, "1h"),
            (359, "4h"),
        ] {
            assert_eq!(age_step(Duration::from_secs(minutes * 60 + 30)), step);
        }
    }
}
