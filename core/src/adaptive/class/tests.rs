use std::time::Duration;

use proptest::prelude::*;

use super::super::days::Days;
use super::{Class, Told};
use crate::quantity::Resource;
use crate::time::Timestamp;

const STEP: Duration = Duration::from_mins(5);
const A_DAY: u32 = 288;

/// Numbers that look random.
struct Random(u64);

impl Random {
    /// Between 0 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    /// With a mean of 0 and a deviation of 1, about.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// A series of a class, five minutes apart; `None` where nothing ran. With `doubt` above 0, up to 1, it comes nearer to what
/// its class ends at.
fn series(class: Class, days: u32, seed: u64, doubt: f64) -> Vec<Option<f64>> {
    let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95));
    let level = 10_f64.powf(random.between(-1.0, 1.5));
    let usage: Vec<Option<f64>> = match class {
        Class::Unknown => Vec::new(),
        Class::Steady => steady(days, doubt, &mut random),
        Class::Periodic => periodic(days, doubt, &mut random),
        Class::Bursty => bursty(days, doubt, &mut random),
        Class::Ramping => ramping(days, doubt, &mut random),
        Class::RunToCompletion => runs(days, doubt, &mut random),
    };
    usage
        .into_iter()
        .map(|used| Some(used?.max(0.0) * level))
        .collect()
}

/// The time of day, 0 to 1.
fn time_of_day(n: u32) -> f64 {
    f64::from(n % A_DAY) / f64::from(A_DAY)
}

/// Noise of up to an eighth, and a trace of a rhythm and a drift.
fn steady(days: u32, doubt: f64, random: &mut Random) -> Vec<Option<f64>> {
    let (noise, rhythm) = (
        random.between(0.01, 0.1 + 0.035 * doubt),
        random.between(0.0, 0.08),
    );
    let drift = random.between(-0.005, 0.005);
    let of = |n: u32| {
        let tide = (time_of_day(n) * std::f64::consts::TAU).sin();
        let grown = 1.0 + drift * f64::from(n) / f64::from(A_DAY);
        Some(grown * (1.0 + rhythm * tide) * (1.0 + noise * random.normal()))
    };
    (0..days * A_DAY).map(of).collect()
}

/// A sine, or office hours, of any height; days differ a little, and there is noise.
fn periodic(days: u32, doubt: f64, random: &mut Random) -> Vec<Option<f64>> {
    let swing = random.between(0.4 - 0.1 * doubt, 0.95);
    let noise = swing * random.between(0.05, 0.3 + 0.35 * doubt);
    let (shift, long) = (random.next(), random.between(0.15, 0.5));
    let is_sine = random.next() < 0.5;
    let day_noise = swing * random.between(0.0, 0.2);
    let mut today = 1.0;
    let of = |n: u32| {
        if n.is_multiple_of(A_DAY) {
            today = 1.0 + day_noise * random.normal();
        }
        let turned = (time_of_day(n) + shift).fract();
        let tide = if is_sine {
            (turned * std::f64::consts::TAU).sin()
        } else if turned < long {
            1.0
        } else {
            -1.0
        };
        Some(today * (1.0 + swing * tide) * (1.0 + noise * random.normal()))
    };
    (0..days * A_DAY).map(of).collect()
}

/// Bursts of five minutes to some hours, at any time, several times as high.
fn bursty(days: u32, doubt: f64, random: &mut Random) -> Vec<Option<f64>> {
    let (a_day, height) = (
        random.between(2.0 - 1.5 * doubt, 20.0),
        random.between(3.0 - 1.5 * doubt, 15.0),
    );
    let long = random.between(1.0, 24.0);
    let mut left = 0.0;
    let of = |_: u32| {
        if left <= 0.0 && random.next() < a_day / f64::from(A_DAY) {
            left = random.between(1.0, long);
        }
        left -= 1.0;
        let burst = if left > 0.0 { height } else { 1.0 };
        Some(burst * (1.0 + 0.05 * random.normal()))
    };
    (0..days * A_DAY).map(of).collect()
}

/// Growth of 3 to 10 % of the first level a day, or a fall to a third in all, with noise and a trace of a rhythm.
fn ramping(days: u32, doubt: f64, random: &mut Random) -> Vec<Option<f64>> {
    let growth = if random.next() < 0.7 {
        random.between(0.04 - 0.01 * doubt, 0.1)
    } else {
        -random.between(0.4, 0.65) / f64::from(days)
    };
    // A line from end to end deviates by its height over the root of twelve.
    let deviation = growth.abs() * f64::from(days) / 12_f64.sqrt();
    let noise = deviation * random.between(0.05, 0.3 + 0.4 * doubt);
    let rhythm = deviation * random.between(0.0, 0.3 + 0.5 * doubt);
    let of = |n: u32| {
        let tide = (time_of_day(n) * std::f64::consts::TAU).sin();
        let grown = 1.0 + growth * f64::from(n) / f64::from(A_DAY);
        Some(grown * (1.0 + rhythm * tide) * (1.0 + noise * random.normal()))
    };
    (0..days * A_DAY).map(of).collect()
}

/// Runs of one to eight hours, and rests of three to twenty.
fn runs(days: u32, doubt: f64, random: &mut Random) -> Vec<Option<f64>> {
    let (longest, rest) = (
        random.between(24.0, 96.0 + 400.0 * doubt),
        random.between(60.0, 240.0 + 400.0 * doubt),
    );
    let (mut left, mut resting) = (random.between(12.0, longest), 0.0);
    let of = |_: u32| {
        if left > 0.0 {
            left -= 1.0;
            if left <= 0.0 {
                resting = random.between(36.0, rest);
            }
            return Some(1.0 + 0.2 * random.normal());
        }
        resting -= 1.0;
        if resting <= 0.0 {
            left = random.between(12.0, longest);
        }
        None
    };
    (0..days * A_DAY).map(of).collect()
}

/// What is told of a series that begins at some time of some day.
fn told(series: &[Option<f64>], begin: Timestamp) -> Told {
    let mut days = Days::new(Resource::Cpu);
    for (n, used) in (0..).zip(series) {
        if let Some(used) = used {
            days.add(*used, begin + STEP * n, 1.0);
        }
    }
    days.tell()
}

const CLASSES: [Class; 5] = [
    Class::Steady,
    Class::Periodic,
    Class::Bursty,
    Class::Ramping,
    Class::RunToCompletion,
];

const BEGIN: Timestamp = Timestamp::from_unix_seconds(1_700_000_000); // 22:13 in UTC

#[test]
fn each_class_is_told_from_two_weeks() {
    for class in CLASSES {
        for seed in 0..20 {
            let told = told(&series(class, 15, seed, 0.0), BEGIN);
            assert_eq!(told.class, class, "seed {seed}: {told}");
            assert!(told.confidence > 0.8, "seed {seed}: {told}");
        }
    }
}

/// Series up to the borders of their classes, of five to sixteen days: of what is told with so much confidence, no smaller part
/// is right. docs/quality.md has the table; `--nocapture` prints it.
#[test]
fn confidence_is_right_as_often_as_it_says() {
    /// What is told with a confidence from here on up to the next.
    const FROM: [f64; 4] = [0.0, 0.6, 0.8, 0.9];
    let mut counts = [(0.0, 0.0, 0.0); FROM.len()];
    for class in CLASSES {
        for seed in 0..160 {
            let begin = BEGIN + Duration::from_secs(seed * 5000);
            let days = 5 + (seed % 12) as u32;
            let told = told(&series(class, days, seed, 1.0), begin);
            let place = FROM.partition_point(|from| *from <= told.confidence) - 1;
            let (count, sum, right) = &mut counts[place];
            *count += 1.0;
            *sum += told.confidence;
            *right += f64::from(u8::from(told.class == class));
        }
    }
    for (from, (count, sum, right)) in FROM.into_iter().zip(counts) {
        let (mean, right) = (sum / count, right / count);
        println!("from {from}: {count} told, {mean:.2} on average, {right:.2} right");
        assert!(count > 20.0, "{from}: {count}");
        assert!(right >= mean, "{from}: {right} right, {mean} told");
    }
}

#[test]
fn what_is_not_known_is_not_told() {
    let steady = series(Class::Steady, 30, 1, 0.0);
    let unknown = Told::default();
    assert_eq!(told(&[], BEGIN), unknown);
    assert_eq!(told(&steady[..1], BEGIN), unknown);
    // Of the first day two hours are known; four more have ended.
    let (four, five) = (A_DAY as usize * 4, A_DAY as usize * 5);
    assert_eq!(told(&steady[..four], BEGIN), unknown);
    assert_eq!(told(&steady[..five], BEGIN).class, Class::Steady);
    assert_eq!(unknown.to_string(), "unknown yet");
    assert_eq!(told(&steady, BEGIN).to_string(), "steady, 94 % sure");
    // One outage, of hours or of days, is no run.
    for gap in [4 * 12, 3 * 288] {
        let mut series = steady.clone();
        series[288 * 20 + 100..][..gap].fill(None);
        assert_eq!(told(&series, BEGIN).class, Class::Steady, "{gap}");
    }
    // After two weeks without a sample nothing is known of it any more.
    let mut gone = steady.clone();
    gone[288 * 8..288 * 27].fill(None);
    assert_eq!(told(&gone, BEGIN), unknown);
}

#[test]
fn what_uses_next_to_nothing_is_steady() {
    let mut random = Random(3);
    let idle: Vec<_> = (0..A_DAY * 15)
        .map(|_| Some(if random.next() < 0.1 { 0.002 } else { 0.0 }))
        .collect();
    assert_eq!(told(&idle, BEGIN).class, Class::Steady);
}

/// Where time at zero is taken out of a history, the time of day stays what it is, and the rest is not forgotten.
#[test]
fn postponed_time_is_a_rest() {
    let mut days = Days::new(Resource::Memory);
    let mut at = BEGIN;
    for _ in 0..12 {
        for _ in 0..12 * 18 {
            days.add(1e9, at, 1.0);
            at = at + STEP;
        }
        let idle = Duration::from_hours(24 * 30 + 6);
        days.postpone(idle);
        at = at + idle;
    }
    assert_eq!(days.tell().class, Class::RunToCompletion);
    let mut whole = Days::new(Resource::Memory);
    for n in 0..A_DAY * 20 {
        if n == A_DAY * 10 {
            whole.postpone(Duration::from_hours(24 * 30));
        }
        let at = BEGIN + STEP * n + Duration::from_hours(if n < A_DAY * 10 { 0 } else { 24 * 30 });
        let tide = (time_of_day(n) * std::f64::consts::TAU).sin();
        whole.add(1e9 * (1.0 + 0.5 * tide), at, 1.0);
    }
    assert_eq!(whole.tell().to_string(), "periodic (24 h), 94 % sure");
}

#[test]
fn two_weeks_take_little_room() {
    assert!(size_of::<Days>() <= 256, "{}", size_of::<Days>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A constant changes no class; one that is a power of two changes nothing at all.
    #[test]
    fn classes_have_no_scale(place in 0_usize..5, seed in 0_u64..1000, power in -2_i32..3, factor in 0.5..4.0_f64) {
        let usage = series(CLASSES[place], 9, seed, 1.0);
        // Less than a 128th of a core counts as that much, and more than 2,400 cores as those, whatever the scale.
        let times = |factor: f64| {
            let usage: Vec<_> = usage.iter().map(|used| Some((*used)?.max(1.0 / 32.0) * factor)).collect();
            told(&usage, BEGIN)
        };
        let first = times(1.0);
        let same = times(f64::from(power).exp2());
        prop_assert_eq!(first, same);
        let other = times(factor);
        // Levels are kept in steps of 5 %: what is doubtful may tip over.
        prop_assert!(first.class == other.class || first.confidence.min(other.confidence) < 0.8, "{first} {other}");
    }

    /// Whatever was measured, and whenever.
    #[test]
    fn whatever_is_measured_is_told(
        samples in prop::collection::vec((0..8000_i64, prop_oneof![Just(0.0), 0.0..1e15_f64, Just(1e-300)], 0.1..1e6_f64), 0..300),
        idle in 0..3_000_000_u64,
    ) {
        for resource in Resource::ALL {
            let mut days = Days::new(resource);
            let mut at = Timestamp::from_unix_seconds(-500_000);
            for (n, (step, amount, weight)) in samples.iter().enumerate() {
                // Some come late.
                at = if n % 7 == 3 { at - Duration::from_mins(20) } else { at + Duration::from_secs(step.unsigned_abs()) };
                days.add(*amount, at, *weight);
                if n == 100 {
                    days.postpone(Duration::from_secs(idle));
                    at = at + Duration::from_secs(idle);
                }
                let told = days.tell();
                prop_assert!((0.0..1.0).contains(&told.confidence), "{told:?}");
            }
        }
    }
}
