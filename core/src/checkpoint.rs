//! Histories as they are stored: upstream's v3 encoding and its limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::adaptive::Adaptive;
use crate::histogram::{Buckets, Histogram};
use crate::history::{ContainerHistory, HistoryConfig, OomFloor};
use crate::runs::Runs;
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
    /// What the estimator `adaptive` keeps, as bytes. Stored beside as well.
    pub adaptive: Option<Vec<u8>>,
    /// What that tells classes from, as bytes, apart from the other, which older programs read as a whole.
    pub adaptive_days: Option<Vec<u8>>,
    /// Its runs, as bytes. Stored beside as well.
    pub runs: Option<Vec<u8>>,
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
            adaptive: history.adaptive().map(Adaptive::to_bytes),
            adaptive_days: history.adaptive().map(Adaptive::days_to_bytes),
            runs: history.runs().map(Runs::to_bytes),
        }
    }

    /// Decodes it into a history kept as `config` says. One without a date counts as active at `now`. What `adaptive` keeps,
    /// and runs, begin anew where they cannot be read.
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
            adaptive: self.adaptive(config, now).map(Box::new),
            runs: self.runs(config, now).map(Box::new),
        })
    }
}

impl Checkpoint {
    fn runs(&self, config: &HistoryConfig, now: Timestamp) -> Option<Runs> {
        let stored = (self.last_update.unwrap_or(now).min(now), now);
        let read = self.runs.as_deref();
        let read = read.and_then(|bytes| Runs::from_bytes(bytes, config.runs, stored).ok());
        read.or_else(|| config.by_runs.then(|| Runs::new(config.runs)))
    }

    fn adaptive(&self, config: &HistoryConfig, now: Timestamp) -> Option<Adaptive> {
        let promises = &config.promises;
        let stored = self.adaptive.as_deref();
        let read = stored.and_then(|bytes| Adaptive::from_bytes(bytes, promises, now).ok());
        let mut adaptive = read.or_else(|| config.adaptive.then(|| Adaptive::new(promises)))?;
        if let Some(days) = &self.adaptive_days {
            // Without them its class is unknown for four days, and nothing else is.
            let _ = adaptive.resume_days(days, now);
        }
        Some(adaptive)
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

    /// What `adaptive` keeps goes on after a restart, begins anew where it cannot be read, and costs nothing else.
    #[test]
    fn what_adaptive_keeps_is_stored() {
        let config = HistoryConfig {
            adaptive: true,
            ..HistoryConfig::default()
        };
        let mut history = ContainerHistory::new(&config, T0);
        let mut window = PodContainerWindow::default();
        for minute in 0..300_u32 {
            let at = T0 + HOUR / 60 * minute;
            window
                .add_cpu(&mut history, Millicores(400), (at, at))
                .unwrap();
        }
        let now = T0 + HOUR * 5;
        let mut stored = Checkpoint::encode(&history, now);
        let hours = |stored: &Checkpoint, config: &HistoryConfig| {
            let read = stored.decode(config, now).unwrap();
            assert_eq!(read.total_samples(), 300);
            read.adaptive().map(Adaptive::hours)
        };
        assert_eq!(hours(&stored, &config), Some(4));
        // A VPA may want it although the flag does not.
        assert_eq!(hours(&stored, &HistoryConfig::default()), Some(4));
        stored.adaptive = Some(vec![7]);
        assert_eq!(hours(&stored, &config), Some(0));
        assert_eq!(hours(&stored, &HistoryConfig::default()), None);
    }

    const T0: Timestamp = Timestamp::from_unix_seconds(1_514_862_245); // 2018-01-02T03:04:05Z
    const HOUR: Duration = Duration::from_hours(1);

    /// Linear buckets of size 1 up to 10, as upstream's tables have them.
    fn linear() -> &'static Buckets {
        use std::sync::OnceLock;
        static BUCKETS: OnceLock<Buckets> = OnceLock::new();
        BUCKETS.get_or_init(|| Buckets::linear(10.0, 1.0, 1e-15).unwrap())
    }

    /// Words such as `1x33` or `0:10`; a weight may be a multiple of epsilon.
    fn pairs(cell: &str, separator: char) -> Vec<(f64, f64)> {
        let words = cell.split_whitespace();
        let pair = |word: &str| {
            let (value, weight) = word.split_once(separator).unwrap();
            (number(value).unwrap(), weight_of(weight))
        };
        words.map(pair).collect()
    }

    fn weight_of(cell: &str) -> f64 {
        match cell.strip_suffix("eps") {
            Some(times) => number::<f64>(times).unwrap() * linear().epsilon(),
            None => number(cell).unwrap(),
        }
    }

    fn weights_of(cell: &str) -> Vec<(i64, u32)> {
        let pairs = pairs(cell, ':').into_iter();
        pairs.map(|(b, w)| (b as i64, w as u32)).collect()
    }

    /// Nothing is lost on the way, however little it weighs: what was not empty is not empty when it is read again.
    #[test]
    fn weights_are_stored_in_proportion_to_the_heaviest() {
        for row in rows(include_str!("../testdata/encoded_histograms.csv")) {
            let [samples, hour, total, weights] = row[..] else {
                panic!("{row:?}")
            };
            let start = Timestamp::from_unix_seconds(1_234_567_890);
            let no_decay = Timestamp::from_unix_seconds(3600);
            let at = number::<u32>(hour).map_or(no_decay, |hour| start + HOUR * hour);
            let mut histogram = Histogram::new(linear(), HOUR);
            for (value, weight) in pairs(samples, 'x') {
                histogram.add(value, weight, at);
            }
            let stored = HistogramCheckpoint::encode(&histogram);
            let total = weight_of(total);
            assert!(
                (stored.total_weight - total).abs() <= total * 1e-12,
                "{row:?}"
            );
            let expected: BTreeMap<_, _> = pairs(weights, ':')
                .into_iter()
                .map(|(value, weight)| (linear().find(value) as i64, weight as u32))
                .collect();
            assert_eq!(stored.bucket_weights, expected, "{row:?}");
            assert_eq!(stored.reference, histogram.reference(), "{row:?}");
            let empty = samples.is_empty();
            assert_eq!(stored.reference.is_none(), empty, "{row:?}");
            let loaded = stored.decode("cpu", linear(), HOUR).unwrap();
            let both = (histogram.is_empty(), loaded.is_empty());
            assert_eq!(both, (empty, empty), "{row:?}");
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
        for row in rows(include_str!("../testdata/decoded_histograms.csv")) {
            let [total, weights, reference, expected, why] = row[..] else {
                panic!("{row:?}")
            };
            let reference = number(reference).map(Timestamp::from_unix_seconds);
            let stored = HistogramCheckpoint {
                reference,
                ..stored(number(total).unwrap(), &weights_of(weights))
            };
            let histogram = match stored.decode("cpu", linear(), HOUR) {
                Ok(histogram) => histogram,
                Err(error) => {
                    assert!(!why.is_empty(), "{error}: {row:?}");
                    assert!(error.to_string().contains(why), "{error}: {row:?}");
                    continue;
                }
            };
            assert_eq!(why, "", "{row:?}");
            let expected: Vec<_> = pairs(expected, ':')
                .into_iter()
                .map(|(bucket, weight)| (bucket as usize, weight))
                .collect();
            assert_eq!(histogram.weights().collect::<Vec<_>>(), expected);
            assert_eq!(histogram.is_empty(), expected.is_empty(), "{row:?}");
            assert_eq!(histogram.reference(), reference, "{row:?}");
            let total = number::<f64>(total).unwrap();
            assert!((histogram.total() - total).abs() < 1e-12, "{row:?}");
        }
    }

    #[test]
    fn a_history_is_stored_whole() {
        for row in rows(include_str!("../testdata/saved_histories.csv")) {
            let at = |i: usize| Timestamp::from_unix_seconds(number(row[i]).unwrap());
            let (cpu_at, memory_at) = (at(1), at(3));
            let mut history = ContainerHistory::new(&HistoryConfig::default(), memory_at);
            for (value, weight) in pairs(row[0], 'x') {
                history.cpu.add(value, weight, cpu_at);
            }
            for (value, weight) in pairs(row[2], 'x') {
                history.memory.add(value, weight, memory_at);
            }
            (history.first_sample, history.last_sample) = (Some(memory_at), Some(cpu_at));
            history.total_samples = number(row[4]).unwrap();
            let now = cpu_at + HOUR;
            let stored = Checkpoint::encode(&history, now);
            assert_eq!(stored.version, row[5]);
            assert_eq!(stored.total_samples.to_string(), row[4]);
            for (histogram, count) in [(&stored.cpu, row[6]), (&stored.memory, row[7])] {
                assert_eq!(histogram.bucket_weights.len().to_string(), count);
            }
            let times = (stored.first_sample, stored.last_sample, stored.last_update);
            assert_eq!(times, (Some(memory_at), Some(cpu_at), Some(now)));
        }
    }

    #[test]
    fn a_checkpoint_is_loaded_whole_or_refused() {
        for row in rows(include_str!("../testdata/loaded_histories.csv")) {
            let total = |i: usize| number::<f64>(row[i]).unwrap();
            let checkpoint = Checkpoint {
                version: row[0].into(),
                total_samples: number(row[1]).unwrap(),
                cpu: stored(total(2), &weights_of(row[4])),
                memory: stored(total(3), &weights_of(row[4])),
                first_sample: Some(T0),
                ..Checkpoint::default()
            };
            let history = match checkpoint.decode(&HistoryConfig::default(), T0) {
                Ok(history) => history,
                Err(error) => {
                    assert!(!row[5].is_empty(), "{error}: {row:?}");
                    assert!(error.to_string().contains(row[5]), "{error}: {row:?}");
                    continue;
                }
            };
            assert_eq!(row[5], "", "{row:?}");
            assert_eq!(history.total_samples().to_string(), row[1]);
            assert_eq!(history.first_sample(), Some(T0));
            for (histogram, total) in [(history.cpu(), total(2)), (history.memory(), total(3))] {
                assert!(!histogram.is_empty());
                assert!((histogram.total() - total).abs() < 1e-12, "{row:?}");
            }
        }
    }

    #[test]
    fn a_reference_time_far_ahead_is_refused() {
        let config = HistoryConfig::default();
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
