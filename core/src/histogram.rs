//! A histogram of usage in which old samples fade: the numbers that recommendations are read from.
//!
//! It is upstream's decaying histogram: a sample at time `t` weighs `weight * 2^((t - reference) / half-life)`, so that
//! only the reference time moves, not every weight. It is shifted when the exponent passes 100.
//!
//! Memory: 72 bytes, and 8 for each bucket between the lowest and the highest that was ever touched. A container whose
//! CPU moves within a factor of ten touches about 50 buckets: 0.5 kB; all 176 take 1.5 kB.

mod buckets;

use std::time::Duration;

pub(crate) use buckets::power;
pub use buckets::{Buckets, BucketsError};

use crate::time::Timestamp;

/// The reference time moves once a sample lies more than this many half-lives after it.
const MAX_EXPONENT: i64 = 100;

/// From the zero of Go's clock (year 1, UTC), on which reference times are aligned, to the Unix epoch.
const YEAR_ONE_TO_UNIX_MILLIS: i128 = 62_135_596_800_000;

/// Weights per bucket, fading with a half-life.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    buckets: &'static Buckets,
    half_life_millis: i64,
    reference: Option<Timestamp>,
    total: f64,
    /// The bucket that `weights[0]` belongs to.
    first: usize,
    weights: Vec<f64>,
}

/// Two histograms that cannot be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histograms with different buckets or half-lives cannot be merged")]
pub struct Incompatible;

impl Histogram {
    /// An empty one. A half-life below a millisecond counts as one.
    pub fn new(buckets: &'static Buckets, half_life: Duration) -> Self {
        Self {
            buckets,
            half_life_millis: i64::try_from(half_life.as_millis())
                .unwrap_or(i64::MAX)
                .max(1),
            reference: None,
            total: 0.0,
            first: 0,
            weights: Vec::new(),
        }
    }

    /// The same buckets and half-life with weights saved earlier, which count from `reference` on.
    ///
    /// Without a reference they count as if seen when the next sample is. Buckets beyond the last count as the last.
    pub fn with_weights(
        mut self,
        reference: Option<Timestamp>,
        total: f64,
        weights: impl IntoIterator<Item = (usize, f64)>,
    ) -> Self {
        self.reference = reference;
        self.total = total;
        for (bucket, weight) in weights {
            *self.weight_mut(bucket) += weight;
        }
        self
    }

    /// Adds a sample; `weight` is not negative.
    pub fn add(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.factor(at);
        *self.weight_mut(self.buckets.find(value)) += weight;
        self.total += weight;
    }

    /// Takes a sample back that was added with the same arguments. What is left below epsilon becomes zero.
    pub fn subtract(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.factor(at);
        let epsilon = self.buckets.epsilon();
        let rest = |from: f64| {
            if from - weight < epsilon {
                0.0
            } else {
                from - weight
            }
        };
        let slot = self.weight_mut(self.buckets.find(value));
        *slot = rest(*slot);
        self.total = rest(self.total);
    }

    /// Adds all samples of `other`, which must have the same buckets and half-life.
    pub fn merge(&mut self, other: &Self) -> Result<(), Incompatible> {
        if self.buckets != other.buckets || self.half_life_millis != other.half_life_millis {
            return Err(Incompatible);
        }
        let newest = self.reference.max(other.reference);
        self.scale(self.exponent_to(newest));
        self.reference = newest;
        let factor = other.exponent_to(newest).exp2();
        // Also what is below epsilon, which upstream leaves out here: the sum of several may count, and the order of merging
        // must not decide that.
        for (bucket, weight) in (other.first..).zip(&other.weights) {
            *self.weight_mut(bucket) += weight * factor;
        }
        self.total += other.total * factor;
        Ok(())
    }

    /// Lets all samples count as if they had been added `duration` later: time that is not to fade them.
    pub fn postpone(&mut self, duration: Duration) {
        self.reference = self.reference.map(|reference| reference + duration);
    }

    /// The value that a fraction `p` (0 to 1) of all weight does not exceed, as the end of its bucket; 0 when empty.
    ///
    /// Of the last bucket, which has no end, it is the start.
    pub fn percentile(&self, p: f64) -> f64 {
        let Some(last) = self.last_filled() else {
            return 0.0;
        };
        let threshold = p * self.total;
        let mut sum = 0.0;
        let bucket = self
            .weights()
            .find(|(_, weight)| {
                sum += weight;
                sum >= threshold
            })
            .map_or(last, |(bucket, _)| bucket);
        self.buckets.start(bucket + 1)
    }

    /// The mean of all samples, each taken for the middle of its bucket; 0 when empty.
    pub fn mean(&self) -> f64 {
        if self.is_empty() || self.total <= 0.0 {
            return 0.0;
        }
        let middle = |bucket: usize| {
            f64::midpoint(self.buckets.start(bucket), self.buckets.start(bucket + 1))
        };
        let sum: f64 = self
            .weights()
            .map(|(bucket, weight)| middle(bucket) * weight)
            .sum();
        sum / self.total
    }

    /// True when no bucket holds enough weight to count.
    pub fn is_empty(&self) -> bool {
        self.last_filled().is_none()
    }

    /// The time at which a sample weighs what it was given.
    pub fn reference(&self) -> Option<Timestamp> {
        self.reference
    }

    /// The sum of all weights.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Its buckets.
    pub fn buckets(&self) -> &'static Buckets {
        self.buckets
    }

    /// Bucket and weight, from the first to the last bucket that holds enough to count.
    pub fn weights(&self) -> impl Iterator<Item = (usize, f64)> {
        let numbered = (self.first..).zip(self.weights.iter().copied());
        let end = self.last_filled().map_or(0, |last| last + 1);
        numbered
            .skip_while(|(_, weight)| *weight < self.buckets.epsilon())
            .take_while(move |(bucket, _)| *bucket < end)
    }

    fn last_filled(&self) -> Option<usize> {
        let epsilon = self.buckets.epsilon();
        let index = self.weights.iter().rposition(|weight| *weight >= epsilon)?;
        Some(self.first + index)
    }

    /// The weight of a bucket; makes room for it.
    fn weight_mut(&mut self, bucket: usize) -> &mut f64 {
        let bucket = bucket.min(self.buckets.count() - 1);
        if self.weights.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let missing = self.first - bucket;
            self.weights.splice(..0, std::iter::repeat_n(0.0, missing));
            self.first = bucket;
        }
        let index = bucket - self.first;
        if index >= self.weights.len() {
            let missing = index + 1 - self.weights.len();
            self.weights.reserve_exact(missing);
            self.weights.resize(index + 1, 0.0);
        }
        &mut self.weights[index]
    }

    /// What a sample at `at` is multiplied with. Moves the reference when `at` lies too far after it.
    fn factor(&mut self, at: Timestamp) -> f64 {
        let reference = match self.reference {
            Some(reference) if self.half_lives(reference, at) <= MAX_EXPONENT as f64 => reference,
            _ => {
                let reference = self.aligned(at);
                self.scale(self.exponent_to(Some(reference)));
                self.reference = Some(reference);
                reference
            }
        };
        self.half_lives(reference, at).exp2()
    }

    /// The power of two that carries present weights to another reference time.
    fn exponent_to(&self, reference: Option<Timestamp>) -> f64 {
        match (self.reference, reference) {
            (Some(old), Some(new)) => self.half_lives(new, old),
            _ => 0.0,
        }
    }

    fn scale(&mut self, exponent: f64) {
        if exponent != 0.0 {
            let factor = exponent.exp2();
            self.weights.iter_mut().for_each(|weight| *weight *= factor);
            self.total *= factor;
        }
    }

    /// The time from `from` to `to` in half-lives; negative when `to` is earlier.
    fn half_lives(&self, from: Timestamp, to: Timestamp) -> f64 {
        let millis = i128::from(to.unix_millis()) - i128::from(from.unix_millis());
        millis as f64 / self.half_life_millis as f64
    }

    /// `at` rounded to a multiple of the half-life, counted from year 1; halves round up.
    fn aligned(&self, at: Timestamp) -> Timestamp {
        let half_life = i128::from(self.half_life_millis);
        let millis = i128::from(at.unix_millis()) + YEAR_ONE_TO_UNIX_MILLIS;
        let past = millis.rem_euclid(half_life);
        let up = if past * 2 < half_life { 0 } else { half_life };
        let aligned = millis - past + up - YEAR_ONE_TO_UNIX_MILLIS;
        Timestamp::from_unix_millis(i64::try_from(aligned).unwrap_or(at.unix_millis()))
    }
}

#[cfg(test)]
mod tests;
