//! What the benchmarks share: a large cluster's objects made quickly, what is asked to
//! run, figures of processes, tables.

pub mod bulk;
pub mod fixture;
mod past;
pub mod plan;
pub mod process;
pub mod report;
pub mod requests;
pub mod usage;
