//! Histories from Prometheus, or from what speaks its API: Thanos, Mimir, VictoriaMetrics.
//!
//! [`PrometheusOptions`] say where it is and what its metrics are called, a [`Preset`] most of that in one word;
//! [`Prometheus`] asks; [`history`] makes the histories of one workload's containers,
//! [`FleetUsage`] tells what all workloads used.

pub mod answer;
mod client;
#[cfg(test)]
mod fake;
mod fleet;
pub mod history;
mod options;
mod owners;
mod pieces;
mod pods;
mod preset;
mod query;

pub use client::{Error, Prometheus, Range, RequestMetrics};
pub use fleet::{FleetUsage, WorkloadUsage};
pub use options::{PrometheusDuration, PrometheusOptions, Settings};
pub use preset::Preset;
pub use query::{Labels, Queries};
