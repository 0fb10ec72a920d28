//! `ml-workload`: stands for a model server, a training run, a batch worker, and the clients of them, in
//! `examples/ml-platform`. It really uses CPU and memory, and just as much as it is asked to, so that what autoscalers do
//! with it can be foreseen.

mod batch;
mod http_client;
mod load;
mod metrics;
mod serve;
mod train;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The version that `--version` tells, in the form of podfit's own programs.
fn version() -> String {
    let revision = option_env!("PODFIT_REVISION").filter(|known| !known.is_empty());
    let number = env!("CARGO_PKG_VERSION");
    format!("{number}+{}", revision.unwrap_or("unknown"))
}

/// A sample workload: uses as much CPU and memory as it is asked to.
#[derive(Debug, Parser)]
#[command(name = "ml-workload", version = version())]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Answer inference requests over HTTP, and keep a queue for batch workers
    Serve(serve::Options),
    /// Use CPU and memory as a training run does, for some minutes, and end
    Train(train::Options),
    /// Take items from a queue and work on them
    Batch(batch::Options),
    /// Send requests at a steady rate, and tell how fast they were answered
    Load(load::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().mode {
        Mode::Serve(options) => serve::run(options).await,
        Mode::Train(options) => until_stopped(train::run(options)).await,
        Mode::Batch(options) => until_stopped(batch::run(options)).await,
        Mode::Load(options) => load::run(options, stopped()).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ml-workload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Until the kubelet, or a person, asks the program to end.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// What is cut off has failed: a Job must not count as done.
async fn until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        done = work => done,
        () = stopped() => anyhow::bail!("was told to end before the work was done"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
