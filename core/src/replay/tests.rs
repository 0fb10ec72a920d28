use std::time::Duration;

use proptest::prelude::*;

use super::baseline::Baseline;
use super::curve::{Curve, grid};
use super::judge::{Judged, Trial, judge};
use super::matched::{Entry, Goal, halves, matched, resampled, unmultiplied};
use super::recorded::Recorded;
use super::score::score;
use super::updates::updates;
use super::*;
use crate::disruption::{Config, Profile};
use crate::estimator::{EstimatorConfig, Method};
use crate::quantity::ResourceList;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn at(minutes: u32) -> Timestamp {
    Timestamp::default() + MINUTE * minutes
}

fn cpu(minutes: u32, cores: f64) -> Sample {
    Sample {
        at: at(minutes),
        cpu: Some(cores),
        memory: None,
    }
}

/// Five-minute samples of CPU over some days.
fn series(days: u32, cores: impl Fn(u32) -> f64) -> Vec<Sample> {
    (0..days * 288).map(|n| cpu(n * 5, cores(n))).collect()
}

fn row(minutes: u32, cores: f64) -> Row {
    Row {
        at: at(minutes),
        sizes: Sizes {
            cpu: Some(Band::at(cores)),
            memory: None,
        },
    }
}

fn without_minimum() -> EstimatorConfig {
    EstimatorConfig {
        pod_minimum: ResourceList::default(),
        ..EstimatorConfig::default()
    }
}

#[test]
fn long_coarse_series_are_sized_each_hour() {
    let minutes =
        |step: u32, count: u32| -> Vec<Sample> { (0..count).map(|n| cpu(n * step, 1.0)).collect() };
    assert_eq!(usual_interval(&minutes(5, 288)), HOUR);
    assert_eq!(usual_interval(&minutes(5, 287)), MINUTE);
    assert_eq!(usual_interval(&minutes(1, 2000)), MINUTE);
    assert_eq!(usual_interval(&[]), MINUTE);
}

#[test]
fn a_row_comes_from_samples_before_it() {
    let samples = [
        cpu(0, 1.0),
        cpu(30, 2.0),
        cpu(60, 4.0),
        cpu(90, 3.0),
        cpu(600, 1.0),
    ];
    let mut sizer = Baseline::LongestPeak.sizer(&samples);
    // At 60 the sample of that minute is not known yet; the gap has one row at its beginning, not one an hour.
    assert_eq!(
        run(&samples, HOUR, &mut *sizer),
        [row(60, 2.0), row(120, 4.0)]
    );
}

#[test]
fn what_is_measured_in_a_gap_of_knowledge_counts_two_steps_at_most() {
    let samples = [
        cpu(0, 1.0),
        cpu(60, 1.0),
        cpu(120, 3.0),
        cpu(180, 1.0),
        cpu(480, 1.0),
    ];
    let trial = judge(&samples, &[row(60, 2.0)], Resource::Cpu).unwrap();
    let seconds: Vec<_> = trial
        .judged
        .iter()
        .map(|judged| judged.seconds / 60.0)
        .collect();
    // Judged from a third on: 160 minutes. The last sample counts for a step.
    assert_eq!(seconds, [120.0, 60.0]);
    assert_eq!(trial.judged[0].at, at(180));
    assert!(judge(&samples, &[row(60, 2.0)], Resource::Memory).is_none());
    assert!(judge(&[], &[], Resource::Cpu).is_none());
}

#[test]
fn samples_without_a_target_are_counted() {
    let samples: Vec<_> = (0..9).map(|n| cpu(n * 60, 1.0)).collect();
    let trial = judge(&samples, &[row(300, 2.0)], Resource::Cpu).unwrap();
    assert_eq!((trial.unsized_samples, trial.judged.len()), (2, 4));
}

#[test]
fn days_begin_where_judging_does_and_half_a_day_is_one() {
    for (hours, days) in [(1, 1), (30, 1), (36, 2), (72, 3), (83, 3), (84, 4)] {
        // Three times as long: the first third is warm-up, up to three days.
        let warm_up = (hours / 2).min(72);
        let samples: Vec<_> = (0..=hours + warm_up).map(|n| cpu(n * 60, 1.0)).collect();
        let trial = judge(&samples, &[row(1, 2.0)], Resource::Cpu).unwrap();
        let last = trial.judged.last().unwrap();
        assert_eq!(last.day + 1, days, "{hours} h");
    }
}

#[test]
fn a_target_changes_by_more_than_five_per_cent_of_the_one_counted_last() {
    let samples: Vec<_> = (0..=72).map(|n| cpu(n * 60, 1.0)).collect();
    let targets = [1.0, 1.04, 1.06, 1.0, 0.9];
    let rows: Vec<_> = (0..)
        .zip(targets)
        .map(|(n, cores)| row(24 * 60 + n * 300, cores))
        .collect();
    let trial = judge(&samples, &rows, Resource::Cpu).unwrap();
    // 1.06 and 1.0 and 0.9; in two days and the hour of the last sample.
    assert_eq!(trial.changes, 3);
    assert!((trial.changes_per_day() - 3.0 * 24.0 / 49.0).abs() < 1e-12);
}

#[test]
fn a_score_is_what_its_definitions_say() {
    let judged = |day, hour: i64, usage, target| Judged {
        at: Timestamp::from_unix_seconds(hour * 3600),
        seconds: 3600.0,
        day,
        usage,
        target,
    };
    let trial = Trial {
        judged: vec![
            judged(0, 0, 1.0, 2.0),
            judged(0, 1, 3.0, 2.0),
            judged(1, 24, 1.0, 2.0),
            judged(1, 25, 1.0, 2.0),
        ],
        changes: 1,
        unsized_samples: 0,
    };
    let score = score(&trial, Resource::Cpu);
    assert_eq!(score.slack, 1.0 - 5.0 / 8.0);
    assert_eq!(score.plain_slack, 1.0 - 6.0 / 8.0);
    // The first day's 95th percentile is 2.9, the second's 1.
    assert!((score.relative_slack - f64::midpoint(1.0 - 2.9 / 2.0, 0.5)).abs() < 1e-12);
    assert_eq!(score.time_over, 0.25);
    assert_eq!(score.overrun, 1.0 / 6.0);
    assert_eq!((score.days, score.days_over, score.days_severe), (2, 1, 1));
    assert_eq!(
        (score.used, score.recommended),
        (6.0 * 3600.0, 8.0 * 3600.0)
    );
}

#[test]
fn memory_days_are_severe_beyond_three_hours_over() {
    for (hours, severe) in [(3, 0), (4, 1)] {
        let judged = (0..20).map(|n| Judged {
            at: Timestamp::from_unix_seconds(n * 1800),
            seconds: 1800.0,
            day: 0,
            usage: if n < hours * 2 { 2.0 } else { 0.5 },
            target: 1.0,
        });
        let trial = Trial {
            judged: judged.collect(),
            ..Trial::default()
        };
        assert_eq!(score(&trial, Resource::Memory).days_severe, severe);
    }
}

#[test]
fn the_recorded_sizer_says_what_the_estimator_says() {
    let samples = series(2, |_| 1.0);
    let mut sizer = Recorded::new(without_minimum(), Duration::from_mins(5));
    let rows = run(&samples, HOUR, &mut sizer);
    let target = rows.last().unwrap().sizes.cpu.unwrap().target;
    let bucket = crate::histogram::Buckets::cpu();
    let end = bucket.start(bucket.find(1.0) + 1);
    assert_eq!(target, ((end * 1000.0).floor() * 1.15).floor() / 1000.0);
    // Bounds close in as confidence grows, so that there is a row an hour.
    assert!(rows.len() > 24);
}

#[test]
fn baselines_do_what_their_names_say() {
    let samples = series(3, |n| f64::from(n % 288) / 100.0);
    let last = |baseline: Baseline| {
        let mut sizer = baseline.sizer(&samples);
        let rows = run(&samples, HOUR, &mut *sizer);
        rows.last().unwrap().sizes.cpu.unwrap().target
    };
    // The last row is of 23:00 on the third day: sample 276 is not known yet.
    assert_eq!(last(Baseline::LastHour), 2.75);
    assert_eq!(last(Baseline::LongestPeak), 2.87);
    assert_eq!(last(Baseline::Oracle), 2.87);
    // 852 samples until then, of which 95 % lie below: by linear interpolation.
    let mut values: Vec<_> = (0..852).map(|n| f64::from(n % 288) / 100.0).collect();
    values.sort_by(f64::total_cmp);
    let expected = values[808] + (values[809] - values[808]) * 0.45;
    assert!((last(Baseline::Krr) - expected).abs() < 1e-9);
    // By load, half-life 12 h, the 95th percentile lies near the top of the ramp.
    assert!((2.86..3.25).contains(&last(Baseline::Autopilot)));
}

#[test]
fn an_updater_acts_outside_of_bounds_at_once_and_else_twice_a_day() {
    let config = Config::new(Profile::Safe);
    let banded = |hours: u32, target: f64, lower: f64, upper: f64| Row {
        at: at(hours * 60),
        sizes: Sizes {
            cpu: Some(Band {
                target,
                lower: Some(lower),
                upper: Some(upper),
            }),
            memory: None,
        },
    };
    let count = |rows: &[Row], hours: u32| updates(rows, at(hours * 60), &config);
    assert_eq!(count(&[banded(0, 1.0, 0.5, 2.0)], 100), 0);
    assert_eq!(
        count(&[banded(0, 1.0, 0.5, 2.0), banded(1, 1.2, 1.1, 2.0)], 2),
        1
    );
    // Within bounds: a tenth is worth it after twelve hours.
    let within = [banded(0, 1.0, 0.5, 2.0), banded(1, 1.1, 0.5, 2.0)];
    assert_eq!([count(&within, 12), count(&within, 13)], [0, 1]);
    assert_eq!(
        count(&[banded(0, 1.0, 0.5, 2.0), banded(1, 1.09, 0.5, 2.0)], 100),
        0
    );
}

fn trial(usages: &[f64]) -> Trial {
    let judged = usages.iter().enumerate().map(|(n, usage)| Judged {
        at: at(n as u32 * 60),
        seconds: 3600.0,
        day: n / 24,
        usage: *usage,
        target: 1.0,
    });
    Trial {
        judged: judged.collect(),
        ..Trial::default()
    }
}

#[test]
fn the_multiplier_is_the_least_that_keeps_the_goal() {
    // One hour in ten is at 2.5, the others at 1.
    let curve = Curve::of(&trial(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.5]));
    let entry = [Entry {
        source: 0,
        group: 0,
        curve: &curve,
    }];
    let reached = |goal| matched(&entry, goal).unwrap();
    assert_eq!(reached(Goal::Time(0.1)).multiplier, 1.0);
    assert_eq!(reached(Goal::Time(0.09)).multiplier, 2.5);
    assert_eq!(reached(Goal::Days(0.0)).multiplier, 2.5);
    assert!((reached(Goal::Time(0.0)).slack - (1.0 - 11.5 / 25.0)).abs() < 1e-12);
    assert_eq!(unmultiplied(&entry, Goal::Time(0.0)).violation, 0.1);
    let never = Curve::of(&trial(&[31.0]));
    let never = [Entry {
        curve: &never,
        ..entry[0]
    }];
    assert!(matched(&never, Goal::Time(0.0)).is_none());
    assert_eq!(halves(&never, Goal::Time(0.0)).unmet, 20);
}

#[test]
fn each_source_counts_the_same_however_many_series_it_has() {
    let (calm, wild) = (Curve::of(&trial(&[0.5])), Curve::of(&trial(&[0.5, 4.0])));
    let entry = |source, group, curve| Entry {
        source,
        group,
        curve,
    };
    let entries = [
        entry(0, 0, &calm),
        entry(0, 1, &calm),
        entry(0, 2, &calm),
        entry(1, 3, &wild),
    ];
    assert_eq!(unmultiplied(&entries, Goal::Time(0.0)).violation, 0.25);
    assert_eq!(unmultiplied(&entries, Goal::Days(0.0)).violation, 0.5);
}

#[test]
fn halves_and_resamples_keep_groups_together_and_are_the_same_each_time() {
    let (calm, wild) = (Curve::of(&trial(&[0.5])), Curve::of(&trial(&[0.5, 4.0])));
    let entries: Vec<_> = (0..10)
        .map(|n| Entry {
            source: 0,
            group: n / 5,
            curve: if n < 5 { &calm } else { &wild },
        })
        .collect();
    // Of two groups one is tuned on and the other scored: on calm series the least multiplier will do.
    let reached = halves(&entries, Goal::Time(0.0));
    assert_eq!(reached, halves(&entries, Goal::Time(0.0)));
    assert!([0.0, 0.25, 0.5].contains(&reached.violation));
    let interval = resampled(&entries, Goal::Time(0.0));
    // Low when only calm ones are drawn; high when both are, as calm ones waste most at what the wild ones need.
    let slack = |multiplier: f64, usage: f64| 1.0 - usage / multiplier;
    assert!((interval.low - slack(0.5, 0.5)).abs() < 1e-12);
    let both = f64::midpoint(slack(4.0, 0.5), slack(4.0, 2.25));
    assert!((interval.high - both).abs() < 1e-12);
}

fn usage() -> impl Strategy<Value = Vec<Sample>> {
    let amount = prop_oneof![3 => 0.0..4.0_f64, 1 => Just(0.01), 1 => 10.0..20.0_f64];
    prop::collection::vec((1_u32..90, amount, prop::option::of(1e7..1e10_f64)), 2..150).prop_map(
        |steps| {
            let mut minutes = 0;
            let samples = steps.into_iter().map(|(step, cores, memory)| {
                minutes += step;
                Sample {
                    memory,
                    ..cpu(minutes, cores)
                }
            });
            samples.collect()
        },
    )
}

proptest! {
    /// Whatever comes later, what was said until then stays.
    #[test]
    fn nothing_is_foreseen(samples in usage(), cut in 1_usize..150) {
        let cut = cut.min(samples.len());
        let all: [fn() -> Box<dyn Sizer>; 5] = [
            || Box::new(Recorded::new(without_minimum(), Duration::from_mins(5))),
            || {
                let mut config = without_minimum();
                config.method = Method::Adaptive;
                config.history.adaptive = true;
                Box::new(Recorded::new(config, Duration::from_mins(5)))
            },
            || Baseline::Krr.sizer(&[]),
            || Baseline::Autopilot.sizer(&[]),
            || Baseline::LastHour.sizer(&[]),
        ];
        for sizer in all {
            let whole = run(&samples, HOUR, &mut *sizer());
            let part = run(&samples[..cut], HOUR, &mut *sizer());
            prop_assert_eq!(&whole[..part.len()], &part[..]);
        }
    }

    /// One pass over the samples says of each multiplier what multiplied targets would.
    #[test]
    fn a_curve_is_the_score_of_multiplied_targets(usages in prop::collection::vec(0.0..8.0_f64, 1..100), index in 0_usize..981) {
        let trial = trial(&usages);
        let curve = Curve::of(&trial);
        let multiplier = grid()[index];
        let mut multiplied = trial;
        multiplied.judged.iter_mut().for_each(|judged| judged.target *= multiplier);
        let score = score(&multiplied, Resource::Cpu);
        let point = curve.points[index];
        prop_assert!((point.slack - score.slack).abs() < 1e-9);
        prop_assert!((point.time_over - score.time_over).abs() < 1e-9);
        prop_assert!((point.overrun - score.overrun).abs() < 1e-9);
        prop_assert_eq!((point.days_over, curve.days), (score.days_over, score.days));
    }
}
