//! Peers that waste the server's time, by accident or on purpose: the next good request is answered all the same.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use actix_web::web;
use common::{Caller, NAME, REVIEW, authority, material, start, triple};
use podfit_webhook::certificates::live::Live;
use podfit_webhook::probe::Probe;
use rustls::ClientConfig;

const HEAD: &[u8] =
    b"POST / HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n";

/// Has `peers` waste the server's time, and holds what it returns while a good request is made.
async fn still_answered<T: Send + 'static>(
    peers: impl FnOnce(SocketAddr, Arc<ClientConfig>) -> T + Send + 'static,
) {
    let live = Arc::new(Live::default());
    let running = start(&live);
    let good = material(triple(&authority()));
    live.replace(Arc::clone(&good));
    let (address, config) = (running.address, common::client(&good.source.ca_bundle));
    let held = web::block(move || peers(address, config)).await.unwrap();
    Probe::new(address, NAME).check(&good).await.unwrap();
    drop(held);
    running.handle.stop(false).await;
}

#[actix_web::test]
async fn handshakes_that_never_begin_or_never_end() {
    still_answered(|address, _| {
        (0..1000)
            .map(|n| {
                let mut stream = TcpStream::connect(address).unwrap();
                if n % 2 == 0 {
                    // The head of a TLS record that announces 512 bytes, and two of them.
                    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
                }
                stream
            })
            .collect::<Vec<_>>()
    })
    .await;
}

#[actix_web::test]
async fn five_thousand_idle_connections() {
    still_answered(|address, config| {
        // Idle after a request: one that never made any is closed within seconds.
        let open = move || {
            let idle = || {
                let mut caller = Caller::open(address, &config);
                assert!(caller.post(REVIEW).starts_with("HTTP/1.1 200"));
                caller
            };
            (0..2500).map(|_| idle()).collect::<Vec<_>>()
        };
        // Two threads, so that both processors are busy.
        let halves = [std::thread::spawn(open.clone()), std::thread::spawn(open)];
        halves.map(|half| half.join().unwrap())
    })
    .await;
}

#[actix_web::test]
async fn slow_heads_and_slow_bodies() {
    still_answered(|address, config| {
        let begin = |bytes: &[u8]| {
            let mut caller = Caller::open(address, &config);
            caller.0.write_all(bytes).unwrap();
            caller.0.flush().unwrap();
            caller
        };
        let heads: Vec<_> = (0..50).map(|_| begin(b"POST / HT")).collect();
        let bodies: Vec<_> = (0..50).map(|_| begin(&[HEAD, b"{"].concat())).collect();
        (heads, bodies)
    })
    .await;
}

#[actix_web::test]
async fn bodies_that_are_too_large_and_bytes_that_are_no_http() {
    still_answered(|address, config| {
        let mut large = Caller::open(address, &config);
        let answer = large.post(&"x".repeat((5 << 20) + 1));
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        for noise in [
            b"\x00\xff".as_slice(),
            b"GET\r\n\r\n",
            b"POST / HTTP/9.9\r\n\r\n",
        ] {
            let mut caller = Caller::open(address, &config);
            caller.0.write_all(noise).unwrap();
            let mut answer = Vec::new();
            let _ = caller.0.read_to_end(&mut answer); // closed in one way or another
            assert!(answer.starts_with(b"HTTP/1.1 4"), "{noise:?}: {answer:?}");
        }
    })
    .await;
}
