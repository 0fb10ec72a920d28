//! kubectl-podfit: what podfit does, and why, on a terminal. kubectl finds it as `kubectl podfit`.

mod connection;
mod doctor;
mod flags;
mod installation;
mod objects;
mod options;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::options::{Command, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Command::Doctor(doctor) => doctor::run(&options.connection, doctor).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
