//! How well targets fitted, as they were recommended.

use super::judge::{Judged, Trial};
use crate::quantity::Resource;

/// CPU: a day with more than this part of its time over the target is a severe one.
const SEVERE_TIME: f64 = 0.05;

/// Memory: a day with samples over the target in more than so many hours is a severe one (Autopilot's threshold).
const SEVERE_HOURS: usize = 3;

/// What a trial of one resource of one series comes to. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// One less the used part of what was recommended; what was used above it does not count.
    pub slack: f64,
    /// The same where it does: below zero when more was used than recommended.
    pub plain_slack: f64,
    /// Autopilot's: one less the 95th percentile of a day's usage by the day's mean target, on average over days.
    pub relative_slack: f64,
    /// Part of the time in which usage was over the target.
    pub time_over: f64,
    /// All usage over the target by all usage.
    pub overrun: f64,
    /// How many days were judged.
    pub days: usize,
    /// Days with a sample over the target.
    pub days_over: usize,
    /// Those that were severe.
    pub days_severe: usize,
    /// Changes of the target by more than 5 % in a day.
    pub changes_per_day: f64,
    /// Resource-time used, in core-seconds or byte-seconds.
    pub used: f64,
    /// Resource-time recommended.
    pub recommended: f64,
}

/// Scores a trial.
pub fn score(trial: &Trial, resource: Resource) -> Score {
    let judged = &trial.judged;
    let sum = |of: fn(&Judged) -> f64| judged.iter().map(of).sum::<f64>();
    let seconds = sum(|j| j.seconds);
    let recommended = sum(|j| j.target * j.seconds);
    let used = sum(|j| j.usage * j.seconds);
    let met = sum(|j| j.usage.min(j.target) * j.seconds);
    let over = sum(|j| if is_over(j) { j.seconds } else { 0.0 });
    let days: Vec<&[Judged]> = judged.chunk_by(|a, b| a.day == b.day).collect();
    let count = |is: &dyn Fn(&[Judged]) -> bool| days.iter().filter(|day| is(day)).count();
    Score {
        slack: 1.0 - met / recommended,
        plain_slack: 1.0 - used / recommended,
        relative_slack: days.iter().map(|day| relative_slack(day)).sum::<f64>() / days.len() as f64,
        time_over: over / seconds,
        overrun: ratio(sum(|j| (j.usage - j.target).max(0.0)), sum(|j| j.usage)),
        days: days.len(),
        days_over: count(&|day| day.iter().any(is_over)),
        days_severe: count(&|day| is_severe(day, resource)),
        changes_per_day: trial.changes_per_day(),
        used,
        recommended,
    }
}

fn is_over(judged: &Judged) -> bool {
    judged.usage > judged.target
}

fn is_severe(day: &[Judged], resource: Resource) -> bool {
    match resource {
        Resource::Cpu => {
            let seconds =
                |of: &mut dyn Iterator<Item = &Judged>| of.map(|j| j.seconds).sum::<f64>();
            let all = seconds(&mut day.iter());
            seconds(&mut day.iter().filter(|j| is_over(j))) > SEVERE_TIME * all
        }
        Resource::Memory => {
            let hours = day
                .iter()
                .filter(|j| is_over(j))
                .map(|j| j.at.unix_seconds() / 3600);
            let mut hours: Vec<_> = hours.collect();
            hours.dedup();
            hours.len() > SEVERE_HOURS
        }
    }
}

fn relative_slack(day: &[Judged]) -> f64 {
    let usage: Vec<f64> = day.iter().map(|j| j.usage).collect();
    let target = day.iter().map(|j| j.target).sum::<f64>() / day.len() as f64;
    1.0 - quantile(usage, 0.95) / target
}

/// The `q`-quantile of values, by linear interpolation; zero of none.
pub(crate) fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let position = q * last as f64;
    let (_, below, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let below = *below;
    let above = above
        .iter()
        .copied()
        .min_by(f64::total_cmp)
        .unwrap_or(below);
    below + (above - below) * position.fract()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
