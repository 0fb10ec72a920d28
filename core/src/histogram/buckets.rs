//! How a histogram's range is cut into buckets: upstream's two schemes, and the two instances that podfit uses.

use std::sync::LazyLock;

/// A histogram's buckets: bucket `b` holds the values from `start(b)` up to `start(b + 1)`, the last one all above.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    scheme: Scheme,
    starts: Vec<f64>,
    epsilon: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scheme {
    Linear { size: f64 },
    Exponential { first: f64, ratio: f64 },
}

/// A parameter that makes no buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "histogram buckets need a maximum, a bucket size and an epsilon above 0, and a ratio above 1"
)]
pub struct BucketsError;

/// Every bucket is 5 % wider than the one before it.
const RATIO: f64 = 1.05;

/// A thousandth of the smallest sample weight, 0.1: what weighs less does not count.
const EPSILON: f64 = 0.001 * 0.1;

static CPU: LazyLock<Buckets> =
    LazyLock::new(|| Buckets::build_exponential(1000.0, 0.01, RATIO, EPSILON));
static MEMORY: LazyLock<Buckets> =
    LazyLock::new(|| Buckets::build_exponential(1e12, 1e7, RATIO, EPSILON));

impl Buckets {
    /// Upstream's 176 buckets for CPU, in cores: the first ends at 0.01, the last begins at 1021.1.
    pub fn cpu() -> &'static Self {
        &CPU
    }

    /// Upstream's 176 buckets for memory, in bytes: the first ends at 1e7, the last begins at 1.0211e12.
    pub fn memory() -> &'static Self {
        &MEMORY
    }

    /// Buckets of one size; the last one holds `max`. Weights below `epsilon` do not count.
    pub fn linear(max: f64, size: f64, epsilon: f64) -> Result<Self, BucketsError> {
        if !(max > 0.0 && size > 0.0 && epsilon > 0.0) {
            return Err(BucketsError);
        }
        let count = (max / size).ceil() as usize + 1;
        let starts = (0..count).map(|b| b as f64 * size).collect();
        Ok(Self {
            scheme: Scheme::Linear { size },
            starts,
            epsilon,
        })
    }

    /// Buckets that grow by `ratio`, the first of size `first`; the last one starts at or above `max`.
    pub fn exponential(
        max: f64,
        first: f64,
        ratio: f64,
        epsilon: f64,
    ) -> Result<Self, BucketsError> {
        if !(max > 0.0 && first > 0.0 && ratio > 1.0 && epsilon > 0.0) {
            return Err(BucketsError);
        }
        Ok(Self::build_exponential(max, first, ratio, epsilon))
    }

    /// The geometric series: `start(b) = first * (ratio^b - 1) / (ratio - 1)`.
    fn build_exponential(max: f64, first: f64, ratio: f64, epsilon: f64) -> Self {
        let count = log(ratio, max * (ratio - 1.0) / first + 1.0).ceil() as usize + 1;
        let start = |b: usize| first * (power(ratio, b as i32) - 1.0) / (ratio - 1.0);
        Self {
            scheme: Scheme::Exponential { first, ratio },
            starts: (0..count).map(start).collect(),
            epsilon,
        }
    }

    /// How many buckets there are.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The least weight that counts.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Where bucket `bucket` begins; the start of the last one for those beyond it.
    pub fn start(&self, bucket: usize) -> f64 {
        self.starts[bucket.min(self.count() - 1)]
    }

    /// The bucket of `value`; values outside the range belong to the first or last.
    ///
    /// By upstream's logarithm rather than a search of the starts: rounding puts a value that equals `start(b)` into
    /// bucket `b - 1` for `b >= 2`, and so must we, or the same usage would give another recommendation.
    pub fn find(&self, value: f64) -> usize {
        let first = match self.scheme {
            Scheme::Linear { size } => size,
            Scheme::Exponential { first, .. } => first,
        };
        if value < first {
            return 0;
        }
        (self.position(value) as usize).min(self.count() - 1)
    }

    /// How many buckets `value` (not negative) lies above the first one's start, with the fraction of the last: 2.5 within the
    /// third. Buckets go on beyond the last.
    pub fn position(&self, value: f64) -> f64 {
        match self.scheme {
            Scheme::Linear { size } => value / size,
            Scheme::Exponential { first, ratio } => log(ratio, value * (ratio - 1.0) / first + 1.0),
        }
    }
}

/// The logarithm of `x` to `base`.
fn log(base: f64, x: f64) -> f64 {
    x.ln() / base.ln()
}

/// `base` to an integer power, bit for bit as Go's `math.Pow` has it: squaring the mantissa, exponents kept apart.
///
/// `powi` and the C library differ from it in the last bit here and there, and amounts are truncated.
/// `base` is positive and normal, or infinite.
pub(crate) fn power(base: f64, exponent: i32) -> f64 {
    if base.is_infinite() {
        return base.powi(exponent);
    }
    let (mut square, mut square_exponent) = split(base);
    let (mut mantissa, mut binary_exponent) = (1.0_f64, 0_i32);
    let mut bits = exponent.unsigned_abs();
    while bits != 0 {
        if bits & 1 == 1 {
            mantissa *= square;
            binary_exponent = binary_exponent.saturating_add(square_exponent);
        }
        square *= square;
        square_exponent = square_exponent.saturating_mul(2);
        if square < 0.5 {
            square += square;
            square_exponent = square_exponent.saturating_sub(1);
        }
        bits >>= 1;
    }
    if exponent < 0 {
        mantissa = 1.0 / mantissa;
        binary_exponent = binary_exponent.saturating_neg();
    }
    mantissa * f64::from(binary_exponent).exp2()
}

/// A positive normal number as a mantissa in [0.5, 1) and a power of two.
fn split(x: f64) -> (f64, i32) {
    const EXPONENT: u64 = 0x7ff << 52;
    const HALF: u64 = 1022 << 52;
    let bits = x.to_bits();
    let exponent = ((bits & EXPONENT) >> 52) as i32 - 1022;
    (f64::from_bits(bits & !EXPONENT | HALF), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Millicores, amount_from_float, scale_amount};
    use crate::rows::{number, rows};

    #[test]
    fn both_schemes_cut_as_upstream() {
        for row in rows(include_str!("../../testdata/bucket_schemes.csv")) {
            let value = |i: usize| number::<f64>(row[i]).unwrap();
            let buckets = match row[0] {
                "linear" => Buckets::linear(value(1), value(2), value(4)),
                _ => Buckets::exponential(value(1), value(2), value(3), value(4)),
            };
            if row[5] == "refused" {
                assert_eq!(buckets, Err(BucketsError), "{row:?}");
                continue;
            }
            let buckets = buckets.unwrap();
            let got = match row[5] {
                "count" => buckets.count() as f64,
                "start" => buckets.start(value(6) as usize),
                _ => buckets.find(value(6)) as f64,
            };
            assert!((got - value(7)).abs() < 1e-12, "{got}: {row:?}");
        }
    }

    #[test]
    fn defaults_equal_upstream_bit_for_bit() {
        let table = include_str!("../../testdata/buckets.csv");
        let mut rows = 0;
        for (bucket, line) in table.lines().skip(1).enumerate() {
            let row: Vec<&str> = line.split(',').collect();
            let float = |column: usize| row[column].parse::<f64>().unwrap();
            let whole = |column: usize| row[column].parse::<i64>().unwrap();
            assert_eq!(
                Buckets::cpu().start(bucket).to_bits(),
                float(1).to_bits(),
                "{line}"
            );
            assert_eq!(
                Buckets::memory().start(bucket).to_bits(),
                float(4).to_bits(),
                "{line}"
            );
            let cpu = Millicores::from_cores(Buckets::cpu().start(bucket + 1)).0;
            let memory = amount_from_float(Buckets::memory().start(bucket + 1));
            assert_eq!(
                (cpu, cpu + scale_amount(cpu, 0.15)),
                (whole(2), whole(3)),
                "{line}"
            );
            assert_eq!(
                (memory, memory + scale_amount(memory, 0.15)),
                (whole(5), whole(6)),
                "{line}"
            );
            rows += 1;
        }
        assert_eq!(
            (rows, Buckets::cpu().count(), Buckets::memory().count()),
            (176, 176, 176)
        );
    }

    #[test]
    fn a_start_lies_in_the_bucket_before_it() {
        for buckets in [Buckets::cpu(), Buckets::memory()] {
            for bucket in 0..buckets.count() {
                let expected = if bucket < 2 { bucket } else { bucket - 1 };
                assert_eq!(buckets.find(buckets.start(bucket)), expected, "{bucket}");
            }
        }
    }

    #[test]
    fn default_buckets_of_known_values() {
        let mut tables = 0;
        for line in include_str!("../../testdata/find.csv").lines().skip(1) {
            let row: Vec<&str> = line.split(',').collect();
            let buckets = if row[0] == "cpu" {
                Buckets::cpu()
            } else {
                Buckets::memory()
            };
            assert_eq!(
                buckets.find(row[1].parse().unwrap()),
                row[2].parse().unwrap(),
                "{line}"
            );
            tables += 1;
        }
        assert!(tables > 40);
    }

    #[test]
    fn powers() {
        for (base, exponent, expected) in [
            (2.0, 10, 1024.0),
            (2.0, -2, 0.25),
            (7.0, 0, 1.0),
            (1.5, 2, 2.25),
            (f64::INFINITY, 1, f64::INFINITY),
            (f64::INFINITY, -2, 0.0),
            (f64::INFINITY, 0, 1.0),
        ] {
            assert_eq!(power(base, exponent), expected, "{base}^{exponent}");
        }
    }
}
