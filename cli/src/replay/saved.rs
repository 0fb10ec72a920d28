//! Usage as CSV, as [`super::usage`] reads it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use csv::Writer;
use flate2::Compression;
use flate2::write::GzEncoder;
use podfit_core::quantity::Resource;

use super::recommendations::seconds;
use super::usage::{REQUESTS, Series};

/// A file of usage.
pub struct Saved {
    path: PathBuf,
    writer: Writer<Output>,
}

/// Plain, or gzip.
enum Output {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl Saved {
    /// Begins a file; gzip when its name ends in `.gz`.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let file = BufWriter::new(file);
        let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
        let mut saved = Self {
            path: path.to_owned(),
            writer: Writer::from_writer(if is_gzip {
                Output::Gzip(GzEncoder::new(file, Compression::default()))
            } else {
                Output::Plain(file)
            }),
        };
        let [cpu, memory] = REQUESTS;
        saved.record([
            "series",
            "timestamp_s",
            "cpu_cores",
            "memory_bytes",
            cpu,
            memory,
        ])?;
        Ok(saved)
    }

    /// Adds a series. What it requests stands in its first row.
    pub fn write(&mut self, series: &Series) -> Result<()> {
        let field = |amount: Option<f64>| amount.map_or_else(String::new, |n| n.to_string());
        let mut request =
            Resource::ALL.map(|of| field(series.request.get(of).map(|band| band.target)));
        series.samples.iter().try_for_each(|sample| {
            let [cpu, memory] = [sample.cpu, sample.memory].map(field);
            let [of_cpu, of_memory] = std::mem::take(&mut request);
            self.record([
                &series.name,
                &seconds(sample.at),
                &cpu,
                &memory,
                &of_cpu,
                &of_memory,
            ])
        })
    }

    /// Ends the file.
    pub fn finish(self) -> Result<()> {
        let Self { path, writer } = self;
        let output = writer.into_inner().map_err(csv::IntoInnerError::into_error);
        output
            .and_then(Output::finish)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn record(&mut self, fields: [&str; 6]) -> Result<()> {
        let written = self.writer.write_record(fields);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Output {
    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Gzip(gzip) => gzip.finish()?.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(gzip) => gzip.flush(),
        }
    }
}
