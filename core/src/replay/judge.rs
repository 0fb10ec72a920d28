//! What each sample met: the target in force, and for how long the sample counts.
//!
//! Judged is from a third of the series' length on, or from its fourth day. A sample counts for the time to the next,
//! measured or not, at most for two median steps: of what happens in a gap nothing is known. The last counts for one.
//! Days are blocks of 24 hours from where judging begins; a rest of less than half a day belongs to the day before, and
//! a shorter series is one day.

use std::time::Duration;

use super::{DAY, Row, Sample, median_step, span};
use crate::quantity::Resource;
use crate::time::Timestamp;

/// One sample and the target that it met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// When.
    pub at: Timestamp,
    /// For how long it counts, in seconds.
    pub seconds: f64,
    /// Which day it belongs to, from zero on.
    pub day: usize,
    /// Cores or bytes.
    pub usage: f64,
    /// Cores or bytes, above zero.
    pub target: f64,
}

/// All that is judged of one resource of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// The samples that met a target.
    pub judged: Vec<Judged>,
    /// Samples that came before any target did.
    pub unsized_samples: usize,
    /// How often the target moved by more than [`WORTH_COUNTING`].
    pub changes: u32,
}

/// A target that moves by more than this fraction of the last one counted has changed.
pub const WORTH_COUNTING: f64 = 0.05;

/// A target of nothing counts as this much, so that it is too small by any factor.
const LEAST: f64 = 1e-9;

/// No longer than this is warmed up.
const WARM_UP: Duration = Duration::from_hours(3 * 24);

/// Where judging begins.
pub fn begin(samples: &[Sample]) -> Option<Timestamp> {
    Some(samples.first()?.at + (span(samples) / 3).min(WARM_UP))
}

/// Judges samples by the rows that were in force; `None` when no sample of the resource met a target.
pub fn judge(samples: &[Sample], rows: &[Row], resource: Resource) -> Option<Trial> {
    let begin = begin(samples)?;
    let last_day = days(samples.last()?.at.since(begin)) - 1;
    let step = median_step(samples);
    let mut rows = rows
        .iter()
        .filter_map(|row| Some((row.at, row.sizes.get(resource)?.target.max(LEAST))))
        .peekable();
    let mut trial = Trial::default();
    let (mut target, mut counted) = (None, None);
    for (index, sample) in samples.iter().enumerate() {
        while let Some((_, to)) = rows.next_if(|(at, _)| *at <= sample.at) {
            target = Some(to);
            if counted.is_some_and(|last| moved(last, to)) {
                trial.changes += 1;
                counted = target;
            }
        }
        let Some(usage) = sample.get(resource).filter(|_| sample.at >= begin) else {
            continue;
        };
        let Some(target) = target else {
            trial.unsized_samples += 1;
            continue;
        };
        counted = counted.or(Some(target));
        let next = samples.get(index + 1);
        let time = next.map_or(step, |next| next.at.since(sample.at).min(step * 2));
        let day = (sample.at.since(begin).as_millis() / DAY.as_millis()) as usize;
        trial.judged.push(Judged {
            at: sample.at,
            seconds: time.as_secs_f64(),
            day: day.min(last_day),
            usage,
            target,
        });
    }
    (!trial.judged.is_empty()).then_some(trial)
}

fn moved(from: f64, to: f64) -> bool {
    (to - from).abs() > WORTH_COUNTING * from
}

/// How many days a time is: at least one; the rest counts from half a day on.
fn days(length: Duration) -> usize {
    let whole = (length.as_millis() / DAY.as_millis()) as usize;
    let rest = Duration::from_millis((length.as_millis() % DAY.as_millis()) as u64);
    (whole + usize::from(rest >= DAY / 2)).max(1)
}

impl Trial {
    /// Changes of the target in a day of judged time.
    pub fn changes_per_day(&self) -> f64 {
        let seconds = self.judged.iter().map(|judged| judged.seconds).sum::<f64>();
        if seconds > 0.0 {
            f64::from(self.changes) * DAY.as_secs_f64() / seconds
        } else {
            0.0
        }
    }
}
