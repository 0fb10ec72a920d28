//! The admission webhook: sizes new pods, checks VPAs, and looks after its own certificate and registration.
//!
//! ```text
//! API server ─TLS─► routes (HTTP contract) ─► admission ─┬─► pods  (decode, look up, core::admission, patch)
//!                                                        └─► vpas  (defaults and rules)
//! upkeep: certificates ─► registration ─► self-probe ─► status lease
//! ```
//!
//! Nothing in the request path calls the API, and nothing in it can panic.

pub mod admission;
pub mod bodies;
pub mod certificates;
pub mod guard;
pub mod lease;
pub mod metrics;
pub mod options;
pub mod patch;
pub mod pods;
pub mod probe;
pub mod registration;
pub mod review;
pub mod routes;
pub mod self_test;
pub mod server;
pub mod tls;
pub mod upkeep;
pub mod vpas;
