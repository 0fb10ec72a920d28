//! Slack at equal violation: every target of a policy is multiplied by the least factor with which it keeps a goal.
//!
//! Slack alone flatters whoever recommends too little. A policy's factor makes all of them break the goal equally often;
//! what differs then is how much they waste. *Exactly matched* picks the factor on all series. *On halves* picks it on a
//! random half of them and scores the other, which shows what it is worth on series that it has not seen.

use super::curve::{Curve, Point, grid};
use super::score::quantile;

/// Random halves of the series.
pub const SPLITS: u64 = 20;

/// Resamples for the interval of confidence.
pub const RESAMPLES: u64 = 1000;

/// How often a target may be too small, on average over the series: the same part for each source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this part of the time.
    Time(f64),
    /// At most this part of all days.
    Days(f64),
}

/// The curve of one series, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its source; each counts the same, however many series it has.
    pub source: usize,
    /// Series of one group are replicas of each other: they stay together when series are drawn.
    pub group: usize,
    /// Its curve.
    pub curve: &'a Curve,
}

/// What a multiplier comes to over all series. Shares are from 0 to 1, means over sources of means over series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every target was multiplied by it.
    pub multiplier: f64,
    /// The violation that the goal speaks of.
    pub violation: f64,
    /// Slack.
    pub slack: f64,
    /// Part of the time over the target.
    pub time_over: f64,
    /// Usage over the target by usage.
    pub overrun: f64,
    /// Of time over: the 90th percentile over a source's series.
    pub worst_tenth: f64,
    /// Changes of the target by more than 5 % in a day.
    pub changes_per_day: f64,
}

/// A value and how it varies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// A lower quantile: the first quartile of halves, 2.5 % of resamples.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

/// What was reached on halves that the multiplier was not picked on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Halves {
    /// Slack and its quartiles.
    pub slack: Spread,
    /// The median violation.
    pub violation: f64,
    /// For how many of the splits no multiplier meets the goal.
    pub unmet: usize,
}

/// Where something is drawn: each entry counts so many times.
type Times = [u32];

/// The least multiplier with which all entries keep the goal, and what it comes to. `None` when none of the grid does.
pub fn matched(entries: &[Entry<'_>], goal: Goal) -> Option<Outcome> {
    let all = vec![1; entries.len()];
    Some(outcome(entries, &all, goal, least(entries, &all, goal)?))
}

/// What entries come to as they are.
pub fn unmultiplied(entries: &[Entry<'_>], goal: Goal) -> Outcome {
    let all = vec![1; entries.len()];
    let one = grid().partition_point(|multiplier| *multiplier < 1.0);
    outcome(entries, &all, goal, one)
}

/// What each multiplier of the grid comes to, in its order.
pub fn sweep(entries: &[Entry<'_>], goal: Goal) -> Vec<Outcome> {
    let all = vec![1; entries.len()];
    let indices = 0..grid().len();
    indices
        .map(|index| outcome(entries, &all, goal, index))
        .collect()
}

/// Picks the multiplier on random halves and scores the others. The halves are the same each time.
pub fn halves(entries: &[Entry<'_>], goal: Goal) -> Halves {
    let (mut slack, mut violation, mut unmet) = (Vec::new(), Vec::new(), 0);
    for split in 0..SPLITS {
        let mut random = Random(split);
        let tuning = half(entries, &mut random);
        let scored: Vec<u32> = tuning.iter().map(|times| 1 - times).collect();
        if let Some(index) = least(entries, &tuning, goal) {
            let outcome = outcome(entries, &scored, goal, index);
            slack.push(outcome.slack);
            violation.push(outcome.violation);
        } else {
            unmet += 1;
        }
    }
    Halves {
        slack: Spread::of(slack, 0.25),
        violation: quantile(violation, 0.5),
        unmet,
    }
}

/// The slack, exactly matched, of groups of series drawn anew with replacement, source by source: its 95 % interval.
pub fn resampled(entries: &[Entry<'_>], goal: Goal) -> Spread {
    let slack = (0..RESAMPLES).filter_map(|sample| {
        let mut random = Random(sample);
        let times = redrawn(entries, &mut random);
        let index = least(entries, &times, goal)?;
        Some(outcome(entries, &times, goal, index).slack)
    });
    Spread::of(slack.collect(), 0.025)
}

impl Spread {
    fn of(values: Vec<f64>, tail: f64) -> Self {
        Self {
            median: quantile(values.clone(), 0.5),
            low: quantile(values.clone(), tail),
            high: quantile(values, 1.0 - tail),
        }
    }
}

/// The first of the grid that keeps the goal: violations never grow with the multiplier.
fn least(entries: &[Entry<'_>], times: &Times, goal: Goal) -> Option<usize> {
    /// For sums that should be exact.
    const EPSILON: f64 = 1e-12;
    let (Goal::Time(most) | Goal::Days(most)) = goal;
    let indices: Vec<usize> = (0..grid().len()).collect();
    let first =
        indices.partition_point(|index| violation(entries, times, goal, *index) > most + EPSILON);
    (first < grid().len()).then_some(first)
}

fn violation(entries: &[Entry<'_>], times: &Times, goal: Goal, index: usize) -> f64 {
    let at = |entry: &Entry<'_>| entry.curve.points[index];
    match goal {
        Goal::Time(_) => mean(entries, times, |entry| (at(entry).time_over, 1.0)),
        Goal::Days(_) => mean(entries, times, |entry| {
            (at(entry).days_over as f64, entry.curve.days as f64)
        }),
    }
}

fn outcome(entries: &[Entry<'_>], times: &Times, goal: Goal, index: usize) -> Outcome {
    let over_series = |of: fn(&Point) -> f64| {
        mean(entries, times, |entry| {
            (of(&entry.curve.points[index]), 1.0)
        })
    };
    Outcome {
        multiplier: grid()[index],
        violation: violation(entries, times, goal, index),
        slack: over_series(|point| point.slack),
        time_over: over_series(|point| point.time_over),
        overrun: over_series(|point| point.overrun),
        worst_tenth: worst_tenth(entries, times, index),
        changes_per_day: mean(entries, times, |entry| (entry.curve.changes_per_day, 1.0)),
    }
}

/// The mean over sources of each source's sum of the first by its sum of the second.
fn mean(entries: &[Entry<'_>], times: &Times, parts: impl Fn(&Entry<'_>) -> (f64, f64)) -> f64 {
    let mut sources: Vec<(f64, f64)> = Vec::new();
    for (entry, times) in entries.iter().zip(times) {
        if entry.source >= sources.len() {
            sources.resize(entry.source + 1, (0.0, 0.0));
        }
        let (part, whole) = parts(entry);
        let sums = &mut sources[entry.source];
        sums.0 += part * f64::from(*times);
        sums.1 += whole * f64::from(*times);
    }
    let present = sources.iter().filter(|(_, whole)| *whole > 0.0);
    let (sum, count) = present.fold((0.0, 0), |(sum, count), (part, whole)| {
        (sum + part / whole, count + 1)
    });
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

fn worst_tenth(entries: &[Entry<'_>], times: &Times, index: usize) -> f64 {
    let sources = entries
        .iter()
        .map(|entry| entry.source + 1)
        .max()
        .unwrap_or(0);
    let of_source = (0..sources).filter_map(|source| {
        let of_it = entries
            .iter()
            .zip(times)
            .filter(|(entry, _)| entry.source == source);
        let over = of_it.flat_map(|(entry, times)| {
            std::iter::repeat_n(entry.curve.points[index].time_over, *times as usize)
        });
        let over: Vec<f64> = over.collect();
        (!over.is_empty()).then(|| quantile(over, 0.9))
    });
    let of_source: Vec<f64> = of_source.collect();
    of_source.iter().sum::<f64>() / of_source.len().max(1) as f64
}

/// Groups of each source, as lists of entries.
fn groups(entries: &[Entry<'_>]) -> Vec<Vec<Vec<usize>>> {
    let mut sources: Vec<std::collections::BTreeMap<usize, Vec<usize>>> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if entry.source >= sources.len() {
            sources.resize_with(entry.source + 1, Default::default);
        }
        sources[entry.source]
            .entry(entry.group)
            .or_default()
            .push(index);
    }
    let sources = sources.into_iter().filter(|groups| !groups.is_empty());
    sources
        .map(|groups| groups.into_values().collect())
        .collect()
}

/// Half of the groups of each source, once each.
fn half(entries: &[Entry<'_>], random: &mut Random) -> Vec<u32> {
    let mut times = vec![0; entries.len()];
    for mut groups in groups(entries) {
        let wanted = groups.len().div_ceil(2);
        for taken in 0..wanted {
            let rest = groups.len() - taken;
            groups.swap(taken, taken + random.below(rest));
            groups[taken].iter().for_each(|index| times[*index] = 1);
        }
    }
    times
}

/// As many groups of each source as there are, each drawn from all.
fn redrawn(entries: &[Entry<'_>], random: &mut Random) -> Vec<u32> {
    let mut times = vec![0; entries.len()];
    for groups in groups(entries) {
        for _ in 0..groups.len() {
            groups[random.below(groups.len())]
                .iter()
                .for_each(|index| times[*index] += 1);
        }
    }
    times
}

/// Numbers that look random and are the same each time (splitmix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }
}
