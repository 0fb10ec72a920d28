//! The model server: each inference uses CPU and memory as its request, or the command line, says. It also keeps the queue
//! that batch workers drain, as a number.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use anyhow::{Context, Result};
use prometheus::IntGauge;
use serde::Deserialize;

use crate::metrics::Metrics;
use crate::work::{Memory, burn, burn_steadily};

/// Threads that take requests in. The work itself is done by others.
const TAKERS: usize = 2;

/// What the server uses when nobody asks it anything, and what an inference uses that does not say.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address and port to listen on
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Memory of the model itself, in MiB: held from the start
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    base_mib: usize,
    /// Cores that are used without any request
    #[arg(long, value_name = "CORES", default_value_t = 0.0)]
    base_cores: f64,
    /// CPU time of an inference, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    cpu_ms: u64,
    /// Memory that an inference holds, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1)]
    mib: usize,
    /// How long an inference lasts at least, in milliseconds: waiting, as for a GPU
    #[arg(long, value_name = "MS", default_value_t = 0)]
    hold_ms: u64,
}

/// An inference: what is missing is the command line's.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inference {
    cpu_ms: Option<u64>,
    mib: Option<usize>,
    hold_ms: Option<u64>,
}

/// How many items wait.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    length: u32,
}

#[derive(Debug)]
struct Server {
    options: Options,
    metrics: Metrics,
    /// Two workers may ask for the last item at once.
    taking: Mutex<()>,
}

impl Server {
    fn new(options: Options) -> prometheus::Result<Self> {
        Ok(Self {
            options,
            metrics: Metrics::new()?,
            taking: Mutex::default(),
        })
    }
}

/// Serves until it is told to end, and then ends what it had begun.
pub async fn run(options: Options) -> Result<()> {
    let base = Memory::of(options.base_mib);
    burn_steadily(options.base_cores);
    let listen = options.listen;
    let server = Data::new(Server::new(options)?);
    let connections = server.metrics.connections.clone();
    let http = HttpServer::new(move || App::new().configure(|config| routes(config, &server)))
        .on_connect(move |_, connection| {
            connection.insert(Open::new(&connections));
        })
        .workers(TAKERS)
        .shutdown_timeout(10)
        .bind(listen)
        .with_context(|| format!("cannot listen on {listen}"))?;
    for address in http.addrs() {
        println!("serving on {address}; the model has {} MiB", base.mib());
    }
    http.run().await.context("the server ended")
}

fn routes(config: &mut ServiceConfig, server: &Data<Server>) {
    config
        .app_data(Data::clone(server))
        .route("/healthz", web::get().to(async || "ok\n"))
        .route("/metrics", web::get().to(metrics))
        .route("/infer", web::get().to(infer))
        .route("/infer", web::post().to(infer))
        .route("/queue", web::get().to(queue))
        .route("/queue", web::put().to(set_queue))
        .route("/queue", web::post().to(set_queue))
        .route("/queue/take", web::post().to(take));
}

/// Counts a connection from here to its drop.
struct Open(IntGauge);

impl Open {
    fn new(connections: &IntGauge) -> Self {
        connections.inc();
        Self(connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn metrics(server: Data<Server>) -> impl Responder {
    match server.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn infer(server: Data<Server>, inference: Query<Inference>) -> impl Responder {
    let begun = Instant::now();
    let options = &server.options;
    let cpu = Duration::from_millis(inference.cpu_ms.unwrap_or(options.cpu_ms));
    let least = Duration::from_millis(inference.hold_ms.unwrap_or(options.hold_ms));
    let mib = inference.mib.unwrap_or(options.mib);
    let work = web::block(move || {
        let memory = Memory::of(mib);
        burn(cpu);
        memory
    });
    let held = work.await;
    tokio::time::sleep(least.saturating_sub(begun.elapsed())).await;
    let took = begun.elapsed();
    let answer = match held {
        Ok(memory) => HttpResponse::Ok().body(format!(
            "used {} ms of CPU and {} MiB in {} ms\n",
            cpu.as_millis(),
            memory.mib(),
            took.as_millis()
        )),
        Err(error) => HttpResponse::ServiceUnavailable().body(format!("{error}\n")),
    };
    let code = answer.status();
    server.metrics.latency.observe(took.as_secs_f64());
    let requests = server.metrics.requests.with_label_values(&[code.as_str()]);
    requests.inc();
    answer
}

async fn queue(server: Data<Server>) -> impl Responder {
    format!("{}\n", server.metrics.queue.get())
}

async fn set_queue(server: Data<Server>, queue: Query<Queue>) -> impl Responder {
    server.metrics.queue.set(queue.length.into());
    format!("{}\n", queue.length)
}

/// Takes one item: 200, or 204 when there is none.
async fn take(server: Data<Server>) -> impl Responder {
    let queue = &server.metrics.queue;
    let _turn = server.taking.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.get() == 0 {
        return HttpResponse::NoContent().finish();
    }
    queue.dec();
    HttpResponse::Ok().finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    /// Each answer's status and text.
    async fn answers(requests: &[(&str, &str)]) -> Vec<(u16, String)> {
        let Arguments { options } = Arguments::parse_from(["serve", "--cpu-ms", "1"]);
        let Ok(server) = Server::new(options) else {
            return Vec::new();
        };
        let server = Data::new(server);
        let app = init_service(App::new().configure(|config| routes(config, &server))).await;
        let mut answers = Vec::new();
        for (method, uri) in requests {
            let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
            let request = TestRequest::with_uri(uri).method(method).to_request();
            let answer = call_service(&app, request).await;
            let status: StatusCode = answer.status();
            let text = String::from_utf8_lossy(&read_body(answer).await).into_owned();
            answers.push((status.as_u16(), text));
        }
        answers
    }

    #[actix_web::test]
    async fn inferences_are_done_and_counted() {
        let got = answers(&[
            ("GET", "/healthz"),
            ("GET", "/infer"),
            ("POST", "/infer?cpu_ms=2&mib=3&hold_ms=30"),
            ("GET", "/infer?cpu=2"),
            ("GET", "/metrics"),
        ])
        .await;
        let statuses: Vec<_> = got.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [200, 200, 200, 400, 200]);
        assert!(got[2].1.starts_with("used 2 ms of CPU and 3 MiB in "));
        for line in [
            "http_requests_total{code=\"200\"} 2",
            "inference_latency_seconds_count 2",
        ] {
            let metrics = &got[4].1;
            assert!(metrics.lines().any(|l| l == line), "no {line}: {metrics}");
        }
        // The second was asked to last 30 ms.
        assert!(!got[4].1.contains("_bucket{le=\"0.025\"} 2"));
    }

    #[actix_web::test]
    async fn the_queue_is_never_less_than_empty() {
        let got = answers(&[
            ("POST", "/queue/take"),
            ("POST", "/queue?length=1"),
            ("POST", "/queue/take"),
            ("POST", "/queue/take"),
            ("GET", "/queue"),
            ("PUT", "/queue?length=-1"),
        ])
        .await;
        let statuses: Vec<_> = got.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [204, 200, 200, 204, 200, 400]);
        assert_eq!(got[4].1, "0\n");
    }
}
