use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::rows::{number, rows};

const HOUR: Duration = Duration::from_hours(1);

static TEN: LazyLock<Buckets> = LazyLock::new(|| Buckets::linear(10.0, 1.0, 1e-15).unwrap());
static ONE: LazyLock<Buckets> = LazyLock::new(|| Buckets::linear(1.0, 0.1, 1e-15).unwrap());

/// A time at which samples weigh what they are given, because it is a multiple of the half-life.
fn no_decay() -> Timestamp {
    Timestamp::from_unix_seconds(0)
}

fn start() -> Timestamp {
    Timestamp::from_unix_seconds(1_234_567_890)
}

fn assert_alike(a: &Histogram, b: &Histogram) {
    assert_eq!((a.reference, a.buckets), (b.reference, b.buckets));
    let weights: Vec<_> = a.weights().zip(b.weights()).collect();
    assert_eq!(
        (weights.len(), weights.len()),
        (a.weights().count(), b.weights().count())
    );
    for ((bucket_a, weight_a), (bucket_b, weight_b)) in weights {
        assert_eq!(bucket_a, bucket_b);
        assert!((weight_a - weight_b).abs() <= weight_b * 1e-12);
    }
    assert!((a.total - b.total).abs() <= b.total * 1e-12);
}

#[test]
fn follows_upstreams_rows() {
    let mut case = "";
    let mut histogram = Histogram::new(&TEN, HOUR);
    for row in rows(include_str!("../../testdata/histograms.csv")) {
        let [name, buckets, operation, value, weight, hour, expected] = row[..] else {
            panic!("{row:?}")
        };
        let buckets = if buckets == "L1" { &*ONE } else { &*TEN };
        if case != name {
            (case, histogram) = (name, Histogram::new(buckets, HOUR));
        }
        let value = number::<f64>(value).unwrap_or_default();
        let weight = match weight.strip_suffix("eps") {
            Some(times) => number::<f64>(times).unwrap() * buckets.epsilon(),
            None => number(weight).unwrap_or_default(),
        };
        let at = number::<u32>(hour).map_or(no_decay(), |hour| start() + HOUR * hour);
        match operation {
            "add" => histogram.add(value, weight, at),
            "subtract" => histogram.subtract(value, weight, at),
            "empty" => assert_eq!(histogram.is_empty().to_string(), expected, "{row:?}"),
            _ => {
                let (got, want) = (
                    histogram.percentile(value),
                    number::<f64>(expected).unwrap(),
                );
                assert!((got - want).abs() <= want * 1e-15, "{got}: {row:?}");
            }
        }
    }
}

#[test]
fn merging_equals_adding_all() {
    let table: Vec<_> = rows(include_str!("../../testdata/merged_histograms.csv")).collect();
    for case in table.chunk_by(|a, b| a[0] == b[0]) {
        let samples = |wanted: &[&str]| {
            let mut histogram = Histogram::new(&TEN, HOUR);
            for row in case.iter().filter(|row| wanted.contains(&row[1])) {
                let at = number::<u32>(row[4]).map_or(no_decay(), |hour| start() + HOUR * hour);
                histogram.add(number(row[2]).unwrap(), number(row[3]).unwrap(), at);
            }
            histogram
        };
        let all = samples(&["1", "2"]);
        assert!(!all.is_empty(), "{case:?}");
        // The later one into the earlier, and the other way round.
        for (into, from) in [("1", "2"), ("2", "1")] {
            let mut merged = samples(&[into]);
            merged.merge(&samples(&[from])).unwrap();
            assert_alike(&merged, &rebased(all.clone(), merged.reference));
        }
    }
}

/// The same samples seen from another reference time.
fn rebased(mut histogram: Histogram, reference: Option<Timestamp>) -> Histogram {
    histogram.scale(histogram.exponent_to(reference));
    histogram.reference = reference;
    histogram
}

#[test]
fn only_like_histograms_merge() {
    let mut histogram = Histogram::new(&TEN, HOUR);
    for other in [Histogram::new(&ONE, HOUR), Histogram::new(&TEN, HOUR * 2)] {
        assert_eq!(histogram.merge(&other), Err(Incompatible));
    }
}

#[test]
fn reference_is_a_multiple_of_the_half_life_from_year_one() {
    let five_hours = HOUR * 5;
    for (half_life, at, reference) in [
        (HOUR, 1_234_567_890, 1_234_567_800 + 1800),
        (HOUR, 1800, 3600),
        (HOUR, 1799, 0),
        // Year 1 began 17 259 888 hours before 1970, which leaves 3 when divided by 5.
        (five_hours, 3600, 2 * 3600),
        (five_hours, -3600, -3 * 3600),
    ] {
        let mut histogram = Histogram::new(&TEN, half_life);
        histogram.add(1.0, 1.0, Timestamp::from_unix_seconds(at));
        assert_eq!(
            histogram.reference(),
            Some(Timestamp::from_unix_seconds(reference)),
            "{at}"
        );
    }
}

#[test]
fn restored_weights_count() {
    let at = Timestamp::from_unix_seconds(1_514_862_245);
    let histogram = Histogram::new(&TEN, HOUR).with_weights(Some(at), 6.0, [(0, 6.0)]);
    assert!(!histogram.is_empty());
    assert_eq!(histogram.reference(), Some(at));
    let mut without_reference = Histogram::new(&TEN, HOUR).with_weights(None, 6.0, [(0, 6.0)]);
    without_reference.add(5.0, 1.0, start());
    assert_eq!(without_reference.percentile(0.5), 1.0);
}

#[test]
fn one_sample_gives_the_end_of_its_bucket() {
    for row in rows(include_str!("../../testdata/single_samples.csv")) {
        let [resource, sample, expected] = row[..] else {
            panic!("{row:?}")
        };
        let (buckets, whole) = match resource {
            "cpu" => (Buckets::cpu(), false),
            _ => (Buckets::memory(), true),
        };
        let mut histogram = Histogram::new(buckets, HOUR);
        histogram.add(number(sample).unwrap(), 0.1, start());
        for p in [0.0, 0.5, 0.9, 1.0] {
            let got = histogram.percentile(p);
            let got = if whole { got.trunc() } else { got };
            assert_eq!(got, number::<f64>(expected).unwrap(), "p{p}: {row:?}");
        }
    }
}

/// Adds, take-backs, and gaps of 30 and 120 days, as upstream's own code answered them.
#[test]
fn follows_upstream_step_by_step() {
    let day = HOUR * 24;
    let new = |resource: &str| match resource {
        "cpu" => Histogram::new(Buckets::cpu(), day),
        _ => Histogram::new(Buckets::memory(), day),
    };
    let mut present = ("", Histogram::new(&TEN, day));
    for row in rows(include_str!("../../testdata/decay.csv")) {
        let number = |column: usize| row[column].parse::<f64>().unwrap();
        if present.0 != row[0] {
            present = (row[0], new(row[0]));
        }
        let histogram = &mut present.1;
        let at = Timestamp::from_unix_millis(row[4].parse().unwrap());
        match row[1] {
            "add" => histogram.add(number(2), number(3), at),
            _ => histogram.subtract(number(2), number(3), at),
        }
        for (p, column) in [(0.5, 5), (0.9, 6), (0.95, 7)] {
            assert_eq!(
                histogram.percentile(p),
                number(column),
                "p{p} after {row:?}"
            );
        }
        assert_eq!(histogram.is_empty().to_string(), row[8], "{row:?}");
    }
}

#[test]
fn costs_what_its_description_says() {
    assert!(size_of::<Histogram>() <= 72);
    let mut histogram = Histogram::new(Buckets::cpu(), HOUR);
    histogram.add(0.1, 0.1, start());
    histogram.add(1.0, 0.1, start());
    assert_eq!(histogram.weights.capacity(), 29);
}

/// Up to sixty samples: (value in cores, seconds after [`start`]).
fn samples() -> impl Strategy<Value = Vec<(f64, u32)>> {
    prop::collection::vec((0.0..50.0_f64, 0..20_000_000_u32), 0..60)
}

fn of_samples(samples: &[(f64, u32)]) -> Histogram {
    let mut histogram = Histogram::new(Buckets::cpu(), HOUR * 24);
    for (value, seconds) in samples {
        histogram.add(
            *value,
            0.1,
            start() + Duration::from_secs(u64::from(*seconds)),
        );
    }
    histogram
}

/// Rounding may decide a tie the other way: one bucket at most.
fn assert_near(a: &Histogram, b: &Histogram) -> Result<(), TestCaseError> {
    for p in [0.5, 0.9, 0.95] {
        let (a, b) = (
            Buckets::cpu().find(a.percentile(p)),
            Buckets::cpu().find(b.percentile(p)),
        );
        prop_assert!(a.abs_diff(b) <= 1, "p{}: bucket {} and {}", p, a, b);
    }
    Ok(())
}

proptest! {
    #[test]
    fn merging_is_commutative_and_associative(a in samples(), b in samples(), c in samples()) {
        let [a, b, c] = [a, b, c].map(|s| of_samples(&s));
        let merged = |parts: [&Histogram; 3]| {
            let mut sum = parts[0].clone();
            sum.merge(parts[1]).unwrap();
            sum.merge(parts[2]).unwrap();
            sum
        };
        let mut tail = b.clone();
        tail.merge(&c).unwrap();
        let mut nested = a.clone();
        nested.merge(&tail).unwrap();
        let abc = merged([&a, &b, &c]);
        let cab = merged([&c, &a, &b]);
        prop_assert!((abc.total - cab.total).abs() <= abc.total * 1e-9);
        prop_assert!((abc.total - nested.total).abs() <= abc.total * 1e-9);
        assert_near(&abc, &cab)?;
        assert_near(&abc, &nested)?;
    }

    #[test]
    fn percentiles_rise_with_p(samples in samples()) {
        let histogram = of_samples(&samples);
        let values: Vec<f64> = (0..=20).map(|p| histogram.percentile(f64::from(p) / 20.0)).collect();
        prop_assert!(values.is_sorted());
    }

    #[test]
    fn any_time_is_survived(seconds in prop::collection::vec(any::<i64>(), 0..20)) {
        let mut histogram = Histogram::new(Buckets::cpu(), HOUR);
        for s in seconds {
            histogram.add(1.0, 0.1, Timestamp::from_unix_seconds(s));
            prop_assert!(histogram.total.is_finite());
        }
    }
}

#[test]
fn the_mean_is_that_of_the_samples_to_within_a_bucket() {
    let empty = Histogram::new(Buckets::cpu(), Duration::from_hours(24));
    assert_eq!(empty.mean(), 0.0);
    let mut used = empty;
    for (value, weight) in [(0.4, 1.0), (0.8, 1.0), (2.4, 2.0)] {
        used.add(value, weight, Timestamp::default());
    }
    // (0.4 + 0.8 + 2 * 2.4) / 4; buckets are 5 % wide.
    assert!((used.mean() - 1.5).abs() < 0.04, "{}", used.mean());
}
