//! Which histories are stored now: few of those that can wait, so that ten thousand do not cost a write each a minute.

use std::time::Duration;

use podfit_core::time::Timestamp;

/// A history is stored once it has grown by this fraction of the time that it covers...
const GROWTH: u32 = 10;

/// ... but at least so often: what a killed process loses is a tenth of what it knew, and an hour at most.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// In one loop so many may be stored, ...
const LEAST_PER_LOOP: usize = 100;

/// ... or this fraction of all that changed, when that is more. With a loop a minute, 60 would just do for
/// [`LONGEST_WAIT`].
const FRACTION_PER_LOOP: usize = 40;

/// A history that changed since it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<T> {
    /// Which.
    pub what: T,
    /// It must not wait.
    pub urgent: bool,
    /// How much time its samples cover.
    pub covers: Duration,
    /// When it was stored.
    pub written: Option<Timestamp>,
}

impl<T> Candidate<T> {
    fn is_due(&self, now: Timestamp) -> bool {
        let wait = (self.covers / GROWTH).min(LONGEST_WAIT);
        self.urgent || self.written.is_none_or(|at| now.since(at) >= wait)
    }
}

/// Those to be stored in this loop, of `changed` histories that changed: the urgent ones first, then those that waited
/// longest.
pub fn due<T>(candidates: Vec<Candidate<T>>, changed: usize, now: Timestamp) -> Vec<Candidate<T>> {
    let mut due: Vec<_> = candidates.into_iter().filter(|c| c.is_due(now)).collect();
    due.sort_by_key(|c| (!c.urgent, c.written));
    due.truncate(LEAST_PER_LOOP.max(changed / FRACTION_PER_LOOP));
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::rows;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn candidate(what: usize, covers: u64, written: Option<u64>) -> Candidate<usize> {
        let minutes = |m: u64| Duration::from_mins(m);
        Candidate {
            what,
            urgent: false,
            covers: minutes(covers),
            written: written.map(|ago| NOW - minutes(ago)),
        }
    }

    #[test]
    fn young_histories_are_stored_often_and_old_ones_hourly() {
        let cases = [
            (0, None, true),
            (0, Some(0), true),
            (30, Some(2), false),
            (30, Some(3), true),
            (100_000, Some(59), false),
            (100_000, Some(60), true),
        ];
        for (covers, written, expected) in cases {
            let candidate = candidate(0, covers, written);
            assert_eq!(candidate.is_due(NOW), expected, "{candidate:?}");
        }
        let urgent = Candidate {
            urgent: true,
            ..candidate(0, 100_000, Some(0))
        };
        assert!(urgent.is_due(NOW));
    }

    #[test]
    fn what_was_never_stored_comes_first() {
        let table: Vec<_> = rows(include_str!("../../testdata/due.csv")).collect();
        let candidates = table.iter().map(|row| Candidate {
            written: row[0].parse().ok().map(Timestamp::from_unix_seconds),
            what: row[1],
            urgent: false,
            covers: Duration::ZERO,
        });
        let order: Vec<_> = due(candidates.collect(), table.len(), NOW)
            .iter()
            .map(|c| c.what)
            .collect();
        assert_eq!(order, ["1", "2", "3"]);
    }

    #[test]
    fn the_longest_waiting_come_first_after_the_urgent_and_no_loop_does_too_many() {
        let mut all: Vec<_> = (0..10_000)
            .map(|n| candidate(n, 0, Some(n as u64)))
            .collect();
        all[3].urgent = true;
        let order: Vec<_> = due(all.clone(), all.len(), NOW)
            .iter()
            .map(|c| c.what)
            .collect();
        assert_eq!(order.len(), 250);
        assert_eq!(order[..3], [3, 9999, 9998]);
        assert_eq!(due(all[..50].to_vec(), 50, NOW).len(), 50);
        assert_eq!(due(all[..1000].to_vec(), 1000, NOW).len(), 100);
    }

    /// Each history is stored within its hour, and a loop has as many writes as the next.
    #[test]
    fn in_steady_state_all_loops_write_the_same() {
        let mut written: Vec<_> = (0..10_000).map(|_| None).collect();
        let mut counts = Vec::new();
        for minute in 0..240 {
            let now = NOW + Duration::from_mins(minute);
            let candidate = |what| Candidate {
                what,
                urgent: false,
                covers: Duration::from_hours(100),
                written: written[what],
            };
            let due = due((0..10_000).map(candidate).collect(), 10_000, now);
            counts.push(due.len());
            for candidate in due {
                written[candidate.what] = Some(now);
            }
        }
        assert!(counts[60..].iter().all(|n| *n <= 250), "{counts:?}");
        let last = NOW + Duration::from_mins(239);
        let wait = written.iter().flatten().map(|t| last.since(*t)).max();
        assert!(wait.unwrap() <= Duration::from_mins(61), "{wait:?}");
    }
}
