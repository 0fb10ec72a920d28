use std::time::Duration;

use super::*;
use crate::history::{ContainerHistory, PodContainerWindow};
use crate::profile::Profile;

const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);
const MIB: i64 = 1 << 20;
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn kills_raise_the_floor_and_a_broken_container_does_not_climb_without_end() {
    let config = HistoryConfig::default();
    let mut case = "";
    let mut floor = None;
    let rows = include_str!("../../../testdata/oom_floors.csv").lines();
    for row in rows.skip(1) {
        let cells: Vec<_> = row.split(',').collect();
        if case != cells[0] {
            (case, floor) = (cells[0], None);
        }
        let number = |i: usize| cells[i].parse::<i64>().unwrap();
        let kill = Kill {
            at: T0 + Duration::from_mins(1) * u32::try_from(number(1)).unwrap(),
            allowed: Bytes(number(2) * MIB),
            template: Some(cells[3]),
        };
        let seen = (kill.allowed, Bytes(number(4) * MIB));
        let after = OomFloor::after(floor.as_ref(), &kill, seen, &config);
        let mebibytes = (after.bytes.0 as f64 / MIB as f64).round() as i64;
        assert_eq!(mebibytes, number(5), "{row}");
        assert_eq!(
            (after.at, after.template.as_deref()),
            (kill.at, kill.template)
        );
        floor = Some(after);
    }
}

/// A kill under template a at T0. Each row: pods by template and start in hours, and from which hour on the floor is
/// outlived.
#[test]
fn a_new_template_outlives_a_floor_when_it_has_run_for_a_while() {
    let config = HistoryConfig::default();
    let killed = OomFloor {
        template: Some("a".into()),
        ..OomFloor::of(Bytes(MIB), T0)
    };
    let cases: [(&[(Option<&str>, u32)], Option<u32>); 7] = [
        (&[], None),
        (&[(Some("a"), 0)], None),
        (&[(None, 0)], None),
        (&[(Some("a"), 0), (Some("b"), 0)], None),
        (&[(Some("b"), 0)], Some(24)),
        (&[(Some("b"), 10)], Some(34)),
        (&[(Some("b"), 10), (Some("c"), 2)], Some(26)),
    ];
    for (pods, expected) in cases {
        let running: Vec<_> = pods
            .iter()
            .map(|(template, hour)| RunningPod {
                template: *template,
                since: T0 + HOUR * *hour,
            })
            .collect();
        let from = (0..100).find(|hour| killed.is_outlived(&running, &config, T0 + HOUR * *hour));
        assert_eq!(from, expected, "{pods:?}");
        let unlabelled = OomFloor::of(Bytes(MIB), T0);
        assert!(!unlabelled.is_outlived(&running, &config, T0 + HOUR * 100));
    }
    // What ran before the kill proves nothing.
    let before = [RunningPod {
        template: Some("b"),
        since: T0 - HOUR * 100,
    }];
    assert!(!killed.is_outlived(&before, &config, T0 + HOUR * 23));
}

#[test]
fn a_floor_that_cannot_be_is_not_taken_from_a_checkpoint() {
    let possible = OomFloor::of(Bytes(MIB), T0);
    let with = |bytes: i64, at: Timestamp| OomFloor::of(Bytes(bytes), at).is_possible(T0);
    assert!(possible.is_possible(T0));
    assert!(!with(-1, T0) && !with(MAX_AMOUNT + 1, T0) && !with(MIB, T0 + HOUR));
}

fn kill(allowed: i64, at: Timestamp) -> Kill<'static> {
    Kill {
        at,
        allowed: Bytes(allowed),
        template: None,
    }
}

/// A kill is no sample: it must not outlive its floor in the histogram. Profile `upstream` has it there.
#[test]
fn a_kill_leaves_the_histogram_alone() {
    for (profile, in_histogram) in [(Profile::Safe, false), (Profile::Upstream, true)] {
        let config = HistoryConfig {
            profile,
            ..HistoryConfig::default()
        };
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        window
            .add_memory(&mut history, Bytes(300 * MIB), (T0, T0), &config)
            .unwrap();
        let before = history.memory().clone();
        window
            .record_oom(&mut history, &kill(500 * MIB, T0), T0, &config)
            .unwrap();
        assert_eq!(*history.memory() != before, in_histogram);
        assert_eq!(history.oom_floor(&config, T0).is_some(), !in_histogram);
        // Told again after a restart it must not count twice, in either profile.
        assert!(history.knows_kill(T0) && !history.knows_kill(T0 + HOUR));
    }
}

#[test]
fn a_floor_starts_from_the_peak_where_that_is_higher_and_lasts_as_long_as_a_history() {
    let config = HistoryConfig::default();
    let mut history = ContainerHistory::new(&config, T0);
    let mut window = PodContainerWindow::default();
    window
        .add_memory(&mut history, Bytes(3000 * MIB), (T0, T0), &config)
        .unwrap();
    window
        .record_oom(&mut history, &kill(1000 * MIB, T0), T0, &config)
        .unwrap();
    let days = |days: u32| history.oom_floor(&config, T0 + HOUR * 24 * days);
    assert_eq!(days(7).map(|f| f.bytes), Some(Bytes(3600 * MIB)));
    assert_eq!(days(8), None);
}

#[test]
fn merged_histories_keep_the_higher_floor_and_the_later_kill() {
    let config = HistoryConfig::default();
    let with = |bytes: i64, at: Timestamp| {
        let mut history = ContainerHistory::new(&config, T0);
        history.restore_oom_floor(OomFloor::of(Bytes(bytes), at));
        history
    };
    for (mut a, b) in [
        (with(200, T0), with(100, T0 + HOUR)),
        (with(100, T0 + HOUR), with(200, T0)),
    ] {
        a.merge(&b);
        let floor = a.stored_oom_floor().unwrap();
        assert_eq!((floor.bytes, floor.at), (Bytes(200), T0 + HOUR));
    }
}
