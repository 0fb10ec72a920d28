//! What is known of one container of one workload: CPU use, memory peaks per window, out-of-memory evidence.
//!
//! A [`ContainerHistory`] is shared by all pods of a workload. What differs from pod to pod, the memory window that is
//! still open, is a [`PodContainerWindow`].

mod of_runs;
mod oom;

use std::time::Duration;

pub use oom::{Kill, OomFloor, RunningPod};

use crate::adaptive::{Adaptive, Promises};
use crate::histogram::{Buckets, Histogram};
use crate::profile::Profile;
use crate::quantity::{Bytes, MAX_AMOUNT, Millicores, amount_from_float};
use crate::runs::{self, Runs};
use crate::time::Timestamp;
use crate::vpa::{ContainerPolicy, HistoryPolicy};

/// A CPU sample weighs this, whatever it shows. Upstream's constant.
const CPU_SAMPLE_WEIGHT: f64 = 0.1;

/// A memory peak weighs this.
const MEMORY_SAMPLE_WEIGHT: f64 = 1.0;

/// A sample may be this far ahead of the clock it is judged by: machines' clocks differ.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// A sample from before this is none: with an unset clock's it would make a history look old.
const OLDEST: Duration = Duration::from_hours(24 * 365);

/// How histories are kept. Defaults are upstream's.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Whose rules win: upstream's puts kills into the histogram, podfit's has a floor.
    pub profile: Profile,
    /// True when policies of containers count (feature gate `PerVPAConfig`).
    pub per_vpa: bool,
    /// True when what the estimator `adaptive` needs is kept, too.
    pub adaptive: bool,
    /// What that estimator promises.
    pub promises: Promises,
    /// True when the workload is one of runs, and its history counts in them.
    pub by_runs: bool,
    /// How many of them are remembered, one or more.
    pub runs: u16,
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
            profile: Profile::Safe,
            per_vpa: false,
            adaptive: false,
            promises: Promises::default(),
            by_runs: false,
            runs: runs::KEPT,
        }
    }
}

impl HistoryConfig {
    /// The same with what the policy of a container says, if that counts.
    pub fn for_policy(&self, policy: Option<&ContainerPolicy>) -> Self {
        let mut config = *self;
        let Some(HistoryPolicy {
            oom_bump_up_ratio,
            oom_min_bump_up,
            memory_interval,
            memory_interval_count,
        }) = policy.map(|p| p.history).filter(|_| self.per_vpa)
        else {
            return config;
        };
        if let Some(thousandths) = oom_bump_up_ratio {
            config.oom_bump_up_ratio = thousandths as f64 / 1000.0;
        }
        config.oom_min_bump_up = oom_min_bump_up.unwrap_or(config.oom_min_bump_up);
        config.memory_interval = memory_interval.unwrap_or(config.memory_interval);
        config.memory_interval_count =
            memory_interval_count.unwrap_or(config.memory_interval_count);
        config
    }

    /// How long a history, and out-of-memory evidence, lasts without anything new: interval times count.
    pub fn lifetime(&self) -> Duration {
        self.memory_interval
            .saturating_mul(self.memory_interval_count)
    }
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
    /// What a time series database keeps of the time before was added.
    pub(crate) has_past: bool,
    /// What the estimator `adaptive` keeps; boxed, as few may want it.
    pub(crate) adaptive: Option<Box<Adaptive>>,
    /// Its runs, where the workload is one of runs.
    pub(crate) runs: Option<Box<Runs>>,
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
            has_past: false,
            adaptive: config
                .adaptive
                .then(|| Box::new(Adaptive::new(&config.promises))),
            runs: config.by_runs.then(|| Box::new(Runs::new(config.runs))),
        }
    }

    /// What the estimator `adaptive` keeps, where that is wanted.
    pub fn adaptive(&self) -> Option<&Adaptive> {
        self.adaptive.as_deref()
    }

    /// Takes note of the time, for the estimator `adaptive`: its hours end with it, not only with the next sample.
    pub fn advance(&mut self, now: Timestamp) {
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.advance(now);
        }
    }

    /// Begins to keep what the estimator `adaptive` needs, or ends it, as `config` says now.
    pub fn keep_adaptive(&mut self, config: &HistoryConfig) {
        if config.adaptive != self.adaptive.is_some() {
            self.adaptive = Self::new(config, self.last_activity).adaptive;
        }
    }

    /// True when what a time series database keeps of the time before was added: it need not be asked again.
    pub fn has_past(&self) -> bool {
        self.has_past
    }

    /// Notes that.
    pub fn note_past(&mut self) {
        self.has_past = true;
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

    /// The out-of-memory floor that still holds at `now`. Profile `upstream` has none. That of runs holds as long as they
    /// are remembered, in any profile: upstream knows no runs.
    pub fn oom_floor(&self, config: &HistoryConfig, now: Timestamp) -> Option<&OomFloor> {
        self.oom_floor.as_ref().filter(|floor| {
            self.runs.is_some() || config.profile.is_safe() && floor.holds(config, now)
        })
    }

    /// The out-of-memory floor however old, for storing it.
    pub fn stored_oom_floor(&self) -> Option<&OomFloor> {
        self.oom_floor.as_ref()
    }

    /// Drops the floor when `running`, the pods of the workload, show that it is not needed any more
    /// ([`OomFloor::is_outlived`]), and returns what was dropped.
    pub fn release_oom_floor(
        &mut self,
        running: &[RunningPod<'_>],
        config: &HistoryConfig,
        now: Timestamp,
    ) -> Option<OomFloor> {
        self.oom_floor
            .take_if(|floor| floor.is_outlived(running, config, now))
    }

    /// True when a kill at `at` is part of the floor already. Told again after a restart, by then perhaps with what a
    /// resize allows, it must not raise memory once more.
    pub fn knows_kill(&self, at: Timestamp) -> bool {
        self.oom_floor.as_ref().is_some_and(|floor| at <= floor.at)
    }

    /// Sets the floor that was stored, unless a higher one is known.
    pub fn restore_oom_floor(&mut self, floor: OomFloor) {
        self.oom_floor = Some(match self.oom_floor.take() {
            Some(known) => known.merged(floor),
            None => floor,
        });
    }

    /// True when nothing at all is known, so that nothing can be recommended.
    pub fn is_empty(&self) -> bool {
        let no_runs = self.runs().is_none_or(Runs::is_empty);
        self.cpu.is_empty() && self.memory.is_empty() && self.oom_floor.is_none() && no_runs
    }

    /// Takes `idle` out of its life, in which there was no pod to measure: neither samples nor out-of-memory evidence
    /// fade by it. The times of the first and the last sample stay what they are.
    pub fn skip(&mut self, idle: Duration) {
        self.cpu.postpone(idle);
        self.memory.postpone(idle);
        self.last_activity = self.last_activity + idle;
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.postpone(idle);
        }
        if let Some(floor) = &mut self.oom_floor {
            floor.at = floor.at + idle;
        }
    }

    /// Adds all that `other` knows. Of differently kept histograms (another half-life was configured) the present one
    /// stays as it is.
    pub fn merge(&mut self, other: &Self) {
        self.merge_runs(other);
        // Both were made with the same configuration, or the merge is refused as a whole.
        if self.cpu.merge(&other.cpu).is_err() || self.memory.merge(&other.memory).is_err() {
            return;
        }
        self.first_sample = earlier(self.first_sample, other.first_sample);
        self.last_sample = self.last_sample.max(other.last_sample);
        self.total_samples = self.total_samples.saturating_add(other.total_samples);
        self.last_activity = self.last_activity.max(other.last_activity);
        self.has_past |= other.has_past;
        // Records cannot be added up: each depends on what was recommended at its time. The longer one stays.
        let hours = |history: &Self| {
            history
                .adaptive
                .as_ref()
                .map_or(0, |adaptive| adaptive.hours())
        };
        if hours(other) > hours(self) {
            self.adaptive.clone_from(&other.adaptive);
        }
        if let Some(floor) = &other.oom_floor {
            self.restore_oom_floor(floor.clone());
        }
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
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
    /// From so long ago that the clock it was measured by must be wrong.
    #[error("its time lies more than a year back")]
    Ancient,
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
        self.add_cpu_average(history, cpu, (at, now), 1)
    }

    /// Adds an average over the time before `at` in which live measuring takes so many samples: it weighs as they do.
    pub fn add_cpu_average(
        &mut self,
        history: &mut ContainerHistory,
        cpu: Millicores,
        (at, now): (Timestamp, Timestamp),
        samples: u32,
    ) -> Result<(), Rejected> {
        check(cpu.0, at, now)?;
        if self.last_cpu.is_some_and(|last| at <= last) {
            return Err(Rejected::OutOfOrder);
        }
        self.last_cpu = Some(at);
        let weight = CPU_SAMPLE_WEIGHT * f64::from(samples);
        history.cpu.add(cpu.cores(), weight, at);
        if let Some(adaptive) = &mut history.adaptive {
            adaptive.add_cpu(cpu.cores(), at, f64::from(samples));
        }
        history.first_sample = earlier(history.first_sample, Some(at));
        history.last_sample = history.last_sample.max(Some(at));
        history.total_samples = history.total_samples.saturating_add(samples.into());
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
        // Nothing that runs uses nothing.
        if let Some(adaptive) = history.adaptive.as_mut().filter(|_| memory.0 > 0) {
            adaptive.add_memory(memory.0 as f64, at);
        }
        Ok(())
    }

    /// Adds an out-of-memory kill.
    ///
    /// The container used what it was allowed, or its peak if higher; it needs more by the configured ratio and by the
    /// configured bytes at least. Profile `safe`: that becomes the history's floor. Profile `upstream`: it becomes a
    /// sample of the window.
    pub fn record_oom(
        &mut self,
        history: &mut ContainerHistory,
        kill: &Kill<'_>,
        now: Timestamp,
        config: &HistoryConfig,
    ) -> Result<(), Rejected> {
        check(kill.allowed.0, kill.at, now)?;
        if self
            .last_memory
            .is_some_and(|last| kill.at < last - config.memory_interval)
        {
            return Err(Rejected::TooOld);
        }
        let used = kill.allowed.max(self.memory_peak.unwrap_or_default());
        let measured = Bytes(amount_from_float(history.memory.percentile(1.0)));
        let floor = OomFloor::after(history.oom_floor.as_ref(), kill, (used, measured), config);
        history.oom_floor = Some(floor);
        history.last_activity = history.last_activity.max(kill.at);
        if !config.profile.is_safe() {
            let needed = config.bumped(used, 0);
            if self.raise_peak(history, needed, kill.at, config.memory_interval) {
                self.oom_peak = Some(needed);
            }
        }
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

    /// Continues the window of the time before, whose samples `history` holds by now as well. As long as all samples of
    /// this one fall into that one, both are one window, and have one peak.
    pub fn follow(&mut self, before: Self, history: &mut ContainerHistory) {
        let Some(end) = self.end else {
            *self = before;
            return;
        };
        self.last_cpu = self.last_cpu.max(before.last_cpu);
        let Some(end_before) = before.end.filter(|end| self.last_memory < Some(*end)) else {
            return;
        };
        for (window, end) in [(&*self, end), (&before, end_before)] {
            if let Some(peak) = window.peak() {
                history
                    .memory
                    .subtract(peak.0 as f64, MEMORY_SAMPLE_WEIGHT, end);
            }
        }
        self.end = Some(end_before);
        self.memory_peak = self.memory_peak.max(before.memory_peak);
        self.oom_peak = self.oom_peak.max(before.oom_peak);
        if let Some(peak) = self.peak() {
            history
                .memory
                .add(peak.0 as f64, MEMORY_SAMPLE_WEIGHT, end_before);
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
    if at < now - OLDEST {
        return Err(Rejected::Ancient);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
