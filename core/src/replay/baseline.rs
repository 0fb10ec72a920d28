//! What podfit is compared with: rules that others use, and simple ones that are hard to beat.

use std::collections::VecDeque;
use std::time::Duration;

use super::score::quantile;
use super::{Band, DAY, Sample, Sizer, Sizes};
use crate::histogram::{Buckets, Histogram};
use crate::quantity::Resource;
use crate::time::Timestamp;

/// A rule to compare with. None of them has a margin of its own but where its definition says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// KRR's simple strategy: of 14 days the 95th percentile of CPU, and the peak of memory and 15 %.
    Krr,
    /// Autopilot's moving window: of CPU the 95th percentile by load, half-life 12 h; of memory the 98th of peaks in
    /// five minutes, half-life 48 h; 10 % more, and of that the highest of the last hour.
    Autopilot,
    /// The highest of the last hour.
    LastHour,
    /// The highest there ever was.
    LongestPeak,
    /// The highest of the next 24 hours: no rule can know it.
    Oracle,
}

impl Baseline {
    /// A sizer by this rule for one series. Only the oracle looks at `samples`.
    pub fn sizer<'a>(self, samples: &'a [Sample]) -> Box<dyn Sizer + 'a> {
        const TWO_WEEKS: Duration = Duration::from_hours(14 * 24);
        match self {
            Self::Krr => Box::new(Recent::new(TWO_WEEKS, |values, resource| match resource {
                Resource::Cpu => quantile(values, 0.95),
                Resource::Memory => 1.15 * highest(values),
            })),
            Self::Autopilot => Box::new(MovingWindow::new()),
            Self::LastHour => Box::new(Recent::new(Duration::from_hours(1), |values, _| {
                highest(values)
            })),
            Self::LongestPeak => Box::new(LongestPeak::default()),
            Self::Oracle => Box::new(Oracle(samples)),
        }
    }
}

fn highest(values: Vec<f64>) -> f64 {
    values.into_iter().fold(0.0, f64::max)
}

/// For each resource what `of` says; nothing of what was never seen.
fn sizes(of: impl Fn(Resource) -> Option<f64>) -> Sizes {
    let band = |resource| of(resource).map(Band::at);
    Sizes {
        cpu: band(Resource::Cpu),
        memory: band(Resource::Memory),
    }
}

/// A statistic of the samples of the last while. In a gap it stays what it was.
struct Recent {
    length: Duration,
    of: fn(Vec<f64>, Resource) -> f64,
    samples: VecDeque<Sample>,
    last: Sizes,
}

impl Recent {
    fn new(length: Duration, of: fn(Vec<f64>, Resource) -> f64) -> Self {
        Self {
            length,
            of,
            samples: VecDeque::new(),
            last: Sizes::default(),
        }
    }
}

impl Sizer for Recent {
    fn observe(&mut self, sample: &Sample) {
        self.samples.push_back(*sample);
    }

    fn size(&mut self, now: Timestamp) -> Sizes {
        let begin = now - self.length;
        while self
            .samples
            .pop_front_if(|sample| sample.at < begin)
            .is_some()
        {}
        let recent = sizes(|resource| {
            let values = self
                .samples
                .iter()
                .filter_map(|sample| sample.get(resource));
            let values: Vec<f64> = values.collect();
            (!values.is_empty()).then(|| (self.of)(values, resource))
        });
        self.last = Sizes {
            cpu: recent.cpu.or(self.last.cpu),
            memory: recent.memory.or(self.last.memory),
        };
        self.last
    }
}

/// The highest there ever was.
#[derive(Default)]
struct LongestPeak {
    cpu: Option<f64>,
    memory: Option<f64>,
}

impl Sizer for LongestPeak {
    fn observe(&mut self, sample: &Sample) {
        let higher = |peak: Option<f64>, value: Option<f64>| match (peak, value) {
            (Some(peak), Some(value)) => Some(peak.max(value)),
            (peak, value) => peak.or(value),
        };
        self.cpu = higher(self.cpu, sample.cpu);
        self.memory = higher(self.memory, sample.memory);
    }

    fn size(&mut self, _now: Timestamp) -> Sizes {
        sizes(|resource| match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        })
    }
}

/// The moving window of Rzadca et al. (`EuroSys` 2020), section 3.2.1.
struct MovingWindow {
    cpu: Histogram,
    memory: Histogram,
    /// The open window of memory: its number since the epoch, and its peak.
    open: Option<(i64, f64)>,
    /// What was said in the last hour.
    said: VecDeque<(Timestamp, Sizes)>,
}

impl MovingWindow {
    fn new() -> Self {
        Self {
            cpu: Histogram::new(Buckets::cpu(), DAY / 2),
            memory: Histogram::new(Buckets::memory(), DAY * 2),
            open: None,
            said: VecDeque::new(),
        }
    }
}

impl Sizer for MovingWindow {
    fn observe(&mut self, sample: &Sample) {
        const WINDOW: i64 = 300;
        // By load: a sample weighs what it shows.
        if let Some(cpu) = sample.cpu {
            self.cpu.add(cpu, cpu, sample.at);
        }
        if let Some(memory) = sample.memory {
            let window = sample.at.unix_seconds().div_euclid(WINDOW);
            let begin = Timestamp::from_unix_seconds(window * WINDOW);
            let peak = match self.open {
                Some((open, peak)) if open == window => {
                    self.memory.subtract(peak, peak, begin);
                    peak.max(memory)
                }
                _ => memory,
            };
            self.memory.add(peak, peak, begin);
            self.open = Some((window, peak));
        }
    }

    fn size(&mut self, now: Timestamp) -> Sizes {
        let of = |histogram: &Histogram, p| {
            (!histogram.is_empty()).then(|| 1.1 * histogram.percentile(p))
        };
        let sized = sizes(|resource| match resource {
            Resource::Cpu => of(&self.cpu, 0.95),
            Resource::Memory => of(&self.memory, 0.98),
        });
        let begin = now - Duration::from_hours(1);
        while self.said.pop_front_if(|(at, _)| *at <= begin).is_some() {}
        self.said.push_back((now, sized));
        sizes(|resource| {
            let said = self
                .said
                .iter()
                .filter_map(|(_, sizes)| sizes.get(resource));
            said.map(|band| band.target).max_by(f64::total_cmp)
        })
    }
}

/// The highest of the 24 hours from now on.
struct Oracle<'a>(&'a [Sample]);

impl Sizer for Oracle<'_> {
    fn observe(&mut self, _sample: &Sample) {}

    fn size(&mut self, now: Timestamp) -> Sizes {
        let from = self.0.partition_point(|sample| sample.at < now);
        let until = self.0.partition_point(|sample| sample.at < now + DAY);
        sizes(|resource| {
            let coming = self.0[from..until]
                .iter()
                .filter_map(|sample| sample.get(resource));
            coming.max_by(f64::total_cmp)
        })
    }
}
