//! The plain-HTTP side of every binary: `/metrics`, `/healthz`, `/readyz` and upstream's `/health-check`.

pub mod explain;
pub mod page;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{Registry, TextEncoder};

/// Whether the process is alive and ready. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    started: Instant,
    ready: AtomicBool,
    /// Milliseconds from `started` to the end of the last loop; zero before monitoring began.
    last_activity: AtomicU64,
    longest_silence: Duration,
    /// What is to be known of a process that is ready all the same, or what one that is not waits for.
    note: Mutex<Option<String>>,
}

/// What a process waits for that says nothing else.
const FIRST_LISTS: &str = "the first lists of watched objects are not complete";

impl Health {
    /// Not ready yet. Once [`Health::active`] was called, silence for longer than `longest_silence` means dead.
    pub fn new(longest_silence: Duration) -> Self {
        Self(Arc::new(State {
            started: Instant::now(),
            ready: AtomicBool::new(false),
            last_activity: AtomicU64::new(0),
            longest_silence,
            note: Mutex::default(),
        }))
    }

    /// Says whether traffic, or leadership, may come.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    /// True when traffic may come.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// What those are told who ask whether it is ready: beside "OK", or why it is not.
    pub fn set_note(&self, note: Option<String>) {
        *self.0.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    fn ready_text(&self) -> String {
        let note = self.0.note.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.is_ready(), note.as_deref()) {
            (true, None) => "OK".into(),
            (true, Some(note)) => format!("OK, but {note}"),
            (false, note) => format!("not ready: {}", note.unwrap_or(FIRST_LISTS)),
        }
    }

    /// A loop came to its end; from the first call on, monitoring is on.
    pub fn active(&self) {
        let elapsed = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0
            .last_activity
            .store(elapsed.max(1), Ordering::Relaxed);
    }

    /// Why the process counts as dead, or `None` while it lives.
    pub fn failure(&self) -> Option<String> {
        let last = self.0.last_activity.load(Ordering::Relaxed);
        if last == 0 {
            return None; // a standby, or not started yet
        }
        let silence = self
            .0
            .started
            .elapsed()
            .saturating_sub(Duration::from_millis(last));
        (silence > self.0.longest_silence)
            .then(|| format!("Error: last activity more than {silence:.0?} ago"))
    }
}

/// Turns an `--address` value into a socket address: `:8942` means every address of the machine.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    full.parse()
        .map_err(|_| format!("`{text}` is not an address; write it like :8942 or 127.0.0.1:8942"))
}

/// Serves until the process ends. Returns once it listens.
pub fn serve(address: SocketAddr, registry: Registry, health: Health) -> std::io::Result<()> {
    serve_with(address, (registry, health), |_| {})
}

/// The same with more routes.
pub fn serve_with(
    address: SocketAddr,
    state: (Registry, Health),
    more: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<()> {
    let state = web::Data::new(state);
    let app = move || {
        App::new()
            .app_data(state.clone())
            .configure(routes)
            .configure(more.clone())
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind(address)
        .map_err(|e| {
            std::io::Error::new(
                e.kind(),
                format!("cannot listen on --address {address}: {e}"),
            )
        })?
        .run();
    tokio::spawn(server);
    tracing::info!(%address, "serving /metrics, /healthz, /readyz and /health-check");
    Ok(())
}

/// The routes, as a value for tests.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/metrics", web::get().to(metrics))
        .route("/healthz", web::get().to(healthz))
        .route("/health-check", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz));
}

type Shared = web::Data<(Registry, Health)>;

async fn metrics(state: Shared) -> HttpResponse {
    match TextEncoder::new().encode_to_string(&state.0.gather()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn healthz(state: Shared) -> HttpResponse {
    match state.1.failure() {
        None => HttpResponse::Ok().body("OK"),
        Some(why) => HttpResponse::InternalServerError().body(why),
    }
}

async fn readyz(state: Shared) -> HttpResponse {
    let health = &state.1;
    let mut answer = if health.is_ready() {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.body(health.ready_text())
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    #[test]
    fn addresses_are_written_as_upstream_takes_them() {
        assert_eq!(parse_address(":8942").unwrap().to_string(), "0.0.0.0:8942");
        assert_eq!(
            parse_address("127.0.0.1:1").unwrap().to_string(),
            "127.0.0.1:1"
        );
        assert!(parse_address("8942").unwrap_err().contains("write it like"));
    }

    #[actix_web::test]
    async fn health_follows_activity_and_readiness() {
        let health = Health::new(Duration::ZERO);
        let registry = Registry::new();
        crate::metrics::register(
            &registry,
            prometheus::IntCounter::new("x_total", "A test.").unwrap(),
        )
        .unwrap();
        let data = web::Data::new((registry, health.clone()));
        let app = init_service(App::new().app_data(data).configure(routes)).await;
        let get = async |path: &str| {
            call_service(&app, TestRequest::get().uri(path).to_request())
                .await
                .status()
        };
        assert_eq!(
            (get("/healthz").await, get("/readyz").await),
            (200.try_into().unwrap(), 503.try_into().unwrap())
        );
        assert_eq!(health.ready_text(), format!("not ready: {FIRST_LISTS}"));
        health.set_note(Some("rights are missing".into()));
        assert_eq!(health.ready_text(), "not ready: rights are missing");
        health.set_note(None);
        health.set_ready(true);
        health.active();
        while health.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(get("/health-check").await, 500);
        assert_eq!(get("/readyz").await, 200);
        assert_eq!(health.ready_text(), "OK");
        health.set_note(Some("doing nothing".into()));
        assert_eq!(get("/readyz").await, 200);
        assert_eq!(health.ready_text(), "OK, but doing nothing");
        assert_eq!(get("/metrics").await, 200);
    }
}
