//! An updater that does not live long.

use std::sync::Arc;

use anyhow::{Context, Result};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;

use crate::fleet::Fleet;

/// How often it is killed.
const KILLS: usize = 20;

/// Workloads; of each the updater evicts all pods, one at a time.
const WORKLOADS: usize = 20;

/// The updater is killed and started again twenty times, each time in the middle of its evictions, and then left alone. No
/// workload ever has fewer pods than its budget allows, and none of its pods is evicted twice.
pub async fn in_mid_loop(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let target = ("100m", "128Mi");
    let fleet = Fleet::create(&ns, WORKLOADS, target).await?;
    let program = podfit.own_updater("short-lived", &ns.name)?;
    let mut slow = program.clone();
    // So slow that a loop over the workloads takes longer than its life.
    slow.arguments.push("--eviction-rate-limit=2".into());
    for kill in 1..=KILLS {
        let before = fleet.evictions();
        let mut process = slow.start()?;
        fleet
            .evictions_reach(before + 1)
            .await
            .with_context(|| format!("life {kill}"))?;
        process.ensure_alive()?;
        process.kill().await?;
    }
    let process = program.start()?;
    fleet.all_at(target, 120).await?;
    podfit_tests::scrape::loops(&program.address, "updater", 2).await?;
    fleet.ensure_within_budget()?;
    fleet.ensure_replaced(1)?;
    process.stop().await
}
