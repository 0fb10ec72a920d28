//! What every binary does first and last: logs, the TLS provider, signals.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::options::{LogFormat, LogOptions};
use crate::version::Version;

/// Why a process cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// A library installed a TLS provider of its own.
    #[error("another TLS provider is installed already")]
    TlsProvider,
    /// The operating system refused.
    #[error("cannot listen for signals")]
    Signals(#[from] std::io::Error),
}

/// Begins a process called `name`: logs, the TLS provider, signals.
pub fn begin(name: &str, version: Version, logs: &LogOptions) -> Result<Shutdown, BeginError> {
    start_logging(logs);
    if !install_tls_provider() {
        return Err(BeginError::TlsProvider);
    }
    let shutdown = shutdown_signal()?;
    tracing::info!(%version, "{name} starts");
    Ok(shutdown)
}

/// Ends a process: an error becomes one line on standard error, with its causes.
pub fn end(name: &str, result: Result<(), impl std::fmt::Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts logging to standard error.
fn start_logging(options: &LogOptions) {
    let level = match options.verbosity {
        0 | 1 => Level::WARN,
        2..=4 => Level::INFO,
        5 | 6 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // The client's and the HTTP stack's own words below a warning help nobody who runs podfit; these two log every broken
    // connection as an error, without saying what it is about.
    let default = Targets::new()
        .with_default(Level::WARN)
        .with_targets([
            ("actix_http", LevelFilter::OFF),
            ("kube_client", LevelFilter::OFF),
        ])
        .with_target("podfit", level);
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.filter(|text| !text.is_empty());
    let wanted = wanted.map(|text| text.parse());
    let (filter, error) = match wanted {
        None => (default, None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default, Some(error)),
    };
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let all = tracing_subscriber::registry().with(filter);
    match options.log_format {
        LogFormat::Text => all.with(logs.with_ansi(false)).init(),
        LogFormat::Json => all.with(logs.json().flatten_event(true)).init(),
    }
    if let Some(error) = error {
        let error: ParseError = error;
        tracing::warn!(%error, "RUST_LOG is not understood, and not used; write it like info,podfit_updater=debug");
    }
}

/// Makes ring the process' only TLS provider. False when another one was installed before.
fn install_tls_provider() -> bool {
    rustls::crypto::ring::default_provider()
        .install_default()
        .is_ok()
}

/// Turns true when the process is asked to stop.
pub type Shutdown = watch::Receiver<bool>;

/// Listens for SIGTERM and SIGINT.
fn shutdown_signal() -> std::io::Result<Shutdown> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        let _ = sender.send(true); // nobody left to tell is fine
        sender.closed().await;
    });
    Ok(receiver)
}

/// Resolves when the process is asked to stop.
pub async fn stopped(shutdown: &Shutdown) {
    // An error means the sender is gone: the runtime is going down.
    let _ = shutdown.clone().wait_for(|stop| *stop).await;
}
