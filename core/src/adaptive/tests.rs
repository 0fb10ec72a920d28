use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::cpu::Cpu;
use super::levels::Levels;
use super::ratios::{Costs, Ratios};
use super::{Adaptive, Class, Memory, Promises, StoredError, Told};
use crate::quantity::Resource;
use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);
const PROMISE: f64 = 0.01;

/// A container that uses what `cores` says, minute by minute; `seen` is told its target after each hour.
fn run(hours: u32, cores: impl Fn(u32) -> f64, mut seen: impl FnMut(u32, &Cpu)) -> Cpu {
    let mut cpu = Cpu::new(PROMISE);
    for minute in 0..hours * 60 {
        let at = Timestamp::default() + MINUTE * minute;
        cpu.add(cores(minute), at, 1.0);
        if minute % 60 == 0 {
            seen(minute / 60, &cpu);
        }
    }
    cpu
}

/// A number between 0 and 1 that looks random.
fn noise(n: u32) -> f64 {
    let mixed = (u64::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24)
}

#[test]
fn nothing_is_known_before_an_hour_has_ended() {
    let mut targets = Vec::new();
    run(3, |_| 1.0, |_, cpu| targets.push(cpu.target()));
    // The first has no record to choose a margin by; the next knows that nothing ran over.
    assert_eq!(targets[..2], [None, Some(1.3)]);
    assert!((1.0..1.1).contains(&targets[2].unwrap()), "{targets:?}");
}

#[test]
fn a_steady_container_gets_a_thin_margin_and_few_changes() {
    let mut targets = Vec::new();
    let cpu = run(
        24 * 7,
        |n| 1.0 + 0.05 * noise(n),
        |hour, cpu| {
            if hour > 24 {
                targets.push(cpu.target().unwrap());
            }
        },
    );
    let target = cpu.target().unwrap();
    assert!((1.04..1.12).contains(&target), "{target}");
    targets.dedup();
    assert!(targets.len() <= 3, "{targets:?}");
    assert!(cpu.followed().unwrap().margin.time_over < PROMISE);
}

#[test]
fn the_promise_decides_how_much_of_bursts_is_covered() {
    // Three minutes in a hundred it bursts to ten times as much.
    let bursty = |n: u32| if noise(n) < 0.03 { 5.0 } else { 0.5 };
    let at_promise = |promise: f64| {
        let mut cpu = Cpu::new(promise);
        for minute in 0..14 * 24 * 60 {
            cpu.add(bursty(minute), Timestamp::default() + MINUTE * minute, 1.0);
        }
        cpu.target().unwrap()
    };
    let (strict, loose) = (at_promise(0.001), at_promise(0.05));
    assert!(strict >= 5.0 && loose < 1.0, "{strict} {loose}");
}

#[test]
fn growth_is_followed_within_the_hour() {
    let mut reached = None;
    run(
        24 * 5,
        |n| if n < 24 * 4 * 60 { 0.2 } else { 2.0 },
        |hour, cpu| {
            if cpu.target().is_some_and(|target| target >= 2.0) {
                reached.get_or_insert(hour);
            }
        },
    );
    // It rose in the 97th hour, and the target is there when that hour has ended.
    assert_eq!(reached, Some(97));
}

#[test]
fn a_daily_rhythm_is_answered_by_what_was_used_last_or_by_the_peak() {
    let daily = |n: u32| {
        let hour = f64::from(n) / 60.0;
        1.0 + 0.8 * (hour * std::f64::consts::TAU / 24.0).sin()
    };
    let mut over = 0;
    let mut cpu = Cpu::new(PROMISE);
    for minute in 0..14 * 24 * 60 {
        let at = Timestamp::default() + MINUTE * minute;
        let late = minute > 4 * 24 * 60;
        over += u32::from(late && cpu.target().is_some_and(|target| daily(minute) > target));
        cpu.add(daily(minute), at, 1.0);
    }
    let share = f64::from(over) / f64::from(10 * 24 * 60);
    assert!(share <= 2.5 * PROMISE, "{share}");
}

#[test]
fn idle_hours_fade_what_was_seen_as_if_each_had_been_waited_for() {
    let used = |cpu: &mut Cpu, from: u32| {
        for minute in from..from + 600 {
            cpu.add(
                1.0 + noise(minute),
                Timestamp::default() + MINUTE * minute,
                1.0,
            );
        }
    };
    let (mut waited, mut jumped) = (Cpu::new(PROMISE), Cpu::new(PROMISE));
    used(&mut waited, 0);
    used(&mut jumped, 0);
    for hour in 10..100 {
        waited.advance(Timestamp::default() + MINUTE * (hour * 60));
    }
    used(&mut waited, 6000);
    used(&mut jumped, 6000);
    let (waited, jumped) = (waited.target().unwrap(), jumped.target().unwrap());
    assert!((waited / jumped - 1.0).abs() < 0.05, "{waited} {jumped}");
}

#[test]
fn no_usage_at_all_is_an_amount_like_any_other() {
    let cpu = run(48, |_| 0.0, |_, _| {});
    let target = cpu.target().unwrap();
    assert!(
        target.is_finite() && target > 0.0 && target < 0.01,
        "{target}"
    );
}

#[test]
fn quantiles_lie_within_their_level() {
    let mut levels = Levels::new();
    assert_eq!(levels.quantile(0.5), 0.0);
    for n in 0..1000 {
        levels.add(1.0 + f64::from(n) / 1000.0, 1.0);
    }
    for (q, cores) in [(0.01, 1.01), (0.5, 1.5), (0.95, 1.95)] {
        assert!(
            (levels.quantile(q) / cores - 1.0).abs() < 0.03,
            "{q}: {}",
            levels.quantile(q)
        );
    }
    levels.fade(0.5);
    assert!((levels.quantile(0.5) / 1.5 - 1.0).abs() < 0.03);
    levels.add(1e9, 1.0);
    assert!(levels.quantile(1.0).is_finite());
}

/// A container with a week of bursts.
fn seen() -> Cpu {
    run(
        24 * 7,
        |n| 0.2 + noise(n) * if n % 300 < 40 { 2.0 } else { 0.3 },
        |_, _| {},
    )
}

#[test]
fn bounds_hold_the_target_between_what_may_be_and_what_was_exceeded() {
    let cpu = seen();
    let (target, followed) = (cpu.target().unwrap(), cpu.followed().unwrap());
    assert!(
        followed.lower <= target && target <= followed.upper,
        "{followed:?}"
    );
    assert!(
        followed.lower > 0.5 && (2.2..3.0).contains(&followed.upper),
        "{followed:?}"
    );
    assert!(followed.margin.time_over <= cpu.cap(), "{followed:?}");
}

/// Days of memory, hour by hour, as `bytes` says.
fn memory(promise: f64, hours: u32, bytes: impl Fn(u32) -> f64) -> Memory {
    let mut memory = Memory::new(promise);
    for hour in 0..=hours {
        memory.add(bytes(hour), Timestamp::default() + MINUTE * 60 * hour);
    }
    memory
}

/// A week of both.
fn both() -> Adaptive {
    Adaptive {
        cpu: seen(),
        memory: memory(0.02, 24 * 7, |hour| 1e9 * (1.0 + 0.2 * noise(hour))),
        ..Adaptive::new(&Promises::default())
    }
}

const WEEK: u32 = 24 * 7 * 60;

#[test]
fn what_is_stored_goes_on_as_if_it_had_not_been() {
    let mut known = both();
    let now = Timestamp::default() + MINUTE * WEEK;
    let bytes = known.to_bytes();
    assert!(bytes.len() < 3000, "{}", bytes.len());
    let mut stored = Adaptive::from_bytes(&bytes, &Promises::default(), now).unwrap();
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-3;
    let targets = |of: &Adaptive| [of.cpu.target().unwrap(), of.memory.target().unwrap()];
    let same = |a: &Adaptive, b: &Adaptive| {
        let ([cpu, memory], [other_cpu, other_memory]) = (targets(a), targets(b));
        close(cpu, other_cpu) && close(memory, other_memory)
    };
    assert!(same(&stored, &known));
    let expert = |of: &Adaptive| of.cpu.followed().unwrap().expert;
    assert_eq!(expert(&stored), expert(&known));
    let peaks = [&stored, &known].map(|of| of.memory.peaks().unwrap());
    assert!(close(peaks[0].highest, peaks[1].highest) && peaks[0].days == peaks[1].days);
    assert_eq!(stored.hours(), known.hours());
    for minute in 0..60 * 24 {
        let at = now + MINUTE * minute;
        for of in [&mut known, &mut stored] {
            of.cpu.add(noise(minute), at, 1.0);
            of.memory.add(1e9 * (1.1 + 0.2 * noise(minute)), at);
        }
    }
    assert!(same(&stored, &known));
}

#[test]
fn stored_days_go_on_and_broken_ones_are_refused() {
    let promises = Promises::default();
    let mut known = Adaptive::new(&promises);
    let at = |minute: u32| Timestamp::default() + MINUTE * minute;
    let add = |known: &mut Adaptive, minutes: std::ops::Range<u32>| {
        for minute in minutes {
            known.add_cpu(1.0 + noise(minute) * 3.0, at(minute), 1.0);
            known.add_memory(1e9 * (1.0 + f64::from(minute) / 4e4), at(minute));
        }
    };
    add(&mut known, 0..WEEK + 700);
    let now = at(WEEK + 700);
    let bytes = known.days_to_bytes();
    assert!(bytes.len() < 230, "{}", bytes.len());
    // What older programs read has not changed by it.
    let mut read = Adaptive::from_bytes(&known.to_bytes(), &promises, now).unwrap();
    assert_eq!(read.told(Resource::Cpu), Told::default());
    read.resume_days(&bytes, now).unwrap();
    for resource in Resource::ALL {
        assert_eq!(read.told(resource), known.told(resource));
    }
    assert_eq!(read.told(Resource::Cpu).class, Class::Bursty);
    assert_eq!(read.told(Resource::Memory).class, Class::Ramping);
    for known in [&mut known, &mut read] {
        add(known, WEEK + 700..2 * WEEK);
    }
    assert_eq!(read.days_to_bytes()[12..], known.days_to_bytes()[12..]);

    for cut in 0..bytes.len() {
        let refused = read.resume_days(&bytes[..cut], now);
        assert_eq!(refused, Err(StoredError::Length), "{cut}");
    }
    let refused = read.resume_days(&[&bytes[..], &[0]].concat(), now);
    assert_eq!(refused, Err(StoredError::Length));
    assert_eq!(read.resume_days(&[9], now), Err(StoredError::Version(9)));
    let early = read.resume_days(&bytes, Timestamp::default());
    assert_eq!(early, Err(StoredError::Future));
    // Refused bytes change nothing.
    assert_eq!(read.days_to_bytes()[12..], known.days_to_bytes()[12..]);
}

#[test]
fn bytes_that_cannot_be_are_refused() {
    let (bytes, now) = (both().to_bytes(), Timestamp::default() + MINUTE * WEEK);
    let read = |bytes: &[u8], now| {
        let read = Adaptive::from_bytes(bytes, &Promises::default(), now);
        read.map(|_| ()).unwrap_err()
    };
    assert_eq!(read(&[2], now), StoredError::Version(2));
    assert_eq!(read(&bytes[..bytes.len() - 1], now), StoredError::Length);
    assert_eq!(read(&[&bytes[..], &[0]].concat(), now), StoredError::Length);
    assert_eq!(read(&bytes, Timestamp::default()), StoredError::Future);
    let mut broken = bytes.clone();
    broken[1] = 200;
    assert_eq!(read(&broken, now), StoredError::Amount);
    let mut broken = bytes;
    broken[14..18].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(read(&broken, now), StoredError::Amount);
}

#[test]
fn memory_covers_what_comes_back_and_gives_up_what_does_not() {
    // A steady level, and one day of thirty with ten times as much.
    let spike = |hour: u32| {
        if (24 * 5..24 * 5 + 3).contains(&hour) {
            1e10
        } else {
            1e9
        }
    };
    let strict = memory(0.001, 24 * 40, spike).target().unwrap();
    let loose = memory(0.05, 24 * 25, spike);
    let peaks = loose.peaks().unwrap();
    let loose = loose.target().unwrap();
    assert!(loose < 1.1e9, "{loose}");
    assert!(
        peaks.part < 0.2 && peaks.days == 25 && peaks.days_over < 0.05,
        "{peaks:?}"
    );
    // After thirty days nobody remembers it.
    assert!(strict < 1.2e9, "{strict}");
    assert!(memory(0.001, 24 * 25, spike).target().unwrap() > 1e10);
}

#[test]
fn memory_that_was_used_is_covered_at_once_and_for_a_day() {
    let step = |hour: u32| if hour == 24 * 10 { 3e9 } else { 1e9 };
    let after = |hours: u32| memory(0.5, 24 * 10 + hours, step).target().unwrap();
    assert!(
        after(1) >= 3e9 && after(23) >= 3e9,
        "{} {}",
        after(1),
        after(23)
    );
    assert!(after(26) < 1.2e9, "{}", after(26));
}

#[test]
fn a_steady_container_has_little_room_and_hardly_a_change() {
    let mut known = Memory::new(0.02);
    let mut targets = Vec::new();
    for hour in 0..24 * 20 {
        known.add(
            1e9 * (1.0 + 0.02 * noise(hour)),
            Timestamp::default() + MINUTE * 60 * hour,
        );
        targets.extend(known.target().filter(|_| hour > 48));
    }
    let last = known.target().unwrap();
    assert!((1.02e9..1.1e9).contains(&last), "{last}");
    targets.dedup();
    assert!(targets.len() <= 3, "{targets:?}");
}

#[test]
fn a_rest_leaves_everything_as_it_was() {
    let (mut rested, mut busy) = (both(), both());
    let (end, idle) = (MINUTE * (24 * 7 * 60), Duration::from_hours(24 * 30));
    rested.postpone(idle);
    for minute in 0..600 {
        let at = Timestamp::default() + end + MINUTE * minute;
        for (of, at) in [(&mut busy, at), (&mut rested, at + idle)] {
            of.cpu.add(0.3, at, 1.0);
            of.memory.add(9e8, at);
        }
    }
    let targets = |of: &Adaptive| (of.cpu.target(), of.memory.target());
    assert_eq!(targets(&rested), targets(&busy));
}

proptest! {
    /// Whatever stands there, it is read or refused.
    #[test]
    fn any_bytes_are_read_or_refused(at in 0_usize..3000, byte in any::<u8>()) {
        static STORED: LazyLock<Vec<u8>> = LazyLock::new(|| both().to_bytes());
        let mut bytes = STORED.clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        let now = Timestamp::default() + MINUTE * (24 * 7 * 60);
        if let Ok(mut read) = Adaptive::from_bytes(&bytes, &Promises::default(), now) {
            for minute in 0..130 {
                read.cpu.add(0.3, now + MINUTE * minute, 1.0);
                read.memory.add(9e8, now + MINUTE * minute);
            }
            prop_assert!(read.cpu.target().is_none_or(f64::is_finite));
            prop_assert!(read.memory.target().is_none_or(f64::is_finite));
        }
    }

    #[test]
    fn any_days_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..250), at in 0_usize..200, byte in any::<u8>()) {
        static STORED: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let mut known = both();
            for minute in 0..WEEK {
                known.add_cpu(noise(minute), Timestamp::default() + MINUTE * minute, 1.0);
            }
            known.days_to_bytes()
        });
        let mut one = STORED.clone();
        let at = at % one.len();
        one[at] = byte;
        let now = Timestamp::default() + MINUTE * WEEK;
        for bytes in [one, bytes] {
            let mut read = Adaptive::new(&Promises::default());
            if read.resume_days(&bytes, now).is_ok() {
                for hour in 0..50 {
                    read.add_cpu(0.3, now + MINUTE * 60 * hour, 1.0);
                }
                let told = read.told(Resource::Cpu);
                prop_assert!((0.0..1.0).contains(&told.confidence), "{told:?}");
            }
        }
    }

    /// What a margin is said to come to is what it would have come to, to the width of a step, and no other of a grid is
    /// cheaper by more than that.
    #[test]
    fn the_best_margin_is_the_best(samples in prop::collection::vec((0.1..10.0_f64, 0.5..2.0_f64), 1..200), promise in 0.005..0.2_f64) {
        let mut ratios = Ratios::new();
        for (usage, word) in &samples {
            ratios.add(*word, (usage / word).ln(), 1.0);
        }
        let costs = Costs { time_over: 0.09 / promise, overrun: 0.4, cap: 2.5 * promise };
        let best = ratios.best(&costs);
        let count = samples.len() as f64;
        let over = |multiple: f64| samples.iter().filter(|(usage, word)| *usage > multiple * word).count() as f64 / count;
        prop_assert!(over(best.multiple) <= costs.cap + 1e-9 || best.multiple > 10.0);
        prop_assert!((best.time_over - over(best.multiple)).abs() < 1e-4);
        let words: f64 = samples.iter().map(|(_, word)| word).sum();
        let slack = |multiple: f64| {
            let met: f64 = samples.iter().map(|(usage, word)| usage.min(multiple * word)).sum();
            1.0 - met / (multiple * words)
        };
        prop_assert!((best.slack - slack(best.multiple)).abs() < 0.1, "{} {}", best.slack, slack(best.multiple));
        // The next multiples up, some steps of the grid apart, save nothing.
        for more in [1.5, 2.0, 4.0] {
            let dearer = slack(best.multiple * more) + costs.time_over * over(best.multiple * more);
            prop_assert!(best.cost <= dearer + 0.4 + 0.1, "{more}");
        }
    }
}

#[test]
fn whether_promises_are_kept_is_counted_from_the_second_day_on() {
    let promises = Promises::default();
    let mut adaptive = Adaptive::new(&promises);
    let at = |minute: u32| Timestamp::default() + MINUTE * minute;
    for minute in 0..24 * 60 {
        adaptive.cpu.add(1.0, at(minute), 1.0);
        adaptive.memory.add(1e9, at(minute));
    }
    adaptive.advance(at(24 * 60));
    let kept = |adaptive: &Adaptive| (adaptive.cpu.kept(), adaptive.memory.kept());
    assert_eq!(kept(&adaptive), (None, None), "it has not sized yet");

    // One of the next four days has six minutes with more than ever before, in two of its hours.
    for minute in 24 * 60..5 * 24 * 60 {
        let more = matches!(minute / 60, 50 | 52) && minute % 60 < 3;
        let times = if more { 3.0 } else { 1.0 };
        adaptive.cpu.add(times, at(minute), 1.0);
        adaptive.memory.add(times * 1e9, at(minute));
    }
    adaptive.advance(at(5 * 24 * 60));
    let (cpu, memory) = kept(&adaptive);
    let (cpu, memory) = (cpu.unwrap(), memory.unwrap());
    // Of what fades with a half-life of two weeks the older three days count a little less.
    assert!((0.0003..0.0011).contains(&cpu), "{cpu}");
    assert!((0.22..0.28).contains(&memory), "{memory}");

    let again = Adaptive::from_bytes(&adaptive.to_bytes(), &promises, at(5 * 24 * 60)).unwrap();
    let (cpu_again, memory_again) = kept(&again);
    assert!((cpu_again.unwrap() - cpu).abs() < 1e-6, "{cpu_again:?}");
    assert!(
        (memory_again.unwrap() - memory).abs() < 1e-6,
        "{memory_again:?}"
    );
    let said = crate::explanation::Cause::Adaptive(adaptive.cpu.followed().unwrap()).to_string();
    assert!(
        said.contains("; lately usage was over it 0.1 % of the time"),
        "{said}"
    );
    let said = crate::explanation::Cause::Peaks(adaptive.memory.peaks().unwrap()).to_string();
    assert!(said.contains("; lately usage was over it 2"), "{said}");
}

/// docs/tuning.md has the figure.
#[test]
fn a_container_takes_seven_kilobytes() {
    let mut known = both();
    for day in 0..40 {
        for hour in 0..24 {
            let at = Timestamp::default() + MINUTE * (60 * (day * 24 + hour));
            known.add_memory(1e9, at);
        }
    }
    let weights = known.cpu.parts().weights;
    let of_cpu: usize = weights.iter().map(|weights| size_of_val(*weights)).sum();
    let lists = known.memory.lists();
    let of_memory: usize = lists.iter().map(|list| list.capacity() * 8).sum();
    let bytes = size_of::<Adaptive>() + of_cpu + of_memory;
    assert!((6900..7350).contains(&bytes), "{bytes}");
}
