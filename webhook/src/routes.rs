//! The HTTP contract: what is a question for us, and what is not.
//!
//! The API server treats every answer other than 200 as a failed call and applies the webhook's failure policy, so a
//! body that cannot be understood gets a 4xx that says why instead of a made-up verdict.

use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use crate::admission::Webhook;
use crate::review::{Answer, Review};

/// The largest body taken, upstream's figure: an object is at most 1.5 MB in etcd, and a review holds two.
pub const MAX_BODY: usize = 5 << 20;

/// How long a body may take to arrive. The API server gives up after at most 30 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

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
    /// The body stopped arriving.
    #[error("the request body did not arrive within {BODY_TIMEOUT:?}")]
    TooSlow,
    /// The connection broke, or the transfer encoding is wrong.
    #[error("cannot read the request body: {0}")]
    Unreadable(String),
    /// Not an AdmissionReview.
    #[error("the body is not an AdmissionReview: {0}")]
    NotAReview(String),
    /// An AdmissionReview that asks nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unreadable(_) | Self::NotAReview(_) | Self::NoRequest => StatusCode::BAD_REQUEST,
        }
    }
}

async fn admit(
    request: HttpRequest,
    payload: web::Payload,
    webhook: web::Data<Webhook>,
) -> Result<HttpResponse, Rejection> {
    let started = Instant::now();
    let answered = match read(&request, payload).await {
        Ok(body) => answer(&webhook, &body, started),
        Err(rejection) => Err(rejection),
    };
    if let Err(rejection) = &answered {
        webhook
            .metrics
            .admission
            .with_label_values(&["error", "unknown"])
            .observe(started.elapsed().as_secs_f64());
        tracing::warn!(error = %rejection, peer = ?request.peer_addr(), "rejected a request");
    }
    webhook.step("total", started);
    answered
}

async fn read(request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, Rejection> {
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
    match actix_web::rt::time::timeout(BODY_TIMEOUT, payload.to_bytes_limited(MAX_BODY)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(Rejection::Unreadable(error.to_string())),
        Ok(Err(_)) => Err(Rejection::TooLarge),
        Err(_) => Err(Rejection::TooSlow),
    }
}

fn answer(webhook: &Webhook, body: &[u8], started: Instant) -> Result<HttpResponse, Rejection> {
    // Checked at once, because the parser skips over bad bytes in fields that nobody reads.
    let text = std::str::from_utf8(body).map_err(|e| Rejection::NotAReview(e.to_string()))?;
    let review: Review<'_> =
        serde_json::from_str(text).map_err(|e| Rejection::NotAReview(e.to_string()))?;
    let request = review.request.ok_or(Rejection::NoRequest)?;
    webhook.step("read_request", started);

    let admit = Instant::now();
    let response = webhook.admit(request, started);
    webhook.step("admit", admit);

    let build = Instant::now();
    let mut http = HttpResponse::Ok();
    if webhook.is_draining() {
        // So that the API server's next request opens a connection, which goes to a replica that stays.
        http.force_close();
    }
    let http = http.json(Answer::from(response));
    webhook.step("build_response", build);
    Ok(http)
}
