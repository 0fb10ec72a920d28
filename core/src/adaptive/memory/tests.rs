use std::collections::VecDeque;

use proptest::prelude::*;

use super::{FAR, PEAK_HALF_LIFE, SPREAD, STEP, cheapest};

/// The part of days, the newest first, on which a multiple would have been exceeded: by definition, each day asked anew.
fn exceeded(ratios: &VecDeque<f64>, multiple: f64) -> f64 {
    let (mut over, mut all) = (0.0, 0.0);
    for (day, ratio) in ratios.iter().enumerate() {
        let weight = (-(day as f64) / PEAK_HALF_LIFE).exp2();
        over += weight * ((ratio / multiple).ln() / SPREAD).min(0.0).exp();
        all += weight;
    }
    over / all
}

proptest! {
    /// It says what it would come to, and no multiple on the way costs less.
    #[test]
    fn the_cheapest_costs_least(
        ratios in prop::collection::vec((-3.0..3.0_f64).prop_map(f64::exp2), 1..=30),
        room in 0.01..1.0_f64,
        breach in 0.1..100.0_f64,
    ) {
        let ratios = VecDeque::from(ratios);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        let price = room / highest;
        let cost = |multiple| price * multiple + breach * exceeded(&ratios, multiple);
        let (multiple, over) = cheapest(&ratios, price, breach);
        prop_assert!((over - exceeded(&ratios, multiple)).abs() < 1e-9);
        let mut other = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        while other < highest * FAR.exp() {
            prop_assert!(cost(multiple) < cost(other) + 1e-6, "{other} instead of {multiple}");
            other *= STEP;
        }
    }
}

#[test]
fn without_a_day_nothing_is_known() {
    assert_eq!(cheapest(&VecDeque::new(), 1.0, 1.0), (0.0, 1.0));
}

/// An hour in which nothing was used has no logarithm.
#[test]
fn a_day_of_nothing_is_exceeded_by_nothing() {
    let (multiple, over) = cheapest(&VecDeque::from([0.0, 1.0]), 0.01, 1000.0);
    assert!(multiple > 1.0 && over < 1e-6, "{multiple} {over}");
    assert_eq!(cheapest(&VecDeque::from([0.0]), 1.0, 1.0), (0.0, 1.0));
}
