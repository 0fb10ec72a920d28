//! Runs as bytes, for storing them: 57 of a run that ended, and 3 more for each level of CPU of one under way.

use super::{Levels, Run, Runs};
use crate::history::CLOCK_TOLERANCE;
use crate::quantity::{Bytes, MAX_AMOUNT, Millicores};
use crate::time::Timestamp;

/// The only version there is.
const VERSION: u8 = 1;

/// So many runs under way are stored, those that used most: more say no more about what the next one needs.
const MOST_OPEN: usize = 50;

/// Where no time, or no amount, is known.
const NONE: i64 = i64::MIN;

/// Why stored bytes cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Written by something else.
    #[error("they are of version {0}; only {VERSION} is known")]
    Version(u8),
    /// Cut off, or too long.
    #[error("they have too few or too many bytes")]
    Length,
    /// A number that cannot be.
    #[error("they hold an amount or a time that cannot be")]
    Amount,
}

impl Runs {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut open: Vec<_> = self.under_way().collect();
        open.sort_by_key(|run| std::cmp::Reverse(run.memory));
        open.truncate(MOST_OPEN);
        let mut bytes = vec![VERSION];
        bytes.extend(self.unmeasured.to_le_bytes());
        for runs in [self.last.iter().collect(), open] {
            bytes.extend((runs.len() as u16).to_le_bytes());
            for run in runs {
                write(run, &mut bytes);
            }
        }
        bytes
    }

    /// From bytes that were stored at `stored`, read at `now`; the last `most` runs are remembered from now on.
    pub fn from_bytes(
        bytes: &[u8],
        most: u16,
        (stored, now): (Timestamp, Timestamp),
    ) -> Result<Self, StoredError> {
        let mut read = Read(bytes, now);
        let [version] = read.take()?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let mut runs = Self::new(most);
        runs.unmeasured = u32::from_le_bytes(read.take()?);
        for _ in 0..u16::from_le_bytes(read.take()?) {
            runs.last.push_back(read.run()?);
        }
        for _ in 0..u16::from_le_bytes(read.take()?) {
            runs.open.push(read.run()?);
        }
        if !read.0.is_empty() {
            return Err(StoredError::Length);
        }
        runs.told_until = Some(stored);
        runs.forget_oldest();
        Ok(runs)
    }
}

fn write(run: &Run, bytes: &mut Vec<u8>) {
    let (killed_at, allowed) = match run.killed {
        Some((at, allowed)) => (at.unix_millis(), allowed.0),
        None => (NONE, NONE),
    };
    let memory = run.memory.map_or(NONE, |memory| memory.0);
    let times = [
        run.started.unix_millis(),
        run.until.unix_millis(),
        killed_at,
    ];
    bytes.extend(run.id.to_le_bytes());
    for number in times.into_iter().chain([memory, allowed]) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(run.samples.to_le_bytes());
    bytes.extend((run.highest.0.clamp(0, u32::MAX.into()) as u32).to_le_bytes());
    bytes.push(run.levels.0.len() as u8);
    for (level, count) in &run.levels.0 {
        bytes.push(*level);
        bytes.extend(count.to_le_bytes());
    }
}

/// What is still to be read, and the time it is.
struct Read<'a>(&'a [u8], Timestamp);

impl Read<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(StoredError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn run(&mut self) -> Result<Run, StoredError> {
        let id = u64::from_le_bytes(self.take()?);
        let (started, until, killed) = (self.time()?, self.time()?, self.time()?);
        let (memory, allowed) = (self.amount()?, self.amount()?);
        let (started, until) = started.zip(until).ok_or(StoredError::Amount)?;
        let samples = u32::from_le_bytes(self.take()?);
        let highest = Millicores(u32::from_le_bytes(self.take()?).into());
        let [count] = self.take()?;
        let mut levels = Levels::default();
        for _ in 0..count {
            let [level] = self.take()?;
            levels.0.push((level, u16::from_le_bytes(self.take()?)));
        }
        // A search finds them by their order.
        if !levels.0.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(StoredError::Amount);
        }
        Ok(Run {
            id,
            started,
            until,
            memory,
            killed: killed.zip(allowed),
            samples,
            highest,
            levels,
        })
    }

    /// A time that has come.
    fn time(&mut self) -> Result<Option<Timestamp>, StoredError> {
        let millis = i64::from_le_bytes(self.take()?);
        let time = (millis != NONE).then_some(Timestamp::from_unix_millis(millis));
        match time {
            Some(time) if time > self.1 + CLOCK_TOLERANCE => Err(StoredError::Amount),
            _ => Ok(time),
        }
    }

    fn amount(&mut self) -> Result<Option<Bytes>, StoredError> {
        match i64::from_le_bytes(self.take()?) {
            NONE => Ok(None),
            amount if (0..=MAX_AMOUNT).contains(&amount) => Ok(Some(Bytes(amount))),
            _ => Err(StoredError::Amount),
        }
    }
}
