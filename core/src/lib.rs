//! Numbers in, decisions out: everything podfit decides, as functions of values.
//!
//! Nothing here knows Kubernetes' client, tokio, a clock, the environment or a file. Time is an argument, and every
//! decision comes with its reason, so that each of them can be tested with a table and replayed offline.
//!
//! ```text
//! usage ─► history (histogram) ─► estimator ─► recommendation ─► policy ─┬─► admission   (changes to a new pod)
//!               ▲      │                                                 └─► disruption  (plan for running pods)
//!               └─ checkpoint
//! ```

// Tables of exact values are what most tests are.
#![cfg_attr(test, allow(clippy::float_cmp, clippy::type_complexity))]

pub mod adaptive;
pub mod admission;
pub mod backfill;
pub mod checkpoint;
pub mod disruption;
pub mod estimator;
pub mod explanation;
pub mod feature_gates;
pub mod histogram;
pub mod history;
pub mod horizontal;
pub mod node;
pub mod opt_in;
pub mod ownership;
pub mod pod;
pub mod policy;
pub mod profile;
pub mod quality;
pub mod quantity;
pub mod quota;
pub mod reason;
pub mod recent;
pub mod recommendation;
pub mod replay;
pub mod runs;
pub mod time;
pub mod vpa;
pub mod window;

#[cfg(test)]
mod rows;
