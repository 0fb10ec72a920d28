//! What the benchmarks share: a large cluster's objects made quickly, figures of processes, tables.

pub mod bulk;
pub mod fixture;
pub mod process;
pub mod report;
pub mod usage;
