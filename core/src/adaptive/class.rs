//! What kind of workload it is, and how sure that is.
//!
//! It is told for people, and decides nothing: margins are priced on each container's own past, which is more than its class
//! says.

use std::fmt;

use super::days::{Day, PARTS};

/// So many whole days are needed; a subset needs one less.
const LEAST_DAYS: usize = 4;

/// So many subsets of the days are asked.
const SUBSETS: u32 = 40;

/// It is steady when usage deviates from its mean by no more than this part of it.
const STEADY: f64 = 0.15;

/// It is ramping when its mean moves by so large a part of it in a day.
const RAMP: f64 = 0.02;

/// It comes and goes when it came back from a rest on so large a part of days, twice at least.
const STARTS: f64 = 0.2;

/// Kinds of workloads. Of the variance of usage, four parts are told apart, each by the square of the mean: what a line
/// through the days' means explains, what the time of day explains beyond that, what is left of the means of three hours, and
/// what samples deviate from those. From the first two is taken what chance would explain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Fewer than four days of which three quarters are known, and none of its runs.
    #[default]
    Unknown,
    /// All four together are at most the square of 0.15.
    Steady,
    /// The time of day explains at least as much as the last two parts together. A rhythm whose high tide is shorter than two
    /// hours looks like bursts.
    Periodic,
    /// None of the others.
    Bursty,
    /// The mean moves by 2 % of it a day or more, up or down, and the line explains at least as much as the time of day, and
    /// as much as the last two parts together.
    Ramping,
    /// It came back from more than two hours without a sample at least twice, and on average every fifth day.
    RunToCompletion,
}

impl Class {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Steady => "Steady",
            Self::Periodic => "Periodic",
            Self::Bursty => "Bursty",
            Self::Ramping => "Ramping",
            Self::RunToCompletion => "RunToCompletion",
        }
    }
}

/// A phrase for people.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown yet",
            Self::Steady => "steady",
            Self::Periodic => "periodic (24 h)",
            Self::Bursty => "bursty",
            Self::Ramping => "ramping",
            Self::RunToCompletion => "run to completion",
        })
    }
}

/// A class, and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// By all known days.
    pub class: Class,
    /// From 0 to 1, and 0 of what is unknown: the part of random halves of the days that say the same, by Laplace's rule of succession, as if each day
    /// had been asked: `(days * part + 1) / (days + 2)`. So two weeks that agree are 94 % sure, four days 83 %.
    pub confidence: f64,
}

/// A phrase for people.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Class::Unknown => self.class.fmt(f),
            class => write!(f, "{class}, {:.0} % sure", self.confidence * 100.0),
        }
    }
}

/// A day as it is looked at.
struct Seen {
    /// When, in days.
    at: f64,
    /// The means of its parts, how many are known, and their sum.
    means: [Option<f64>; PARTS],
    known: f64,
    sum: f64,
    /// What samples deviated from those, squared.
    within: f64,
    /// How often it came back from a rest.
    starts: f64,
    is_whole: bool,
}

impl Seen {
    /// A day that ended so many days ago.
    fn of(day: &Day, ago: usize) -> Self {
        let means = day.means();
        let known = means.iter().flatten();
        Self {
            at: -(ago as f64),
            means,
            known: known.clone().count() as f64,
            sum: known.sum(),
            within: day.deviation().powi(2),
            starts: f64::from(day.starts()),
            is_whole: day.is_whole(),
        }
    }
}

/// Tells it from days, the newest first.
pub(super) fn tell(days: &[Day]) -> Told {
    let seen = days.iter().enumerate();
    let seen: Vec<Seen> = seen.map(|(ago, day)| Seen::of(day, ago)).collect();
    let mut asked: Vec<&Seen> = seen.iter().collect();
    let class = verdict(&asked, LEAST_DAYS);
    if class == Class::Unknown {
        return Told::default();
    }
    if class != Class::RunToCompletion {
        asked.retain(|day| day.is_whole);
    }
    let size = asked.len().div_ceil(2).max(LEAST_DAYS - 1);
    let mut chance = Chance(1);
    let same = (0..SUBSETS).filter(|_| {
        chance.draw(&mut asked, size);
        verdict(&asked[..size], LEAST_DAYS - 1) == class
    });
    let (part, days) = (same.count() as f64 / f64::from(SUBSETS), asked.len() as f64);
    Told {
        class,
        confidence: (days * part + 1.0) / (days + 2.0),
    }
}

/// Numbers that look random, the same each time.
struct Chance(u64);

impl Chance {
    /// Puts a random subset first.
    fn draw<T>(&mut self, of: &mut [T], size: usize) {
        for place in 0..size.min(of.len()) {
            // Knuth's multiplier; of its low bits little is random.
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let rest = of.len() - place;
            of.swap(place, place + (self.0 >> 33) as usize % rest);
        }
    }
}

/// What days say; `least` of them must be whole.
fn verdict(days: &[&Seen], least: usize) -> Class {
    let starts: f64 = days.iter().map(|day| day.starts).sum();
    if days.len() >= least && starts >= 2.0 && starts >= STARTS * days.len() as f64 {
        return Class::RunToCompletion;
    }
    let whole = days.iter().copied().filter(|day| day.is_whole);
    if whole.clone().count() < least {
        return Class::Unknown;
    }
    let within = average(whole.clone().map(|day| day.within));
    let Variance {
        line,
        time_of_day,
        rest,
        growth,
    } = Variance::of(whole);
    let left = rest + within;
    if growth.abs() >= RAMP && line >= time_of_day && line >= left {
        Class::Ramping
    } else if line + time_of_day + left <= STEADY * STEADY {
        Class::Steady
    } else if time_of_day >= left {
        Class::Periodic
    } else {
        Class::Bursty
    }
}

/// The variance of the means of parts of days, by the square of their mean.
struct Variance {
    /// What a line through the days' means explains.
    line: f64,
    /// What the time of day explains of what is left.
    time_of_day: f64,
    /// What is left then.
    rest: f64,
    /// The slope of the line, by the mean: a part of it a day.
    growth: f64,
}

impl Variance {
    /// Of three days or more: an analysis of variance in two steps.
    fn of<'a>(days: impl Iterator<Item = &'a Seen> + Clone) -> Self {
        let known: f64 = days.clone().map(|day| day.known).sum();
        let mean = days.clone().map(|day| day.sum).sum::<f64>() / known;
        let middle = average(days.clone().map(|day| day.at));
        // The line.
        let levels = days
            .clone()
            .map(|day| (day.at - middle, day.sum / day.known - mean));
        let squares: f64 = levels.clone().map(|(at, _)| at * at).sum();
        let slope = levels.clone().map(|(at, level)| at * level).sum::<f64>() / squares;
        let off = levels.map(|(at, level)| (level - slope * at).powi(2));
        let count = days.clone().count() as f64;
        let chance = off.sum::<f64>() / (count - 2.0);
        let line = (slope * slope * squares - chance).max(0.0) / count;
        // The time of day: of each part the count, the sum and the sum of squares of what is off the line.
        let mut parts = [(0.0, 0.0, 0.0); PARTS];
        for day in days {
            for (part, level) in parts.iter_mut().zip(day.means) {
                let Some(level) = level else { continue };
                let off = level - mean - slope * (day.at - middle);
                part.0 += 1.0;
                part.1 += off;
                part.2 += off * off;
            }
        }
        let known = parts.iter().filter(|(count, ..)| *count > 0.0);
        let (mut count, mut rest, mut time_of_day, mut chance) = (0.0, 0.0, 0.0, 0.0);
        for (of_part, sum, squares) in known.clone() {
            count += of_part;
            rest += squares - sum * sum / of_part;
            time_of_day += (sum / of_part).powi(2);
            chance += 1.0 / of_part;
        }
        let places = known.count() as f64;
        let rest = rest.max(0.0) / (count - places - 1.0);
        let time_of_day = (time_of_day - rest * chance).max(0.0) / places;
        let square = mean * mean;
        Self {
            line: line / square,
            time_of_day: time_of_day / square,
            rest: rest / square,
            growth: slope / mean,
        }
    }
}

fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests;
