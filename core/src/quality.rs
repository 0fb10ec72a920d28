//! How well a recommendation fits what is used, and how far two of them lie apart.

use crate::histogram::Buckets;
use crate::quantity::Resource;

/// Upstream's safety margin, with which a target lies above what its histogram says.
const MARGIN: f64 = 0.15;

/// What one sample of usage says of the recommendation it met. Amounts are in cores or bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// Nothing, or zero, was recommended.
    Missing {
        /// All of the usage.
        usage: f64,
    },
    /// Something was.
    Judged {
        /// What was recommended.
        recommended: f64,
        /// True when that is more than the usage.
        over: bool,
        /// How far the two lie apart.
        difference: f64,
        /// Usage above the recommendation, as a fraction of it; negative below.
        relative: f64,
    },
}

/// Judges a sample of `usage` against the `recommended` amount, both in base units (millicores or bytes).
pub fn judge(resource: Resource, usage: i64, recommended: Option<i64>) -> Observation {
    let usage = in_units(resource, usage);
    match recommended.filter(|amount| *amount > 0) {
        None => Observation::Missing { usage },
        Some(amount) => {
            let recommended = in_units(resource, amount);
            Observation::Judged {
                recommended,
                over: recommended > usage,
                difference: (usage - recommended).abs(),
                relative: (usage - recommended) / recommended,
            }
        }
    }
}

/// By which fraction `new` lies above `old`; `None` where nothing was there before.
pub fn change(old: i64, new: i64) -> Option<f64> {
    (old > 0).then(|| new as f64 / old as f64 - 1.0)
}

/// How many buckets of the histogram they were read from `new` lies above `old`, both targets in base units; negative below.
/// One bucket is 5 % where amounts are large, and 10m or 10 MB where they are small.
pub fn buckets_between(resource: Resource, old: i64, new: i64) -> i64 {
    let buckets = match resource {
        Resource::Cpu => Buckets::cpu(),
        Resource::Memory => Buckets::memory(),
    };
    let position = |amount| {
        let used = in_units(resource, amount) / (1.0 + MARGIN);
        buckets.position(used.max(0.0))
    };
    (position(new) - position(old)).round() as i64
}

/// A stored amount (millicores or bytes) in cores or bytes.
pub fn in_units(resource: Resource, amount: i64) -> f64 {
    match resource {
        Resource::Cpu => amount as f64 / 1000.0,
        Resource::Memory => amount as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_judged_against_what_was_recommended() {
        use Observation::{Judged, Missing};
        let judged = |recommended, over, difference, relative| Judged {
            recommended,
            over,
            difference,
            relative,
        };
        let cases = [
            (Resource::Cpu, 250, Some(500), judged(0.5, true, 0.25, -0.5)),
            (Resource::Cpu, 500, Some(500), judged(0.5, false, 0.0, 0.0)),
            (Resource::Cpu, 1000, Some(500), judged(0.5, false, 0.5, 1.0)),
            (
                Resource::Memory,
                300,
                Some(200),
                judged(200.0, false, 100.0, 0.5),
            ),
            (
                Resource::Memory,
                0,
                Some(200),
                judged(200.0, true, 200.0, -1.0),
            ),
            (Resource::Cpu, 250, None, Missing { usage: 0.25 }),
            (Resource::Memory, 300, Some(0), Missing { usage: 300.0 }),
        ];
        for (resource, usage, recommended, expected) in cases {
            assert_eq!(judge(resource, usage, recommended), expected);
        }
    }

    #[test]
    fn changes_are_relative_to_the_old() {
        for (old, new, expected) in [
            (100, 150, Some(0.5)),
            (100, 100, Some(0.0)),
            (100, 50, Some(-0.5)),
            (0, 50, None),
        ] {
            assert_eq!(change(old, new), expected);
        }
    }

    #[test]
    fn targets_are_whole_buckets_apart() {
        use Resource::{Cpu, Memory};
        let of = |buckets: &Buckets, bucket| (buckets.start(bucket) * 1.15) as i64;
        let bytes = |bucket| of(Buckets::memory(), bucket);
        for (resource, old, new, expected) in [
            // With margin: the ends of the first, second and third bucket of CPU.
            (Cpu, 11, 11, 0),
            (Cpu, 11, 23, 1),
            (Cpu, 36, 11, -2),
            (Cpu, 0, 11, 1),
            // 5 % each.
            (Memory, bytes(40), bytes(41), 1),
            (Memory, bytes(100), bytes(97), -3),
            // What policy made of a target lies anywhere in a bucket.
            (Memory, bytes(40), bytes(41) * 101 / 100, 1),
        ] {
            let apart = buckets_between(resource, old, new);
            assert_eq!(apart, expected, "{resource:?} {old} {new}");
        }
    }
}
