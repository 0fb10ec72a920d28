use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::estimator::EstimatorConfig;
use crate::history::{ContainerHistory, HistoryConfig};
use crate::reason::RecommendationReason;
use crate::recommendation::recommend;
use crate::vpa::Vpa;

const T0: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const DAY: Duration = Duration::from_hours(24);
const MI: i64 = 1 << 20;

fn of(uid: &str, started: Timestamp) -> RunOf<'_> {
    RunOf { uid, started }
}

/// What of one run is written in a test: its memory peak in MiB, and what it was allowed when it was killed.
type Row = (i64, Option<i64>);

/// Nightly runs, each with one sample of memory and its end.
fn nightly(rows: &[Row]) -> Runs {
    let mut runs = Runs::new(KEPT);
    for (night, (memory, killed)) in rows.iter().enumerate() {
        let start = T0 + DAY * night as u32;
        let uid = night.to_string();
        let run = of(&uid, start);
        runs.add_memory(run, Bytes(memory * MI), start + DAY / 24);
        if let Some(allowed) = killed {
            assert!(runs.kill(run, start + DAY / 12, Bytes(allowed * MI)));
        }
        let how = if killed.is_some() {
            End::Failed
        } else {
            End::Whole
        };
        assert!(runs.end(run, how, start + DAY / 12));
    }
    runs
}

fn floor(rows: &[Row]) -> Option<i64> {
    let config = HistoryConfig::default();
    let floor = nightly(rows).floor(&config)?;
    Some((floor.bytes.0 + MI / 2) / MI)
}

/// Kills are a day apart, and count by runs all the same: bumps of 1.2, 1.4, 1.8 and 2 while they come in a row, at least
/// 100 MiB, and 8 times the first at most.
#[test]
fn each_kill_in_a_row_asks_for_more_up_to_a_cap() {
    let cases: [(&[Row], Option<i64>); 11] = [
        (&[], None),
        (&[(900, None)], None),
        (&[(990, Some(1000))], Some(1200)),
        (&[(200, Some(200))], Some(300)),
        // The next one had 1200, and so on.
        (&[(990, Some(1000)), (1190, Some(1200))], Some(1680)),
        (
            &[(0, Some(1000)), (0, Some(1200)), (0, Some(1680))],
            Some(3024),
        ),
        // Held at its maximum: dying there again says nothing new.
        (
            &[(0, Some(1000)), (0, Some(1000)), (0, Some(1000))],
            Some(1200),
        ),
        // One that went well ends the climb; what it showed stays.
        (
            &[(0, Some(1000)), (1150, None), (0, Some(1200))],
            Some(1440),
        ),
        (&[(0, Some(1000)), (1150, None)], Some(1200)),
        // A leak: 1000, 1200, 1680, 3024, 6048, and no more than 8000.
        (
            &[
                (0, Some(1000)),
                (0, Some(1200)),
                (0, Some(1680)),
                (0, Some(3024)),
                (0, Some(6048)),
                (0, Some(8000)),
            ],
            Some(8000),
        ),
        // Peaks that were no kill raise the cap.
        (&[(900, None), (0, Some(100))], Some(200)),
    ];
    for (rows, expected) in cases {
        assert_eq!(floor(rows), expected, "{rows:?}");
    }
}

#[test]
fn a_climb_that_came_to_its_end_says_so() {
    let config = HistoryConfig::default();
    let leak: Vec<Row> = [1000, 1200, 1680, 3024, 6048, 8000]
        .map(|mib| (0, Some(mib)))
        .into();
    let capped = |rows: &[Row]| nightly(rows).floor(&config).unwrap().is_capped(&config);
    assert_eq!(
        [2, 4, 5, 6].map(|n| capped(&leak[..n])),
        [false, false, true, true]
    );
}

/// A kill is remembered for as long as its run is.
#[test]
fn a_floor_goes_with_its_run() {
    let mut rows = vec![(0, Some(1000))];
    rows.resize(20, (500, None));
    assert_eq!(floor(&rows), Some(1200));
    rows.resize(21, (500, None));
    assert_eq!(floor(&rows), None);
}

#[test]
fn only_the_last_runs_are_remembered_and_only_whole_ones_are_figures() {
    let rows: Vec<Row> = (1..=30).map(|mib| (mib, None)).collect();
    let mut runs = nightly(&rows);
    let figures = runs.figures(Resource::Memory);
    assert_eq!((figures.len(), figures[0]), (20, 11 * MI));
    assert_eq!(runs.since(), Some(T0 + DAY * 10));
    let now = T0 + DAY * 40;
    assert!(runs.add_memory(of("new", now), Bytes(99 * MI), now));
    assert!(!runs.add_memory(of("new", now), Bytes(98 * MI), now));
    assert_eq!(runs.figures(Resource::Memory), figures);
    assert_eq!(runs.highest(Resource::Memory), Some(99 * MI));
}

#[test]
fn a_run_counts_with_its_90th_percentile_of_cpu() {
    let cases: [(&[i64], Option<i64>); 4] = [
        (&[], None),
        (&[400], Some(400)),
        (&[100, 900], Some(900)),
        // One start-up burst in twenty samples; 100m lie in a bucket that ends at 110m.
        (
            &[
                2000, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100,
                100, 100, 100, 100,
            ],
            Some(110),
        ),
    ];
    for (samples, expected) in cases {
        let mut runs = Runs::new(KEPT);
        for (second, cpu) in samples.iter().enumerate() {
            runs.add_cpu(
                of("a", T0),
                Millicores(*cpu),
                T0 + Duration::from_secs(second as u64),
            );
        }
        runs.end(of("a", T0), End::Whole, T0 + DAY);
        assert_eq!(
            runs.figures(Resource::Cpu).first().copied(),
            expected,
            "{samples:?}"
        );
    }
}

/// What was too short is counted, not invented; what fails early does not push out what shows the need.
#[test]
fn ends_are_taken_in_once_and_failures_say_only_what_is_needed_at_least() {
    let mut runs = nightly(&[(500, None)]);
    let now = T0 + DAY * 2;
    assert!(runs.end(of("short", now), End::Whole, now));
    runs.add_memory(of("cut", now), Bytes(9 * MI), now);
    assert!(runs.end(of("cut", now), End::Failed, now));
    assert!(!runs.end(of("0", T0), End::Whole, now), "told twice");
    assert_eq!(
        (runs.figures(Resource::Memory), runs.unmeasured()),
        (vec![500 * MI], 1)
    );
    runs.add_memory(of("large", now), Bytes(900 * MI), now);
    runs.end(of("large", now), End::Failed, now);
    assert_eq!(runs.highest(Resource::Memory), Some(900 * MI));
    // A process that was away did not see the end.
    runs.add_memory(of("gone", now), Bytes(600 * MI), now);
    assert!(runs.end_missing(|uid| uid != id("gone")));
    assert!(!runs.end_missing(|_| true));
    assert_eq!(runs.ended().len(), 3);
}

#[test]
fn what_is_stored_reads_back_and_is_not_told_again() {
    let mut runs = nightly(&[(500, None), (900, Some(1000))]);
    let now = T0 + DAY * 3;
    runs.add_cpu(of("open", now), Millicores(250), now);
    runs.end(of("short", now), End::Whole, now);
    let bytes = runs.to_bytes();
    assert!(bytes.len() < 7 + 4 + 3 * 60, "{}", bytes.len());
    let mut read = Runs::from_bytes(&bytes, KEPT, (now, now)).unwrap();
    assert_eq!(read.told_until, Some(now));
    assert_eq!(
        (&read.last, &read.open, read.unmeasured),
        (&runs.last, &runs.open, 1)
    );
    // Pods that ended earlier are listed again; the one under way is not over.
    assert!(!read.end(of("short", now), End::Whole, now));
    assert!(!read.kill(of("older", T0), T0 + DAY, Bytes(1)));
    assert!(read.end(of("open", now), End::Whole, now));
    assert!(read.end(of("later", now), End::Whole, now + DAY));
    assert_eq!((read.ended().len(), read.unmeasured()), (3, 2));
    for cut in 0..bytes.len() {
        assert!(
            Runs::from_bytes(&bytes[..cut], KEPT, (now, now)).is_err(),
            "{cut}"
        );
    }
    let early = T0 - DAY;
    assert_eq!(
        Runs::from_bytes(&bytes, KEPT, (early, early)),
        Err(StoredError::Amount)
    );
}

/// What is recommended after some runs of so many MiB: memory's target and bounds, in MiB, and what is said of it.
fn recommended(rows: &[Row]) -> (Option<[i64; 3]>, String) {
    let config = HistoryConfig {
        by_runs: true,
        ..HistoryConfig::default()
    };
    let mut history = ContainerHistory::new(&config, T0);
    *history.runs_mut().unwrap() = nightly(rows);
    history.keep_runs(&config);
    let estimator = EstimatorConfig::default();
    // A year later: runs age by runs.
    let now = T0 + DAY * 365;
    let all = recommend(&[("main", &history)], &Vpa::default(), &estimator, now);
    let numbers = all.recommendations.first().map(|r| {
        [r.target, r.lower_bound, r.upper_bound].map(|list| list.memory.unwrap_or_default().0 / MI)
    });
    let of_memory = all
        .reasons
        .iter()
        .filter(|reason| reason.to_string().contains("memory "));
    let codes: Vec<_> = of_memory.map(RecommendationReason::code).collect();
    (numbers, codes.join(" "))
}

#[test]
fn few_runs_are_given_room_and_many_their_peak() {
    let of = |mib: i64, count: usize| vec![(mib, None); count];
    let cases: [(Vec<Row>, Option<[i64; 3]>, &str); 7] = [
        (vec![], None, "NoSamples"),
        (of(1000, 1), Some([1650, 575, 2300]), "Runs"),
        (of(1000, 2), Some([1400, 766, 1725]), "Runs"),
        (of(1000, 10), Some([1150, 1150, 1150]), "Runs"),
        // The most of all, with what the middle one used as the lower bound.
        (
            [of(1000, 10), of(2000, 1), of(500, 5)].concat(),
            Some([2300, 1150, 2300]),
            "Runs",
        ),
        (of(10, 1), Some([250, 250, 250]), "Minimum"),
        // 20 % more than what it was killed at, and the margin.
        (
            [of(1000, 9), vec![(1999, Some(2000))]].concat(),
            Some([2760, 1150, 2760]),
            "OutOfMemory",
        ),
    ];
    for (rows, numbers, code) in cases {
        assert_eq!(recommended(&rows), (numbers, code.into()), "{rows:?}");
    }
}

#[test]
fn a_run_that_eats_all_it_is_given_is_told() {
    let leak: Vec<Row> = [1000, 1200, 1680, 3024, 6048]
        .map(|mib| (mib, Some(mib)))
        .into();
    assert_eq!(recommended(&leak[..4]).1, "OutOfMemory");
    assert_eq!(
        recommended(&leak),
        (Some([9200, 1610, 9200]), "OutOfMemory ClimbEnded".into())
    );
}

#[test]
fn one_run_says_that_it_is_one() {
    let one = RecommendationReason::Runs {
        container: "main".into(),
        resource: Resource::Memory,
        percentile: 1.0,
        runs: 1,
        raw: 1000 * MI,
        target: 1650 * MI,
    };
    assert_eq!(
        one.to_string(),
        "main: memory 1650Mi rests on one run and 65 % on top"
    );
}

proptest! {
    /// Two replicas saw parts of the same runs: together they know all, whoever adds the other's, and each once.
    #[test]
    fn merging_knows_each_run_once(ends in proptest::collection::vec((0_u32..40, 1_i64..100), 0..40)) {
        let build = |part: &[(u32, i64)]| {
            let mut runs = Runs::new(50);
            for (n, mib) in part {
                let (uid, start) = (n.to_string(), T0 + DAY * *n);
                runs.add_memory(of(&uid, start), Bytes(mib * MI), start);
                runs.end(of(&uid, start), End::Whole, start + DAY);
            }
            runs
        };
        let (left, right) = ends.split_at(ends.len() / 2);
        let (left, right) = (build(left), build(right));
        let ids = |runs: &Runs| runs.last.iter().map(|run| run.id).collect::<std::collections::BTreeSet<_>>();
        let (mut both, mut other) = (left.clone(), right.clone());
        both.merge(&right);
        other.merge(&left);
        prop_assert_eq!(ids(&both), ids(&other));
        prop_assert_eq!(ids(&both).len(), both.last.len());
        prop_assert!(ids(&left).union(&ids(&right)).all(|id| ids(&both).contains(id)));
    }

    /// Whatever is stored is read, or refused: nothing panics.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Runs::from_bytes(&bytes, KEPT, (T0, T0));
    }
}
