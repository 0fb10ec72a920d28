//! How values are written on the command line, and what is told of wrong ones.

use std::str::FromStr;
use std::time::Duration;

use podfit_core::quantity::{Bytes, Millicores};

/// A duration in Go's syntax, as upstream's flags take it: `1h30m`, `500ms`, `1.5s`. Not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_go_duration(text).map(Self).ok_or_else(|| {
            format!("`{text}` is not a duration; write it like 90s, 1m30s, 500ms or 24h")
        })
    }
}

impl std::fmt::Display for GoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..number].parse().ok()?;
        rest = &rest[number..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += value
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// A part of a whole, above none and at most half of it: `1%` or `0.01`.
pub fn part(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let part = number.ok().filter(|part| *part > 0.0 && *part <= 0.5);
    part.ok_or_else(|| {
        format!("`{text}` is no part above 0 and up to a half; write it like 1% or 0.01")
    })
}

/// A duration that is not zero.
pub fn positive(text: &str) -> Result<GoDuration, String> {
    let duration: GoDuration = text.parse()?;
    if duration.0.is_zero() {
        return Err("must be longer than nothing".into());
    }
    Ok(duration)
}

/// A number from 0 to 1.
pub fn fraction(text: &str) -> Result<f64, String> {
    number(
        text,
        |n| (0.0..=1.0).contains(&n),
        "must lie between 0 and 1",
    )
}

/// A number that is 0 or more.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |n| n >= 0.0, "must not be negative")
}

/// A number that is 1 or more.
pub fn at_least_one(text: &str) -> Result<f64, String> {
    number(text, |n| n >= 1.0, "must be 1 or more")
}

fn number(text: &str, fits: impl Fn(f64) -> bool, else_told: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if !number.is_finite() => Err(format!("`{text}` is not a number")),
        Ok(number) if fits(number) => Ok(number),
        Ok(_) => Err(else_told.into()),
        Err(_) => Err(format!("`{text}` is not a number")),
    }
}

/// A quantity of CPU.
pub fn cpu(text: &str) -> Result<Millicores, String> {
    Millicores::parse(text).map_err(|e| e.to_string())
}

/// A quantity of memory.
pub fn memory(text: &str) -> Result<Bytes, String> {
    Bytes::parse(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_percentages_or_fractions() {
        let cases = [
            ("1%", Some(0.01)),
            ("2.5 %", Some(0.025)),
            ("0.05", Some(0.05)),
            ("50%", Some(0.5)),
            ("0", None),
            ("51%", None),
            ("-1%", None),
            ("NaN", None),
            ("%", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(part(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_as_in_go() {
        let cases = [
            ("1m", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1500)),
            ("0", Some(0)),
            ("10", None),
            ("", None),
            ("-1s", None),
            ("1d", None),
            ("s", None),
            ("1s ", None),
        ];
        for (text, millis) in cases {
            assert_eq!(
                parse_go_duration(text).map(|d| d.as_millis()),
                millis,
                "{text:?}"
            );
        }
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(fraction("0.5"), Ok(0.5));
        for wrong in ["1.1", "-0.1", "NaN", "inf", "x", ""] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
        assert!(not_negative("-1").is_err() && not_negative("0").is_ok());
        assert!(at_least_one("0.9").is_err() && at_least_one("1").is_ok());
        assert!(positive("0s").is_err() && positive("1s").is_ok());
    }
}
