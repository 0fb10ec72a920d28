//! When a step is taken again that is still to be done.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use podfit_core::opt_in::Step;

/// After a step that was taken, the watch has this long to show it.
const SHOWN: Duration = Duration::from_secs(10);
/// After the first failure. Each doubles it, so that what always fails does not keep others waiting.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LAST_RETRY: Duration = Duration::from_hours(1);

type Key = (String, String);

/// Which steps are not due.
#[derive(Debug, Default)]
pub struct Pace(HashMap<Key, Waiting>);

#[derive(Debug)]
struct Waiting {
    until: Instant,
    failures: u32,
}

impl Pace {
    /// True when a step may be taken.
    pub fn is_due(&self, step: &Step, now: Instant) -> bool {
        self.0.get(&key(step)).is_none_or(|w| w.until <= now)
    }

    /// A step was taken.
    pub fn taken(&mut self, step: &Step, succeeded: bool, now: Instant) {
        let key = key(step);
        let failures = if succeeded {
            0
        } else {
            self.0.get(&key).map_or(1, |w| w.failures.saturating_add(1))
        };
        let pause = match failures {
            0 => SHOWN,
            n => FIRST_RETRY
                .saturating_mul(2u32.saturating_pow(n - 1))
                .min(LAST_RETRY),
        };
        let until = now + pause;
        self.0.insert(key, Waiting { until, failures });
    }

    /// Forgets what is not to be done any more.
    pub fn keep(&mut self, steps: &[Step]) {
        if self.0.is_empty() {
            return;
        }
        let keys: HashSet<_> = steps.iter().map(key).collect();
        self.0.retain(|key, _| keys.contains(key));
    }
}

/// A VPA's namespace and name.
fn key(step: &Step) -> Key {
    match step {
        Step::Apply(apply) => (apply.workload.namespace.clone(), apply.vpa.clone()),
        Step::Remove(remove) => (remove.vpa.namespace.clone(), remove.vpa.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podfit_core::opt_in::{Remove, Why};
    use podfit_core::vpa::Vpa;

    use super::*;

    #[test]
    fn what_fails_is_tried_ever_less_often() {
        let vpa = Arc::new(Vpa::default());
        let step = Step::Remove(Remove {
            vpa,
            why: Why::NotAsked,
        });
        let (mut pace, start) = (Pace::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.is_due(&step, start));
        // Taken at a second, with success or without; not due a second before, but due at.
        let rows = [
            (0, true, 10),
            (10, false, 25),
            (25, false, 55),
            (55, false, 115),
            (115, true, 125),
            (125, false, 140),
        ];
        for (at, succeeded, due) in rows {
            assert!(pace.is_due(&step, after(at)), "{at}");
            pace.taken(&step, succeeded, after(at));
            assert!(!pace.is_due(&step, after(due - 1)), "{at}");
            assert!(pace.is_due(&step, after(due)), "{at}");
        }
        for _ in 0..40 {
            pace.taken(&step, false, start);
        }
        assert!(pace.is_due(&step, after(3600)));
        pace.keep(&[]);
        assert!(pace.is_due(&step, start));
    }
}
