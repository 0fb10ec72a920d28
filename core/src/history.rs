//! What is known of one container of one workload: CPU use, memory peaks per window, out-of-memory evidence.
//!
//! A [`ContainerHistory`] is shared by all pods of a workload. What differs from pod to pod, the memory window that is
//! still open, is a [`PodContainerWindow`].

use std::time::Duration;

use crate::histogram::{Buckets, Histogram};
use crate::quantity::{Bytes, MAX_AMOUNT, Millicores, scale_amount};
use crate::time::Timestamp;

/// A CPU sample weighs this, whatever it shows. Upstream's constant.
const CPU_SAMPLE_WEIGHT: f64 = 0.1;

/// A memory peak weighs this.
const MEMORY_SAMPLE_WEIGHT: f64 = 1.0;

/// A sample may be this far ahead of the clock it is judged by: machines' clocks differ.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// How histories are kept. Defaults are upstream's.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryConfig {
    /// After this time a CPU sample counts half.
    pub cpu_half_life: Duration,
    /// After this time a memory peak counts half.
    pub memory_half_life: Duration,
    /// One memory peak is kept per pod's container and this much time.
    pub memory_interval: Duration,
    /// How many of those intervals a history lives on without new samples.
    pub memory_interval_count: u32,
    /// After an out-of-memory kill memory grows at least by this factor.
    pub oom_bump_up_ratio: f64,
    /// After an out-of-memory kill memory grows at least by this much.
    pub oom_min_bump_up: Bytes,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            cpu_half_life: Duration::from_hours(24),
            memory_half_life: Duration::from_hours(24),
            memory_interval: Duration::from_hours(24),
            memory_interval_count: 8,
            oom_bump_up_ratio: 1.2,
            oom_min_bump_up: Bytes(100 << 20),
        }
    }
}

impl HistoryConfig {
    /// How long a history, and out-of-memory evidence, lasts without anything new: interval times count.
    pub fn lifetime(&self) -> Duration {
        self.memory_interval
            .saturating_mul(self.memory_interval_count)
    }

    /// What a container needs that was killed while it used `used`.
    fn bumped(&self, used: Bytes) -> Bytes {
        let by_ratio = scale_amount(used.0, self.oom_bump_up_ratio);
        Bytes(
            used.0
                .saturating_add(self.oom_min_bump_up.0)
                .max(by_ratio)
                .min(MAX_AMOUNT),
        )
    }
}

/// The least memory that out-of-memory kills have shown to be needed.
///
/// It stands beside the histogram, where one kill among many replicas' peaks would drown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomFloor {
    /// The least memory.
    pub bytes: Bytes,
    /// When the last kill happened that supports it.
    pub at: Timestamp,
}

/// The history of one container of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerHistory {
    pub(crate) cpu: Histogram,
    pub(crate) memory: Histogram,
    pub(crate) first_sample: Option<Timestamp>,
    pub(crate) last_sample: Option<Timestamp>,
    pub(crate) total_samples: u64,
    /// The last time anything was added, or the time it was made.
    pub(crate) last_activity: Timestamp,
    pub(crate) oom_floor: Option<OomFloor>,
}

impl ContainerHistory {
    /// An empty one, made at `now`.
    pub fn new(config: &HistoryConfig, now: Timestamp) -> Self {
        Self {
            cpu: Histogram::new(Buckets::cpu(), config.cpu_half_life),
            memory: Histogram::new(Buckets::memory(), config.memory_half_life),
            first_sample: None,
            last_sample: None,
            total_samples: 0,
            last_activity: now,
            oom_floor: None,
        }
    }

    /// CPU use in cores.
    pub fn cpu(&self) -> &Histogram {
        &self.cpu
    }

    /// Memory peaks in bytes.
    pub fn memory(&self) -> &Histogram {
        &self.memory
    }

    /// The time of the first CPU sample.
    pub fn first_sample(&self) -> Option<Timestamp> {
        self.first_sample
    }

    /// The time of the last CPU sample.
    pub fn last_sample(&self) -> Option<Timestamp> {
        self.last_sample
    }

    /// How many CPU samples were ever added.
    pub fn total_samples(&self) -> u64 {
        self.total_samples
    }

    /// The last time anything was added; of an empty one, when it was made.
    pub fn last_activity(&self) -> Timestamp {
        self.last_activity
    }

    /// The out-of-memory floor that still holds at `now`.
    pub fn oom_floor(&self, config_lifetime: Duration, now: Timestamp) -> Option<OomFloor> {
        self.oom_floor
            .filter(|floor| now.since(floor.at) < config_lifetime)
    }

    /// The out-of-memory floor however old, for storing it.
    pub fn stored_oom_floor(&self) -> Option<OomFloor> {
        self.oom_floor
    }

    /// True when a kill at `at` is part of the floor already. Told again after a restart, by then perhaps with what a
    /// resize allows, it must not raise memory once more.
    pub fn knows_kill(&self, at: Timestamp) -> bool {
        self.oom_floor.is_some_and(|floor| at <= floor.at)
    }

    /// Sets the floor that was stored, unless a higher one is known.
    pub fn restore_oom_floor(&mut self, floor: OomFloor) {
        self.oom_floor = Some(higher(self.oom_floor, floor));
    }

    /// True when nothing at all is known, so that nothing can be recommended.
    pub fn is_empty(&self) -> bool {
        self.cpu.is_empty() && self.memory.is_empty() && self.oom_floor.is_none()
    }

    /// Takes `idle` out of its life, in which there was no pod to measure: neither samples nor out-of-memory evidence
    /// fade by it. The times of the first and the last sample stay what they are.
    pub fn skip(&mut self, idle: Duration) {
        self.cpu.postpone(idle);
        self.memory.postpone(idle);
        self.last_activity = self.last_activity + idle;
        if let Some(floor) = &mut self.oom_floor {
            floor.at = floor.at + idle;
        }
    }

    /// Adds all that `other` knows. Of differently kept histograms (another half-life was configured) the present one
    /// stays as it is.
    pub fn merge(&mut self, other: &Self) {
        // Both were made with the same configuration, or the merge is refused as a whole.
        if self.cpu.merge(&other.cpu).is_err() || self.memory.merge(&other.memory).is_err() {
            return;
        }
        self.first_sample = earlier(self.first_sample, other.first_sample);
        self.last_sample = self.last_sample.max(other.last_sample);
        self.total_samples = self.total_samples.saturating_add(other.total_samples);
        self.last_activity = self.last_activity.max(other.last_activity);
        if let Some(floor) = other.oom_floor {
            self.restore_oom_floor(floor);
        }
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn higher(known: Option<OomFloor>, new: OomFloor) -> OomFloor {
    known.map_or(new, |known| OomFloor {
        bytes: known.bytes.max(new.bytes),
        at: known.at.max(new.at),
    })
}

/// Why a sample was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Below zero.
    #[error("{0} is negative")]
    Negative(i64),
    /// More than any machine has (10^14 millicores or bytes).
    #[error("{0} is more than any machine has")]
    Absurd(i64),
    /// Not later than the one before.
    #[error("not later than the sample before")]
    OutOfOrder,
    /// From the future, beyond what clocks may differ.
    #[error("its time lies in the future")]
    Future,
    /// An out-of-memory kill from before the last window.
    #[error("the kill is older than the last memory window")]
    TooOld,
}

/// A window that was open when its history was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// When it ends.
    pub end: Timestamp,
    /// Its highest sample.
    pub memory_peak: Option<Bytes>,
    /// Its highest out-of-memory sample.
    pub oom_peak: Option<Bytes>,
    /// The last memory sample.
    pub last_memory: Option<Timestamp>,
    /// The last CPU sample.
    pub last_cpu: Option<Timestamp>,
}

/// What is known of one pod's container beside the shared history: which samples came, and the open memory window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodContainerWindow {
    last_cpu: Option<Timestamp>,
    last_memory: Option<Timestamp>,
    /// The end of the open window.
    end: Option<Timestamp>,
    /// The highest sample of the open window.
    memory_peak: Option<Bytes>,
    /// The highest out-of-memory sample of the open window.
    oom_peak: Option<Bytes>,
}

impl PodContainerWindow {
    /// Adds a CPU sample measured at `at`.
    pub fn add_cpu(
        &mut self,
        history: &mut ContainerHistory,
        cpu: Millicores,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<(), Rejected> {
        check(cpu.0, at, now)?;
        if self.last_cpu.is_some_and(|last| at <= last) {
            return Err(Rejected::OutOfOrder);
        }
        self.last_cpu = Some(at);
        history.cpu.add(cpu.cores(), CPU_SAMPLE_WEIGHT, at);
        history.first_sample = earlier(history.first_sample, Some(at));
        history.last_sample = history.last_sample.max(Some(at));
        history.total_samples = history.total_samples.saturating_add(1);
        history.last_activity = history.last_activity.max(at);
        Ok(())
    }

    /// Adds a memory sample measured at `at`.
    pub fn add_memory(
        &mut self,
        history: &mut ContainerHistory,
        memory: Bytes,
        (at, now): (Timestamp, Timestamp),
        config: &HistoryConfig,
    ) -> Result<(), Rejected> {
        check(memory.0, at, now)?;
        if self.last_memory.is_some_and(|last| at < last) {
            return Err(Rejected::OutOfOrder);
        }
        if self.raise_peak(history, memory, at, config.memory_interval) {
            self.memory_peak = Some(memory);
        }
        Ok(())
    }

    /// Adds an out-of-memory kill at `at` of a container that was allowed `allowed`.
    ///
    /// What it used is that, or its peak if higher; it needs more by the configured ratio and by the configured bytes
    /// at least. That becomes a sample of the window, and the history's floor.
    pub fn record_oom(
        &mut self,
        history: &mut ContainerHistory,
        allowed: Bytes,
        (at, now): (Timestamp, Timestamp),
        config: &HistoryConfig,
    ) -> Result<(), Rejected> {
        check(allowed.0, at, now)?;
        if self
            .last_memory
            .is_some_and(|last| at < last - config.memory_interval)
        {
            return Err(Rejected::TooOld);
        }
        let needed = config.bumped(allowed.max(self.memory_peak.unwrap_or_default()));
        if self.raise_peak(history, needed, at, config.memory_interval) {
            self.oom_peak = Some(needed);
        }
        history.restore_oom_floor(OomFloor { bytes: needed, at });
        Ok(())
    }

    /// What of the window is stored beside a history, so that a restart neither loses its peak nor counts its last
    /// samples twice. `None` once it has ended, as its peak is in the history then, and no sample waits for it.
    pub fn open(&self, now: Timestamp) -> Option<OpenWindow> {
        let end = self.end.filter(|end| now < *end)?;
        Some(OpenWindow {
            end,
            memory_peak: self.memory_peak,
            oom_peak: self.oom_peak,
            last_memory: self.last_memory,
            last_cpu: self.last_cpu,
        })
    }

    /// Continues a window that was stored open: its peak goes back into the history.
    pub fn reopen(open: &OpenWindow, history: &mut ContainerHistory) -> Self {
        let window = Self {
            last_cpu: open.last_cpu,
            last_memory: open.last_memory,
            end: Some(open.end),
            memory_peak: open.memory_peak,
            oom_peak: open.oom_peak,
        };
        if let Some(peak) = window.peak() {
            history
                .memory
                .add(peak.0 as f64, MEMORY_SAMPLE_WEIGHT, open.end);
        }
        window
    }

    /// Takes the peak of the window out of a copy of the history that is to be stored: it may still grow, and would
    /// then count twice after a restart.
    pub fn subtract_open(&self, history: &mut ContainerHistory, now: Timestamp) {
        if let (Some(end), Some(peak)) = (self.end, self.peak())
            && now < end
        {
            history
                .memory
                .subtract(peak.0 as f64, MEMORY_SAMPLE_WEIGHT, end);
        }
    }

    fn peak(&self) -> Option<Bytes> {
        self.memory_peak.max(self.oom_peak)
    }

    /// Makes `memory` the peak of the window that `at` falls into; false when that has a higher one already.
    ///
    /// A peak is stored with the time at which its window ends, so that all peaks of a window weigh the same.
    fn raise_peak(
        &mut self,
        history: &mut ContainerHistory,
        memory: Bytes,
        at: Timestamp,
        interval: Duration,
    ) -> bool {
        self.last_memory = self.last_memory.max(Some(at));
        history.last_activity = history.last_activity.max(at);
        let end = *self.end.get_or_insert(at);
        let end = if at < end {
            // Upstream keeps a peak of 0 here until the window ends: its zero means "no peak".
            if let Some(old) = self.peak() {
                if memory <= old {
                    return false;
                }
                history
                    .memory
                    .subtract(old.0 as f64, MEMORY_SAMPLE_WEIGHT, end);
            }
            end
        } else {
            self.memory_peak = None;
            self.oom_peak = None;
            let interval_millis = i64::try_from(interval.as_millis())
                .unwrap_or(i64::MAX)
                .max(1);
            let windows = (at.unix_millis() - end.unix_millis()) / interval_millis + 1;
            Timestamp::from_unix_millis(
                end.unix_millis()
                    .saturating_add(windows.saturating_mul(interval_millis)),
            )
        };
        self.end = Some(end);
        history
            .memory
            .add(memory.0 as f64, MEMORY_SAMPLE_WEIGHT, end);
        true
    }
}

fn check(amount: i64, at: Timestamp, now: Timestamp) -> Result<(), Rejected> {
    if amount < 0 {
        return Err(Rejected::Negative(amount));
    }
    if amount > MAX_AMOUNT {
        return Err(Rejected::Absurd(amount));
    }
    if at > now + CLOCK_TOLERANCE {
        return Err(Rejected::Future);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
