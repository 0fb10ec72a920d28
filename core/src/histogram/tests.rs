use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

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

/// Samples are (value, weight, hours after [`start`]).
fn filled(buckets: &'static Buckets, samples: &[(f64, f64, u32)]) -> Histogram {
    let mut histogram = Histogram::new(buckets, HOUR);
    for (value, weight, hours) in samples {
        histogram.add(*value, *weight, start() + HOUR * *hours);
    }
    histogram
}

fn assert_percentiles(histogram: &Histogram, expected: &[(f64, f64)]) {
    for (p, value) in expected {
        let got = histogram.percentile(*p);
        assert!(
            (got - value).abs() <= value.abs() * 1e-15,
            "p{p}: {got}, not {value}"
        );
    }
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

const ONE_TO_FOUR: [(f64, f64); 11] = [
    (0.0, 2.0),
    (0.1, 2.0),
    (0.2, 3.0),
    (0.3, 3.0),
    (0.4, 4.0),
    (0.5, 4.0),
    (0.6, 4.0),
    (0.7, 5.0),
    (0.8, 5.0),
    (0.9, 5.0),
    (1.0, 5.0),
];

#[test]
fn percentiles() {
    let hours = |h: [u32; 4]| {
        [
            (1.0, 1.0, h[0]),
            (2.0, 2.0, h[1]),
            (3.0, 3.0, h[2]),
            (4.0, 4.0, h[3]),
        ]
    };
    let cases: &[(&[(f64, f64, u32)], &[(f64, f64)])] = &[
        (
            &[],
            &[(-0.5, 0.0), (0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.0)],
        ),
        (&hours([0; 4]), &ONE_TO_FOUR),
        // Each sample weighs twice the one an hour before it.
        (
            &hours([0, 1, 2, 3]),
            &[
                (0.0, 2.0),
                (0.02, 2.0),
                (0.03, 3.0),
                (0.1, 3.0),
                (0.11, 4.0),
                (0.34, 4.0),
                (0.35, 5.0),
                (1.0, 5.0),
            ],
        ),
        (
            &[(2.0, 1000.0, 0), (1.0, 1.0, 20)],
            &[(0.999, 2.0), (1.0, 3.0)],
        ),
        // 101 half-lives later the first sample counts no more.
        (&[(2.0, 1.0, 0), (1.0, 1.0, 101)], &[(1.0, 2.0)]),
    ];
    for (samples, expected) in cases {
        assert_percentiles(&filled(&TEN, samples), expected);
    }
}

#[test]
fn percentiles_out_of_bounds() {
    let mut histogram = Histogram::new(&ONE, HOUR);
    histogram.add(0.1, 0.1, no_decay());
    histogram.add(0.2, 0.2, no_decay());
    let start_of = |bucket| ONE.start(bucket);
    assert_percentiles(&histogram, &[(-0.1, start_of(2)), (1.1, start_of(3))]);
    histogram.add(0.0, 0.1, no_decay());
    histogram.add(1.0, 0.2, no_decay());
    assert_percentiles(&histogram, &[(-0.1, start_of(1)), (1.1, start_of(10))]);
}

#[test]
fn empty_below_epsilon() {
    let epsilon = ONE.epsilon();
    let mut histogram = Histogram::new(&ONE, HOUR);
    assert!(histogram.is_empty());
    histogram.add(0.1, 2.5 * epsilon, no_decay());
    assert!(!histogram.is_empty());
    histogram.subtract(0.1, epsilon, no_decay());
    assert!(!histogram.is_empty());
    histogram.subtract(0.1, epsilon, no_decay());
    assert!(histogram.is_empty());
    assert_eq!(histogram.percentile(0.5), 0.0);
}

#[test]
fn small_weights_do_not_empty_it() {
    let epsilon = ONE.epsilon();
    let mut histogram = Histogram::new(&ONE, HOUR);
    for (value, weight) in [(9.9, 3.0), (0.1, 0.3), (999.9, 0.3)] {
        histogram.add(value, weight * epsilon, no_decay());
        assert!(!histogram.is_empty(), "{value}");
    }
}

#[test]
fn merging_equals_adding_all() {
    let mut plain = filled(&TEN, &[(1.0, 1.0, 0), (2.0, 1.0, 0)]);
    plain
        .merge(&filled(&TEN, &[(2.0, 1.0, 0), (3.0, 1.0, 0)]))
        .unwrap();
    assert_alike(
        &plain,
        &filled(&TEN, &[(1.0, 1.0, 0), (2.0, 2.0, 0), (3.0, 1.0, 0)]),
    );

    let mut decaying = filled(&TEN, &[(1.0, 1.0, 0), (2.0, 1.0, 1)]);
    decaying
        .merge(&filled(&TEN, &[(2.0, 1.0, 2), (3.0, 1.0, 1)]))
        .unwrap();
    let all = filled(
        &TEN,
        &[(1.0, 1.0, 0), (2.0, 1.0, 1), (2.0, 1.0, 2), (3.0, 1.0, 1)],
    );
    assert_alike(&decaying, &rebased(all, decaying.reference));
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
    for (value, percentile) in [
        (0.0, 0.01),
        (0.005, 0.01),
        (0.01, 0.020_499_999_999_999_987),
        (0.02, 0.020_499_999_999_999_987),
        (0.05, 0.055_256_312_499_999_98),
        (0.1, 0.110_265_643_195_703_06),
        (0.25, 0.258_403_663_560_206_4),
        (0.5, 0.511_134_537_588_870_6),
        (1.0, 1.016_281_388_554_090_4),
        (2.0, 2.093_479_957_150_735),
        (4.0, 4.124_698_514_136_815),
        (8.0, 8.362_607_246_188_093),
        (16.0, 16.753_376_660_316_565),
        (32.0, 33.366_526_166_959_13),
        (64.0, 66.259_425_841_371_8),
        (1000.0, 1_021.109_408_904_860_1),
        (5000.0, 1_021.109_408_904_860_1),
    ] {
        let mut histogram = Histogram::new(Buckets::cpu(), HOUR);
        histogram.add(value, 0.1, start());
        for p in [0.0, 0.5, 0.9, 1.0] {
            assert_eq!(histogram.percentile(p), percentile, "{value}");
        }
    }
    for (value, percentile) in [
        (0.0, 10_000_000),
        (1e6, 10_000_000),
        (1e7, 20_499_999),
        (5e7, 55_256_312),
        (1e8, 110_265_643),
        (134_217_728.0, 142_067_871),
        (268_435_456.0, 281_323_846),
        (536_870_912.0, 546_691_264),
        (1e9, 1_016_281_388),
        (1_073_741_824.0, 1_077_095_457),
        (2_147_483_648.0, 2_208_153_955),
        (4_294_967_296.0, 4_340_933_439),
        (1e10, 10_207_902_624),
        (1e11, 102_900_382_525),
        (1e12, 1_021_109_408_904),
        (5e12, 1_021_109_408_904_i64),
    ] {
        let mut histogram = Histogram::new(Buckets::memory(), HOUR);
        histogram.add(value, 1.0, start());
        assert_eq!(histogram.percentile(0.9) as i64, percentile, "{value}");
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
    for line in include_str!("../../testdata/decay.csv").lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
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
            assert_eq!(histogram.percentile(p), number(column), "p{p} after {line}");
        }
        assert_eq!(histogram.is_empty().to_string(), row[8], "{line}");
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
