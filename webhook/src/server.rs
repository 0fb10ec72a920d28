//! The HTTPS server: rustls with the live certificate, HTTP/1.1, and a time limit on everything a caller can draw out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::admission::Webhook;
use crate::certificates::live::Live;
use crate::options::ServerOptions;
use crate::routes;

/// Longer than the API server keeps idle connections (90 s): it is the one to close them, so a request never meets a
/// connection that we are closing.
const KEEP_ALIVE: Duration = Duration::from_secs(150);

/// For a handshake, for the headers of a request, and for a caller to take note that we close.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long open requests may take once the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The TLS provider lacks something.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The port is taken, or may not be listened on.
    #[error("cannot listen on --bind-address and --port {socket}: {source}")]
    Listen {
        /// The address.
        socket: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A server that listens.
pub struct Listening {
    /// Where; the port is a real one even when zero was asked for.
    pub socket: SocketAddr,
    handle: ServerHandle,
}

impl Listening {
    /// Stops: no new connections, open requests are answered.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

/// Starts answering with the certificate in `live`, which may come later.
pub fn start(
    options: &ServerOptions,
    webhook: web::Data<Webhook>,
    live: Arc<Live>,
) -> Result<Listening, ServerError> {
    let socket = options.socket();
    let tls = tls(options, live)?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(webhook.clone())
            .configure(routes::routes)
    })
    .workers(options.workers())
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(PATIENCE)
    .client_disconnect_timeout(PATIENCE)
    .tls_handshake_timeout(PATIENCE)
    .shutdown_timeout(LAST_REQUESTS.as_secs())
    .disable_signals()
    .bind_rustls_0_23(socket, tls)
    .map_err(|source| ServerError::Listen { socket, source })?;
    let socket = server.addrs().first().copied().unwrap_or(socket);
    let server: Server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTPS server ended");
        }
    });
    tracing::info!(address = %socket, "taking admission requests");
    Ok(Listening { socket, handle })
}

fn tls(options: &ServerOptions, live: Arc<Live>) -> Result<ServerConfig, rustls::Error> {
    let mut provider = ring::default_provider();
    restrict(&mut provider.cipher_suites, &options.tls_ciphers);
    let versions: &[_] = if options.min_tls_version == "tls1_3" {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(live))
}

/// Leaves of the suites for TLS 1.2 those that are named. Those of TLS 1.3 cannot be chosen, as in Go.
fn restrict(suites: &mut Vec<SupportedCipherSuite>, names: &str) {
    let names: Vec<_> = names
        .split([',', ':'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        return;
    }
    let is_12 = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls12(_));
    // Go leaves the hash out of the names of two suites.
    let named = |suite: &SupportedCipherSuite, name: &str| {
        let own = suite.suite().as_str().unwrap_or_default();
        own == name || own.strip_suffix("_SHA256") == Some(name)
    };
    let known = suites.clone();
    for name in names
        .iter()
        .filter(|name| !known.iter().any(|s| named(s, name)))
    {
        tracing::warn!(
            name,
            "--tls-ciphers names a suite that is not supported; left out"
        );
    }
    suites.retain(|suite| !is_12(suite) || names.iter().any(|name| named(suite, name)));
    if !suites.iter().any(is_12) {
        tracing::warn!("--tls-ciphers names no usable suite: TLS 1.2 callers cannot connect");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_cipher_suites_stay() {
        let all = ring::default_provider().cipher_suites;
        let tls13 = all
            .iter()
            .filter(|s| matches!(s, SupportedCipherSuite::Tls13(_)))
            .count();
        let cases = [
            ("", all.len()),
            ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", tls13 + 1),
            (
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,NONE",
                tls13 + 2,
            ),
            ("TLS_RSA_WITH_RC4_128_SHA", tls13),
        ];
        for (names, left) in cases {
            let mut suites = all.clone();
            restrict(&mut suites, names);
            assert_eq!(suites.len(), left, "{names}");
        }
    }
}
