//! A proxy before the API server that makes trouble on request.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use http::{Method, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::process::Program;

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, AnyError>>;

/// What happens to a request instead of the right thing.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered with this status, media type and body, and never reaches the API server.
    Answered(u16, &'static str, String),
    /// The true answer breaks off after so many bytes.
    BrokenOff(usize),
}

impl Fault {
    /// The API server's own way to refuse.
    pub fn status(code: u16, reason: &str) -> Self {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": format!("{reason}, says the test's proxy"),
        });
        Self::Answered(code, "application/json", status.to_string())
    }

    /// An answer 200 to a watch whose only event says that its resourceVersion is too old.
    pub fn gone_in_watch() -> Self {
        let event = json!({"type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired",
            "message": "too old resource version, says the test's proxy",
        }});
        Self::Answered(200, "application/json", event.to_string() + "\n")
    }

    /// What a captive portal says.
    pub fn html() -> Self {
        let page = "<html><body>Please log in</body></html>";
        Self::Answered(200, "text/html", page.into())
    }
}

type Rule = Box<dyn Fn(&Method, &Uri) -> Option<Fault> + Send + Sync>;

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    client: Client,
    rule: RwLock<Rule>,
    faults: AtomicU64,
}

impl Proxy {
    /// Listens on `address` and passes everything on, with the rights of `kubeconfig`.
    pub async fn start(address: String, kubeconfig: PathBuf) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let shared = Arc::new(Shared {
            client: Client::try_from(config)?,
            rule: RwLock::new(Box::new(|_, _| None)),
            faults: AtomicU64::new(0),
        });
        let listener = TcpListener::bind(&address)
            .await
            .with_context(|| format!("the proxy cannot listen on {address}"))?;
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Puts one that listens on `address` between the API server and a program that was not started yet. Its kubeconfig is
    /// written into `folder`.
    pub async fn before(program: &mut Program, address: String, folder: &Path) -> Result<Self> {
        let direct = program
            .arguments
            .iter()
            .find_map(|a| a.strip_prefix("--kubeconfig="))
            .context("it has no kubeconfig")?;
        let proxy = Self::start(address, direct.into()).await?;
        let file = folder.join(format!("{}-proxy.kubeconfig", program.name));
        let kubeconfig = proxy.kubeconfig(file)?;
        program
            .arguments
            .push(format!("--kubeconfig={}", kubeconfig.display()));
        Ok(proxy)
    }

    /// A kubeconfig that leads here, written beside `file`.
    pub fn kubeconfig(&self, file: PathBuf) -> Result<PathBuf> {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(&file, text.to_string())?;
        Ok(file)
    }

    /// From now on `rule` says of each request what goes wrong with it.
    pub fn fails(&self, rule: impl Fn(&Method, &Uri) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.faults.store(0, Ordering::Relaxed);
        let mut present = self
            .shared
            .rule
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *present = Box::new(rule);
    }

    /// How often something went wrong since [`Proxy::fails`].
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // A client that goes away is no error of ours.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let fault = {
        let rule = shared.rule.read().unwrap_or_else(PoisonError::into_inner);
        rule(request.method(), request.uri())
    };
    if fault.is_some() {
        shared.faults.fetch_add(1, Ordering::Relaxed);
    }
    let cut = match fault {
        Some(Fault::Answered(status, kind, body)) => return plain(status, kind, body),
        Some(Fault::BrokenOff(after)) => Some(after),
        None => None,
    };
    match forward(shared, request).await {
        Ok(mut answer) => {
            if cut.is_some() {
                answer.headers_mut().remove(http::header::CONTENT_LENGTH);
            }
            answer.map(|body| match cut {
                Some(after) => Limited::new(body, after).boxed_unsync(),
                None => body.map_err(Into::into).boxed_unsync(),
            })
        }
        Err(error) => plain(502, "text/plain", format!("{error:#}")),
    }
}

async fn forward(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let mut passed = Request::builder().method(parts.method).uri(path);
    for name in [http::header::CONTENT_TYPE, http::header::ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            passed = passed.header(name, value);
        }
    }
    Ok(shared
        .client
        .send(passed.body(Body::from(body.to_vec()))?)
        .await?)
}

fn plain(status: u16, kind: &str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    if let Ok(kind) = kind.parse() {
        answer
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, kind);
    }
    answer
}
