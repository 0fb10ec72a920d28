//! Rows that could not be used: which, why, and how many.

use std::collections::BTreeMap;
use std::fmt;

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Too few or too many fields.
    Fields,
    /// No series is named.
    NoSeries,
    /// The time is no number.
    Time,
    /// A field that should be a number is none, or is infinite.
    NotANumber,
    /// An amount below zero.
    Negative,
    /// Not later than the row of the same series before it.
    Backwards,
    /// The file ends in the middle of something: gzip that was cut off, or a read that failed.
    Truncated,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fields => "wrong number of fields",
            Self::NoSeries => "no series named",
            Self::Time => "timestamp is no number",
            Self::NotANumber => "amount is no finite number",
            Self::Negative => "amount below zero",
            Self::Backwards => "not later than the row before of its series",
            Self::Truncated => "the file is cut off or cannot be read further",
        })
    }
}

/// How many line numbers are told of each kind.
const TOLD: usize = 5;

/// All that was left out of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(BTreeMap<Fault, Kind>);

/// Rows with the same fault.
#[derive(Clone, Debug, Default, PartialEq)]
struct Kind {
    count: u64,
    first: Vec<u64>,
}

impl Faults {
    /// Notes one; lines count from one.
    pub fn note(&mut self, fault: Fault, line: u64) {
        let kind = self.0.entry(fault).or_default();
        kind.count += 1;
        if kind.first.len() < TOLD {
            kind.first.push(line);
        }
    }

    /// How many rows are left out.
    pub fn count(&self) -> u64 {
        self.0.values().map(|kind| kind.count).sum()
    }

    /// A line for each kind.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(fault, kind)| {
            let numbers: Vec<_> = kind.first.iter().map(u64::to_string).collect();
            let more = if kind.count > kind.first.len() as u64 {
                ", …"
            } else {
                ""
            };
            let (rows, line) = if kind.count == 1 {
                ("row", "line")
            } else {
                ("rows", "lines")
            };
            format!(
                "{} {rows} left out: {fault} ({line} {}{more})",
                kind.count,
                numbers.join(", ")
            )
        })
    }
}
