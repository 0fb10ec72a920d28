//! From runs to numbers.

use super::{Estimate, EstimatorConfig, with_margin};
use crate::explanation::{Cause, Derivation};
use crate::history::OomFloor;
use crate::quantity::{Resource, scale_amount};
use crate::runs::Runs;

/// What runs say: of memory the most that any of them used, since a run that is given too little is lost; of CPU a
/// percentile of runs. Before the first has ended, nothing but kills counts.
///
/// Of `n` runs alike the next one is the highest once in `n + 1` times, so a few of them are given room: half of the number
/// divided by `n`, beside the margin. Bounds are wider by one `n`-th.
pub(super) fn estimate(
    runs: &Runs,
    resource: Resource,
    config: &EstimatorConfig,
    floor: Option<&OomFloor>,
) -> Estimate {
    let percentiles = config.percentiles(resource);
    let figures = runs.figures(resource);
    let target = match resource {
        Resource::Cpu => percentiles.target,
        Resource::Memory => 1.0,
    };
    let Some(highest) = runs.highest(resource).filter(|_| !figures.is_empty()) else {
        return Estimate {
            target: floor.map(|_| Derivation::new(target, None)),
            ..Estimate::default()
        };
    };
    let number = |p: f64, widen: fn(i64, i64, f64) -> i64| {
        let raw = if p < 1.0 {
            nearest_rank(&figures, p)
        } else {
            highest
        };
        let mut derivation = Derivation::new(p, Some(raw));
        let (margin, to) = (config.margin, with_margin(raw, config.margin));
        derivation.change(Cause::Margin(margin), to);
        if figures.len() < ENOUGH_RUNS {
            let to = widen(raw, to, 1.0 / figures.len() as f64);
            derivation.change(Cause::FewRuns(figures.len()), to);
        }
        Some(derivation)
    };
    Estimate {
        target: number(target, |raw, to, part| {
            to.saturating_add(scale_amount(raw, part / 2.0))
        }),
        lower_bound: number(percentiles.lower, |_, to, part| {
            scale_amount(to, 1.0 / (1.0 + part))
        }),
        upper_bound: number(1.0, |_, to, part| scale_amount(to, 1.0 + part)),
    }
}

/// From so many runs on they are no longer few.
pub const ENOUGH_RUNS: usize = 10;

/// The least of some amounts, in order and at least one, that a part `p` of them does not exceed.
fn nearest_rank(sorted: &[i64], p: f64) -> i64 {
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
