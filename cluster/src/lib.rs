//! Everything that touches a cluster or a process: API types, watches, usage sources, writes, leases, the admin server.
//!
//! Objects come in as the slim wire types of [`api`] and leave as `podfit_core`'s plain values; nothing of Kubernetes'
//! own types goes further than this crate and the binaries' edges.

pub mod admin;
pub mod api;
pub mod calls;
pub mod checkpoints;
pub mod events;
pub mod explanation;
pub mod external_metrics;
pub mod flag_values;
mod foreign_kinds;
pub mod index;
pub mod lease;
pub mod metrics;
pub mod opt_in;
pub mod options;
pub mod other_vpa;
pub mod probe;
pub mod process;
pub mod prometheus;
mod read_only;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
pub mod request_metrics;
pub mod retarget;
pub mod selectors;
pub mod snapshot;
pub mod usage;
pub mod version;
pub mod watch;
pub mod writes;
