//! The last two weeks of one resource, coarsely: enough to tell what kind of workload it is.
//!
//! Days are the clock's, in UTC, so that the same hour of each stands at the same place, and time in which nothing ran is
//! not taken out: that it comes and goes is what some workloads are.

use std::time::Duration;

use super::class::{self, Told};
use super::stored::{Bytes, StoredError, write_amount, write_time};
use crate::quantity::Resource;
use crate::time::Timestamp;

/// So many parts has a day.
pub(super) const PARTS: usize = 8;

/// So many days are remembered.
pub(super) const DAYS: usize = 14;

/// Seconds of a part.
const PART: i64 = 86_400 / PARTS as i64;

/// After more than this without a sample it comes back from a rest. Usage that was recorded once an hour has none.
const REST: Duration = Duration::from_hours(2);

/// A mean is kept in so many steps for each doubling: 5 % each.
const STEPS: f64 = 14.0;

/// Deviations are kept in such steps.
const DEVIATION_STEP: f64 = 0.02;

/// One day: 10 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Day {
    /// The mean of each part, in steps above [`least`], from 1 on; 0 without a sample.
    means: [u8; PARTS],
    /// How far samples lay from those means, in steps.
    deviation: u8,
    /// How often it came back from a rest.
    starts: u8,
}

impl Day {
    /// The means of its parts, in a unit of no interest; `None` without a sample.
    pub fn means(&self) -> [Option<f64>; PARTS] {
        self.means
            .map(|step| (step > 0).then(|| (f64::from(step) / STEPS).exp2()))
    }

    /// The root of the mean square of what samples lay from the means of their parts, by the same of those means.
    pub fn deviation(&self) -> f64 {
        f64::from(self.deviation) * DEVIATION_STEP
    }

    /// How often it came back from a rest.
    pub fn starts(&self) -> u8 {
        self.starts
    }

    /// True when most of it is known.
    pub fn is_whole(&self) -> bool {
        let known = self.means.iter().filter(|step| **step > 0).count();
        known >= PARTS * 3 / 4
    }
}

/// What is less counts as this much, in cores or bytes: whether nearly nothing is steady interests nobody.
fn least(resource: Resource) -> f64 {
    match resource {
        Resource::Cpu => 1.0 / 128.0,
        Resource::Memory => (4_u64 << 20) as f64,
    }
}

/// Samples of one part, and of the day so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Open {
    weight: f64,
    mean: f64,
    /// Squares of what lay from the mean, and of the day's earlier parts.
    squares: f64,
    day_squares: f64,
    /// Squares of the day's means, each as often as it had samples.
    day_means: f64,
}

/// The last two weeks of one resource: 0.2 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct Days {
    resource: Resource,
    /// Days that ended, the newest first.
    ended: [Day; DAYS],
    /// How many of them there are.
    known: u8,
    today: Day,
    open: Open,
    /// The last sample, which says which part is open; `None` before there is one.
    last: Option<Timestamp>,
    told: Told,
    /// A day has ended since.
    is_due: bool,
}

impl Days {
    /// Nothing is known.
    pub fn new(resource: Resource) -> Self {
        Self {
            resource,
            ended: [Day::default(); DAYS],
            known: 0,
            today: Day::default(),
            open: Open::default(),
            last: None,
            told: Told::default(),
            is_due: false,
        }
    }

    /// What kind of workload it is, as it was last told.
    pub fn told(&self) -> Told {
        self.told
    }

    /// Tells what kind of workload it is, anew when a day has ended since.
    pub fn tell(&mut self) -> Told {
        if std::mem::take(&mut self.is_due) {
            self.told = class::tell(&self.ended[..self.known.into()]);
        }
        self.told
    }

    /// Adds a sample, in cores or bytes, measured at `at`, that counts as `weight` of them.
    pub fn add(&mut self, amount: f64, at: Timestamp, weight: f64) {
        if let Some(last) = self.last {
            self.close(part_of(last), part_of(at));
            if at.since(last) > REST {
                self.today.starts = self.today.starts.saturating_add(1);
            }
        }
        self.last = self.last.max(Some(at));
        let (amount, open) = (amount.max(least(self.resource)), &mut self.open);
        // West's update of a mean and its squares.
        open.weight += weight;
        let off = amount - open.mean;
        open.mean += off * weight / open.weight;
        open.squares += weight * off * (amount - open.mean);
    }

    /// Takes `idle` out of its life, but for the time of day, and that there was a rest.
    pub fn postpone(&mut self, idle: Duration) {
        const DAY: u64 = 86_400;
        let Some(last) = self.last else {
            return;
        };
        let days = idle.as_secs() / DAY;
        let rest = idle.saturating_sub(Duration::from_secs(days * DAY));
        if idle > REST && rest <= REST {
            self.today.starts = self.today.starts.saturating_add(1);
        }
        self.last = Some(last + Duration::from_secs(days * DAY));
    }

    /// Ends the part that is open, and days before a later one.
    fn close(&mut self, open: i64, part: i64) {
        if part <= open {
            return;
        }
        self.end_part(open.rem_euclid(PARTS as i64) as usize);
        let day = |part: i64| part.div_euclid(PARTS as i64);
        let days = day(part) - day(open);
        // All but the first are without a sample.
        for _ in 0..days.min(DAYS as i64) {
            self.end_day();
        }
        self.is_due |= days > 0;
    }

    fn end_part(&mut self, place: usize) {
        let open = self.open;
        let steps = (open.mean / least(self.resource)).log2() * STEPS;
        self.today.means[place] = 1 + (steps.round() as u8).min(u8::MAX - 1);
        self.open = Open {
            day_squares: open.day_squares + open.squares,
            day_means: open.day_means + open.weight * open.mean * open.mean,
            ..Open::default()
        };
    }

    fn end_day(&mut self) {
        let Open {
            day_squares,
            day_means,
            ..
        } = self.open;
        if day_means > 0.0 {
            self.today.deviation =
                ((day_squares / day_means).sqrt() / DEVIATION_STEP).round() as u8;
        }
        self.ended.rotate_right(1);
        self.ended[0] = std::mem::take(&mut self.today);
        self.known = (self.known + 1).min(DAYS as u8);
        self.open = Open::default();
    }

    /// As bytes: 40 and 10 a day.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let Open {
            weight,
            mean,
            squares,
            day_squares,
            day_means,
        } = self.open;
        write_time(self.last, bytes);
        for amount in [weight, mean, squares, day_squares, day_means] {
            write_amount(amount, bytes);
        }
        bytes.push(self.known);
        for day in self.ended[..self.known.into()].iter().chain([&self.today]) {
            bytes.extend(day.means);
            bytes.extend([day.deviation, day.starts]);
        }
    }

    /// Goes on with what was written.
    pub(super) fn read(resource: Resource, from: &mut Bytes<'_>) -> Result<Self, StoredError> {
        let mut read = Self::new(resource);
        read.last = from.time()?;
        let open = &mut read.open;
        for amount in [
            &mut open.weight,
            &mut open.mean,
            &mut open.squares,
            &mut open.day_squares,
            &mut open.day_means,
        ] {
            *amount = f64::from(from.amount()?);
        }
        [read.known] = from.take()?;
        let days = read.ended.get_mut(..read.known.into());
        let days = days.ok_or(StoredError::Length)?;
        for day in days.iter_mut().chain([&mut read.today]) {
            day.means = from.take()?;
            [day.deviation, day.starts] = from.take()?;
        }
        read.is_due = true;
        read.tell();
        Ok(read)
    }
}

/// Which part of all since the epoch.
fn part_of(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(PART)
}
