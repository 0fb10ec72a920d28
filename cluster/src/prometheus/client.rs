//! Asks Prometheus, over the same HTTP stack as the API server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::{Client, Config};
use podfit_core::time::Timestamp;
use prometheus::{HistogramVec, IntCounterVec, Opts, Registry};
use serde::de::DeserializeOwned;

use super::answer::{self, AnswerError, Series};
use super::options::{Credentials, Settings};
use crate::calls::explain;
use crate::metrics::{LATENCY_BUCKETS, histogram, register};

/// No answer is read further than this many bytes.
pub const LARGEST_ANSWER: usize = 16 << 20;

/// Why there is no answer, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The flags make no client.
    #[error("no client for Prometheus: {0}")]
    Client(String),
    /// The token file.
    #[error("{path}: {source}; it must hold the token of --prometheus-bearer-token-file")]
    Token {
        /// The file.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// No connection, or one that broke.
    #[error(
        "no answer from Prometheus: {0}; is --prometheus-address (or that of --prometheus-preset) right, and does it run?"
    )]
    Unreachable(String),
    /// The time-out.
    #[error(
        "no answer from Prometheus within {0:?}; allow more (--prometheus-query-timeout) or ask for less (--history-length)"
    )]
    TimedOut(Duration),
    /// An HTTP error.
    #[error("Prometheus answers {status}: {message}; {}", advice(*status))]
    Status {
        /// Which.
        status: StatusCode,
        /// What the answer says.
        message: String,
    },
    /// Not what the API answers.
    #[error("what answers is no Prometheus: {0}; is --prometheus-address the base of its API?")]
    Answer(String),
    /// More than is read at once.
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
    /// Some of it is missing.
    #[error("{0}; are all stores behind it up?")]
    Partial(AnswerError),
}

impl Error {
    /// True when a query for less may be answered.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Self::TooLarge)
            || matches!(self, Self::Status { status, .. } if *status == StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// True when the server knows the question as such and does not want it.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.is_client_error()
            && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(status))
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "give the address of Prometheus itself, not of a login page before it",
        401 | 403 => {
            "check --prometheus-bearer-token-file, --username and --password, --prometheus-header"
        }
        404 => "is the path of --prometheus-address right?",
        400..=499 => "check the flags that name metrics, labels and matchers",
        _ => "it may be starting or overloaded: its own log tells",
    }
}

/// Requests by status and method, under upstream's names.
#[derive(Clone)]
pub struct RequestMetrics {
    count: IntCounterVec,
    duration: HistogramVec,
}

impl RequestMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let count = Opts::new(
            "vpa_recommender_prometheus_client_api_requests_count",
            "Requests to Prometheus.",
        );
        let duration = histogram(
            "vpa_recommender_prometheus_client_api_requests_duration_seconds",
            "Time that a request to Prometheus took.",
            &["code", "method"],
            &LATENCY_BUCKETS,
        )?;
        Ok(Self {
            count: register(registry, IntCounterVec::new(count, &["code", "method"])?)?,
            duration: register(registry, duration)?,
        })
    }

    /// `code` is `error` where no answer came.
    fn observe(&self, code: Option<StatusCode>, since: Instant) {
        let code = code.map_or_else(|| "error".to_owned(), |code| code.as_u16().to_string());
        let labels = [code.as_str(), "get"];
        self.count.with_label_values(&labels).inc();
        self.duration
            .with_label_values(&labels)
            .observe(since.elapsed().as_secs_f64());
    }
}

/// A stretch of time and the distance of the points in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first point.
    pub start: Timestamp,
    /// Not after this one.
    pub end: Timestamp,
    /// From point to point.
    pub step: Duration,
}

/// A Prometheus to ask.
pub struct Prometheus {
    client: Client,
    credentials: Credentials,
    timeout: Duration,
    metrics: RequestMetrics,
}

impl Prometheus {
    /// Fails on settings that no client can be made of. Whether there is a Prometheus is seen at the first question.
    pub fn new(settings: &Settings, metrics: RequestMetrics) -> Result<Self, Error> {
        let mut config = Config::new(settings.address.clone());
        config.accept_invalid_certs = settings.insecure;
        config.root_cert_file.clone_from(&settings.ca_file);
        if settings.insecure || settings.address.scheme_str() != Some("https") {
            // The operating system's authorities are not asked for, which an image without any would end at.
            config.root_cert_file = None;
            config.root_cert = Some(Vec::new());
        }
        config.headers.clone_from(&settings.headers);
        config.connect_timeout = Some(settings.timeout.min(Duration::from_secs(10)));
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| {
            Error::Client(format!(
                "{}; --prometheus-ca-file must name a PEM file of the authorities to trust",
                explain(&error)
            ))
        })?;
        Ok(Self {
            client,
            credentials: settings.credentials.clone(),
            timeout: settings.timeout,
            metrics,
        })
    }

    /// The points of a query's series. `partial` takes an answer of which some is missing, too.
    pub async fn range(
        &self,
        query: &str,
        range: Range,
        partial: bool,
    ) -> Result<Vec<Series>, Error> {
        let parameters = [
            ("query", query.to_owned()),
            ("start", seconds(range.start)),
            ("end", seconds(range.end)),
            ("step", range.step.as_secs_f64().to_string()),
        ];
        let body = self.get("/api/v1/query_range", &parameters).await?;
        answer::matrix(&body, partial).map_err(wrong)
    }

    /// The labels of the series that a selector finds in a stretch of time.
    pub async fn series(
        &self,
        selector: &str,
        range: Range,
        partial: bool,
    ) -> Result<Vec<BTreeMap<String, String>>, Error> {
        self.search("/api/v1/series", selector, range, partial)
            .await
    }

    /// The values that a label of those series has.
    pub async fn values(
        &self,
        label: &str,
        selector: &str,
        range: Range,
    ) -> Result<Vec<String>, Error> {
        let path = format!("/api/v1/label/{label}/values");
        self.search(&path, selector, range, false).await
    }

    async fn search<T: DeserializeOwned>(
        &self,
        path: &str,
        selector: &str,
        range: Range,
        partial: bool,
    ) -> Result<Vec<T>, Error> {
        let parameters = [
            ("match[]", selector.to_owned()),
            ("start", seconds(range.start)),
            ("end", seconds(range.end)),
        ];
        let body = self.get(path, &parameters).await?;
        answer::list(&body, partial).map_err(wrong)
    }

    /// By GET: who may only read may use it, and caches know it.
    async fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Vec<u8>, Error> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let mut request = Request::get(format!("{path}?{query}"))
            .body(Body::empty())
            .map_err(|error| Error::Client(error.to_string()))?;
        if let Some(authorization) = authorization(&self.credentials)? {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let started = Instant::now();
        let mut code = None;
        let answer = async {
            let response = self.client.send(request).await;
            let response = response.map_err(|error| Error::Unreachable(explain(&error)))?;
            code = Some(response.status());
            read(response).await
        };
        let answer = tokio::time::timeout(self.timeout, answer).await;
        self.metrics.observe(code, started);
        answer.unwrap_or(Err(Error::TimedOut(self.timeout)))
    }
}

/// The body of a good answer; what a bad one says.
async fn read(response: Response<Body>) -> Result<Vec<u8>, Error> {
    let status = response.status();
    let location = response.headers().get(LOCATION).cloned();
    let mut frames = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = frames.frame().await {
        let frame = frame.map_err(|error| Error::Unreachable(explain(&error)))?;
        if let Some(data) = frame.data_ref() {
            if body.len() + data.len() > LARGEST_ANSWER {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(data);
        }
    }
    if status == StatusCode::OK {
        return Ok(body);
    }
    let message = match location.as_ref().map(HeaderValue::to_str) {
        Some(Ok(location)) => format!("go to {location}"),
        _ => answer::refusal(&body).unwrap_or_else(|| beginning(&body)),
    };
    Err(Error::Status { status, message })
}

/// The first line of a body, or as much of it as a log line bears.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let line = text.trim().lines().next().unwrap_or("nothing");
    line.chars().take(100).collect()
}

fn wrong(error: AnswerError) -> Error {
    match error {
        partial @ AnswerError::Partial(_) => Error::Partial(partial),
        other => Error::Answer(other.to_string()),
    }
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, Error> {
    let text = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Token(token) => format!("Bearer {token}"),
        Credentials::TokenFile(path) => {
            let token = std::fs::read_to_string(path).map_err(|source| Error::Token {
                path: path.display().to_string(),
                source,
            })?;
            format!("Bearer {}", token.trim())
        }
        Credentials::Basic(user, password) => {
            format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            )
        }
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::Client("the token has signs that no header may have".into()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Seconds since the Unix epoch, as the API takes them.
fn seconds(at: Timestamp) -> String {
    format!(
        "{}.{:03}",
        at.unix_seconds(),
        at.unix_millis().rem_euclid(1000)
    )
}

#[cfg(test)]
mod tests;
