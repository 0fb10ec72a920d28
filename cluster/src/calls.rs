//! The one door for API requests: connection, time-out, client-side rate limit, errors with their cause.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::client::ClientBuilder;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use prometheus::Registry;
use tokio::sync::Mutex;
use tower::layer::layer_fn;
use tower::util::MapRequestLayer;

use crate::options::ClusterOptions;
use crate::read_only::ReadOnly;
use crate::request_metrics::{Measured, RequestMetrics};
use crate::watch::as_they_are;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The API server did not answer in time.
    #[error("{what}: no answer within {after:?}")]
    TimedOut {
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The API server refused, or could not be reached.
    #[error("{what}: {}", explain(source))]
    Failed {
        /// What was asked.
        what: String,
        /// The client's error.
        source: kube::Error,
    },
}

impl CallError {
    /// The HTTP status of the API server's answer, when there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Failed {
                source: kube::Error::Api(status),
                ..
            } => Some(status.code),
            _ => None,
        }
    }

    /// True when the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// True when somebody else wrote first, or made the object first.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// True for a refusal by admission or by missing rights.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// The API server's own words, when it answered.
    pub fn server_message(&self) -> Option<&str> {
        match self {
            Self::Failed {
                source: kube::Error::Api(status),
                ..
            } => Some(&status.message),
            _ => None,
        }
    }
}

/// The whole chain of causes, since the client's own text often ends before the cause (`ServiceError: client error`).
pub fn explain(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({} {})", status.message, status.code, status.reason);
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Makes requests under the process' rate limit and time-out. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    timeout: Duration,
    limiter: Arc<RateLimiter>,
    /// True when its requests let all others go first.
    yields: bool,
    shadow: bool,
}

impl Calls {
    /// Over a client, with the limits of `options`.
    pub fn new(client: Client, options: &ClusterOptions) -> Self {
        let limiter = Arc::new(RateLimiter::new(
            options.kube_api_qps,
            options.kube_api_burst,
        ));
        Self {
            client,
            timeout: options.kube_api_timeout.0,
            limiter,
            yields: false,
            shadow: options.shadow,
        }
    }

    /// Over a client, with a time-out and no rate limit: for a person at a terminal, who asks once.
    pub fn unlimited(client: Client, timeout: Duration) -> Self {
        Self {
            client,
            timeout,
            limiter: Arc::new(RateLimiter::new(0.0, 1.0)),
            yields: false,
            shadow: false,
        }
    }

    /// True with `--shadow`: nothing is to be written, and nothing that writes would be sent.
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The same client under the same limits, for requests that nobody waits for: while others need all that the rate limit
    /// gives, these stand back.
    pub fn yielding(&self) -> Self {
        Self {
            yields: true,
            ..self.clone()
        }
    }

    /// The client, to make typed `Api`s from. Requests outside [`Calls::run`] are for watches only.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs one request: waits for the rate limit, then for the answer. `what` names it in errors: `list pods`.
    pub async fn run<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CallError> {
        if self.yields {
            self.limiter.acquire_spare().await;
        } else {
            self.limiter.acquire().await;
        }
        match tokio::time::timeout(self.timeout, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(CallError::Failed {
                what: what.into(),
                source,
            }),
            Err(_) => Err(CallError::TimedOut {
                what: what.into(),
                after: self.timeout,
            }),
        }
    }
}

/// Connects as `options` say, and counts requests in `registry`. Fails only on an unusable configuration: an API server
/// that is away is waited for later.
pub async fn connect(
    options: &ClusterOptions,
    registry: &Registry,
) -> Result<Client, ConnectError> {
    let mut config = match &options.kubeconfig {
        Some(path) if !path.as_os_str().is_empty() => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(|e| {
                ConnectError::Kubeconfig {
                    path: path.display().to_string(),
                    source: Box::new(e),
                }
            })?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|e| ConnectError::Kubeconfig {
                    path: path.display().to_string(),
                    source: Box::new(e),
                })?
        }
        _ => Config::incluster().map_err(|e| ConnectError::NotInCluster {
            source: Box::new(e),
        })?,
    };
    config.connect_timeout = Some(Duration::from_secs(10));
    // Longer than a watch lives (the server ends it after 290 s): only a dead connection reaches it.
    config.read_timeout = Some(Duration::from_mins(5));
    // One place retries, with its own limits: the loops. The client's own would hide 429s from the rate limit.
    config.default_retry = false;
    let metrics = RequestMetrics::new(registry)?;
    let host: Arc<str> = config
        .cluster_url
        .authority()
        .map_or("", |a| a.as_str())
        .into();
    let measured = layer_fn(|service| Measured {
        service,
        metrics: metrics.clone(),
        host: Arc::clone(&host),
    });
    let builder = ClientBuilder::try_from(config).map_err(|e| ConnectError::Client {
        source: Box::new(e),
    })?;
    let builder = builder.with_layer(&MapRequestLayer::new(as_they_are));
    let builder = builder.with_layer(&measured);
    if options.shadow {
        let read_only = layer_fn(|service| ReadOnly { service });
        return Ok(builder.with_layer(&read_only).build());
    }
    Ok(builder.build())
}

/// A configuration that no client can be made of. Its cause is its source: show it with `{:#}`.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file.
    #[error("cannot use kubeconfig {path}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// No kubeconfig and no service account.
    #[error(
        "not running in a pod with a service account; outside a cluster give --kubeconfig FILE"
    )]
    NotInCluster {
        /// Why.
        source: Box<kube::config::InClusterError>,
    },
    /// There are such metrics already.
    #[error("cannot count requests")]
    Metrics(#[from] prometheus::Error),
    /// The TLS or HTTP set-up.
    #[error("cannot make an API client")]
    Client {
        /// Why.
        source: Box<kube::Error>,
    },
}

/// The part of a burst that is left to those who cannot wait.
const SPARE: f64 = 0.25;

/// A token bucket. A rate of zero or less means no limit.
pub struct RateLimiter {
    per_second: f64,
    burst: f64,
    bucket: Mutex<(f64, Instant)>,
}

impl RateLimiter {
    /// `per_second` tokens a second, at most `burst` saved up.
    pub fn new(per_second: f64, burst: f64) -> Self {
        let burst = burst.max(1.0);
        Self {
            per_second,
            burst,
            bucket: Mutex::new((burst, Instant::now())),
        }
    }

    /// Waits for a token. Waiters are served in turn.
    pub async fn acquire(&self) {
        if self.per_second <= 0.0 {
            return;
        }
        let mut bucket = self.bucket.lock().await;
        let (tokens, now) = self.tokens(*bucket);
        if tokens < 1.0 {
            // Held across the pause on purpose: whoever comes next queues behind.
            tokio::time::sleep(self.time_for(1.0 - tokens)).await;
            *bucket = (0.0, Instant::now());
        } else {
            *bucket = (tokens - 1.0, now);
        }
    }

    /// Waits for a token that nobody else needs: a quarter of the burst must be saved up beside it. For as long as others
    /// take all there is, it waits.
    pub async fn acquire_spare(&self) {
        if self.per_second <= 0.0 {
            return;
        }
        let least = 1.0 + ((self.burst - 1.0) * SPARE).floor();
        loop {
            let missing = {
                let mut bucket = self.bucket.lock().await;
                let (tokens, now) = self.tokens(*bucket);
                if tokens >= least {
                    *bucket = (tokens - 1.0, now);
                    return;
                }
                least - tokens
            };
            // Not held: whoever else comes goes first.
            tokio::time::sleep(self.time_for(missing)).await;
        }
    }

    /// The tokens there are now.
    fn tokens(&self, (tokens, filled): (f64, Instant)) -> (f64, Instant) {
        let now = Instant::now();
        let new = now.duration_since(filled).as_secs_f64() * self.per_second;
        ((tokens + new).min(self.burst), now)
    }

    /// In how long so many tokens come.
    fn time_for(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64(tokens / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_bucket_lets_a_burst_through_and_then_paces() {
        let limiter = RateLimiter::new(50.0, 5.0);
        let start = Instant::now();
        for _ in 0..15 {
            limiter.acquire().await;
        }
        // 5 at once, 10 at 50 a second. Only the lower bound is certain on a busy machine.
        assert!(
            start.elapsed() >= Duration::from_millis(190),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test]
    async fn those_who_yield_come_last() {
        let limiter = RateLimiter::new(100.0, 8.0);
        let start = Instant::now();
        let urgent = async {
            for _ in 0..28 {
                limiter.acquire().await;
            }
            start.elapsed()
        };
        let spare = async {
            for _ in 0..2 {
                limiter.acquire_spare().await;
            }
            start.elapsed()
        };
        tokio::task::yield_now().await;
        let (urgent, spare) = tokio::join!(urgent, spare);
        // 8 at once and 20 at 100 a second; then a reserve of one, and two at that rate.
        assert!(urgent >= Duration::from_millis(195), "{urgent:?}");
        assert!(
            spare >= urgent + Duration::from_millis(20),
            "{spare:?} {urgent:?}"
        );
    }

    #[tokio::test]
    async fn no_rate_means_no_limit() {
        let limiter = RateLimiter::new(-1.0, 1.0);
        for _ in 0..100_000 {
            limiter.acquire().await;
        }
    }
}
