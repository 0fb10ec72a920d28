//! Memory: how rare a day's peak is, against what room for it costs.
//!
//! Two rules are tried: a multiple of nothing, which makes it the daily peaks themselves, and a multiple of the root of the
//! present level, for those whose peaks grow with it. For each, the last thirty days tell how often a day would have been over.

use std::collections::VecDeque;
use std::time::Duration;

use super::mean::Mean;
use super::{HOUR, KEPT_HALF_LIFE, LEAST_HOURS};
use crate::time::Timestamp;

/// Breaches as often as promised cost so much slack: with it, fleets come out near the promise.
const PROMISE_IN_SLACK: f64 = 0.03;

/// How much dearer breaches become with each that happened lately, at a promise of one.
const CORRECTION: f64 = 0.02;

/// Of each rule's word so much is the level, in logarithms.
const SHARES: [f64; 2] = [0.0, 0.5];

/// So many days are remembered.
const DAYS: usize = 30;

/// After so many days a peak counts half.
const PEAK_HALF_LIFE: f64 = 14.0;

/// Half-lives in hours: of the level, of breaches, of the rules' mean word, and of the mean of usage and target.
const LEVEL_HALF_LIFE: f64 = 6.0;
const BREACH_HALF_LIFE: f64 = 336.0;
const WORD_HALF_LIFE: f64 = 336.0;
const PRICE_HALF_LIFE: f64 = 720.0;

/// A peak may come back so much higher, about.
const SPREAD: f64 = 0.0075;

/// Multiples are tried in steps of this.
const STEP: f64 = 1.01;

/// Up to so far above the highest peak, in logarithms, where it is exceeded no more.
const FAR: f64 = 20.0 * SPREAD;

/// The target moves when it would be more than so much higher or lower.
const RAISE: f64 = 1.01;
const LOWER: f64 = 0.95;

/// The highest of so many hours is always covered: after a breach, for a day.
const RECENT: usize = 24;

/// Before anything was recommended, what is compared with: times the peak.
const FIRST_MARGIN: f64 = 1.2;

/// What the target is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// How many days it is known for.
    pub days: usize,
    /// The highest of their peaks, as the rule that is followed sees it now, in bytes.
    pub highest: f64,
    /// The target by that; less than one where a rare peak is given up.
    pub part: f64,
    /// The part of those days that would have been over.
    pub days_over: f64,
    /// The highest of the last 24 hours, in bytes; the target is no less.
    pub recent: f64,
    /// On which part of days usage was over the target, lately; `None` before the first day.
    pub kept: Option<f64>,
}

/// What is known of one container's memory, and what follows from it: 0.8 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The part of all days that may be over the target.
    promise: f64,
    /// When the first hour began.
    began: Option<Timestamp>,
    /// The end of the hour that is being filled.
    hour: Timestamp,
    /// Of that hour: its peak, and the mean of its samples.
    hour_peak: f64,
    hour_mean: Mean,
    /// Hours that had samples.
    hours: u32,
    /// Which day the newest peak is of.
    day: i64,
    /// For each rule, each day's peak by what the rule said; the newest first.
    ratios: [VecDeque<f64>; SHARES.len()],
    /// The last hours' peaks; the newest first.
    recent: VecDeque<f64>,
    level: Mean,
    words: [Mean; SHARES.len()],
    usage: Mean,
    targets: Mean,
    breaches: f64,
    last_breach: Option<Timestamp>,
    /// In bytes; zero before there is one.
    target: f64,
    /// Which rule is followed, and on which part of days that would have been over.
    followed: usize,
    days_over: f64,
    /// Days with a target that sized, and those on which usage was over it.
    kept: Mean,
    /// One once the newest day counts in that, two once it was over.
    today: f64,
}

impl Memory {
    /// Nothing is known. `promise` is the part of all days that may be over the target, above zero.
    pub fn new(promise: f64) -> Self {
        Self {
            promise,
            began: None,
            hour: Timestamp::default(),
            hour_peak: 0.0,
            hour_mean: Mean::default(),
            hours: 0,
            day: -1,
            ratios: Default::default(),
            recent: VecDeque::new(),
            level: Mean::default(),
            words: Default::default(),
            usage: Mean::default(),
            targets: Mean::default(),
            breaches: 0.0,
            last_breach: None,
            target: 0.0,
            followed: 0,
            days_over: 0.0,
            kept: Mean::default(),
            today: 0.0,
        }
    }

    /// Adds a sample, in bytes, measured at `at`. Hours that ended before it are closed first.
    pub fn add(&mut self, bytes: f64, at: Timestamp) {
        self.advance(at);
        if self.began.is_none() {
            self.began = Some(at);
            self.hour = at + HOUR;
        }
        self.hour_peak = self.hour_peak.max(bytes);
        self.hour_mean.add(bytes, 1.0);
    }

    /// Closes the hours that have ended by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let Some(began) = self.began.filter(|_| self.hour <= now) else {
            return;
        };
        if let Some(mean) = self.hour_mean.get() {
            self.close(began, mean);
        }
        let hours = 1 + now.since(self.hour).as_secs() / HOUR.as_secs();
        self.hour = self.hour + HOUR * u32::try_from(hours).unwrap_or(u32::MAX);
        (self.hour_peak, self.hour_mean) = (0.0, Mean::default());
        let empty = usize::try_from(hours - 1).unwrap_or(RECENT).min(RECENT);
        (0..empty).for_each(|_| self.recent.push_front(0.0));
        self.recent.truncate(RECENT);
        self.fade(hours as f64);
    }

    /// Takes `idle` out of its life, in which there was nothing to measure.
    pub fn postpone(&mut self, idle: Duration) {
        self.began = self.began.map(|began| began + idle);
        self.hour = self.hour + idle;
        self.last_breach = self.last_breach.map(|at| at + idle);
    }

    /// What should be requested, in bytes.
    pub fn target(&self) -> Option<f64> {
        (self.target > 0.0).then_some(self.target)
    }

    /// What that is made of.
    pub fn peaks(&self) -> Option<Peaks> {
        let ratios = &self.ratios[self.followed];
        let peak = self.said()?[self.followed] * highest(ratios);
        Some(Peaks {
            days: ratios.len(),
            highest: peak,
            part: self.target()? / peak,
            days_over: self.days_over,
            recent: highest(&self.recent),
            kept: self.kept(),
        })
    }

    /// On which part of days usage was over the target, lately; `None` before the first day.
    pub fn kept(&self) -> Option<f64> {
        self.kept.get()
    }

    /// How many hours with samples went into it.
    pub fn hours(&self) -> u32 {
        self.hours
    }

    fn fade(&mut self, hours: f64) {
        self.level.fade(hours, LEVEL_HALF_LIFE);
        self.usage.fade(hours, PRICE_HALF_LIFE);
        self.targets.fade(hours, PRICE_HALF_LIFE);
        self.words
            .iter_mut()
            .for_each(|word| word.fade(hours, WORD_HALF_LIFE));
        self.kept.fade(hours, KEPT_HALF_LIFE);
        self.breaches *= (-hours / BREACH_HALF_LIFE).exp2();
    }

    /// What each rule says now.
    fn said(&self) -> Option<[f64; SHARES.len()]> {
        let level = self.level.get().filter(|level| *level > 0.0)?;
        Some(SHARES.map(|share| level.powf(share)))
    }

    /// At the end of an hour with samples.
    fn close(&mut self, began: Timestamp, mean: f64) {
        self.hours = self.hours.saturating_add(1);
        let said = self
            .said()
            .unwrap_or_else(|| SHARES.map(|share| mean.powf(share)));
        let day =
            (self.hour.since(began).as_secs().saturating_sub(1) / (24 * HOUR.as_secs())) as i64;
        for (ratios, said) in self.ratios.iter_mut().zip(said) {
            if day != self.day || ratios.is_empty() {
                ratios.push_front(0.0);
                ratios.truncate(DAYS);
            }
            ratios[0] = ratios[0].max(self.hour_peak / said);
        }
        self.count(day);
        self.day = day;
        self.recent.push_front(self.hour_peak);
        self.recent.truncate(RECENT);
        self.level.add(self.hour_mean.sum, self.hour_mean.weight);
        self.usage.add(self.hour_mean.sum, self.hour_mean.weight);
        let again = self
            .last_breach
            .is_none_or(|last| self.hour.since(last) >= HOUR * 24);
        if self.target > 0.0 && self.hour_peak > self.target && again {
            self.breaches += 1.0;
            self.last_breach = Some(self.hour);
        }
        self.decide();
        self.targets.add(self.target, 1.0);
    }

    /// Whether the promise is kept on this day: in an hour in which the target sized.
    fn count(&mut self, day: i64) {
        if day != self.day {
            self.today = 0.0;
        }
        if self.hours <= LEAST_HOURS || self.target <= 0.0 {
            return;
        }
        if self.today < 1.0 {
            self.kept.add(0.0, 1.0);
            self.today = 1.0;
        }
        if self.hour_peak > self.target && self.today < 2.0 {
            self.kept.add(1.0, 0.0);
            self.today = 2.0;
        }
    }

    fn decide(&mut self) {
        let (Some(said), Some(usage)) = (self.said(), self.usage.get()) else {
            return;
        };
        for (word, said) in self.words.iter_mut().zip(said) {
            word.add(said, 1.0);
        }
        let recent = highest(&self.recent);
        // One more byte at any hour costs the same part of all that is recommended.
        let target = self.targets.get().unwrap_or(FIRST_MARGIN * recent);
        let price = usage / (target * target);
        let breach =
            PROMISE_IN_SLACK / self.promise * (1.0 + CORRECTION / self.promise * self.breaches);
        let tried = (0..SHARES.len()).map(|rule| {
            let (multiple, over) = cheapest(&self.ratios[rule], price * said[rule], breach);
            let mean = self.words[rule].get().unwrap_or(said[rule]);
            let cost = price * multiple * mean + breach * over;
            (cost, rule, multiple, over)
        });
        let Some((_, rule, multiple, over)) = tried.min_by(|a, b| a.0.total_cmp(&b.0)) else {
            return;
        };
        (self.followed, self.days_over) = (rule, over);
        let wanted = (multiple * said[rule]).max(recent);
        if wanted > self.target * RAISE || wanted < self.target * LOWER {
            self.target = wanted;
        }
    }

    /// What is stored of it, but for lists and times.
    pub(super) fn numbers(&mut self) -> Vec<&mut f64> {
        let [first, second] = &mut self.words;
        let means = [
            &mut self.hour_mean,
            &mut self.level,
            &mut self.usage,
            &mut self.targets,
            &mut self.kept,
            first,
            second,
        ];
        let means = means
            .into_iter()
            .flat_map(|mean| [&mut mean.sum, &mut mean.weight]);
        let single = [
            &mut self.hour_peak,
            &mut self.breaches,
            &mut self.target,
            &mut self.days_over,
            &mut self.today,
        ];
        single.into_iter().chain(means).collect()
    }

    /// The lists that are stored.
    pub(super) fn lists(&mut self) -> [&mut VecDeque<f64>; 3] {
        let [first, second] = &mut self.ratios;
        [first, second, &mut self.recent]
    }

    /// The times that are stored: when it began, the open hour's end, and the last breach.
    pub(super) fn times(&self) -> [Option<Timestamp>; 3] {
        [self.began, Some(self.hour), self.last_breach]
    }

    /// The counts that are stored: hours, the newest day, and the rule that is followed.
    pub(super) fn counts(&self) -> [u32; 3] {
        let day = u32::try_from(self.day + 1).unwrap_or(0);
        [self.hours, day, self.followed as u32]
    }

    /// Goes on with what was stored; `None` when there is no such rule, or a list is too long.
    pub(super) fn resume(
        mut self,
        times: [Option<Timestamp>; 3],
        counts: [u32; 3],
    ) -> Option<Self> {
        [self.began, _, self.last_breach] = times;
        self.hour = times[1].unwrap_or_default();
        self.hours = counts[0];
        self.day = i64::from(counts[1]) - 1;
        self.followed = counts[2] as usize;
        let followed = self.ratios.get(self.followed)?;
        let whole = self
            .ratios
            .iter()
            .all(|ratios| ratios.len() <= DAYS && ratios.len() == followed.len());
        (whole && self.recent.len() <= RECENT).then_some(self)
    }
}

fn highest(values: &VecDeque<f64>) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// The multiple whose room and breaches cost least together, and the part of days it would have been exceeded on.
fn cheapest(ratios: &VecDeque<f64>, price: f64, breach: f64) -> (f64, f64) {
    // The newest weighs most; in logarithms, the lowest first.
    let fade = (-1.0 / PEAK_HALF_LIFE).exp2();
    let weights = std::iter::successors(Some(1.0), |weight| Some(weight * fade));
    let mut days: Vec<(f64, f64)> = ratios.iter().map(|ratio| ratio.ln()).zip(weights).collect();
    let all: f64 = days.iter().map(|(_, weight)| weight).sum();
    days.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (Some((lowest, _)), Some((highest, _))) = (days.first(), days.last()) else {
        return (0.0, 1.0);
    };
    let (lowest, highest) = (*lowest, *highest);
    // From the lowest multiple up. A day above it is exceeded, one below it by a part that falls with the distance: by the
    // same factor with each step, so that a day's exponential is taken once.
    let step = STEP.ln();
    let nearer = (-step / SPREAD).exp();
    let mut multiple = lowest.max(highest + 0.002_f64.ln());
    let mut room = price * multiple.exp();
    let (mut above, mut below) = (all, 0.0);
    let mut rest = days.iter().peekable();
    let mut best = (f64::INFINITY, highest, 1.0);
    while multiple < highest + FAR {
        while let Some((ratio, weight)) = rest.next_if(|(ratio, _)| *ratio <= multiple) {
            above = f64::max(above - weight, 0.0);
            below += weight * ((ratio - multiple) / SPREAD).exp();
        }
        let over = (above + below) / all;
        let cost = room + breach * over;
        if cost < best.0 {
            best = (cost, multiple, over);
        }
        multiple += step;
        room *= STEP;
        below *= nearer;
    }
    (best.1.exp(), best.2)
}

#[cfg(test)]
mod tests;
