//! CPU: hour by hour, experts are tried with every margin on the container's own past.

use std::time::Duration;

use super::levels::Levels;
use super::ratios::{Costs, Margin, Ratios};
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_hours(1);

/// Breaches as often as promised cost so much slack: with it, fleets come out near the promise.
const PROMISE_IN_SLACK: f64 = 0.09;

/// As much usage over the target as there is usage costs so much slack: of two equally rare breaches the smaller is better.
const OVERRUN_IN_SLACK: f64 = 0.4;

/// A single container may break the promise so many times as often as the fleet.
const CAP: f64 = 2.5;

/// After this many hours an expert's record counts half.
const RECORD_HALF_LIFE: f64 = 144.0;

/// Half-lives of what is remembered of usage, in hours: today, and this week.
const HALF_LIVES: [f64; 2] = [12.0, 168.0];

/// Which quantile of each is a container's usual level, and its usual peak.
const QUANTILES: [f64; 2] = [0.75, 0.95];

/// How much of an expert's word is the last hour's peak, in logarithms; the rest is the quantile.
const SHARES: [f64; 4] = [0.0, 0.25, 0.5, 0.75];

/// For each share and quantile one.
const EXPERTS: usize = SHARES.len() * QUANTILES.len();

/// Another expert is followed when it would have cost so much less slack.
const WORTH_SWITCHING: f64 = 0.01;

/// An expert's word moves when it would be more than so much higher or lower.
const WORD: Hysteresis = Hysteresis {
    raise: 1.08,
    lower: 0.8,
};

/// So does the target.
const TARGET: Hysteresis = Hysteresis {
    raise: 1.03,
    lower: 0.92,
};

/// Before any expert has a record: times the peak.
const FIRST_MARGIN: f64 = 1.3;

/// The least an expert says, in cores.
const LEAST: f64 = 0.001;

/// The least that a sample counts as where it is compared, in cores.
const LEAST_SAMPLE: f64 = 0.0001;

/// Keeps a number until a new one is far enough from it.
struct Hysteresis {
    raise: f64,
    lower: f64,
}

impl Hysteresis {
    fn moves(&self, from: f64, to: f64) -> bool {
        to > from * self.raise || to < from * self.lower
    }
}

/// Which rule is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expert {
    /// How much of it is the last hour's peak, from 0 to 1, in logarithms.
    pub recent: f64,
    /// The rest is this quantile...
    pub quantile: f64,
    /// ...of usage that counts half after so many hours.
    pub half_life_hours: f64,
}

/// What is known of one container's CPU, and what follows from it: 6 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpu {
    /// The end of the hour that is being filled; `None` before the first sample.
    hour: Option<Timestamp>,
    /// The highest of that hour's samples; `None` without any.
    hour_peak: Option<f64>,
    /// The peak of the last hour that had samples, in cores.
    peak: f64,
    usage: [Levels; 2],
    words: [f64; EXPERTS],
    records: [Ratios; EXPERTS],
    followed: usize,
    margin: Option<Margin>,
    /// In cores; zero before there is one.
    target: f64,
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            hour: None,
            hour_peak: None,
            peak: 0.0,
            usage: std::array::from_fn(|_| Levels::new()),
            words: [0.0; EXPERTS],
            records: std::array::from_fn(|_| Ratios::new()),
            followed: 0,
            margin: None,
            target: 0.0,
        }
    }
}

impl Cpu {
    /// Adds a sample, in cores, measured at `at`. Hours that ended before it are closed first.
    pub fn add(&mut self, cores: f64, at: Timestamp, promise: f64) {
        self.advance(at, promise);
        if self.hour.is_none() {
            self.hour = Some(at + HOUR);
        }
        let compared = cores.max(LEAST_SAMPLE).ln();
        let experts = self.records.iter_mut().zip(self.words);
        for (record, word) in experts.filter(|(_, word)| *word > 0.0) {
            record.add(word, compared - word.ln());
        }
        self.usage.iter_mut().for_each(|levels| levels.add(cores));
        self.hour_peak = Some(self.hour_peak.map_or(cores, |peak| peak.max(cores)));
    }

    /// Closes the hours that have ended by `now`. `promise` is the part of the time that may be over the target.
    pub fn advance(&mut self, now: Timestamp, promise: f64) {
        let Some(end) = self.hour.filter(|end| *end <= now) else {
            return;
        };
        self.decide(promise);
        let hours = 1 + now.since(end).as_secs() / HOUR.as_secs();
        self.hour = Some(end + HOUR * u32::try_from(hours).unwrap_or(u32::MAX));
        self.hour_peak = None;
        let fade = |half_life: f64| (-(hours as f64) / half_life).exp2();
        for (levels, half_life) in self.usage.iter_mut().zip(HALF_LIVES) {
            levels.fade(fade(half_life));
        }
        self.records
            .iter_mut()
            .for_each(|record| record.fade(fade(RECORD_HALF_LIFE)));
    }

    /// What should be requested, in cores.
    pub fn target(&self) -> Option<f64> {
        (self.target > 0.0).then_some(self.target)
    }

    /// The rule that is followed.
    pub fn expert(&self) -> Expert {
        let (recent, usage) = (
            SHARES[self.followed / QUANTILES.len()],
            self.followed % QUANTILES.len(),
        );
        Expert {
            recent,
            quantile: QUANTILES[usage],
            half_life_hours: HALF_LIVES[usage],
        }
    }

    /// What the rule's margin would have come to; `None` before there is a record.
    pub fn margin(&self) -> Option<Margin> {
        self.margin
    }

    /// At the end of an hour with samples: the experts' words, whom to follow, and the target.
    fn decide(&mut self, promise: f64) {
        let Some(peak) = self.hour_peak else {
            return;
        };
        self.peak = peak.max(LEAST);
        let usual: [f64; 2] =
            std::array::from_fn(|n| self.usage[n].quantile(QUANTILES[n]).max(LEAST));
        for (place, word) in self.words.iter_mut().enumerate() {
            let (recent, usual) = (SHARES[place / usual.len()], usual[place % usual.len()]);
            let said = self.peak.powf(recent) * usual.powf(1.0 - recent);
            if WORD.moves(*word, said) {
                *word = said;
            }
        }
        let wanted = self.follow(promise).unwrap_or(FIRST_MARGIN * self.peak);
        if TARGET.moves(self.target, wanted) {
            self.target = wanted;
        }
    }

    /// The word of the expert to follow with its margin; `None` before any has a record.
    fn follow(&mut self, promise: f64) -> Option<f64> {
        if self.records[0].total() < 1.0 {
            return None;
        }
        let costs = Costs {
            time_over: PROMISE_IN_SLACK / promise,
            overrun: OVERRUN_IN_SLACK,
            cap: CAP * promise,
        };
        let margins: [Margin; EXPERTS] =
            std::array::from_fn(|place| self.records[place].best(&costs));
        let cost = |place: &usize| margins[*place].cost;
        let best = (0..EXPERTS).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
        if cost(&best) <= cost(&self.followed) - WORTH_SWITCHING {
            self.followed = best;
        }
        let margin = margins[self.followed];
        self.margin = Some(margin);
        Some(margin.multiple * self.words[self.followed])
    }
}
