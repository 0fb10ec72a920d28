use super::*;
use crate::history::{HistoryConfig, Kill, PodContainerWindow};
use crate::profile::Profile;
use crate::quantity::MAX_AMOUNT;
use crate::rows::{number, rows};
use crate::time::Timestamp;

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

/// One sample each in as many pods.
fn of_pods(resource: Resource, samples: &str) -> ContainerHistory {
    let config = HistoryConfig::default();
    let mut history = ContainerHistory::new(&config, T0);
    for sample in samples.split_whitespace() {
        let sample = number(sample).unwrap();
        let mut window = PodContainerWindow::default();
        match resource {
            Resource::Cpu => window.add_cpu(&mut history, Millicores(sample), (T0, T0)),
            Resource::Memory => window.add_memory(&mut history, Bytes(sample), (T0, T0), &config),
        }
        .unwrap();
    }
    history
}

#[test]
fn percentile_margin_and_minimum_follow_upstreams_rows() {
    let config = EstimatorConfig::default();
    for row in rows(include_str!("../../testdata/estimators.csv")) {
        let [function, resource, input, argument, expected] = row[..] else {
            panic!("{row:?}")
        };
        let resource = match resource {
            "cpu" => Resource::Cpu,
            _ => Resource::Memory,
        };
        let whole = |cell: &str| number::<i64>(cell).unwrap();
        let fraction = || number::<f64>(argument).unwrap();
        let got = match function {
            "percentile" => percentile(&of_pods(resource, input), resource, fraction()),
            "margin" => with_margin(whole(input), fraction()),
            "minimum" => {
                let history = of_pods(resource, input);
                let estimate = estimate(&history, resource, &config, whole(argument), None);
                amount(estimate.target.as_ref()).unwrap()
            }
            "share" => {
                let mut pod = ResourceList::default();
                pod.set(resource, Some(whole(input)));
                container_minimum(pod, resource, number(argument).unwrap())
            }
            _ => panic!("{row:?}"),
        };
        assert_eq!(got, whole(expected), "{row:?}");
    }
}

#[test]
fn confidence_grows_with_time_and_samples() {
    for row in rows(include_str!("../../testdata/confidence.csv")) {
        let whole = |i: usize| number::<i64>(row[i]).unwrap();
        let fraction = |i: usize| number::<f64>(row[i]).unwrap();
        let history = history(whole(0).unsigned_abs(), Duration::from_mins(2));
        let interval = Duration::from_mins(whole(1).unsigned_abs());
        let confidence = Confidence::of(&history, interval).value();
        assert!(
            (confidence - fraction(2)).abs() < 1e-12,
            "{confidence}: {row:?}"
        );
        let widening = Widening {
            multiplier: fraction(4),
            exponent: number(row[5]).unwrap(),
        };
        let estimate = with_confidence(whole(3), confidence, widening);
        close(estimate, fraction(6), fraction(7));
    }
}

/// Every row of the bucket table: what one sample in that bucket leads to, alone and with the margin.
#[test]
fn one_sample_in_each_bucket() {
    let mut count = 0;
    for row in rows(include_str!("../../testdata/buckets.csv")) {
        let number = |i: usize| number::<i64>(row[i]).unwrap();
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
                "{row:?}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 176);
}

/// Both resources of a container that is alone in its pod.
fn estimates(
    history: &ContainerHistory,
    config: &EstimatorConfig,
    now: Timestamp,
) -> [Estimate; 2] {
    Resource::ALL.map(|resource| {
        let minimum = container_minimum(config.pod_minimum, resource, 1);
        let floor = history
            .oom_floor(&config.history, now)
            .filter(|_| resource == Resource::Memory);
        estimate(history, resource, config, minimum, floor)
    })
}

fn kill(allowed: Bytes, at: Timestamp) -> Kill<'static> {
    Kill {
        at,
        allowed,
        template: None,
    }
}

fn upstream() -> EstimatorConfig {
    EstimatorConfig {
        history: HistoryConfig {
            profile: Profile::Upstream,
            ..HistoryConfig::default()
        },
        ..EstimatorConfig::default()
    }
}

fn amount(derivation: Option<&Derivation>) -> Option<i64> {
    derivation.map(Derivation::amount)
}

fn codes(derivation: Option<&Derivation>) -> Vec<&'static str> {
    let steps = derivation.into_iter().flat_map(|d| &d.steps);
    steps.map(|step| step.cause.code()).collect()
}

#[test]
fn a_kill_is_a_floor_without_any_sample() {
    let config = EstimatorConfig::default();
    let mut history = ContainerHistory::new(&config.history, T0);
    let mut window = PodContainerWindow::default();
    window
        .record_oom(&mut history, &kill(Bytes(1 << 30), T0), T0, &config.history)
        .unwrap();
    let needed = Some(with_margin(scale_amount(1 << 30, 1.2), 0.15));
    let [cpu, memory] = estimates(&history, &config, T0);
    assert_eq!(cpu, Estimate::default());
    assert_eq!(amount(memory.target.as_ref()), needed);
    assert_eq!((memory.lower_bound, memory.upper_bound), (None, None));

    // Twenty replicas with small peaks do not drown it.
    for _ in 0..20 {
        PodContainerWindow::default()
            .add_memory(&mut history, Bytes(50 << 20), (T0, T0), &config.history)
            .unwrap();
    }
    let [_, memory] = estimates(&history, &config, T0);
    assert_eq!(amount(memory.target.as_ref()), needed);
    assert_eq!(codes(memory.target.as_ref()), ["Margin", "OutOfMemory"]);
    let [_, later] = estimates(&history, &config, T0 + config.history.lifetime());
    assert!(amount(later.target.as_ref()) < needed);
    let [_, theirs] = estimates(&history, &upstream(), T0);
    assert!(!codes(theirs.target.as_ref()).contains(&"OutOfMemory"));
}

#[test]
fn a_resource_without_samples_has_no_estimate() {
    let only_cpu = history(2, Duration::from_mins(1));
    let [cpu, memory] = estimates(&only_cpu, &EstimatorConfig::default(), T0);
    assert_eq!(amount(cpu.target.as_ref()), Some(1168));
    assert_eq!(memory, Estimate::default());
    // Upstream publishes the minimum.
    let [_, memory] = estimates(&only_cpu, &upstream(), T0);
    for bound in [memory.target, memory.lower_bound, memory.upper_bound] {
        assert_eq!(amount(bound.as_ref()), Some(250 << 20));
    }
}

/// One core, seen for so many minutes: with the margin 1168m, of which a tenth and ten times bound the bounds.
#[test]
fn bounds_of_a_young_history_stay_near_what_was_seen() {
    for (minutes, safe, theirs) in [
        (0, (116, None), (25, Some(MAX_AMOUNT))),
        (1, (196, Some(11_680)), (196, Some(1_683_088))),
        (120, (1140, Some(11_680)), (1140, Some(15_184))),
        (160, (1147, Some(11_680)), (1147, Some(11_680))),
        (1440, (1165, Some(2336)), (1165, Some(2336))),
    ] {
        let history = history(minutes + 1, Duration::from_mins(1));
        for (config, (lower, upper)) in [(EstimatorConfig::default(), safe), (upstream(), theirs)] {
            let [cpu, _] = estimates(&history, &config, T0);
            let got = (
                amount(cpu.lower_bound.as_ref()),
                amount(cpu.upper_bound.as_ref()),
            );
            assert_eq!(got, (Some(lower), upper), "{minutes} minutes");
        }
    }
}

#[test]
fn confidence_tells_samples_and_age() {
    let hours = |h: u64| history(h * 60 + 1, Duration::from_mins(1));
    let config = EstimatorConfig::default();
    for (h, low) in [(0, true), (5, true), (6, false), (30, false)] {
        let confidence = config.confidence(&hours(h), Resource::Memory);
        assert_eq!(
            (confidence.samples, confidence.age),
            (h * 60 + 1, Duration::from_hours(h))
        );
        assert_eq!(confidence.is_low(), low, "{h} hours");
    }
}

/// Samples and kills over minutes to days, and what upstream's own code recommended after some of them.
#[test]
fn follows_upstream_to_the_unit() {
    let config = upstream();
    let kept = config.history;
    let mut checked = 0;
    let mut case = "";
    let mut window = PodContainerWindow::default();
    let mut history = ContainerHistory::new(&kept, T0);
    for row in rows(include_str!("../../testdata/estimates.csv")) {
        if case != row[0] {
            case = row[0];
            window = PodContainerWindow::default();
            history = ContainerHistory::new(&kept, T0);
        }
        let numbers: Vec<i64> = row[2..].iter().map(|n| n.parse().unwrap()).collect();
        let at = Timestamp::from_unix_millis(numbers[1]);
        let bytes = Bytes(numbers[0]);
        match row[1] {
            "cpu" => window.add_cpu(&mut history, Millicores(bytes.0), (at, at)),
            "memory" => window.add_memory(&mut history, bytes, (at, at), &kept),
            "oom" => window.record_oom(&mut history, &kill(bytes, at), at, &kept),
            _ => {
                let got = estimates(&history, &config, history.last_activity());
                let amounts = got
                    .map(|e| [e.target, e.lower_bound, e.upper_bound].map(|d| d.unwrap().amount()));
                assert_eq!(amounts.concat(), numbers, "{row:?}");
                checked += 1;
                Ok(())
            }
        }
        .unwrap();
    }
    assert_eq!(checked, 60);
}
