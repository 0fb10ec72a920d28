//! Counts and times the requests to the API server, watches included, under client-go's names.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use http::{Request, Response};
use prometheus::{HistogramVec, IntCounterVec, Opts, Registry};
use tower::Service;

use crate::metrics::{histogram, register};

/// Seconds.
const BUCKETS: [f64; 12] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
];

/// Requests by method and answer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
}

impl RequestMetrics {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "rest_client_requests_total",
            "Requests to the API server, by method, host and status code.",
        );
        Ok(Self {
            requests: register(
                registry,
                IntCounterVec::new(requests, &["code", "host", "method"])?,
            )?,
            durations: register(
                registry,
                histogram(
                    "rest_client_request_duration_seconds",
                    "Time until the API server began to answer.",
                    &["host", "verb"],
                    &BUCKETS,
                )?,
            )?,
        })
    }

    fn observe(&self, (host, method): (&str, &str), code: &str, since: Instant) {
        self.requests.with_label_values(&[code, host, method]).inc();
        self.durations
            .with_label_values(&[host, method])
            .observe(since.elapsed().as_secs_f64());
    }
}

/// A client's service, measured.
#[derive(Clone, Debug)]
pub struct Measured<S> {
    /// What makes the requests.
    pub service: S,
    /// Where they are counted.
    pub metrics: RequestMetrics,
    /// The API server's address, for the label; requests hold only the path here.
    pub host: Arc<str>,
}

impl<S, A, B> Service<Request<A>> for Measured<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let host = Arc::clone(&self.host);
        let method = request.method().clone();
        let metrics = self.metrics.clone();
        let since = Instant::now();
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => "<error>".to_owned(), // client-go's word
            };
            metrics.observe((&host, method.as_str()), &code, since);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::LabelPair;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_answer() {
        let registry = Registry::new();
        let mut service = Measured {
            service: service_fn(async |request: Request<()>| match request.uri().path() {
                "/gone" => Err("no answer"),
                _ => Ok(Response::builder().status(404).body(()).unwrap()),
            }),
            metrics: RequestMetrics::new(&registry).unwrap(),
            host: "server:6443".into(),
        };
        for path in ["/none", "/none", "/gone"] {
            let _ = service.call(Request::get(path).body(()).unwrap()).await;
        }
        let families = registry.gather();
        let of = |name: &str| families.iter().find(|f| f.name() == name).unwrap();
        let counts: Vec<_> = of("rest_client_requests_total")
            .get_metric()
            .iter()
            .map(|m| {
                let labels: Vec<_> = m.get_label().iter().map(LabelPair::value).collect();
                (labels.join(" "), m.get_counter().get_value() as u64)
            })
            .collect();
        let expected = [("404 server:6443 GET", 2), ("<error> server:6443 GET", 1)];
        assert_eq!(counts, expected.map(|(l, n)| (l.to_owned(), n)));
        let durations = of("rest_client_request_duration_seconds");
        assert_eq!(
            durations.get_metric()[0].get_histogram().get_sample_count(),
            3
        );
    }
}
