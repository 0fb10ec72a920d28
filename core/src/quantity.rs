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
    /// One core.
    pub const CORE: Self = Self(1000);

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
mod tests;
