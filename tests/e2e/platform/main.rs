//! Scenarios of a whole platform: podfit beside the real HPA controller, metrics-server, Prometheus and KEDA, on a real node. See
//! the crate's documentation.

mod cron;
mod queue;
mod realigned;
mod samples;
mod scaled_objects;
mod under_load;
mod walk_through;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::FutureExt;
use podfit_tests::cluster::{Cluster, build};
use podfit_tests::installation::Installation;
use podfit_tests::suite::Suite;

use crate::samples::Platform;

/// KWOK plays the pods of KEDA's own Deployments.
const PARTS: [&str; 5] = ["kwok", "metrics-server", "node", "prometheus", "keda"];

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        println!("FAILED to start the suite: {error:#}\n0 passed, 1 failed");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    build(&["helm"]).await?;
    // The cluster of suite `node`: a machine has one real node.
    let cluster = Arc::new(Cluster::up("tests-node", &PARTS).await?);
    let platform = Arc::new(Platform::new(&cluster).await?);
    let suite = Suite::new(cluster, platform, |platform| platform.logs().boxed_local());
    let code = suite
        .together("cron-on-and-off", cron::on_and_off)
        .alone("hpa-under-load", under_load::two_to_many_to_two)
        .together("queue-to-zero", queue::to_zero)
        .together("realigned-with-keda", realigned::with_keda)
        .together("modes", walk_through::modes)
        .together("walk-through", walk_through::scripts)
        .run()
        .await;
    println!("figure: resident memory: {}", Installation::memory()?);
    Ok(code)
}
