//! Amounts of CPU and memory as exact integers, and Kubernetes' quantity text in and out.

use std::fmt;

/// The largest amount that leaves an estimate, in millicores or bytes: upstream's cap.
pub const MAX_AMOUNT: i64 = 100_000_000_000_000;

/// CPU in thousandths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub i64);

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub i64);

/// Why a quantity's text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No text at all.
    #[error("a quantity is empty; write a number such as 250m or 256Mi")]
    Empty,
    /// A sign or a suffix without a number.
    #[error("quantity {0:?} has no digits; write a number such as 250m or 256Mi")]
    NoDigits(String),
    /// What follows the number is no suffix.
    #[error(
        "quantity {text:?} ends in {suffix:?}, which is none of n u m k M G T P E, Ki Mi Gi Ti Pi Ei or an exponent such as e3"
    )]
    Suffix {
        /// The whole text.
        text: String,
        /// What follows the number.
        suffix: String,
    },
}

impl Millicores {
    /// Reads Kubernetes' quantity text, such as `250m`, `0.5` or `187500u`; a fraction of a millicore counts as one.
    ///
    /// What does not fit saturates; the sign is kept.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Ok(Self(round_away(parse_nanos(text)?, NANOS / 1000)))
    }

    /// From cores: a fraction of a millicore is dropped, see [`amount_from_float`].
    pub fn from_cores(cores: f64) -> Self {
        Self(amount_from_float(cores * 1000.0))
    }

    /// In cores.
    pub fn cores(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Bytes {
    /// Reads Kubernetes' quantity text, such as `256Mi`, `1.5Gi` or `1e9`; a fraction of a byte counts as one.
    ///
    /// What does not fit saturates; the sign is kept.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Ok(Self(round_away(parse_nanos(text)?, NANOS)))
    }

    /// As text for people: two decimals and the largest binary suffix that fits, as in `4.65Gi`. It may round.
    pub fn humanize(self) -> String {
        ["Ti", "Gi", "Mi", "Ki"]
            .iter()
            .zip([40, 30, 20, 10])
            .find(|(_, shift)| self.0 >= 1 << shift)
            .map_or_else(
                || self.0.to_string(),
                |(suffix, shift)| format!("{:.2}{suffix}", self.0 as f64 / f64::from(shift).exp2()),
            )
    }
}

/// The canonical text, as Kubernetes writes it: the largest decimal suffix that keeps the number whole (`250m`, `2`, `10k`).
impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 1000, &["m", "", "k", "M", "G", "T", "P"])
    }
}

/// The canonical text, as Kubernetes writes it: the largest binary suffix that keeps the number whole (`250Mi`).
/// Kubernetes counts what is below 1 Ki in decimal, which shows at `1k` only.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.unsigned_abs() < 1024 {
            write_scaled(f, self.0, 1000, &["", "k"])
        } else {
            write_scaled(f, self.0, 1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
        }
    }
}

/// Writes `amount` with the last of `suffixes` whose power of `base` divides it; zero has no suffix.
fn write_scaled(
    f: &mut fmt::Formatter<'_>,
    mut amount: i64,
    base: i64,
    suffixes: &[&str],
) -> fmt::Result {
    if amount == 0 {
        return f.write_str("0");
    }
    let mut index = 0;
    while amount % base == 0 && index + 1 < suffixes.len() {
        amount /= base;
        index += 1;
    }
    write!(f, "{amount}{}", suffixes[index])
}

/// Thousand-millionths in a unit: the finest step Kubernetes keeps.
const NANOS: i128 = 1_000_000_000;

/// Reads Kubernetes' quantity text into billionths of a unit, rounded away from zero as Kubernetes does.
///
/// It is exact for up to twenty significant digits; those after them count as "a little more". An amount too large for
/// 64 bits of whole units saturates there.
pub fn parse_nanos(text: &str) -> Result<i128, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = split_digits(unsigned);
    let (fraction, suffix) = split_digits(rest.strip_prefix('.').unwrap_or(rest));
    if whole.is_empty() && fraction.is_empty() {
        return Err(QuantityError::NoDigits(text.into()));
    }
    let scale = Scale::of(suffix).ok_or_else(|| QuantityError::Suffix {
        text: text.into(),
        suffix: suffix.into(),
    })?;
    let nanos = Digits::new(whole, fraction).to_nanos(scale);
    Ok(if negative { -nanos } else { nanos })
}

/// The decimal digits that `text` begins with, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// What a suffix multiplies by: `10^decimal * 2^binary`.
#[derive(Clone, Copy)]
struct Scale {
    decimal: i32,
    binary: u32,
}

impl Scale {
    fn of(suffix: &str) -> Option<Self> {
        const DECIMAL: [(&str, i32); 10] = [
            ("n", -9),
            ("u", -6),
            ("m", -3),
            ("", 0),
            ("k", 3),
            ("M", 6),
            ("G", 9),
            ("T", 12),
            ("P", 15),
            ("E", 18),
        ];
        const BINARY: [(&str, u32); 6] = [
            ("Ki", 10),
            ("Mi", 20),
            ("Gi", 30),
            ("Ti", 40),
            ("Pi", 50),
            ("Ei", 60),
        ];
        if let Some((_, decimal)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
            return Some(Self {
                decimal: *decimal,
                binary: 0,
            });
        }
        if let Some((_, binary)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            return Some(Self {
                decimal: 0,
                binary: *binary,
            });
        }
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        Some(Self {
            decimal: exponent.parse().ok()?,
            binary: 0,
        })
    }
}

/// A decimal number: `mantissa * 10^exponent`, and a little more when `more`.
struct Digits {
    mantissa: i128,
    exponent: i32,
    more: bool,
}

impl Digits {
    /// The most digits that survive a multiplication by 2^60 in an `i128`.
    const KEPT: usize = 20;

    fn new(whole: &str, fraction: &str) -> Self {
        let mut digits = Self {
            mantissa: 0,
            exponent: 0,
            more: false,
        };
        let mut kept = 0;
        for (index, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
            let in_fraction = index >= whole.len();
            if kept == Self::KEPT {
                digits.more |= digit != b'0';
                digits.exponent = digits.exponent.saturating_add(i32::from(!in_fraction));
                continue;
            }
            digits.mantissa = digits.mantissa * 10 + i128::from(digit - b'0');
            digits.exponent = digits.exponent.saturating_sub(i32::from(in_fraction));
            kept += usize::from(digits.mantissa != 0);
        }
        digits
    }

    /// Scaled to billionths, rounded up, capped at `i64::MAX` units.
    fn to_nanos(&self, scale: Scale) -> i128 {
        const LIMIT: i128 = i64::MAX as i128 * NANOS;
        let mantissa = self.mantissa << scale.binary;
        if mantissa == 0 {
            return 0;
        }
        let exponent = self
            .exponent
            .saturating_add(scale.decimal)
            .saturating_add(9);
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        let more = i128::from(self.more);
        match power {
            Some(power) if exponent >= 0 => mantissa
                .checked_mul(power)
                .map_or(LIMIT, |n| n.saturating_add(more).min(LIMIT)),
            Some(power) => {
                let up = i128::from(mantissa % power != 0 || self.more);
                (mantissa / power + up).min(LIMIT)
            }
            // Too large to count, or too small to see: Kubernetes still grants the smallest step.
            None if exponent >= 0 => LIMIT,
            None => 1,
        }
    }
}

/// `nanos / unit`, rounded away from zero, within 64 bits.
fn round_away(nanos: i128, unit: i128) -> i64 {
    let up = i128::from(nanos % unit != 0) * nanos.signum();
    let rounded = nanos / unit + up;
    rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// An amount in base units from a float: the fraction is dropped, what is negative or not a number becomes 0, and
/// [`MAX_AMOUNT`] is the most.
///
/// Upstream leaves "not a number" to the platform, which gives the smallest 64-bit integer on amd64.
pub fn amount_from_float(amount: f64) -> i64 {
    (amount as i64).clamp(0, MAX_AMOUNT)
}

/// `amount` times `factor`, as [`amount_from_float`] has it.
pub fn scale_amount(amount: i64, factor: f64) -> i64 {
    amount_from_float(amount as f64 * factor)
}

/// A rounding step that is not above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scale must be greater than zero, not {0}")]
pub struct StepError(pub i64);

/// The least multiple of `step` that is not below `amount` (which is not negative); saturates.
pub fn round_up_to_step(amount: i64, step: i64) -> Result<i64, StepError> {
    if step <= 0 {
        return Err(StepError(step));
    }
    let missing = (step - amount.rem_euclid(step)) % step;
    Ok(amount.saturating_add(missing))
}

/// A resource that podfit sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPU time, counted in [`Millicores`].
    Cpu,
    /// Working-set memory, counted in [`Bytes`].
    Memory,
}

impl Resource {
    /// Both, in the order in which they are always listed.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// An amount in base units for people: as Kubernetes writes it, but memory that is no whole number of mebibytes is
    /// rounded to one (`363Mi`, not `380258472`).
    pub fn show(self, amount: i64) -> String {
        const MEBIBYTE: i64 = 1 << 20;
        match self {
            Self::Cpu => Millicores(amount).to_string(),
            Self::Memory if amount % MEBIBYTE == 0 || amount.abs() < 10 * MEBIBYTE => {
                Bytes(amount).to_string()
            }
            Self::Memory => format!("{:.0}Mi", amount as f64 / MEBIBYTE as f64),
        }
    }

    /// The name in Kubernetes objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// An amount per resource; absent means "not set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResourceList {
    /// CPU, if set.
    pub cpu: Option<Millicores>,
    /// Memory, if set.
    pub memory: Option<Bytes>,
}

impl ResourceList {
    /// The amount of one resource in its base unit: millicores or bytes.
    pub fn get(&self, resource: Resource) -> Option<i64> {
        match resource {
            Resource::Cpu => self.cpu.map(|m| m.0),
            Resource::Memory => self.memory.map(|b| b.0),
        }
    }

    /// Sets or clears one resource, in its base unit.
    pub fn set(&mut self, resource: Resource, amount: Option<i64>) {
        match resource {
            Resource::Cpu => self.cpu = amount.map(Millicores),
            Resource::Memory => self.memory = amount.map(Bytes),
        }
    }

    /// True when neither resource is set.
    pub fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The fields of a table's rows; `#` starts a comment line.
    fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(',').collect())
    }

    #[test]
    fn people_are_shown_whole_mebibytes() {
        let memory = [
            (250 << 20, "250Mi"),
            (380_258_472, "363Mi"),
            (1 << 30, "1Gi"),
            (5000, "5000"),
        ];
        for (bytes, text) in memory {
            assert_eq!(Resource::Memory.show(bytes), text);
        }
        assert_eq!(Resource::Cpu.show(476), "476m");
    }

    #[test]
    fn reads_and_writes_as_kubernetes_does() {
        for row in rows(include_str!("../testdata/quantities.csv")) {
            let [text, millis, cpu, bytes, memory] = row[..] else {
                panic!("{row:?}")
            };
            let as_cpu = Millicores::parse(text).unwrap();
            let as_memory = Bytes::parse(text).unwrap();
            assert_eq!(as_cpu.0.to_string(), millis, "cpu of {text}");
            assert_eq!(as_cpu.to_string(), cpu, "text of {text} as cpu");
            assert_eq!(as_memory.0.to_string(), bytes, "bytes of {text}");
            assert_eq!(as_memory.to_string(), memory, "text of {text} as memory");
        }
    }

    #[test]
    fn saturates_where_kubernetes_overflows() {
        for text in [
            "8Ei",
            "9223372036854775808",
            "1e19",
            "1e2000000000",
            "123456789012345678901234567890",
        ] {
            assert_eq!(Bytes::parse(text).unwrap(), Bytes(i64::MAX), "{text}");
            assert_eq!(
                Millicores::parse(text).unwrap(),
                Millicores(i64::MAX),
                "{text}"
            );
            let negative = format!("-{text}");
            assert_eq!(
                Bytes::parse(&negative).unwrap(),
                Bytes(-i64::MAX),
                "{negative}"
            );
        }
        assert_eq!(Millicores::parse("1Ei").unwrap(), Millicores(i64::MAX));
        assert_eq!(Bytes::parse("7Ei").unwrap(), Bytes(7 << 60));
        assert_eq!(
            Bytes::parse("9E").unwrap(),
            Bytes(9_000_000_000_000_000_000)
        );
        assert_eq!(Bytes::parse("1e-2000000000").unwrap(), Bytes(1));
    }

    #[test]
    fn keeps_twenty_digits_and_notices_the_rest() {
        assert_eq!(parse_nanos("1.00000000000000000000001").unwrap(), NANOS + 1);
        assert_eq!(parse_nanos("1.00000000000000000000000").unwrap(), NANOS);
        assert_eq!(
            parse_nanos("0000000000000000000000001.5").unwrap(),
            3 * NANOS / 2
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("Gi", "no digits"),
            ("-", "no digits"),
            (".", "no digits"),
            ("--1", "no digits"),
            (" 1", "no digits"),
            ("abc", "no digits"),
            ("1.2.3", "\".3\""),
            ("1x", "\"x\""),
            ("1KiB", "\"KiB\""),
            ("1 Gi", "\" Gi\""),
            ("1ki", "\"ki\""),
            ("1K", "\"K\""),
            ("1e", "\"e\""),
            ("1e+", "\"e+\""),
            ("1e1.5", "\"e1.5\""),
            ("1mm", "\"mm\""),
            ("1_000", "\"_000\""),
            ("1,5", "\",5\""),
            ("1e99999999999", "\"e99999999999\""),
        ] {
            let error = Bytes::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn amounts_from_floats_drop_the_fraction() {
        for (cores, millis) in [
            (0.069946, 69),
            (0.61535112, 615),
            (0.0172071, 17),
            (0.00455, 4),
            (0.0123456789, 12),
            (0.00123456789, 1),
        ] {
            assert_eq!(Millicores::from_cores(cores), Millicores(millis));
        }
        for (float, amount) in [
            (100.5, 100),
            (0.0, 0),
            (-50.5, 0),
            (1e14 + 100.0, MAX_AMOUNT),
            (1e14, MAX_AMOUNT),
            (0.125, 0),
            (-0.0001, 0),
            (f64::NAN, 0),
            (f64::INFINITY, MAX_AMOUNT),
        ] {
            assert_eq!(amount_from_float(float), amount, "{float}");
        }
        for (amount, factor, scaled) in [
            (69, 1.0, 69),
            (4, 2.124, 8),
            (12, 1.1, 13),
            (1213, 1.2414, 1505),
            (0, 1.0, 0),
            (11, 0.0, 0),
            (41208, 1e-6, 0),
        ] {
            assert_eq!(scale_amount(amount, factor), scaled, "{amount} x {factor}");
        }
    }

    #[test]
    fn rounds_up_to_a_step() {
        for (amount, step, rounded) in [
            (100, 7, 105),
            (100, 10, 100),
            (0, 5, 0),
            (79, 50, 100),
            (34, 50, 50),
            (i64::MAX, 1000, i64::MAX),
        ] {
            assert_eq!(
                round_up_to_step(amount, step),
                Ok(rounded),
                "{amount} by {step}"
            );
        }
        for step in [0, -5] {
            let error = round_up_to_step(100, step).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("scale must be greater than zero")
            );
        }
    }

    /// Upstream's rows: an amount rounded up to a step, and its text.
    #[test]
    fn rounded_amounts_have_short_texts() {
        for (amount, step, bytes) in [
            (1024, 1, "1Ki"),
            (262_144_000, 1, "250Mi"),
            (262_144_000, 268_435_456, "256Mi"),
            (0, 1, "0"),
            (839_500_000, 1, "839500000"),
            (839_500_000, 134_217_728, "896Mi"),
        ] {
            let rounded = round_up_to_step(amount, step).unwrap();
            assert_eq!(Bytes(rounded).to_string(), bytes);
        }
        for (amount, step, cpu) in [
            (1000, 1, "1"),
            (1000, 3, "1002m"),
            (0, 2, "0"),
            (1_231_241, 13, "1231243m"),
        ] {
            let rounded = round_up_to_step(amount, step).unwrap();
            assert_eq!(Millicores(rounded).to_string(), cpu);
        }
    }

    #[test]
    fn humanizes_memory() {
        for (bytes, text) in [
            (1000, "1000"),
            (1024, "1.00Ki"),
            (1_048_576, "1.00Mi"),
            (1 << 30, "1.00Gi"),
            (1 << 40, "1.00Ti"),
            (268_435_456, "256.00Mi"),
            (3 << 29, "1.50Gi"),
            (1_050_000, "1.00Mi"),
            (1537, "1.50Ki"),
            (4_992_073_454, "4.65Gi"),
            (6_499_152_537, "6.05Gi"),
            (16_357_476_492, "15.23Gi"),
            (4_022_251_530, "3.75Gi"),
            (13_580_968_030, "12.65Gi"),
            (15_530_468_536, "14.46Gi"),
            (839_500_000, "800.61Mi"),
        ] {
            assert_eq!(Bytes(bytes).humanize(), text);
        }
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(amount in any::<i64>().prop_filter("symmetric", |n| *n != i64::MIN)) {
            prop_assert_eq!(Millicores::parse(&Millicores(amount).to_string()), Ok(Millicores(amount)));
            prop_assert_eq!(Bytes::parse(&Bytes(amount).to_string()), Ok(Bytes(amount)));
        }

        #[test]
        fn whole_powers_survive_their_text(mantissa in -9999_i64..9999, power in 0_u32..5) {
            let decimal = mantissa * 1000_i64.pow(power);
            prop_assert_eq!(Millicores::parse(&Millicores(decimal).to_string()), Ok(Millicores(decimal)));
            let binary = mantissa << (10 * power);
            prop_assert_eq!(Bytes::parse(&Bytes(binary).to_string()), Ok(Bytes(binary)));
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.eEinumkKMGTP]{0,40}|.{0,12}") {
            let _ = Bytes::parse(&text);
        }
    }
}
