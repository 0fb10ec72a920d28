//! From a history to numbers: percentile, margin, confidence. Each step a small function, each truncating to whole
//! units as upstream's do, so that the results agree to the millicore and the byte.

use std::time::Duration;

use crate::histogram::power;
use crate::history::{ContainerHistory, OomFloor};
use crate::quantity::{Bytes, Millicores, Resource, ResourceList, amount_from_float, scale_amount};
use crate::time::Timestamp;

/// How estimates are made. Defaults are upstream's.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimatorConfig {
    /// Percentiles of CPU samples.
    pub cpu: Percentiles,
    /// Percentiles of memory peaks.
    pub memory: Percentiles,
    /// Headroom added to every percentile, as a fraction of it.
    pub margin: f64,
    /// With this much history the CPU bounds have a confidence of one.
    pub cpu_confidence_interval: Duration,
    /// With this much history the memory bounds have a confidence of one.
    pub memory_confidence_interval: Duration,
    /// The least recommended for a pod; its containers share it.
    pub pod_minimum: ResourceList,
    /// The most recommended for a container whose policy has no `maxAllowed`.
    pub global_max: ResourceList,
    /// CPU is rounded up to a multiple of this.
    pub round_cpu: Millicores,
    /// Memory is rounded up to a multiple of this.
    pub round_memory: Bytes,
    /// For how long out-of-memory evidence holds.
    pub oom_floor_lifetime: Duration,
}

/// Which percentiles become target and bounds, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    /// Of the target.
    pub target: f64,
    /// Of the lower bound.
    pub lower: f64,
    /// Of the upper bound.
    pub upper: f64,
}

impl Default for Percentiles {
    fn default() -> Self {
        Self {
            target: 0.9,
            lower: 0.5,
            upper: 0.95,
        }
    }
}

impl Default for EstimatorConfig {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        Self {
            cpu: Percentiles::default(),
            memory: Percentiles::default(),
            margin: 0.15,
            cpu_confidence_interval: day,
            memory_confidence_interval: day,
            pod_minimum: ResourceList {
                cpu: Some(Millicores(25)),
                memory: Some(Bytes(250 << 20)),
            },
            global_max: ResourceList::default(),
            round_cpu: Millicores(1),
            round_memory: Bytes(1),
            oom_floor_lifetime: day * 8,
        }
    }
}

/// The estimates for one container, before any policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What it should request.
    pub target: ResourceList,
    /// Below this a change is worth a disruption.
    pub lower_bound: ResourceList,
    /// Above this a change is worth a disruption.
    pub upper_bound: ResourceList,
    /// The floor that raised the memory estimates, if one did.
    pub raised_by_oom: Option<OomFloor>,
}

/// Estimates one of `containers` containers of a pod, at `now`.
///
/// A resource without any sample or kill has no estimate: the pod's minimum would be a guess (upstream publishes it).
pub fn estimate(
    history: &ContainerHistory,
    config: &EstimatorConfig,
    containers: usize,
    now: Timestamp,
) -> Estimate {
    let mut estimate = Estimate::default();
    for resource in Resource::ALL {
        let (samples, percentiles, interval) = match resource {
            Resource::Cpu => (history.cpu(), config.cpu, config.cpu_confidence_interval),
            Resource::Memory => (
                history.memory(),
                config.memory,
                config.memory_confidence_interval,
            ),
        };
        if samples.is_empty() {
            continue;
        }
        let confidence = confidence(history, interval);
        let minimum = container_minimum(config.pod_minimum, resource, containers);
        let at = |p: f64| with_margin(percentile(history, resource, p), config.margin);
        let set =
            |list: &mut ResourceList, amount: i64| list.set(resource, Some(amount.max(minimum)));
        set(&mut estimate.target, at(percentiles.target));
        set(
            &mut estimate.lower_bound,
            with_confidence(at(percentiles.lower), confidence, LOWER),
        );
        set(
            &mut estimate.upper_bound,
            with_confidence(at(percentiles.upper), confidence, UPPER),
        );
    }
    if let Some(floor) = history.oom_floor(config.oom_floor_lifetime, now) {
        let raise = |amount: &mut Option<Bytes>| {
            let raised = amount.is_none_or(|a| a < floor.bytes);
            *amount = (*amount).max(Some(floor.bytes));
            raised
        };
        if raise(&mut estimate.target.memory) {
            estimate.raised_by_oom = Some(floor);
        }
        raise(&mut estimate.upper_bound.memory);
    }
    estimate
}

/// How a bound widens while confidence is low: times `(1 + multiplier / confidence) ^ exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Widening {
    /// How much.
    pub multiplier: f64,
    /// Up when positive, down when negative.
    pub exponent: i32,
}

/// The lower bound's: within one per cent after about five hours.
pub const LOWER: Widening = Widening {
    multiplier: 0.001,
    exponent: -2,
};

/// The upper bound's: twice the percentile after a day, unbounded at first.
pub const UPPER: Widening = Widening {
    multiplier: 1.0,
    exponent: 1,
};

/// How much of a confidence interval the history covers, in time or in one sample a minute, whichever is less.
pub fn confidence(history: &ContainerHistory, interval: Duration) -> f64 {
    let lifespan = match (history.first_sample(), history.last_sample()) {
        (Some(first), Some(last)) => last.since(first).as_secs_f64() / interval.as_secs_f64(),
        _ => 0.0,
    };
    lifespan.min(history.total_samples() as f64 / (interval.as_secs_f64() / 60.0))
}

/// The percentile of a resource in its base unit.
pub fn percentile(history: &ContainerHistory, resource: Resource, p: f64) -> i64 {
    match resource {
        Resource::Cpu => Millicores::from_cores(history.cpu().percentile(p)).0,
        Resource::Memory => amount_from_float(history.memory().percentile(p)),
    }
}

/// `amount` and a fraction `margin` of it.
pub fn with_margin(amount: i64, margin: f64) -> i64 {
    amount.saturating_add(scale_amount(amount, margin))
}

/// `amount`, wider by how little confidence there is. Without any it is nothing or the most there is.
pub fn with_confidence(amount: i64, confidence: f64, widening: Widening) -> i64 {
    scale_amount(
        amount,
        power(1.0 + widening.multiplier / confidence, widening.exponent),
    )
}

/// One container's share of the pod's minimum.
pub fn container_minimum(pod_minimum: ResourceList, resource: Resource, containers: usize) -> i64 {
    scale_amount(
        pod_minimum.get(resource).unwrap_or(0),
        1.0 / containers.max(1) as f64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{HistoryConfig, PodContainerWindow};
    use crate::quantity::MAX_AMOUNT;

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

    fn history(samples: u64, apart: Duration) -> ContainerHistory {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        for n in 0..samples {
            let at = T0 + apart * u32::try_from(n).unwrap();
            window
                .add_cpu(&mut history, Millicores(1000), (at, at))
                .unwrap();
        }
        history
    }

    fn close(a: i64, b: f64, tolerance: f64) {
        assert!((a as f64 - b).abs() <= b * tolerance, "{a} is not {b}");
    }

    #[test]
    fn percentiles_are_the_ends_of_buckets() {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        for n in 1..=3 {
            let mut window = PodContainerWindow::default();
            window
                .add_cpu(&mut history, Millicores(n * 1000), (T0, T0))
                .unwrap();
            window
                .add_memory(&mut history, Bytes(n * 1_000_000_000), (T0, T0), &config)
                .unwrap();
        }
        assert_eq!(percentile(&history, Resource::Cpu, 0.2), 1016);
        assert_eq!(percentile(&history, Resource::Memory, 0.5), 2_093_479_957);
    }

    #[test]
    fn without_samples_there_is_no_confidence() {
        let none = confidence(&history(0, Duration::ZERO), Duration::from_hours(24));
        let cases = [(1.0, 1, MAX_AMOUNT), (1.0, -1, 0), (0.1, 2, MAX_AMOUNT)];
        for (multiplier, exponent, expected) in cases {
            assert_eq!(
                with_confidence(
                    3140,
                    none,
                    Widening {
                        multiplier,
                        exponent
                    }
                ),
                expected
            );
        }
    }

    #[test]
    fn confidence_grows_with_time_and_samples() {
        let nine = history(9, Duration::from_mins(2));
        let widening = Widening {
            multiplier: 0.1,
            exponent: 2,
        };
        let cases = [
            (Duration::from_hours(24), 0.00625, 907.46),
            (Duration::from_mins(18), 0.5, 4.5216),
        ];
        for (interval, expected, cores) in cases {
            let confidence = confidence(&nine, interval);
            assert!((confidence - expected).abs() < 1e-12, "{confidence}");
            close(
                with_confidence(3140, confidence, widening),
                cores * 1000.0,
                1e-3,
            );
            close(
                with_confidence(3_140_000_000, confidence, widening),
                cores * 1e9,
                1e-4,
            );
        }
    }

    #[test]
    fn margin_and_minimum() {
        assert_eq!(with_margin(3140, 0.1), 3454);
        assert_eq!(with_margin(3_140_000_000, 0.1), 3_454_000_000);
        let minimum = EstimatorConfig::default().pod_minimum;
        for (containers, cpu, memory) in [
            (1, 25, 262_144_000),
            (2, 12, 131_072_000),
            (0, 25, 262_144_000),
        ] {
            assert_eq!(container_minimum(minimum, Resource::Cpu, containers), cpu);
            assert_eq!(
                container_minimum(minimum, Resource::Memory, containers),
                memory
            );
        }
    }

    /// Every row of the bucket table: what one sample in that bucket leads to, alone and with the margin.
    #[test]
    fn one_sample_in_each_bucket() {
        let table = include_str!("../testdata/buckets.csv");
        let mut rows = 0;
        for row in table.lines().skip(1) {
            let cells: Vec<_> = row.split(',').collect();
            let number = |i: usize| cells[i].parse::<i64>().unwrap();
            let bucket = usize::try_from(number(0)).unwrap();
            let config = HistoryConfig::default();
            let mut history = ContainerHistory::new(&config, T0);
            // The middle of the bucket: its edges belong, by floating point, to the one below.
            let middle = |b: &crate::histogram::Buckets| {
                if bucket + 1 < b.count() {
                    f64::midpoint(b.start(bucket), b.start(bucket + 1))
                } else {
                    b.start(bucket) * 1.01
                }
            };
            history
                .cpu
                .add(middle(crate::histogram::Buckets::cpu()), 0.1, T0);
            history
                .memory
                .add(middle(crate::histogram::Buckets::memory()), 1.0, T0);
            for (resource, column) in [(Resource::Cpu, 2), (Resource::Memory, 5)] {
                let amount = percentile(&history, resource, 0.9);
                assert_eq!(
                    (amount, with_margin(amount, 0.15)),
                    (number(column), number(column + 1)),
                    "{row}"
                );
            }
            rows += 1;
        }
        assert_eq!(rows, 176);
    }

    #[test]
    fn a_kill_is_a_floor_without_any_sample() {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        window
            .record_oom(&mut history, Bytes(1 << 30), (T0, T0), &config)
            .unwrap();
        // Drown the sample in the histogram: twenty replicas with small peaks.
        for _ in 0..20 {
            PodContainerWindow::default()
                .add_memory(&mut history, Bytes(50 << 20), (T0, T0), &config)
                .unwrap();
        }
        let estimator = EstimatorConfig::default();
        let now = estimate(&history, &estimator, 1, T0);
        let needed = Bytes(scale_amount(1 << 30, 1.2));
        assert_eq!(now.target.memory, Some(needed));
        assert_eq!(
            now.raised_by_oom,
            Some(OomFloor {
                bytes: needed,
                at: T0
            })
        );
        assert!(now.upper_bound.memory >= Some(needed));
        let later = estimate(&history, &estimator, 1, T0 + config.lifetime());
        assert!(later.raised_by_oom.is_none() && later.target.memory < Some(needed));
    }

    #[test]
    fn a_resource_without_samples_has_no_estimate() {
        let only_cpu = estimate(
            &history(2, Duration::from_mins(1)),
            &EstimatorConfig::default(),
            1,
            T0,
        );
        assert_eq!(
            only_cpu.target,
            ResourceList {
                cpu: Some(Millicores(1168)),
                memory: None
            }
        );
        assert!(only_cpu.lower_bound.memory.is_none() && only_cpu.upper_bound.memory.is_none());

        let config = HistoryConfig::default();
        let mut killed = ContainerHistory::new(&config, T0);
        killed.restore_oom_floor(OomFloor {
            bytes: Bytes(1 << 30),
            at: T0,
        });
        let only_floor = estimate(&killed, &EstimatorConfig::default(), 1, T0);
        assert_eq!(
            only_floor.target,
            ResourceList {
                cpu: None,
                memory: Some(Bytes(1 << 30))
            }
        );
    }

    /// Samples and kills over minutes to days, and what upstream's own code recommended after some of them.
    #[test]
    fn follows_upstream_to_the_unit() {
        let history_config = HistoryConfig::default();
        // Upstream has no floor beside the histogram.
        let config = EstimatorConfig {
            oom_floor_lifetime: Duration::ZERO,
            ..EstimatorConfig::default()
        };
        let mut checked = 0;
        let mut case = String::new();
        let mut window = PodContainerWindow::default();
        let mut history = ContainerHistory::new(&history_config, T0);
        for line in include_str!("../testdata/estimates.csv").lines().skip(1) {
            let row: Vec<_> = line.split(',').collect();
            if case != row[0] {
                row[0].clone_into(&mut case);
                window = PodContainerWindow::default();
                history = ContainerHistory::new(&history_config, T0);
            }
            let numbers: Vec<i64> = row[2..].iter().map(|n| n.parse().unwrap()).collect();
            let at = Timestamp::from_unix_millis(numbers[1]);
            let amount = Bytes(numbers[0]);
            match row[1] {
                "cpu" => window.add_cpu(&mut history, Millicores(amount.0), (at, at)),
                "memory" => window.add_memory(&mut history, amount, (at, at), &history_config),
                "oom" => window.record_oom(&mut history, amount, (at, at), &history_config),
                _ => {
                    let now = history.last_activity();
                    let got = estimate(&history, &config, 1, now);
                    let lists = [got.target, got.lower_bound, got.upper_bound];
                    let amounts = Resource::ALL.map(|r| lists.map(|list| list.get(r).unwrap()));
                    assert_eq!(amounts.concat(), numbers, "{line}");
                    checked += 1;
                    Ok(())
                }
            }
            .unwrap();
        }
        assert_eq!(checked, 60);
    }
}
