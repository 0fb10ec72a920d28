//! Sizes as CSV: what was in force, and from when on.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use csv::Writer;
use podfit_core::replay::{Band, Row};
use podfit_core::time::Timestamp;

/// The columns.
const HEADER: [&str; 8] = [
    "series",
    "timestamp_s",
    "cpu_target_cores",
    "memory_target_bytes",
    "cpu_lower_cores",
    "cpu_upper_cores",
    "memory_lower_bytes",
    "memory_upper_bytes",
];

/// A file of sizes.
pub struct Recommendations {
    path: PathBuf,
    writer: Writer<Box<dyn Write>>,
}

impl Recommendations {
    /// Begins a file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Self::new(path, Box::new(BufWriter::new(file)))
    }

    fn new(path: &Path, to: Box<dyn Write>) -> Result<Self> {
        let mut recommendations = Self {
            path: path.to_owned(),
            writer: Writer::from_writer(to),
        };
        recommendations.record(&HEADER.map(str::to_owned))?;
        Ok(recommendations)
    }

    /// Adds what one series was recommended.
    pub fn write(&mut self, series: &str, rows: &[Row]) -> Result<()> {
        for row in rows {
            let [cpu, memory] = [row.sizes.cpu, row.sizes.memory].map(fields);
            let [cpu_target, cpu_lower, cpu_upper] = cpu;
            let [memory_target, memory_lower, memory_upper] = memory;
            self.record(&[
                series.to_owned(),
                seconds(row.at),
                cpu_target,
                memory_target,
                cpu_lower,
                cpu_upper,
                memory_lower,
                memory_upper,
            ])?;
        }
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<()> {
        let path = self.path.display().to_string();
        self.writer
            .flush()
            .with_context(|| format!("cannot write {path}"))
    }

    fn record(&mut self, fields: &[String; 8]) -> Result<()> {
        let written = self.writer.write_record(fields);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Target, lower and upper bound; empty where there is none.
fn fields(band: Option<Band>) -> [String; 3] {
    let field = |amount: Option<f64>| amount.map_or_else(String::new, |amount| amount.to_string());
    [
        field(band.map(|band| band.target)),
        field(band.and_then(|band| band.lower)),
        field(band.and_then(|band| band.upper)),
    ]
}

/// Seconds since the Unix epoch, to the millisecond.
pub fn seconds(at: Timestamp) -> String {
    match at.unix_millis() % 1000 {
        0 => at.unix_seconds().to_string(),
        _ => (at.unix_millis() as f64 / 1000.0).to_string(),
    }
}
