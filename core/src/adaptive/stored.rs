//! What is known of a container as bytes, for storing it: some 2 kB of a container that was seen for days.
//!
//! Weights are stored as upstream stores histograms: the heaviest as 10,000, others in proportion to it.

use std::time::Duration;

use super::cpu::Cpu;
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

impl Cpu {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut copy = self.clone();
        let parts = copy.parts();
        let mut bytes = vec![VERSION, parts.followed];
        bytes.extend(parts.hours.to_le_bytes());
        let hour = parts.hour.map_or(NO_TIME, Timestamp::unix_millis);
        bytes.extend(hour.to_le_bytes());
        bytes.extend((parts.hour_peak.unwrap_or(0.0) as f32).to_le_bytes());
        for amount in parts.amounts {
            bytes.extend((*amount as f32).to_le_bytes());
        }
        for weights in parts.weights {
            write(weights, &mut bytes);
        }
        bytes
    }

    /// From bytes that were stored before `now`.
    pub fn from_bytes(bytes: &[u8], promise: f64, now: Timestamp) -> Result<Self, StoredError> {
        let mut read = Bytes(bytes);
        let [version] = read.take()?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let mut cpu = Self::new(promise);
        let [followed] = read.take()?;
        let hours = u32::from_le_bytes(read.take()?);
        let millis = i64::from_le_bytes(read.take()?);
        let hour = (millis != NO_TIME).then_some(Timestamp::from_unix_millis(millis));
        if hour.is_some_and(|end| end > now + Duration::from_hours(1)) {
            return Err(StoredError::Future);
        }
        let hour_peak = Some(f64::from(read.amount()?)).filter(|peak| *peak > 0.0);
        let parts = cpu.parts();
        for amount in parts.amounts {
            *amount = f64::from(read.amount()?);
        }
        for weights in parts.weights {
            read.weights(weights)?;
        }
        if !read.0.is_empty() {
            return Err(StoredError::Length);
        }
        cpu.resume((followed, hours), (hour, hour_peak))
            .ok_or(StoredError::Amount)
    }
}

/// The heaviest; where the first is that counts, and how many follow; each in proportion.
fn write(weights: &[f32], bytes: &mut Vec<u8>) {
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

/// What is still to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(StoredError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn amount(&mut self) -> Result<f32, StoredError> {
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
