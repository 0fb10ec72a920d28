//! Scenarios on a real node: real containers, real cgroups, podfit installed by its chart as pods. See the crate's
//! documentation.

mod explain;
mod helm_test;
mod in_place;
mod job;
mod oom;
mod recreate;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::FutureExt;
use podfit_tests::cluster::{Cluster, build};
use podfit_tests::installation::Installation;
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
    let cluster = Arc::new(Cluster::up("tests-node", &["metrics-server", "node"]).await?);
    let podfit = Arc::new(Installation::new(&cluster).await?);
    let suite = Suite::new(cluster, Arc::clone(&podfit), |podfit| {
        podfit.logs().boxed_local()
    });
    let code = suite
        .together("recreate-one-at-a-time", recreate::one_at_a_time)
        .together("in-place", in_place::resized)
        .together("memory-that-no-node-has", in_place::more_than_the_node)
        .together("killed-at-start", oom::cannot_start)
        .together("killed-later", oom::grows_later)
        .together(
            "explained-through-its-service",
            explain::through_its_service,
        )
        .together("asked-at-a-terminal", explain::at_a_terminal)
        .together("job-is-not-evicted", job::not_evicted)
        .alone("helm-test", helm_test::proves_the_chain)
        .run()
        .await;
    println!("figure: resident memory: {}", Installation::memory()?);
    Ok(code)
}
