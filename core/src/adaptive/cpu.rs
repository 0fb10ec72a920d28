//! CPU: hour by hour, experts are tried with every margin on the container's own past.

use std::fmt;
use std::time::Duration;

use super::levels::Levels;
use super::mean::Mean;
use super::ratios::{Costs, Margin, Ratios};
use super::{HOUR, KEPT_HALF_LIFE, LEAST_HOURS};
use crate::time::Timestamp;

/// Breaches as often as promised cost so much slack: with it, fleets come out near the promise.
const PROMISE_IN_SLACK: f64 = 0.08;

/// As much usage over the target as there is usage costs so much slack: of two equally rare breaches the smaller is better.
const OVERRUN_IN_SLACK: f64 = 0.4;

/// A single container may break the promise so many times as often as the fleet.
const CAP: f64 = 2.25;

/// After this many hours an expert's record counts half.
const RECORD_HALF_LIFE: f64 = 168.0;

/// Half-lives of what is remembered of usage, in hours: today, and this week.
const HALF_LIVES: [f64; 2] = [12.0, 168.0];

/// Which quantile of each is a container's usual level, and its usual peak.
const QUANTILES: [f64; 2] = [0.75, 0.95];

/// For each expert how much of its word is the last hour's peak, in logarithms, and of which of those quantiles the rest is.
const EXPERTS: [(f64, usize); 7] = [
    (0.0, 0),
    (0.0, 1),
    (0.5, 0),
    (0.5, 1),
    (0.75, 0),
    (0.75, 1),
    (1.0, 0),
];

/// An expert's word moves when it would be more than so much higher or lower: this is what keeps changes few.
const WORD: Hysteresis = Hysteresis {
    raise: 1.05,
    lower: 0.8,
};

/// The target goes up at once.
const TARGET: Hysteresis = Hysteresis {
    raise: 1.0,
    lower: 0.95,
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

/// A rule that is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expert {
    /// How much of it is the last hour's peak, from 0 to 1, in logarithms.
    pub recent: f64,
    /// The rest is this quantile...
    pub quantile: f64,
    /// ...of usage that counts half after so many hours.
    pub half_life_hours: f64,
}

/// A phrase for people.
impl fmt::Display for Expert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percentile, hours) = (self.quantile * 100.0, self.half_life_hours);
        let usual = format!("percentile {percentile:.0} of usage with a half-life of {hours:.0} h");
        match self.recent * 100.0 {
            0.0 => f.write_str(&usual),
            recent => write!(f, "{recent:.0} % the last hour's peak, the rest {usual}"),
        }
    }
}

/// The rule that is followed, and what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// Which one.
    pub expert: Expert,
    /// What it says, in cores.
    pub word: f64,
    /// Its margin, and what that would have come to.
    pub margin: Margin,
    /// Below so many cores the container would have been over for longer than it may be.
    pub lower: f64,
    /// So many cores it has not exceeded.
    pub upper: f64,
    /// In which part of the time usage was over the target, lately; `None` before it sized.
    pub kept: Option<f64>,
}

/// What is stored of a container.
pub(super) struct Parts<'a> {
    /// The place of the rule that is followed.
    pub followed: u8,
    /// Hours that had samples.
    pub hours: u32,
    /// The end of the open hour.
    pub hour: Option<Timestamp>,
    /// Its peak, in cores.
    pub hour_peak: Option<f64>,
    /// In cores.
    pub amounts: Vec<&'a mut f64>,
    /// Of levels, and of each rule's record.
    pub weights: Vec<&'a mut [f32]>,
}

/// What is known of one container's CPU, and what follows from it: 5.4 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpu {
    /// The part of the time that may be over the target.
    promise: f64,
    /// Hours that had samples.
    hours: u32,
    /// The end of the hour that is being filled; `None` before the first sample.
    hour: Option<Timestamp>,
    /// The highest of that hour's samples; `None` without any.
    hour_peak: Option<f64>,
    /// The peak of the last hour that had samples, in cores.
    peak: f64,
    usage: [Levels; 2],
    /// What each expert says, in cores, and the logarithm of that: each sample asks for it.
    words: [f64; EXPERTS.len()],
    logarithms: [f64; EXPERTS.len()],
    records: [Ratios; EXPERTS.len()],
    followed: usize,
    margin: Option<Margin>,
    /// In cores; zero before there is one.
    target: f64,
    /// Samples that met a target that sized, and those that were over it.
    kept: Mean,
}

impl Cpu {
    /// Nothing is known. `promise` is the part of the time that may be over the target, above zero.
    pub fn new(promise: f64) -> Self {
        Self {
            promise,
            hours: 0,
            hour: None,
            hour_peak: None,
            peak: 0.0,
            usage: std::array::from_fn(|_| Levels::new()),
            words: [0.0; EXPERTS.len()],
            logarithms: [f64::NEG_INFINITY; EXPERTS.len()],
            records: std::array::from_fn(|_| Ratios::new()),
            followed: 0,
            margin: None,
            target: 0.0,
            kept: Mean::default(),
        }
    }

    /// Adds a sample, in cores, measured at `at`, that counts as `weight` of them. Hours that ended before it are closed first.
    pub fn add(&mut self, cores: f64, at: Timestamp, weight: f64) {
        self.advance(at);
        if self.hour.is_none() {
            self.hour = Some(at + HOUR);
        }
        if self.hours >= LEAST_HOURS {
            let over = if cores > self.target { weight } else { 0.0 };
            self.kept.add(over, weight);
        }
        let compared = cores.max(LEAST_SAMPLE).ln();
        let words = self.words.into_iter().zip(self.logarithms);
        let experts = self.records.iter_mut().zip(words);
        for (record, (word, logarithm)) in experts.filter(|(_, (word, _))| *word > 0.0) {
            record.add(word, compared - logarithm, weight);
        }
        self.usage
            .iter_mut()
            .for_each(|levels| levels.add(cores, weight));
        self.hour_peak = Some(self.hour_peak.map_or(cores, |peak| peak.max(cores)));
    }

    /// Closes the hours that have ended by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let Some(end) = self.hour.filter(|end| *end <= now) else {
            return;
        };
        self.decide();
        let hours = 1 + now.since(end).as_secs() / HOUR.as_secs();
        self.hour = Some(end + HOUR * u32::try_from(hours).unwrap_or(u32::MAX));
        self.hour_peak = None;
        let fade = |half_life: f64| (-(hours as f64) / half_life).exp2();
        for (levels, half_life) in self.usage.iter_mut().zip(HALF_LIVES) {
            levels.fade(fade(half_life));
        }
        self.kept.fade(hours as f64, KEPT_HALF_LIFE);
        self.records
            .iter_mut()
            .for_each(|record| record.fade(fade(RECORD_HALF_LIFE)));
    }

    /// What should be requested, in cores.
    pub fn target(&self) -> Option<f64> {
        (self.target > 0.0).then_some(self.target)
    }

    /// The part of the time in which a single container may be over its target.
    pub fn cap(&self) -> f64 {
        CAP * self.promise
    }

    /// How many hours with samples went into it.
    pub fn hours(&self) -> u32 {
        self.hours
    }

    /// Takes `idle` out of its life, in which there was nothing to measure.
    pub fn postpone(&mut self, idle: Duration) {
        self.hour = self.hour.map(|end| end + idle);
    }

    /// The rule that is followed; `None` before there is a record.
    pub fn followed(&self) -> Option<Followed> {
        let (recent, usage) = EXPERTS[self.followed];
        let (word, record) = (self.words[self.followed], &self.records[self.followed]);
        Some(Followed {
            expert: Expert {
                recent,
                quantile: QUANTILES[usage],
                half_life_hours: HALF_LIVES[usage],
            },
            word,
            margin: self.margin?,
            lower: (word * record.exceeded_by(self.cap())).min(self.target),
            upper: (word * record.exceeded_by(0.0)).max(self.target),
            kept: self.kept(),
        })
    }

    /// In which part of the time usage was over the target, lately; `None` before it sized.
    pub fn kept(&self) -> Option<f64> {
        self.kept.get()
    }

    /// What is stored of it.
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let Self {
            peak,
            target,
            words,
            usage,
            records,
            kept,
            ..
        } = self;
        let levels = usage.iter_mut().flat_map(Levels::weights);
        let ratios = records.iter_mut().flat_map(Ratios::weights);
        Parts {
            followed: self.followed as u8,
            hours: self.hours,
            hour: self.hour,
            hour_peak: self.hour_peak,
            amounts: [peak, target, &mut kept.sum, &mut kept.weight]
                .into_iter()
                .chain(words)
                .collect(),
            weights: levels.chain(ratios).collect(),
        }
    }

    /// Goes on with parts that were stored: the rule that was followed, hours with samples, and the open hour's end and
    /// peak. `None` when there is no such rule.
    pub(super) fn resume(
        mut self,
        (followed, hours): (u8, u32),
        (hour, hour_peak): (Option<Timestamp>, Option<f64>),
    ) -> Option<Self> {
        self.followed = usize::from(followed);
        (self.hours, self.hour, self.hour_peak) = (hours, hour, hour_peak);
        self.logarithms = self.words.map(f64::ln);
        let record = self.records.get(self.followed)?;
        self.margin = (record.total() >= 1.0).then(|| record.best(&self.costs()));
        Some(self)
    }

    fn costs(&self) -> Costs {
        Costs {
            time_over: PROMISE_IN_SLACK / self.promise,
            overrun: OVERRUN_IN_SLACK,
            cap: self.cap(),
        }
    }

    /// At the end of an hour with samples: the experts' words, whom to follow, and the target.
    fn decide(&mut self) {
        let Some(peak) = self.hour_peak else {
            return;
        };
        self.peak = peak.max(LEAST);
        self.hours = self.hours.saturating_add(1);
        let usual: [f64; 2] =
            std::array::from_fn(|n| self.usage[n].quantile(QUANTILES[n]).max(LEAST));
        for (place, (recent, usage)) in EXPERTS.into_iter().enumerate() {
            let said = self.peak.powf(recent) * usual[usage].powf(1.0 - recent);
            if WORD.moves(self.words[place], said) {
                self.words[place] = said;
                self.logarithms[place] = said.ln();
            }
        }
        let wanted = self.follow().unwrap_or(FIRST_MARGIN * self.peak);
        if TARGET.moves(self.target, wanted) {
            self.target = wanted;
        }
    }

    /// The word of the expert to follow with its margin; `None` before any has a record.
    fn follow(&mut self) -> Option<f64> {
        if self.records[0].total() < 1.0 {
            return None;
        }
        let costs = self.costs();
        let margins: [Margin; EXPERTS.len()] =
            std::array::from_fn(|place| self.records[place].best(&costs));
        let cost = |place: &usize| margins[*place].cost;
        self.followed = (0..EXPERTS.len()).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
        let margin = margins[self.followed];
        self.margin = Some(margin);
        Some(margin.multiple * self.words[self.followed])
    }
}
