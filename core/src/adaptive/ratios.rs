//! How usage related to what an expert said, and the margin that would have cost least.

use std::sync::LazyLock;

/// Ratios of usage to an expert's word: equal steps of `asinh(ln(ratio) / SCALE)`, from 0.08 to 60. Near one, where most
/// margins lie, a step is 4 %; at the ends it is 22 % and 37 %.
const COUNT: usize = 64;
const SCALE: f64 = 0.5;
const LOWEST: f64 = -2.32;
const STEP: f64 = 0.08;

/// The ratio in the middle of each, the ratio at its end, and the logarithm of that.
static MIDDLES: LazyLock<[f64; COUNT]> =
    LazyLock::new(|| std::array::from_fn(|n| logarithm(n as f64 + 0.5).exp()));
static ENDS: LazyLock<[f64; COUNT]> =
    LazyLock::new(|| std::array::from_fn(|n| END_LOGARITHMS[n].exp()));
static END_LOGARITHMS: LazyLock<[f64; COUNT]> =
    LazyLock::new(|| std::array::from_fn(|n| logarithm(n as f64 + 1.0)));

/// The logarithm of the ratio at a place.
fn logarithm(place: f64) -> f64 {
    SCALE * (LOWEST + STEP * place).sinh()
}

/// What a breach costs, in slack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Costs {
    /// All the time over the target, as so much slack.
    pub time_over: f64,
    /// As much usage over the target as there is usage, as so much slack.
    pub overrun: f64,
    /// No more than this part of the time may be over the target, whatever it saves.
    pub cap: f64,
}

/// A margin, and what it would have come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Times the expert's word.
    pub multiple: f64,
    /// Slack and breaches, in slack.
    pub cost: f64,
    /// The slack of that.
    pub slack: f64,
    /// The part of the time over the target.
    pub time_over: f64,
}

/// Samples and the sum of the expert's words that they met, by ratio: 0.5 kB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ratios {
    samples: Box<[f32; COUNT]>,
    words: Box<[f32; COUNT]>,
}

impl Ratios {
    /// Nothing seen.
    pub fn new() -> Self {
        Self {
            samples: Box::new([0.0; COUNT]),
            words: Box::new([0.0; COUNT]),
        }
    }

    /// Adds a sample that met an expert's word, and the logarithm of what was used of it.
    pub fn add(&mut self, word: f64, logarithm: f64, weight: f64) {
        // A search costs a tenth of what the inverse of `logarithm` does.
        let place = END_LOGARITHMS.partition_point(|end| *end <= logarithm);
        let place = place.min(COUNT - 1);
        self.samples[place] += weight as f32;
        self.words[place] += (weight * word) as f32;
    }

    /// The weights, for storing them.
    pub fn weights(&mut self) -> [&mut [f32]; 2] {
        [&mut self.samples[..], &mut self.words[..]]
    }

    /// Lets all that was seen count so much less.
    pub fn fade(&mut self, factor: f64) {
        let weights = self.samples.iter_mut().chain(self.words.iter_mut());
        weights.for_each(|weight| *weight *= factor as f32);
    }

    /// How many samples count.
    pub fn total(&self) -> f64 {
        self.samples.iter().map(|weight| f64::from(*weight)).sum()
    }

    /// The margin that would have cost least; of those with no more breaches than the cap allows.
    pub fn best(&self, costs: &Costs) -> Margin {
        let (middles, ends) = (&*MIDDLES, &*ENDS);
        let (mut total, mut words, mut usage) = (0.0, 0.0, 0.0);
        for ((samples, of_place), middle) in self.samples.iter().zip(&self.words[..]).zip(middles) {
            let of_place = f64::from(*of_place);
            total += f64::from(*samples);
            words += of_place;
            usage += of_place * middle;
        }
        let mut best = Margin {
            multiple: ends[COUNT - 1],
            cost: f64::INFINITY,
            slack: 1.0,
            time_over: 0.0,
        };
        // From the highest down: what lies above a multiple is over it.
        let (mut over, mut over_words, mut over_usage) = (0.0, 0.0, 0.0);
        for place in (0..COUNT).rev() {
            if over > costs.cap * total {
                break;
            }
            let multiple = ends[place];
            let slack = 1.0 - (usage - over_usage + multiple * over_words) / (multiple * words);
            let time_over = over / total;
            let excess = (over_usage - multiple * over_words).max(0.0) / usage;
            let cost = slack + costs.time_over * time_over + costs.overrun * excess;
            if cost < best.cost {
                best = Margin {
                    multiple,
                    cost,
                    slack,
                    time_over,
                };
            }
            let words = f64::from(self.words[place]);
            over += f64::from(self.samples[place]);
            over_words += words;
            over_usage += words * middles[place];
        }
        best
    }

    /// The least multiple that no more than a part of the samples exceeds; the least of all without any.
    pub fn exceeded_by(&self, part: f64) -> f64 {
        let allowed = part * self.total();
        let mut over = 0.0;
        let place = (0..COUNT).rev().find(|place| {
            over += f64::from(self.samples[*place]);
            over > allowed
        });
        ENDS[place.unwrap_or(0)]
    }
}
