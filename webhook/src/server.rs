//! The HTTPS server: HTTP/1.1 over rustls, with a limit on everything a peer could drag out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;

use crate::admission::Webhook;
use crate::routes::routes;

/// Longer than the API server keeps an idle connection (90 s), so that it closes first and never writes into a
/// connection that is going away.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a request may take from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer may take to close.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once in one worker. Those that never end hold a place until their time-out, so there must be more
/// places than a flood of them fills.
const HANDSHAKES: usize = 4096;

/// Requests take microseconds: more threads than this only fight for cores.
const MOST_WORKERS: usize = 8;

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
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_WORKERS);
    let server = HttpServer::new(move || App::new().app_data(webhook.clone()).configure(routes))
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connection_rate(HANDSHAKES)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .listen_rustls_0_23(listener, tls)?;
    Ok(server.run())
}
