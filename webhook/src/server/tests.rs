//! HTTP on a connection in memory, on a clock that jumps ahead whenever nothing else is to be done.

use actix_service::Service;
use actix_web::rt::{System, spawn};
use podfit_cluster::index::SharedIndex;
use podfit_core::feature_gates::FeatureGates;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;
use crate::metrics::Metrics;

const REQUEST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"request\": {\"uid\": \"u\"}}";

/// Serves `peer`.
fn serve<F: Future<Output = ()> + 'static>(peer: impl FnOnce(DuplexStream) -> F + 'static) {
    let clock = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap()
    };
    System::with_tokio_rt(clock).block_on(async {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let index = SharedIndex::default();
        let webhook = Webhook::new(index, metrics, FeatureGates::default());
        let stopping = Server::build().graceful_shutdown_signal();
        let (near, far) = duplex(64 << 10);
        let http = http(web::Data::new(webhook), stopping);
        let http = http.new_service(()).await.unwrap();
        let serving = spawn(http.call((Guarded::new(near, REQUEST_TIMEOUT), None)));
        peer(far).await;
        serving.abort();
    });
}

async fn answered(peer: &mut DuplexStream) {
    peer.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let length = peer.read(&mut answer).await.unwrap();
    assert!(
        answer[..length].starts_with(b"HTTP/1.1 200"),
        "{:?}",
        &answer[..length]
    );
}

/// The API server keeps idle connections for 90 s, and must find them open.
#[test]
fn an_idle_connection_is_kept_for_longer_than_api_servers_do() {
    serve(async |mut peer| {
        for _ in 0..3 {
            answered(&mut peer).await;
            sleep(Duration::from_secs(91)).await;
        }
        answered(&mut peer).await;
        let started = Instant::now();
        assert_eq!(peer.read(&mut [0; 9]).await.unwrap(), 0, "closed at last");
        assert!(started.elapsed() >= KEEP_ALIVE);
    });
}

/// actix limits the head of the first request only.
#[test]
fn half_a_request_is_not_waited_for_whatever_number_it_has() {
    for whole in 0..3 {
        for half in ["POST / HT", REQUEST.split_at(REQUEST.len() - 3).0] {
            serve(async move |mut peer| {
                for _ in 0..whole {
                    answered(&mut peer).await;
                }
                peer.write_all(half.as_bytes()).await.unwrap();
                let started = Instant::now();
                let mut rest = Vec::new();
                let _ = peer.read_to_end(&mut rest).await; // closed in one way or another
                let took = started.elapsed();
                let limit = REQUEST_TIMEOUT + DISCONNECT_TIMEOUT;
                assert!(took <= limit, "request {whole}: {took:?}");
            });
        }
    }
}
