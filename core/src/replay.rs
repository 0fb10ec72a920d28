//! What would have been recommended: recorded usage run through a sizer in virtual time, and scored.
//!
//! ```text
//! samples ─► run: a sizer sees each sample, and is asked each interval ─► rows: what was in force from when on
//!     └────────────────────────────────► judge ◄──────────────────────────────┘
//!                                          ├─► score: as recommended            (slack, time over, days over, changes)
//!                                          └─► curve: times each multiplier ─► matched: slack at equal violation
//! ```
//!
//! [`recorded`] sizes as the recommender does, with the very history and estimator; [`baseline`] holds what it is
//! compared with. Nothing sees a sample before its time: a row at `t` comes from samples strictly before `t`.

pub mod baseline;
pub mod classes;
pub mod curve;
pub mod judge;
pub mod matched;
pub mod recorded;
pub mod score;
pub mod updates;

use std::time::Duration;

use crate::quantity::Resource;
use crate::time::Timestamp;

/// What was measured at one time. What was not measured is `None`; so are zero bytes of memory, which no running
/// container uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Cores, on average since the sample before; finite, not negative.
    pub cpu: Option<f64>,
    /// Bytes; finite, above zero.
    pub memory: Option<f64>,
}

impl Sample {
    /// The amount of a resource, in cores or bytes.
    pub fn get(&self, resource: Resource) -> Option<f64> {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }
}

/// A target and the bounds within which a request is left alone, in cores or bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band {
    /// What to request.
    pub target: f64,
    /// A request below it is worth a disruption.
    pub lower: Option<f64>,
    /// A request above it is worth a disruption.
    pub upper: Option<f64>,
}

impl Band {
    /// A target without bounds.
    pub fn at(target: f64) -> Self {
        Self {
            target,
            lower: None,
            upper: None,
        }
    }
}

/// What is recommended; nothing of a resource of which nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sizes {
    /// In cores.
    pub cpu: Option<Band>,
    /// In bytes.
    pub memory: Option<Band>,
}

impl Sizes {
    /// Targets without bounds, of CPU in cores and of memory in bytes.
    pub fn at([cpu, memory]: [Option<f64>; 2]) -> Self {
        Self {
            cpu: cpu.map(Band::at),
            memory: memory.map(Band::at),
        }
    }

    /// True when nothing is known.
    pub fn is_empty(&self) -> bool {
        self.cpu.or(self.memory).is_none()
    }

    /// Of a resource.
    pub fn get(&self, resource: Resource) -> Option<Band> {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }
}

/// Turns usage into sizes.
pub trait Sizer {
    /// Takes in a sample; they come in order of time.
    fn observe(&mut self, sample: &Sample);

    /// What it recommends at `now`, which is later than all it has seen.
    fn size(&mut self, now: Timestamp) -> Sizes;
}

/// Sizes, and from when on they are in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// From when on.
    pub at: Timestamp,
    /// What is recommended.
    pub sizes: Sizes,
}

/// From this much between samples on, a day of them is replayed hour by hour.
const COARSE: Duration = Duration::from_mins(5);

/// A day.
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// How often samples like these are sized: each hour when they are five minutes apart or more and cover a day, else each
/// minute.
pub fn usual_interval(samples: &[Sample]) -> Duration {
    let step = median_step(samples);
    if step >= COARSE && span(samples) + step >= DAY {
        Duration::from_hours(1)
    } else {
        Duration::from_mins(1)
    }
}

/// The time from the first sample to the last.
pub fn span(samples: &[Sample]) -> Duration {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => last.at.since(first.at),
        _ => Duration::ZERO,
    }
}

/// The median time from a sample to the next; zero of fewer than two.
pub fn median_step(samples: &[Sample]) -> Duration {
    let steps = samples.windows(2).map(|pair| pair[1].at.since(pair[0].at));
    let mut steps: Vec<_> = steps.collect();
    let middle = steps.len() / 2;
    if steps.is_empty() {
        return Duration::ZERO;
    }
    *steps.select_nth_unstable(middle).1
}

/// Runs samples, in order of time, through a sizer that is asked each `interval` after the first of them, where any is
/// new. A row is what it first says, and each change of it.
pub fn run(samples: &[Sample], interval: Duration, sizer: &mut dyn Sizer) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let Some(first) = samples.first() else {
        return rows;
    };
    let mut following = samples.iter().skip(1);
    for sample in samples {
        sizer.observe(sample);
        let Some(next) = following.next() else {
            break;
        };
        let at = tick_after(sample.at, first.at, interval);
        if at > next.at {
            continue;
        }
        let said = sizer.size(at);
        if rows.last().is_none_or(|row| row.sizes != said) && said != Sizes::default() {
            rows.push(Row { at, sizes: said });
        }
    }
    rows
}

/// The first multiple of `interval` after `start` that is later than `at`.
fn tick_after(at: Timestamp, start: Timestamp, interval: Duration) -> Timestamp {
    let interval = interval.max(Duration::from_millis(1)).as_millis();
    let ticks = at.since(start).as_millis() / interval + 1;
    start + Duration::from_millis(u64::try_from(ticks * interval).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
