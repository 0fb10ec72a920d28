//! What every binary does first and last: logs, the TLS provider, signals.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

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
        0 | 1 => "warn",
        2..=4 => "info",
        5 | 6 => "debug",
        _ => "trace",
    };
    // The client's and the HTTP stack's own words below a warning help nobody who runs podfit; these two log every broken
    // connection as an error, without saying what it is about.
    let default = format!(
        "warn,actix_http=off,kube_client=off,podfit={level},podfit_core={level},podfit_cluster={level},podfit_recommender={level},podfit_updater={level},podfit_webhook={level}"
    );
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match options.log_format {
        LogFormat::Text => logs.with_ansi(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
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
