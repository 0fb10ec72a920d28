//! Proof by fire: updaters whose webhook, API server, luck or life is against them. See the crate's documentation.
//!
//! `PODFIT_BESIDE_UPSTREAM=1` shows beside the scenario `dead-webhook` what upstream's updater does.

mod clock_jumps;
mod dead_webhook;
mod election;
mod faults;
mod fleet;
mod killed;
mod runaway;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::FutureExt;
use podfit_tests::cluster::{Cluster, build};
use podfit_tests::podfit::Podfit;
use podfit_tests::suite::Suite;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        println!("FAILED to start the suite: {error:#}\n0 passed, 1 failed");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    build(&["helm"]).await?;
    if dead_webhook::beside_upstream() {
        build(&["upstream-updater"]).await?;
    }
    let cluster = Arc::new(Cluster::up("tests-fire", &["kwok", "metrics-server"]).await?);
    let podfit = Arc::new(Podfit::prepare(&cluster, true).await?);
    podfit.start("webhook").await?;
    podfit.ready("webhook").await?;
    let suite = Suite::new(cluster, Arc::clone(&podfit), |podfit| {
        async { podfit.logs() }.boxed_local()
    });
    let code = suite
        .together("killed-in-mid-loop", killed::in_mid_loop)
        .together("two-at-once", election::two_at_once)
        .together("no-runaway", runaway::none)
        .together("clock-jumps", clock_jumps::no_burst)
        .together("requests-fail", faults::requests_fail)
        .alone("api-server-restarted", faults::api_server_restarted)
        .alone("dead-webhook", dead_webhook::few_evictions)
        .run()
        .await;
    podfit.stop_all().await?;
    Ok(code)
}
