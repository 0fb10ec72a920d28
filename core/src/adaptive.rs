//! The estimator `adaptive`: it tries simple rules on each container's own past, and follows the one that would have cost
//! least at the promised rate of breaches.
//!
//! No rule fits all: a steady service is sized best by its usual peak and a thin margin, a bursty one by what it used last.
//! The promise is the only knob: a part of the time for CPU, a part of all days for memory, in which usage may exceed the
//! target, on average over workloads. A workload on which a breach saves much has a few more of them, up to a cap; one on
//! which it saves little has none.

mod cpu;
mod levels;
mod ratios;
mod stored;

pub use cpu::{Cpu, Expert, Followed};
pub use ratios::Margin;
pub use stored::StoredError;

#[cfg(test)]
mod tests;
