use proptest::prelude::*;

use super::*;
use crate::rows::{number, rows};

const TS: Timestamp = Timestamp::from_unix_seconds(1_492_536_905); // 2017-04-18T17:35:05Z
const MIB: i64 = 1 << 20;

fn hours(h: u64) -> Duration {
    Duration::from_hours(h)
}

/// One container of one pod, and a second history that is built by hand from the operations that a table names.
struct Lab {
    config: HistoryConfig,
    window: PodContainerWindow,
    history: ContainerHistory,
    expected: Histogram,
}

impl Lab {
    fn new(interval: Duration) -> Self {
        let config = HistoryConfig {
            memory_interval: interval,
            // Kills go into the histogram, as in upstream's rows.
            profile: Profile::Upstream,
            ..HistoryConfig::default()
        };
        let history = ContainerHistory::new(&config, TS);
        let expected = history.memory.clone();
        Self {
            config,
            window: PodContainerWindow::default(),
            history,
            expected,
        }
    }

    fn memory(&mut self, bytes: i64, at: Timestamp) -> Result<(), Rejected> {
        self.window
            .add_memory(&mut self.history, Bytes(bytes), (at, at), &self.config)
    }

    fn cpu(&mut self, millicores: i64, at: Timestamp) -> Result<(), Rejected> {
        self.window
            .add_cpu(&mut self.history, Millicores(millicores), (at, at))
    }

    fn oom(&mut self, bytes: i64, at: Timestamp) -> Result<(), Rejected> {
        let kill = Kill {
            at,
            allowed: Bytes(bytes),
            template: None,
        };
        self.window
            .record_oom(&mut self.history, &kill, at + hours(1000), &self.config)
    }
}

/// Which samples and kills reach the memory histogram, and with which time.
#[test]
fn memory_is_aggregated_to_one_peak_a_window() {
    let mut case = "";
    let mut lab = Lab::new(hours(24));
    for row in rows(include_str!("../../testdata/memory_windows.csv")) {
        let [name, interval, event, amount, unit, second, expected] = row[..] else {
            panic!("{row:?}")
        };
        if case != name {
            (case, lab) = (name, Lab::new(hours(number(interval).unwrap())));
        }
        let unit = if unit == "MiB" { MIB } else { 1 };
        let at = |second: &str| {
            Timestamp::from_unix_seconds(TS.unix_seconds() + number::<i64>(second).unwrap())
        };
        let bytes = number::<i64>(amount).unwrap() * unit;
        let result = match event {
            "memory" => lab.memory(bytes, at(second)),
            _ => lab.oom(bytes, at(second)),
        };
        let operations = match expected {
            "negative" | "out of order" | "too old" => "",
            operations => operations,
        };
        match result {
            Ok(()) => assert_eq!(operations, expected, "{row:?}"),
            Err(Rejected::Negative(_)) => assert_eq!(expected, "negative"),
            Err(Rejected::OutOfOrder) => assert_eq!(expected, "out of order"),
            Err(Rejected::TooOld) => assert_eq!(expected, "too old"),
            Err(other) => panic!("{other}: {row:?}"),
        }
        for operation in operations.split_whitespace() {
            let (sign, rest) = operation.split_at(1);
            let (bytes, end) = rest.split_once('@').unwrap();
            let bytes = (number::<i64>(bytes).unwrap() * unit) as f64;
            match sign {
                "+" => lab.expected.add(bytes, 1.0, at(end)),
                _ => lab.expected.subtract(bytes, 1.0, at(end)),
            }
        }
        assert_eq!(lab.history.memory, lab.expected, "{row:?}");
    }
}

#[test]
fn cpu_samples_count_once_and_in_order() {
    let mut lab = Lab::new(hours(24));
    let mut expected = lab.history.cpu.clone();
    let mut added = Vec::new();
    for row in rows(include_str!("../../testdata/cpu_samples.csv")) {
        let millicores = number::<i64>(row[0]).unwrap();
        let at = TS + Duration::from_secs(number(row[1]).unwrap());
        let outcome = match lab.cpu(millicores, at) {
            Ok(()) => {
                expected.add(millicores as f64 / 1000.0, 0.1, at);
                added.push(at);
                "added"
            }
            Err(Rejected::OutOfOrder) => "out of order",
            Err(Rejected::Negative(_)) => "negative",
            Err(Rejected::Absurd(_)) => "absurd",
            Err(other) => panic!("{other}: {row:?}"),
        };
        assert_eq!(outcome, row[2], "{row:?}");
        assert_eq!(lab.history.cpu, expected, "{row:?}");
    }
    let (first, last) = (lab.history.first_sample(), lab.history.last_sample());
    assert_eq!(
        (first, last),
        (added.first().copied(), added.last().copied())
    );
    assert_eq!(lab.history.total_samples(), added.len() as u64);
}

#[test]
fn a_sample_from_the_future_is_left_out() {
    let mut lab = Lab::new(hours(24));
    let far = TS + Duration::from_mins(6);
    let cpu = lab
        .window
        .add_cpu(&mut lab.history, Millicores(1), (far, TS));
    let memory = lab
        .window
        .add_memory(&mut lab.history, Bytes(1), (far, TS), &lab.config);
    assert_eq!(
        (cpu, memory),
        (Err(Rejected::Future), Err(Rejected::Future))
    );
    assert!(lab.history.is_empty());
}

/// What a broken source of usage may tell: each is left out, and changes nothing that is known.
#[test]
fn impossible_samples_leave_no_trace() {
    let mut lab = Lab::new(hours(24));
    lab.memory(300 * MIB, TS).unwrap();
    lab.cpu(100, TS).unwrap();
    let before = (lab.history.clone(), lab.window);
    let absurd = Bytes::parse("1e30").unwrap().0;
    let now = TS + hours(1);
    let unset = Timestamp::default();
    for (amount, at, expected) in [
        (absurd, now, Rejected::Absurd(absurd)),
        (-1, now, Rejected::Negative(-1)),
        (1, now + Duration::from_mins(6), Rejected::Future),
        (1, unset, Rejected::Ancient),
        (1, TS - hours(1), Rejected::OutOfOrder),
    ] {
        let cpu = lab
            .window
            .add_cpu(&mut lab.history, Millicores(amount), (at, now));
        let memory = lab
            .window
            .add_memory(&mut lab.history, Bytes(amount), (at, now), &lab.config);
        assert_eq!((cpu, memory), (Err(expected), Err(expected)));
        if expected != Rejected::OutOfOrder {
            let kill = Kill {
                at,
                allowed: Bytes(amount),
                template: None,
            };
            let told = lab
                .window
                .record_oom(&mut lab.history, &kill, now, &lab.config);
            assert_eq!(told, Err(expected));
        }
        assert_eq!((&lab.history, lab.window), (&before.0, before.1));
    }
}

#[test]
fn intervals_of_policies_count_with_their_gate() {
    for row in rows(include_str!("../../testdata/history_policies.csv")) {
        let policy = (row[1] != "none").then(|| ContainerPolicy {
            history: HistoryPolicy {
                memory_interval: number(row[1]).map(Duration::from_secs),
                memory_interval_count: number(row[2]),
                ..HistoryPolicy::default()
            },
            ..ContainerPolicy::default()
        });
        let config = HistoryConfig {
            per_vpa: row[0] == "on",
            ..HistoryConfig::default()
        };
        let kept = config.for_policy(policy.as_ref());
        let expected = (hours(number(row[3]).unwrap()), number(row[4]).unwrap());
        let got = (kept.memory_interval, kept.memory_interval_count);
        assert_eq!(got, expected, "{row:?}");
        assert_eq!(kept.lifetime(), expected.0 * expected.1, "{row:?}");
    }
}

#[test]
fn policies_of_containers_count_with_their_gate_and_while_they_are_there() {
    let policy = ContainerPolicy {
        history: HistoryPolicy {
            oom_bump_up_ratio: Some(1500),
            oom_min_bump_up: Some(Bytes(MIB)),
            memory_interval: Some(hours(1)),
            memory_interval_count: Some(4),
        },
        ..ContainerPolicy::default()
    };
    let config = HistoryConfig::default();
    assert_eq!(config.for_policy(Some(&policy)), config);
    let gate_on = HistoryConfig {
        per_vpa: true,
        ..config
    };
    let theirs = gate_on.for_policy(Some(&policy));
    assert_eq!(
        (theirs.oom_bump_up_ratio, theirs.oom_min_bump_up),
        (1.5, Bytes(MIB))
    );
    assert_eq!(
        (theirs.memory_interval, theirs.lifetime()),
        (hours(1), hours(4))
    );
    // Upstream's defect: there they stay what they were.
    for nothing in [None, Some(&ContainerPolicy::default())] {
        assert_eq!(gate_on.for_policy(nothing), gate_on);
    }
}

#[test]
fn the_open_window_is_left_out_of_what_is_stored() {
    for row in rows(include_str!("../../testdata/open_windows.csv")) {
        let at = |i: usize| Timestamp::from_unix_seconds(number(row[i]).unwrap());
        let mut lab = Lab::new(hours(24));
        lab.memory(number(row[0]).unwrap(), at(1)).unwrap();
        lab.window.subtract_open(&mut lab.history, at(2));
        assert_eq!(
            lab.history.memory().is_empty(),
            row[3] == "empty",
            "{row:?}"
        );
    }
}

#[test]
fn a_stored_window_continues_after_a_restart_as_if_there_had_been_none() {
    let i = hours(24);
    let mut lab = Lab::new(i);
    lab.memory(300 * MIB, TS).unwrap();
    lab.cpu(100, TS).unwrap();
    let open = lab.window.open(TS).unwrap();
    let mut history = lab.history.clone();
    lab.window.subtract_open(&mut history, TS);

    let mut restarted = Lab::new(i);
    restarted.window = PodContainerWindow::reopen(&open, &mut history);
    restarted.history = history;
    assert_eq!(restarted.history, lab.history);
    assert_eq!(restarted.cpu(100, TS), Err(Rejected::OutOfOrder));
    for lab in [&mut lab, &mut restarted] {
        lab.memory(100 * MIB, TS + i / 2).unwrap();
        lab.memory(400 * MIB, TS + i / 2).unwrap();
    }
    assert_eq!(restarted.history, lab.history);
    assert_eq!(lab.window.open(TS + i), None);
}

#[test]
fn pods_share_a_history_that_holds_what_each_of_them_used() {
    let table: Vec<_> = rows(include_str!("../../testdata/aggregates.csv")).collect();
    for (container, count) in [("app-A", 2), ("app-B", 1), ("app-C", 1)] {
        let mut shared = Lab::new(hours(24));
        let mut merged = ContainerHistory::new(&shared.config, TS);
        for row in table.iter().filter(|row| row[1] == container) {
            let mut own = Lab::new(hours(24));
            shared.window = PodContainerWindow::default();
            for lab in [&mut shared, &mut own] {
                lab.cpu(number(row[2]).unwrap(), TS).unwrap();
                lab.memory(number(row[3]).unwrap(), TS).unwrap();
            }
            merged.merge(&own.history);
        }
        assert_eq!(shared.history.total_samples(), count, "{container}");
        assert_eq!(shared.history, merged, "{container}");
    }
}

#[test]
fn merged_histories_hold_what_both_hold() {
    let (mut a, mut b, mut both) = (
        Lab::new(hours(24)),
        Lab::new(hours(24)),
        Lab::new(hours(24)),
    );
    for (n, lab) in [(1, &mut a), (3, &mut b)] {
        let at = TS + Duration::from_secs(n);
        lab.cpu(n as i64 * 1000, at).unwrap();
        lab.memory(n as i64 * 2_000_000_000, at).unwrap();
    }
    for n in [1, 3] {
        let at = TS + Duration::from_secs(n);
        both.window = PodContainerWindow::default();
        both.cpu(n as i64 * 1000, at).unwrap();
        both.memory(n as i64 * 2_000_000_000, at).unwrap();
    }
    b.oom(1, TS).unwrap();
    both.oom(1, TS).unwrap();
    a.history.merge(&b.history);
    assert_eq!(a.history.total_samples(), 2);
    assert_eq!(
        (a.history.first_sample(), a.history.last_sample()),
        (both.history.first_sample(), both.history.last_sample())
    );
    assert_eq!(a.history.oom_floor, both.history.oom_floor);
    for p in [0.0, 0.5, 0.9, 1.0] {
        assert!((a.history.cpu.percentile(p) - both.history.cpu.percentile(p)).abs() < 1e-12);
    }
}

/// Samples of one container: (millicores, bytes, seconds after [`TS`]); a kill instead of a memory sample when `true`.
type Samples = Vec<(i64, i64, u64, bool)>;

fn of_samples(samples: &Samples) -> ContainerHistory {
    let config = HistoryConfig::default();
    let mut history = ContainerHistory::new(&config, TS);
    let now = TS + hours(24 * 30);
    for (cpu, memory, second, killed) in samples {
        let at = TS + Duration::from_secs(*second);
        let mut window = PodContainerWindow::default();
        window
            .add_cpu(&mut history, Millicores(*cpu), (at, now))
            .unwrap();
        let allowed = Bytes(*memory);
        if *killed {
            let kill = Kill {
                at,
                allowed,
                template: None,
            };
            window
                .record_oom(&mut history, &kill, now, &config)
                .unwrap();
        } else {
            window
                .add_memory(&mut history, allowed, (at, now), &config)
                .unwrap();
        }
    }
    history
}

/// Rounding may decide a tie the other way: one bucket at most.
fn assert_near(a: &Histogram, b: &Histogram) -> Result<(), TestCaseError> {
    for p in [0.0, 0.5, 0.9, 0.95, 1.0] {
        let bucket = |h: &Histogram| h.buckets().find(h.percentile(p));
        let (a, b) = (bucket(a), bucket(b));
        prop_assert!(a.abs_diff(b) <= 1, "p{}: bucket {} and {}", p, a, b);
    }
    Ok(())
}

proptest! {
    #[test]
    fn histories_merged_in_any_order_are_the_same(
        parts in prop::collection::vec(
            prop::collection::vec((1_i64..50_000, 1_i64..100_000_000_000, 0_u64..2_000_000, prop::bool::weighted(0.1)), 1..20),
            2..6,
        ),
        order in any::<prop::sample::Index>(),
    ) {
        let histories: Vec<_> = parts.iter().map(of_samples).collect();
        let merged = |first: usize, backwards: bool| {
            let mut rest: Vec<_> = (0..histories.len()).filter(|i| *i != first).collect();
            if backwards {
                rest.reverse();
            }
            let mut sum = histories[first].clone();
            for i in rest {
                sum.merge(&histories[i]);
            }
            sum
        };
        let (one, other) = (merged(0, false), merged(order.index(histories.len()), true));
        assert_near(&one.cpu, &other.cpu)?;
        assert_near(&one.memory, &other.memory)?;
        prop_assert_eq!(one.total_samples, other.total_samples);
        prop_assert_eq!((one.first_sample, one.last_sample), (other.first_sample, other.last_sample));
        let floor = |h: &ContainerHistory| h.stored_oom_floor().map(|f| (f.bytes, f.at));
        prop_assert_eq!(floor(&one), floor(&other));
    }
}

#[test]
fn of_two_adaptive_records_the_longer_one_stays() {
    let config = HistoryConfig {
        adaptive: true,
        ..HistoryConfig::default()
    };
    let start = Timestamp::from_unix_seconds(1_500_000_000);
    let of_hours = |hours: u32| {
        let mut history = ContainerHistory::new(&config, start);
        let mut window = PodContainerWindow::default();
        for hour in 0..=hours {
            let at = start + Duration::from_hours(1) * hour;
            window
                .add_cpu(&mut history, Millicores(100), (at, at))
                .unwrap();
        }
        history
    };
    let hours = |history: &ContainerHistory| history.adaptive().map(Adaptive::hours);
    let (short, long) = (of_hours(3), of_hours(9));
    let mut merged = short.clone();
    merged.merge(&long);
    assert_eq!(hours(&merged), Some(9));
    merged.merge(&short);
    assert_eq!(hours(&merged), Some(9));
    merged.keep_adaptive(&config);
    assert_eq!(hours(&merged), Some(9));
    merged.keep_adaptive(&HistoryConfig::default());
    assert_eq!(hours(&merged), None);
    merged.keep_adaptive(&config);
    assert_eq!(hours(&merged), Some(0));
}
