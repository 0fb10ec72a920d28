//! kubectl-podfit: what podfit does, and why, on a terminal. kubectl finds it as `kubectl podfit`.

mod connection;
mod diff;
mod doctor;
mod evidence;
mod explain;
#[cfg(test)]
mod fixtures;
mod flags;
mod foresight;
mod installation;
mod objects;
mod options;
mod plan;
mod progress;
#[cfg(test)]
mod reference;
mod replay;
mod table;
mod target;
mod workloads;

use std::process::ExitCode;

use clap::Parser;

use crate::options::{Command, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Command::Doctor(doctor) => Box::pin(doctor::run(&options.connection, doctor)).await,
        Command::Explain(explain) => Box::pin(explain::run(&options.connection, explain)).await,
        Command::Plan(plan) => Box::pin(plan::run(&options.connection, plan)).await,
        Command::Replay(replay) => {
            let namespace = options.connection.namespace.as_deref();
            Box::pin(replay::run(replay, namespace)).await
        }
        Command::Diff(diff) => Box::pin(diff::run(&options.connection, diff)).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        match options.command {
            Command::Diff(_) => diff::TROUBLE.into(),
            _ => ExitCode::FAILURE,
        }
    })
}
