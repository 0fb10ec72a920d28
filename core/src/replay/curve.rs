//! What a trial would have come to with every target multiplied by the same factor, for each factor of a grid.
//!
//! A sample is over `m` times its target exactly when usage by target is above `m`, so that one pass over the samples
//! answers for the whole grid.

use std::sync::LazyLock;

use super::judge::Trial;

/// Multipliers: one per cent steps from 0.2 to 5, five per cent steps to 30.
static GRID: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let fine = (20..=500).map(|percent| f64::from(percent) / 100.0);
    let coarse = (505..=3000)
        .step_by(5)
        .map(|percent| f64::from(percent) / 100.0);
    fine.chain(coarse).collect()
});

/// The multipliers that curves are made for.
pub fn grid() -> &'static [f64] {
    &GRID
}

/// What one multiplier comes to. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// As [`super::score::Score::slack`].
    pub slack: f64,
    /// As [`super::score::Score::time_over`].
    pub time_over: f64,
    /// As [`super::score::Score::overrun`].
    pub overrun: f64,
    /// As [`super::score::Score::days_over`].
    pub days_over: usize,
}

/// A trial of one resource of one series under each multiplier of the [`grid`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// A point for each multiplier.
    pub points: Vec<Point>,
    /// How many days were judged.
    pub days: usize,
    /// Changes of the target in a day; they do not depend on the multiplier.
    pub changes_per_day: f64,
}

/// Of the samples that need a multiplier: the sums from which points are made.
#[derive(Clone, Copy, Default)]
struct Bin {
    seconds: f64,
    usage_time: f64,
    target_time: f64,
    usage: f64,
    target: f64,
    days: usize,
}

impl Curve {
    /// Of a trial.
    pub fn of(trial: &Trial) -> Self {
        let multipliers = grid();
        // The first multiplier that is enough; after the last, none is.
        let enough = |ratio: f64| multipliers.partition_point(|m| *m < ratio);
        let mut bins = vec![Bin::default(); multipliers.len() + 1];
        let mut days = 0;
        for day in trial.judged.chunk_by(|a, b| a.day == b.day) {
            let mut worst = 0.0_f64;
            for judged in day {
                let ratio = judged.usage / judged.target;
                let bin = &mut bins[enough(ratio)];
                bin.seconds += judged.seconds;
                bin.usage_time += judged.usage * judged.seconds;
                bin.target_time += judged.target * judged.seconds;
                bin.usage += judged.usage;
                bin.target += judged.target;
                worst = worst.max(ratio);
            }
            bins[enough(worst)].days += 1;
            days += 1;
        }
        Self {
            points: points(&bins, multipliers),
            days,
            changes_per_day: trial.changes_per_day(),
        }
    }
}

/// From sums of the samples that need each multiplier to points: above a multiplier is what needs a greater one.
fn points(bins: &[Bin], multipliers: &[f64]) -> Vec<Point> {
    let mut above = Bin::default();
    for bin in bins {
        above.add(bin, 1.0);
    }
    let all = above;
    let met = bins.iter().zip(multipliers).map(|(bin, multiplier)| {
        above.add(bin, -1.0);
        above.days -= bin.days;
        let within = all.usage_time - above.usage_time;
        Point {
            slack: 1.0 - (within / multiplier + above.target_time) / all.target_time,
            time_over: (above.seconds / all.seconds).max(0.0),
            overrun: if all.usage > 0.0 {
                ((above.usage - multiplier * above.target) / all.usage).max(0.0)
            } else {
                0.0
            },
            days_over: above.days,
        }
    });
    met.collect()
}

impl Bin {
    fn add(&mut self, other: &Self, sign: f64) {
        self.seconds += sign * other.seconds;
        self.usage_time += sign * other.usage_time;
        self.target_time += sign * other.target_time;
        self.usage += sign * other.usage;
        self.target += sign * other.target;
        if sign > 0.0 {
            self.days += other.days;
        }
    }
}
