//! How often each level of usage was seen, fading by the hour.

use std::sync::LazyLock;

/// Levels: the first ends at a thousandth of a core, each is 5 % wider than the one before; the last begins at some 870
/// cores.
const COUNT: usize = 220;
const FIRST: f64 = 0.001;
const RATIO: f64 = 1.05;

/// Where each begins, and where the last ends.
static STARTS: LazyLock<[f64; COUNT + 1]> =
    LazyLock::new(|| std::array::from_fn(|n| FIRST * (RATIO.powi(n as i32) - 1.0) / (RATIO - 1.0)));

/// Weights of levels: 0.9 kB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels(Box<[f32; COUNT]>);

impl Levels {
    /// Nothing seen.
    pub fn new() -> Self {
        Self(Box::new([0.0; COUNT]))
    }

    /// Adds a sample, in cores.
    pub fn add(&mut self, cores: f64, weight: f64) {
        let level = (cores * (RATIO - 1.0) / FIRST + 1.0).ln() / RATIO.ln();
        self.0[(level as usize).min(COUNT - 1)] += weight as f32;
    }

    /// The weights, for storing them.
    pub fn weights(&mut self) -> [&mut [f32]; 1] {
        [&mut self.0[..]]
    }

    /// Lets all that was seen count so much less.
    pub fn fade(&mut self, factor: f64) {
        self.0
            .iter_mut()
            .for_each(|weight| *weight *= factor as f32);
    }

    /// The `q`-quantile in cores, as if samples were spread evenly within their level; zero of nothing.
    pub fn quantile(&self, q: f64) -> f64 {
        let total: f64 = self.0.iter().map(|weight| f64::from(*weight)).sum();
        let wanted = q * total;
        let mut sum = 0.0;
        for (level, weight) in self.0.iter().enumerate() {
            let weight = f64::from(*weight);
            if weight > 0.0 && sum + weight >= wanted {
                let (start, end) = (STARTS[level], STARTS[level + 1]);
                return start + (end - start) * (wanted - sum) / weight;
            }
            sum += weight;
        }
        0.0
    }
}
