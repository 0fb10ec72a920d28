//! The HTTPS server: HTTP/1.1 over rustls, with a limit on everything a peer could drag out.
//!
//! It is put together from actix-web's own layers rather than by its `HttpServer`, so that [`Guarded`] stands between TLS
//! and HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::HttpService;
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{ServiceFactory, ServiceFactoryExt, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_tls::accept::{TlsError, max_concurrent_tls_connect};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::admission::Webhook;
use crate::guard::Guarded;
use crate::routes::routes;

/// Longer than the API server keeps an idle connection (90 s), so that it closes first and never writes into a
/// connection that is going away.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a connection's first request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long any request may take from its first byte to its last, and a peer to take the answer. An API server gives up
/// after at most 30 s, and after 2 by default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a peer may take to close.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once in one worker. Those that never end hold a place until their time-out, so there must be more
/// places than a flood of them fills.
const HANDSHAKES: usize = 4096;

/// Connections at once, of all workers together; more wait unanswered. An idle one holds 26 KiB, so these fit into half of
/// the chart's memory limit. An API server opens a few dozen.
const CONNECTIONS: usize = 8192;

/// One answers some 20,000 requests a second, more than an API server sends.
const MOST_WORKERS: usize = 4;

/// Seconds that requests under way get to end at a stop.
const STOP_SECONDS: u64 = 5;

/// Takes the port. Without an address it listens on all, of both IP versions where the machine has both.
pub fn listen(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    let listener = match address {
        Some(address) => TcpListener::bind(SocketAddr::new(address, port)),
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))),
    };
    listener.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on port {port}: {error}"),
        )
    })
}

/// A server on `listener`, which runs once it is awaited or spawned.
pub fn serve(
    listener: TcpListener,
    tls: ServerConfig,
    webhook: web::Data<Webhook>,
) -> io::Result<Server> {
    // Where all cores are busy, one that waits for its turn makes those wait whose requests it has: docs/decisions/0078.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores / 2).clamp(1, MOST_WORKERS);
    max_concurrent_tls_connect(HANDSHAKES);
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let mut acceptor = Acceptor::new(tls);
    acceptor.set_handshake_timeout(HANDSHAKE_TIMEOUT);
    let server = builder
        .workers(workers)
        .max_concurrent_connections(CONNECTIONS / workers)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .listen("webhook", listener, move || {
            let http = http(webhook.clone(), stopping.clone());
            acceptor
                .clone()
                .map_err(TlsError::into_service_error)
                .and_then(guard)
                .and_then(http)
        })?;
    Ok(server.run())
}

async fn guard(stream: TlsStream<TcpStream>) -> Result<Connection, Broken> {
    let socket = stream.get_ref().0;
    // Answers are one small write each, which must not wait for the peer's acknowledgement of the one before.
    socket.set_nodelay(true).map_err(TlsError::Tls)?;
    let peer = socket.peer_addr().ok();
    Ok((Guarded::new(stream, REQUEST_TIMEOUT), peer))
}

type Connection<S = TlsStream<TcpStream>> = (Guarded<S>, Option<SocketAddr>);
type Broken = TlsError<io::Error, actix_http::error::DispatchError>;

/// HTTP on one connection.
fn http<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    webhook: web::Data<Webhook>,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<Connection<S>, Config = (), Response = (), Error = Broken, InitError = ()>
{
    let app = App::new().app_data(webhook).configure(routes);
    let app = map_config(app, |()| AppConfig::default());
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let signal = stopping.clone();
            async move { signal.notified().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1(app.map_err(|error: actix_web::Error| error.error_response()))
        .map_err(TlsError::Service)
}

#[cfg(test)]
mod tests;
