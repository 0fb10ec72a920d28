//! The harness of the end-to-end tests.
//!
//! `tests/local-cluster` starts real Kubernetes clusters; this crate runs scenarios on them. `tests/end-to-end` runs all
//! suites, and `cargo test -p podfit-tests --test kwok -- budget` those scenarios of one whose name has that word:
//!
//! * `kwok` (`e2e/kwok`): a control plane whose nodes and pods are simulated by KWOK, with usage that a scenario sets.
//!   podfit's three programs run as processes, with the flags and the rights that the Helm chart gives them.
//! * `fire` (`e2e/fire`): the same, with updaters of each scenario's own, and everything going wrong that can.
//! * `node` (`e2e/node`): a control plane and one real node. podfit is installed by `helm install`, as pods.
//! * `platform` (`e2e/platform`): the same cluster with Prometheus and KEDA, and the samples of `examples/ml-platform`, brought
//!   there by their own scripts, under real load.
//!
//! Every scenario has a namespace of its own, so scenarios run side by side: waiting is most of what they do. One that
//! disturbs what all share (it stops the webhook) is marked [`suite::Suite::alone`] and runs after the others. One that
//! restarts a recommender starts its own, which serves only its namespace and only VPAs that name it in
//! `spec.recommenders`, so that it shares nothing with the common one.
//!
//! Nothing sleeps and hopes: [`wait::until`] polls a condition up to a deadline and then says what was missing. When a
//! scenario fails, its namespace is kept, and its objects, events and podfit's logs are shown.

pub mod aggregated;
pub mod amounts;
pub mod audit;
pub mod bench;
pub mod chart;
pub mod clock;
pub mod cluster;
pub mod injector;
pub mod installation;
pub mod manifests;
pub mod namespace;
pub mod picture;
pub mod pod;
pub mod podfit;
pub mod process;
pub mod proxy;
pub mod recommended;
pub mod recording;
pub mod scrape;
pub mod suite;
pub mod wait;
