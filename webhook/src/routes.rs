//! The HTTP contract: what is a question for us, and what is not.
//!
//! The API server treats every answer other than 200 as a failed call and applies the webhook's failure policy, so a
//! body that cannot be understood gets a 4xx that says why instead of a made-up verdict.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use futures::StreamExt;

use podfit_cluster::api::object::Object;

use crate::admission::Webhook;
use crate::bodies::Share;
use crate::metrics::{Kind, Outcome, Step};
use crate::review::{Answer, Review, to_json};

/// The largest body taken, upstream's figure: an object is at most 1.5 MB in etcd, and a review holds two.
pub const MAX_BODY: usize = 5 << 20;

/// The review of an ordinary pod fits in it.
const EXPECTED_BODY: usize = 16 << 10;

/// Answers on every path, as upstream does. Needs a `web::Data<Webhook>`.
pub fn routes(config: &mut web::ServiceConfig) {
    config.default_service(web::to(admit));
}

/// Why a request gets no verdict. The texts go to the caller, and through the API server into its log.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// Not a POST.
    #[error("send an AdmissionReview with POST")]
    Method,
    /// Not JSON by its own word.
    #[error("content type must be application/json")]
    ContentType,
    /// More than [`MAX_BODY`].
    #[error("request payload too large: at most {MAX_BODY} bytes")]
    TooLarge,
    /// Other large bodies hold all the memory there is for them.
    #[error("too many large requests at once; try again")]
    Busy,
    /// The connection broke, or the transfer encoding is wrong.
    #[error("cannot read the request body: {0}")]
    Unreadable(String),
    /// Not an AdmissionReview.
    #[error("the body is not an AdmissionReview: {0}")]
    NotAReview(String),
    /// An AdmissionReview that asks nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// It cannot happen: an answer is texts and flags.
    #[error("cannot write the answer: {0}")]
    Unwritable(serde_json::Error),
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unwritable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unreadable(_) | Self::NotAReview(_) | Self::NoRequest => StatusCode::BAD_REQUEST,
        }
    }

    /// Closes the connection, since the rest of a body that was not read would be taken for the next request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code())
            .force_close()
            .content_type("text/plain; charset=utf-8")
            .body(self.to_string())
    }
}

async fn admit(
    request: HttpRequest,
    payload: web::Payload,
    webhook: web::Data<Webhook>,
) -> Result<HttpResponse, Rejection> {
    let started = Instant::now();
    // Held until the answer is made: what is parsed out of a body takes memory as well.
    let mut share = webhook.bodies.share();
    let answered = match read(&request, payload, &mut share).await {
        Ok(body) => answer(&webhook, &body, started),
        Err(rejection) => Err(rejection),
    };
    if let Err(rejection) = &answered {
        let took = started.elapsed().as_secs_f64();
        let unknown = webhook.metrics.admission(Outcome::Error, Kind::Unknown);
        unknown.observe(took);
        webhook.step(Step::Total, started);
        tracing::warn!(error = %rejection, peer = ?request.peer_addr(), "rejected a request");
    }
    answered
}

async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    share: &mut Share,
) -> Result<web::BytesMut, Rejection> {
    if request.method() != Method::POST {
        return Err(Rejection::Method);
    }
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Rejection::ContentType);
    }
    collect(payload, share).await
}

async fn collect(payload: web::Payload, share: &mut Share) -> Result<web::BytesMut, Rejection> {
    let mut payload = std::pin::pin!(payload);
    let mut body = web::BytesMut::with_capacity(EXPECTED_BODY);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Rejection::Unreadable(error.to_string()))?;
        let length = body.len() + chunk.len();
        if length > MAX_BODY {
            return Err(Rejection::TooLarge);
        }
        if !share.grow_to(length) {
            return Err(Rejection::Busy);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn answer(
    webhook: &web::Data<Webhook>,
    body: &[u8],
    started: Instant,
) -> Result<HttpResponse, Rejection> {
    // Checked at once, because the parser skips over bad bytes in fields that nobody reads.
    let text = std::str::from_utf8(body).map_err(|e| Rejection::NotAReview(e.to_string()))?;
    let Object(review): Object<Review<'_>> =
        serde_json::from_str(text).map_err(|e| Rejection::NotAReview(e.to_string()))?;
    let Object(request) = review.request.ok_or(Rejection::NoRequest)?;
    webhook.step(Step::ReadRequest, started);

    let admit = Instant::now();
    let response = webhook.admit(request, started);
    webhook.step(Step::Admit, admit);

    let build = Instant::now();
    let answer = to_json(&Answer::from(response)).map_err(Rejection::Unwritable)?;
    webhook.step(Step::BuildResponse, build);
    let mut http = HttpResponse::Ok();
    if webhook.is_draining() {
        // So that the API server's next request opens a connection, which goes to a replica that stays.
        http.force_close();
    }
    let body = Written {
        answer: answer.into(),
        webhook: webhook.clone(),
        started,
        built: Instant::now(),
    };
    Ok(http.content_type("application/json").body(body))
}

/// An answer that measures how long it takes to hand it over to the connection.
struct Written {
    answer: web::Bytes,
    webhook: web::Data<Webhook>,
    started: Instant,
    built: Instant,
}

impl MessageBody for Written {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.answer.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        let answer = std::mem::take(&mut self.answer);
        Poll::Ready((!answer.is_empty()).then_some(Ok(answer)))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.webhook.step(Step::WriteResponse, self.built);
        self.webhook.step(Step::Total, self.started);
    }
}
