//! Histories as they are stored: upstream's v3 encoding and its limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::{Buckets, Histogram};
use crate::history::{ContainerHistory, HistoryConfig, OomFloor};
use crate::time::Timestamp;

/// The only version there is.
pub const VERSION: &str = "v3";

/// The heaviest bucket is stored with this weight, others in proportion to it.
const MAX_WEIGHT: f64 = 10_000.0;

/// No histogram weighs more: a year of samples each second at 2^100, where weights are scaled down.
const MAX_TOTAL: f64 = 1e40;

/// A reference time may lie this many half-lives after the newest sample that is possible. Were it far ahead, new
/// samples would weigh nothing beside the stored ones.
const MAX_HALF_LIVES_AHEAD: u32 = 8;

/// A stored history of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The encoding.
    pub version: String,
    /// When it was stored.
    pub last_update: Option<Timestamp>,
    /// CPU use.
    pub cpu: HistogramCheckpoint,
    /// Memory peaks.
    pub memory: HistogramCheckpoint,
    /// The first CPU sample.
    pub first_sample: Option<Timestamp>,
    /// The last CPU sample.
    pub last_sample: Option<Timestamp>,
    /// All CPU samples ever.
    pub total_samples: i64,
    /// Out-of-memory evidence. Upstream has no field for it: it is stored beside, where upstream leaves it alone.
    pub oom_floor: Option<OomFloor>,
    /// What a time series database keeps of the time before is in it. Stored beside as well.
    pub has_past: bool,
}

/// A stored histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramCheckpoint {
    /// The time at which a sample weighs what it was given.
    pub reference: Option<Timestamp>,
    /// Relative weights by bucket.
    pub bucket_weights: BTreeMap<i64, u32>,
    /// The weight of all buckets together.
    pub total_weight: f64,
}

/// Why a stored history cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Written by something else.
    #[error("unsupported checkpoint version {0:?}; only {VERSION} is known")]
    Version(String),
    /// Not a weight.
    #[error("the total weight of its {histogram} histogram is {total}")]
    Total {
        /// `cpu` or `memory`.
        histogram: &'static str,
        /// What stands there.
        total: f64,
    },
    /// There is no such bucket.
    #[error("its {histogram} histogram has bucket {bucket}; there are {count}")]
    Bucket {
        /// `cpu` or `memory`.
        histogram: &'static str,
        /// What stands there.
        bucket: i64,
        /// How many there are.
        count: usize,
    },
    /// Its weights count from a time that has not come.
    #[error(
        "the reference time of its {histogram} histogram lies in the future: {seconds} s after 1970"
    )]
    Reference {
        /// `cpu` or `memory`.
        histogram: &'static str,
        /// What stands there.
        seconds: i64,
    },
    /// Fewer than none.
    #[error("it counts {0} samples")]
    Samples(i64),
}

impl Checkpoint {
    /// Encodes a history, at `now`.
    pub fn encode(history: &ContainerHistory, now: Timestamp) -> Self {
        Self {
            version: VERSION.to_owned(),
            last_update: Some(now),
            cpu: HistogramCheckpoint::encode(history.cpu()),
            memory: HistogramCheckpoint::encode(history.memory()),
            first_sample: history.first_sample(),
            last_sample: history.last_sample(),
            total_samples: i64::try_from(history.total_samples()).unwrap_or(i64::MAX),
            oom_floor: history.stored_oom_floor().cloned(),
            has_past: history.has_past(),
        }
    }

    /// Decodes it into a history kept as `config` says. One without a date counts as active at `now`.
    pub fn decode(
        &self,
        config: &HistoryConfig,
        now: Timestamp,
    ) -> Result<ContainerHistory, DecodeError> {
        if self.version != VERSION {
            return Err(DecodeError::Version(self.version.clone()));
        }
        let total_samples = u64::try_from(self.total_samples)
            .map_err(|_| DecodeError::Samples(self.total_samples))?;
        // Memory peaks carry the end of their window.
        let newest = now + config.memory_interval;
        self.cpu
            .check_reference("cpu", newest, config.cpu_half_life)?;
        self.memory
            .check_reference("memory", newest, config.memory_half_life)?;
        Ok(ContainerHistory {
            cpu: self
                .cpu
                .decode("cpu", Buckets::cpu(), config.cpu_half_life)?,
            memory: self
                .memory
                .decode("memory", Buckets::memory(), config.memory_half_life)?,
            // Times that have not come would make a young history look old, and the floor last for ever.
            first_sample: self.first_sample.map(|t| t.min(now)),
            last_sample: self.last_sample.map(|t| t.min(now)),
            total_samples,
            last_activity: self.last_update.or(self.last_sample).unwrap_or(now),
            oom_floor: self
                .oom_floor
                .clone()
                .filter(|floor| floor.is_possible(now)),
            has_past: self.has_past,
        })
    }
}

impl HistogramCheckpoint {
    /// Encodes a histogram: whole weights of at most 10,000; buckets with less than half of one are dropped.
    pub fn encode(histogram: &Histogram) -> Self {
        let heaviest = histogram.weights().map(|(_, w)| w).fold(0.0, f64::max);
        let ratio = MAX_WEIGHT / heaviest;
        let bucket_weights = histogram
            .weights()
            .map(|(bucket, weight)| (bucket as i64, (weight * ratio + 0.5).floor() as u32))
            .filter(|(_, weight)| *weight > 0)
            .collect();
        Self {
            reference: histogram.reference(),
            bucket_weights,
            total_weight: histogram.total(),
        }
    }

    fn check_reference(
        &self,
        histogram: &'static str,
        newest: Timestamp,
        half_life: Duration,
    ) -> Result<(), DecodeError> {
        match self.reference {
            Some(at) if at > newest + half_life.saturating_mul(MAX_HALF_LIVES_AHEAD) => {
                Err(DecodeError::Reference {
                    histogram,
                    seconds: at.unix_seconds(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Decodes it over `buckets`. `name` is for errors.
    pub fn decode(
        &self,
        name: &'static str,
        buckets: &'static Buckets,
        half_life: Duration,
    ) -> Result<Histogram, DecodeError> {
        if !(0.0..=MAX_TOTAL).contains(&self.total_weight) {
            return Err(DecodeError::Total {
                histogram: name,
                total: self.total_weight,
            });
        }
        let empty = Histogram::new(buckets, half_life);
        let sum: f64 = self.bucket_weights.values().map(|w| f64::from(*w)).sum();
        let mut weights = Vec::with_capacity(self.bucket_weights.len());
        for (&bucket, &weight) in &self.bucket_weights {
            match usize::try_from(bucket) {
                Ok(index) if index < buckets.count() => {
                    weights.push((index, f64::from(weight) * self.total_weight / sum));
                }
                _ => {
                    return Err(DecodeError::Bucket {
                        histogram: name,
                        bucket,
                        count: buckets.count(),
                    });
                }
            }
        }
        if sum == 0.0 {
            return Ok(empty);
        }
        Ok(empty.with_weights(self.reference, self.total_weight, weights))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::PodContainerWindow;
    use crate::quantity::{Bytes, Millicores};
    use crate::rows::{number, rows};

    const T0: Timestamp = Timestamp::from_unix_seconds(1_514_862_245); // 2018-01-02T03:04:05Z
    const HOUR: Duration = Duration::from_hours(1);

    /// Linear buckets of size 1 up to 10, as upstream's tables have them.
    fn linear() -> &'static Buckets {
        use std::sync::OnceLock;
        static BUCKETS: OnceLock<Buckets> = OnceLock::new();
        BUCKETS.get_or_init(|| Buckets::linear(10.0, 1.0, 1e-15).unwrap())
    }

    /// Samples are added at one time, so nothing decays.
    #[test]
    fn weights_are_stored_in_proportion_to_the_heaviest() {
        let pairs = |cell: &str, separator: char| -> Vec<(f64, f64)> {
            let words = cell.split_whitespace();
            let pair = |word: &str| {
                let (value, weight) = word.split_once(separator).unwrap();
                (number(value).unwrap(), number(weight).unwrap())
            };
            words.map(pair).collect()
        };
        for row in rows(include_str!("../testdata/encoded_histograms.csv")) {
            let [samples, total, weights] = row[..] else {
                panic!("{row:?}")
            };
            let mut histogram = Histogram::new(linear(), HOUR);
            for (value, weight) in pairs(samples, 'x') {
                histogram.add(value, weight, Timestamp::from_unix_seconds(3600));
            }
            let stored = HistogramCheckpoint::encode(&histogram);
            let total = number::<f64>(total).unwrap();
            assert!(
                (stored.total_weight - total).abs() <= total * 1e-12,
                "{row:?}"
            );
            let expected: BTreeMap<_, _> = pairs(weights, ':')
                .into_iter()
                .map(|(value, weight)| (linear().find(value) as i64, weight as u32))
                .collect();
            assert_eq!(stored.bucket_weights, expected, "{row:?}");
        }
    }

    fn stored(total_weight: f64, weights: &[(i64, u32)]) -> HistogramCheckpoint {
        HistogramCheckpoint {
            reference: Some(T0),
            bucket_weights: weights.iter().copied().collect(),
            total_weight,
        }
    }

    #[test]
    fn stored_weights_are_shared_out_again() {
        let histogram = stored(6.0, &[(0, 1), (1, 2)])
            .decode("cpu", linear(), HOUR)
            .unwrap();
        assert_eq!(
            histogram.weights().collect::<Vec<_>>(),
            [(0, 2.0), (1, 4.0)]
        );
        assert!((histogram.total() - 6.0).abs() < 1e-12);
        assert_eq!(histogram.reference(), Some(T0));
        assert!(
            stored(0.0, &[])
                .decode("cpu", linear(), HOUR)
                .unwrap()
                .is_empty()
        );
    }

    /// Upstream's row: a weight at the edge of what counts does not make the rest vanish.
    #[test]
    fn tiny_weights_survive_storing() {
        let epsilon = linear().epsilon();
        let mut histogram = Histogram::new(linear(), HOUR);
        let at = Timestamp::from_unix_seconds(3600);
        histogram.add(1.0, epsilon, at);
        histogram.add(2.0, 10_000.0 * epsilon - epsilon, at);
        let stored = HistogramCheckpoint::encode(&histogram);
        let loaded = stored.decode("cpu", linear(), HOUR).unwrap();
        assert!(!histogram.is_empty() && !loaded.is_empty());
    }

    /// Upstream's row: 33 CPU samples of one size, memory peaks of two sizes.
    #[test]
    fn a_history_is_stored_whole() {
        let config = HistoryConfig::default();
        let mut history = ContainerHistory::new(&config, T0);
        let later = T0 + HOUR * 24 * 31;
        history.cpu.add(1.0, 33.0, later);
        history.memory.add(1.0, 55.0, T0);
        history.memory.add(1e7, 55.0, T0);
        (history.first_sample, history.last_sample) = (Some(T0), Some(later));
        history.total_samples = 10;
        let stored = Checkpoint::encode(&history, later);
        assert_eq!((stored.version.as_str(), stored.total_samples), ("v3", 10));
        assert_eq!(
            (
                stored.cpu.bucket_weights.len(),
                stored.memory.bucket_weights.len()
            ),
            (1, 2)
        );
        assert_eq!(
            (stored.first_sample, stored.last_sample, stored.last_update),
            (Some(T0), Some(later), Some(later))
        );
    }

    #[test]
    fn impossible_histograms_are_refused() {
        let refused =
            |s: HistogramCheckpoint| s.decode("cpu", linear(), HOUR).unwrap_err().to_string();
        assert!(refused(stored(1.0, &[(-1, 1)])).contains("bucket -1"));
        assert!(refused(stored(1.0, &[(99, 1)])).contains("bucket 99"));
        for total in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(refused(stored(total, &[])).contains("total weight"));
        }
    }

    #[test]
    fn unknown_versions_are_refused() {
        let config = HistoryConfig::default();
        let foo = Checkpoint {
            version: "foo".into(),
            ..Checkpoint::default()
        };
        assert_eq!(
            foo.decode(&config, T0),
            Err(DecodeError::Version("foo".into()))
        );
        let negative = Checkpoint {
            version: VERSION.into(),
            total_samples: -1,
            ..Checkpoint::default()
        };
        assert_eq!(negative.decode(&config, T0), Err(DecodeError::Samples(-1)));
        let far = T0 + HOUR * 24 * 10;
        let mut ahead = Checkpoint {
            version: VERSION.into(),
            memory: stored(1.0, &[(0, 1)]),
            ..Checkpoint::default()
        };
        for (reference, accepted) in [(T0, true), (T0 + HOUR * 36, true), (far, false)] {
            ahead.memory.reference = Some(reference);
            assert_eq!(ahead.decode(&config, T0).is_ok(), accepted, "{reference:?}");
        }
    }

    /// Times that have not come and a floor that cannot be cost only themselves.
    #[test]
    fn what_cannot_be_is_left_out() {
        let later = T0 + HOUR * 1000;
        let checkpoint = |floor: OomFloor| Checkpoint {
            version: VERSION.into(),
            total_samples: 20,
            first_sample: Some(T0 - HOUR),
            last_sample: Some(later),
            cpu: stored(44.0, &[(0, 10)]),
            oom_floor: Some(floor),
            ..Checkpoint::default()
        };
        let decode = |floor| {
            let config = HistoryConfig::default();
            checkpoint(floor).decode(&config, T0).unwrap()
        };
        let history = decode(OomFloor::of(Bytes(1), T0));
        let times = (history.first_sample(), history.last_sample());
        assert_eq!(times, (Some(T0 - HOUR), Some(T0)));
        assert!(history.stored_oom_floor().is_some());
        for floor in [
            OomFloor::of(Bytes(i64::MAX), T0),
            OomFloor::of(Bytes(-1), T0),
            OomFloor::of(Bytes(1), later),
        ] {
            assert!(decode(floor).stored_oom_floor().is_none());
        }
    }

    /// Upstream's row: what stands in the checkpoint is what the history holds.
    #[test]
    fn a_checkpoint_is_loaded_whole() {
        let checkpoint = Checkpoint {
            version: VERSION.into(),
            total_samples: 20,
            cpu: stored(44.0, &[(0, 10)]),
            memory: stored(33.0, &[(0, 10)]),
            first_sample: Some(T0),
            ..Checkpoint::default()
        };
        let history = checkpoint.decode(&HistoryConfig::default(), T0).unwrap();
        assert_eq!(
            (history.total_samples(), history.first_sample()),
            (20, Some(T0))
        );
        assert!(
            (history.cpu().total() - 44.0).abs() < 1e-12
                && (history.memory().total() - 33.0).abs() < 1e-12
        );
    }

    proptest! {
        /// Rounding the weights moves no percentile by more than one point.
        #[test]
        fn percentiles_survive_storing(samples in prop::collection::vec((1_i64..100_000, 1_i64..1_000_000_000_000, 0_u64..600_000), 1..60)) {
            let config = HistoryConfig::default();
            let mut history = ContainerHistory::new(&config, T0);
            let end = T0 + Duration::from_mins(10000);
            for (cpu, memory, second) in samples {
                let at = T0 + Duration::from_secs(second);
                let mut window = PodContainerWindow::default();
                window.add_cpu(&mut history, Millicores(cpu), (at, end)).unwrap();
                window.add_memory(&mut history, Bytes(memory), (at, end), &config).unwrap();
            }
            let loaded = Checkpoint::encode(&history, end).decode(&config, end).unwrap();
            prop_assert_eq!(loaded.total_samples(), history.total_samples());
            for p in [0.5, 0.9, 0.95] {
                for (before, after) in [(history.cpu(), loaded.cpu()), (history.memory(), loaded.memory())] {
                    let (low, high) = (before.percentile(p - 0.01), before.percentile(p + 0.01));
                    let got = after.percentile(p);
                    prop_assert!((low..=high).contains(&got), "p{}: {} is not in {}..{}", p, got, low, high);
                }
            }
        }
    }
}
