//! Recorded usage from CSV files, series by series.
//!
//! A file that has all rows of a series together is read with one series held at a time. Where series are mixed, all that
//! are open are held until the end. Which it is, a first pass over the names tells.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use podfit_core::replay::{Sample, Sizes};
use podfit_core::time::Timestamp;

use super::faults::{Fault, Faults};

/// All that one series recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// In order of time.
    pub samples: Vec<Sample>,
    /// What is requested now, where that is known.
    pub request: Sizes,
}

/// A file of recorded usage.
pub struct Usage {
    path: PathBuf,
    /// How many rows it has, also those that cannot be used.
    pub rows: u64,
    /// True when the rows of some series are not all together.
    pub is_mixed: bool,
}

/// How often progress is told, in rows.
const TOLD_EACH: u64 = 1 << 17;

impl Usage {
    /// Looks at a file: has it the right columns, and are its series mixed?
    pub fn open(path: &Path) -> Result<Self> {
        let mut usage = Self {
            path: path.to_owned(),
            rows: 0,
            is_mixed: false,
        };
        let (mut reader, columns) = usage.reader()?;
        let (mut record, mut last) = (ByteRecord::new(), Vec::new());
        let mut seen = HashSet::new();
        // What cannot be read any further is told when it is used.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            usage.rows += 1;
            let Some(name) = record.get(columns.series).filter(|name| *name != last) else {
                continue;
            };
            usage.is_mixed |= !seen.insert(name.to_owned());
            name.clone_into(&mut last);
        }
        Ok(usage)
    }

    /// Hands over each series once it is complete. `told` is called now and then with how many rows were read.
    pub fn read(
        &self,
        told: &dyn Fn(u64),
        mut each: impl FnMut(Series) -> Result<()>,
    ) -> Result<Faults> {
        let (mut reader, columns) = self.reader()?;
        let mut record = ByteRecord::new();
        let mut faults = Faults::default();
        let mut held = Held::default();
        let mut rows = 0;
        loop {
            let line = reader.position().line();
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    faults.note(Fault::Truncated, line);
                    break;
                }
            }
            rows += 1;
            if rows % TOLD_EACH == 0 {
                told(rows);
            }
            let line = record.position().map_or(line, csv::Position::line);
            match columns.row(&record) {
                Err(fault) => faults.note(fault, line),
                Ok((name, sample, request)) => {
                    if !self.is_mixed && held.is_new(name) {
                        held.finish().try_for_each(&mut each)?;
                    }
                    if !held.add(name, sample, request) {
                        faults.note(Fault::Backwards, line);
                    }
                }
            }
        }
        held.finish().try_for_each(each)?;
        Ok(faults)
    }

    fn reader(&self) -> Result<(Reader<Box<dyn Read>>, Columns)> {
        let path = self.path.display();
        let file = File::open(&self.path).with_context(|| format!("cannot open {path}"))?;
        let mut file = BufReader::with_capacity(1 << 17, file);
        let is_gzip = file
            .fill_buf()
            .with_context(|| format!("cannot read {path}"))?
            .starts_with(&[0x1f, 0x8b]);
        let plain: Box<dyn Read> = if is_gzip {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .buffer_capacity(1 << 17)
            .from_reader(plain);
        let header = reader
            .byte_headers()
            .with_context(|| format!("cannot read {path}"))?;
        let columns = Columns::of(header).with_context(|| format!("{path} has no usage in it"))?;
        Ok((reader, columns))
    }
}

/// Series that are not complete yet.
#[derive(Default)]
struct Held {
    series: Vec<Series>,
    places: HashMap<Vec<u8>, usize>,
    /// The place of the row before: rows of a series mostly come together.
    last: usize,
}

impl Held {
    fn is_new(&self, name: &[u8]) -> bool {
        self.series
            .get(self.last)
            .is_none_or(|series| series.name.as_bytes() != name)
    }

    /// False when the sample is not later than the one before of its series.
    fn add(&mut self, name: &[u8], sample: Sample, request: Sizes) -> bool {
        if self.is_new(name) {
            self.last = *self.places.entry(name.to_owned()).or_insert_with(|| {
                self.series.push(Series {
                    name: String::from_utf8_lossy(name).into_owned(),
                    samples: Vec::new(),
                    request: Sizes::default(),
                });
                self.series.len() - 1
            });
        }
        let Some(series) = self.series.get_mut(self.last) else {
            return false;
        };
        series.request.cpu = request.cpu.or(series.request.cpu);
        series.request.memory = request.memory.or(series.request.memory);
        let is_later = series.samples.last().is_none_or(|last| last.at < sample.at);
        if is_later {
            series.samples.push(sample);
        }
        is_later
    }

    /// Those held, in the order in which they began.
    fn finish(&mut self) -> impl Iterator<Item = Series> + use<> {
        self.places.clear();
        self.last = 0;
        std::mem::take(&mut self.series).into_iter()
    }
}

/// The columns that say what is requested.
pub const REQUESTS: [&str; 2] = ["cpu_request_cores", "memory_request_bytes"];

/// Where the columns are.
struct Columns {
    count: usize,
    series: usize,
    timestamp: usize,
    cpu: Option<usize>,
    memory: Option<usize>,
    requests: [Option<usize>; 2],
}

impl Columns {
    fn of(header: &ByteRecord) -> Result<Self> {
        let find = |name: &str| header.iter().position(|field| field == name.as_bytes());
        let needed = |name: &str| {
            let told = String::from_utf8_lossy(header.as_slice());
            find(name).with_context(|| format!("no column {name} in its first line ({told})"))
        };
        let columns = Self {
            count: header.len(),
            series: needed("series")?,
            timestamp: needed("timestamp_s")?,
            cpu: find("cpu_cores"),
            memory: find("memory_bytes"),
            requests: REQUESTS.map(find),
        };
        if columns.cpu.or(columns.memory).is_none() {
            bail!("neither a column cpu_cores nor memory_bytes in its first line");
        }
        Ok(columns)
    }

    fn row<'a>(&self, record: &'a ByteRecord) -> Result<(&'a [u8], Sample, Sizes), Fault> {
        if record.len() != self.count {
            return Err(Fault::Fields);
        }
        let field = |column: usize| record.get(column).unwrap_or_default();
        let amount = |column: Option<usize>| match column.map_or(&[][..], field) {
            [] => Ok(None),
            text => match number(text) {
                Some(number) if number < 0.0 => Err(Fault::Negative),
                Some(number) => Ok(Some(number)),
                None => Err(Fault::NotANumber),
            },
        };
        let name = field(self.series);
        if name.is_empty() {
            return Err(Fault::NoSeries);
        }
        let sample = Sample {
            at: time(field(self.timestamp)).ok_or(Fault::Time)?,
            cpu: amount(self.cpu)?,
            // No running container uses nothing: such a row says that it was not measured.
            memory: amount(self.memory)?.filter(|bytes| *bytes > 0.0),
        };
        let [cpu, memory] = self.requests;
        let request = Sizes::at([amount(cpu)?, amount(memory)?]);
        Ok((name, sample, request))
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// Seconds since the Unix epoch, to the millisecond.
fn time(text: &[u8]) -> Option<Timestamp> {
    /// Times beyond this (some 30,000 years) are no times, and their milliseconds would not fit.
    const LAST: f64 = 1e12;
    let seconds = number(text).filter(|seconds| seconds.abs() < LAST)?;
    Some(Timestamp::from_unix_millis(
        (seconds * 1000.0).round() as i64
    ))
}

#[cfg(test)]
mod tests;
