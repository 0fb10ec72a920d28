//! What is known of a container as bytes, for storing it: some 2.5 kB of a container that was seen for days.
//!
//! Weights are stored as upstream stores histograms: the heaviest as 10,000, others in proportion to it.

use super::cpu::Cpu;
use super::days::Days;
use super::memory::Memory;
use super::{Adaptive, HOUR, Promises};
use crate::quantity::Resource;
use crate::time::Timestamp;

/// The only version there is.
const VERSION: u8 = 1;

/// The heaviest weight is stored as this.
const HEAVIEST: f32 = 10_000.0;

/// Where no time is known.
const NO_TIME: i64 = i64::MIN;

/// Why stored bytes cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Written by something else.
    #[error("it is of version {0}; only {VERSION} is known")]
    Version(u8),
    /// Cut off, or too long.
    #[error("it has too few or too many bytes")]
    Length,
    /// A number that cannot be.
    #[error("it holds an amount or a weight that cannot be")]
    Amount,
    /// Its hour has not begun.
    #[error("it lies in the future")]
    Future,
}

impl Adaptive {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut copy = self.clone();
        let mut bytes = vec![VERSION];
        write_cpu(&mut copy.cpu, &mut bytes);
        write_memory(&mut copy.memory, &mut bytes);
        bytes
    }

    /// From bytes that were stored before `now`.
    pub fn from_bytes(
        bytes: &[u8],
        promises: &Promises,
        now: Timestamp,
    ) -> Result<Self, StoredError> {
        let mut read = Bytes(bytes, now);
        let [version] = read.take()?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let cpu = read.cpu(Cpu::new(promises.cpu_time))?;
        let memory = read.memory(Memory::new(promises.memory_days))?;
        if !read.0.is_empty() {
            return Err(StoredError::Length);
        }
        Ok(Self {
            days: Resource::ALL.map(Days::new),
            cpu,
            memory,
        })
    }

    /// What its classes are told from, as bytes. They are apart from the others, which older programs read, too.
    pub fn days_to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        self.days.iter().for_each(|days| days.write(&mut bytes));
        bytes
    }

    /// Goes on with such bytes that were stored before `now`.
    pub fn resume_days(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), StoredError> {
        let mut read = Bytes(bytes, now);
        let [version] = read.take()?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let [cpu, memory] = Resource::ALL;
        let days = [Days::read(cpu, &mut read)?, Days::read(memory, &mut read)?];
        if !read.0.is_empty() {
            return Err(StoredError::Length);
        }
        self.days = days;
        Ok(())
    }
}

fn write_cpu(cpu: &mut Cpu, bytes: &mut Vec<u8>) {
    let parts = cpu.parts();
    bytes.push(parts.followed);
    bytes.extend(parts.hours.to_le_bytes());
    write_time(parts.hour, bytes);
    write_amount(parts.hour_peak.unwrap_or(0.0), bytes);
    parts
        .amounts
        .iter()
        .for_each(|amount| write_amount(**amount, bytes));
    parts
        .weights
        .iter()
        .for_each(|weights| write_weights(weights, bytes));
}

fn write_memory(memory: &mut Memory, bytes: &mut Vec<u8>) {
    memory
        .times()
        .into_iter()
        .for_each(|time| write_time(time, bytes));
    memory
        .counts()
        .into_iter()
        .for_each(|count| bytes.extend(count.to_le_bytes()));
    memory
        .numbers()
        .into_iter()
        .for_each(|number| write_amount(*number, bytes));
    for list in memory.lists() {
        bytes.push(list.len() as u8);
        for amount in list.iter() {
            write_amount(*amount, bytes);
        }
    }
}

pub(super) fn write_time(time: Option<Timestamp>, bytes: &mut Vec<u8>) {
    bytes.extend(time.map_or(NO_TIME, Timestamp::unix_millis).to_le_bytes());
}

pub(super) fn write_amount(amount: f64, bytes: &mut Vec<u8>) {
    bytes.extend((amount as f32).to_le_bytes());
}

/// The heaviest; where the first is that counts, and how many follow; each in proportion.
fn write_weights(weights: &[f32], bytes: &mut Vec<u8>) {
    let heaviest = weights.iter().copied().fold(0.0, f32::max);
    let scaled = weights
        .iter()
        .map(|weight| (weight / heaviest * HEAVIEST).round() as u16);
    let scaled: Vec<u16> = scaled.collect();
    let first = scaled.iter().position(|weight| *weight > 0).unwrap_or(0);
    let end = scaled
        .iter()
        .rposition(|weight| *weight > 0)
        .map_or(first, |last| last + 1);
    bytes.extend(heaviest.to_le_bytes());
    bytes.extend([first as u8, (end - first) as u8]);
    scaled[first..end]
        .iter()
        .for_each(|weight| bytes.extend(weight.to_le_bytes()));
}

/// What is still to be read, and the time it is.
pub(super) struct Bytes<'a>(&'a [u8], Timestamp);

impl Bytes<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(StoredError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn cpu(&mut self, mut cpu: Cpu) -> Result<Cpu, StoredError> {
        let [followed] = self.take()?;
        let hours = u32::from_le_bytes(self.take()?);
        let hour = self.time()?;
        let hour_peak = Some(f64::from(self.amount()?)).filter(|peak| *peak > 0.0);
        let parts = cpu.parts();
        for amount in parts.amounts {
            *amount = f64::from(self.amount()?);
        }
        for weights in parts.weights {
            self.weights(weights)?;
        }
        cpu.resume((followed, hours), (hour, hour_peak))
            .ok_or(StoredError::Amount)
    }

    fn memory(&mut self, mut memory: Memory) -> Result<Memory, StoredError> {
        let times = [self.time()?, self.time()?, self.time()?];
        let mut counts = [0; 3];
        for count in &mut counts {
            *count = u32::from_le_bytes(self.take()?);
        }
        for number in memory.numbers() {
            *number = f64::from(self.amount()?);
        }
        for list in memory.lists() {
            let [length] = self.take()?;
            for _ in 0..length {
                list.push_back(f64::from(self.amount()?));
            }
        }
        memory.resume(times, counts).ok_or(StoredError::Amount)
    }

    /// A time, at most an hour ahead.
    pub(super) fn time(&mut self) -> Result<Option<Timestamp>, StoredError> {
        let millis = i64::from_le_bytes(self.take()?);
        let time = (millis != NO_TIME).then_some(Timestamp::from_unix_millis(millis));
        match time {
            Some(time) if time > self.1 + HOUR => Err(StoredError::Future),
            _ => Ok(time),
        }
    }

    pub(super) fn amount(&mut self) -> Result<f32, StoredError> {
        let amount = f32::from_le_bytes(self.take()?);
        let possible = amount.is_finite() && amount >= 0.0;
        possible.then_some(amount).ok_or(StoredError::Amount)
    }

    fn weights(&mut self, into: &mut [f32]) -> Result<(), StoredError> {
        let heaviest = self.amount()?;
        let [first, count] = self.take::<2>()?.map(usize::from);
        let into = into
            .get_mut(first..first + count)
            .ok_or(StoredError::Length)?;
        for weight in into {
            *weight = f32::from(u16::from_le_bytes(self.take()?)) / HEAVIEST * heaviest;
        }
        Ok(())
    }
}
