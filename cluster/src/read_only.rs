//! The promise of `--shadow`, kept where all requests pass: those that could write are not sent.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request};
use tower::{BoxError, Service};

/// A client's service that reads only.
#[derive(Clone, Debug)]
pub struct ReadOnly<S> {
    /// What makes the requests.
    pub service: S,
}

/// A request that was not sent. That one was made at all is a mistake of the program's: whoever would write looks first
/// whether it may.
#[derive(Debug, thiserror::Error)]
#[error("not sent, as --shadow writes nothing: {method} {path}")]
struct NotSent {
    method: Method,
    path: String,
}

impl<S, A> Service<Request<A>> for ReadOnly<S>
where
    S: Service<Request<A>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        if request.method() != Method::GET {
            let not_sent = NotSent {
                method: request.method().clone(),
                path: request.uri().path().into(),
            };
            return Box::pin(async move { Err(not_sent.into()) });
        }
        let answer = self.service.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn only_reading_requests_are_sent() {
        let echo = async |request: Request<()>| Ok::<_, Infallible>(request.method().clone());
        let mut service = ReadOnly {
            service: service_fn(echo),
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "FETCH"] {
            let request = Request::builder().method(method).uri("/api").body(());
            let answer = service.call(request.unwrap()).await;
            assert_eq!(answer.is_ok(), method == "GET", "{method}: {answer:?}");
            if let Err(error) = answer {
                assert!(error.to_string().contains("--shadow"), "{error}");
            }
        }
    }
}
