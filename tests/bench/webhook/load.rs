//! A client that keeps connections busy: each sends the next review as soon as the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// Where reviews are sent.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    tls: TlsConnector,
}

/// What the client saw, and what it cost the server, in one or more rounds.
#[derive(Clone, Debug, Default)]
pub struct Load {
    seconds: f64,
    /// The server's.
    cpu_seconds: f64,
    /// Of all answers, sorted, in microseconds.
    latencies: Vec<u32>,
}

impl Load {
    /// Adds another round.
    pub fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.cpu_seconds += other.cpu_seconds;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    /// Answers for each second of the server's CPU.
    pub fn per_cpu_second(&self) -> f64 {
        self.latencies.len() as f64 / self.cpu_seconds
    }

    /// Milliseconds that a fraction of the answers did not exceed.
    pub fn percentile(&self, fraction: f64) -> f64 {
        let index = (self.latencies.len() as f64 * fraction).ceil() as usize;
        let latency = self.latencies.get(index.saturating_sub(1)).copied();
        f64::from(latency.unwrap_or_default()) / 1e3
    }
}

impl Target {
    /// A server whose certificate `authority` (PEM) issued for its address.
    pub fn new(address: SocketAddr, authority: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(
            authority,
        )?)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends one review; the answer's text.
    pub async fn ask(&self, review: &Bytes) -> Result<Bytes> {
        ask(&mut self.connect().await?, review).await
    }

    /// Keeps `connections` busy with `reviews` for one round. `cpu_seconds` is what the server has used so far.
    pub async fn load(
        &self,
        connections: usize,
        reviews: &Arc<Vec<Bytes>>,
        cpu_seconds: impl Fn() -> Result<f64>,
    ) -> Result<Load> {
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now() + WARM_UP;
        let end = begin + MEASURED;
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let connection = self.connect().await?;
            tasks.push(tokio::spawn(busy(
                connection,
                Arc::clone(reviews),
                Arc::clone(&next),
                (begin, end),
            )));
        }
        tokio::time::sleep_until(begin.into()).await;
        let before = cpu_seconds()?;
        tokio::time::sleep_until(end.into()).await;
        let after = cpu_seconds()?;
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        latencies.sort_unstable();
        Ok(Load {
            seconds: MEASURED.as_secs_f64(),
            cpu_seconds: after - before,
            latencies,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = self.tls.connect(name, stream).await.context("TLS")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn busy(
    mut connection: SendRequest<Full<Bytes>>,
    reviews: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    (begin, end): (Instant, Instant),
) -> Result<Vec<u32>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    loop {
        let review = &reviews[next.fetch_add(1, Ordering::Relaxed) % reviews.len()];
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies);
        }
        ask(&mut connection, review).await?;
        if sent >= begin {
            latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
}

/// Every answer must hold a patch: a quick "no" would be no achievement.
async fn ask(connection: &mut SendRequest<Full<Bytes>>, review: &Bytes) -> Result<Bytes> {
    connection.ready().await?;
    let request = Request::post("/")
        .header(HOST, "bench")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(review.clone()))?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let patched = body.windows(9).any(|text| text == b"JSONPatch");
    ensure!(
        status == 200 && patched,
        "{status}, without a patch: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}
