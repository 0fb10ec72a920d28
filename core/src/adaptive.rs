//! The estimator `adaptive`: it tries simple rules on each container's own past, and follows the one that would have cost
//! least at the promised rate of breaches.
//!
//! No rule fits all: a steady service is sized best by its usual peak and a thin margin, a bursty one by what it used last.
//! The promise is the only knob: a part of the time for CPU, a part of all days for memory, in which usage may exceed the
//! target, on average over workloads. A workload on which a breach saves much has a few more of them, up to a cap; one on
//! which it saves little has none.

mod class;
mod cpu;
mod days;
mod levels;
mod mean;
mod memory;
mod ratios;
mod stored;

use std::time::Duration;

pub use class::{Class, Told};
pub use cpu::{Cpu, Expert, Followed};
pub use days::Days;
pub use memory::{Memory, Peaks};
pub use ratios::Margin;
pub use stored::StoredError;

use crate::quantity::Resource;
use crate::time::Timestamp;

/// Each is decided anew.
const HOUR: Duration = Duration::from_hours(1);

/// So many hours with samples must have gone into a resource before its numbers are used: a day. What a night shows says
/// nothing of the day after it, and old requests would be cut to it, however long the histogram is.
pub const LEAST_HOURS: u32 = 24;

/// After so many hours it counts half whether the promise was kept: two weeks.
const KEPT_HALF_LIFE: f64 = 336.0;

/// How often usage may be over the target, on average over workloads. Both parts are above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promises {
    /// Of CPU: a part of the time.
    pub cpu_time: f64,
    /// Of memory: a part of all days, on each of which the container would be killed once or more.
    pub memory_days: f64,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            cpu_time: 0.01,
            memory_days: 0.02,
        }
    }
}

/// What is known of one container: 7.3 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptive {
    /// Its CPU.
    pub cpu: Cpu,
    /// Its memory.
    pub memory: Memory,
    /// What is told of their classes: CPU and memory, in this order.
    days: [Days; 2],
}

impl Adaptive {
    /// Nothing is known.
    pub fn new(promises: &Promises) -> Self {
        Self {
            cpu: Cpu::new(promises.cpu_time),
            memory: Memory::new(promises.memory_days),
            days: Resource::ALL.map(Days::new),
        }
    }

    /// Adds a sample of CPU, in cores, measured at `at`, that counts as `weight` of them.
    pub fn add_cpu(&mut self, cores: f64, at: Timestamp, weight: f64) {
        self.cpu.add(cores, at, weight);
        self.days[0].add(cores, at, weight);
        self.days[0].tell();
    }

    /// Adds a sample of memory, in bytes, measured at `at`.
    pub fn add_memory(&mut self, bytes: f64, at: Timestamp) {
        self.memory.add(bytes, at);
        self.days[1].add(bytes, at, 1.0);
        self.days[1].tell();
    }

    /// What kind of workload it is by a resource.
    pub fn told(&self, resource: Resource) -> Told {
        let [cpu, memory] = &self.days;
        match resource {
            Resource::Cpu => cpu.told(),
            Resource::Memory => memory.told(),
        }
    }

    /// Closes the hours that have ended by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        self.cpu.advance(now);
        self.memory.advance(now);
    }

    /// Takes `idle` out of its life, in which there was nothing to measure.
    pub fn postpone(&mut self, idle: Duration) {
        self.cpu.postpone(idle);
        self.memory.postpone(idle);
        self.days.iter_mut().for_each(|days| days.postpone(idle));
    }

    /// How many hours with samples went into it.
    pub fn hours(&self) -> u32 {
        self.cpu.hours().max(self.memory.hours())
    }
}

#[cfg(test)]
mod tests;
