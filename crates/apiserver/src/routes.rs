//! What the API server answers.

use crate::enqueuer::{Enqueuer, Incoming};
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::Router;
use bytes::Bytes;
use serde_json::json;
use stamp::{CounterHandle, Envelope, EnvelopeError, Tracer, clock};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

struct Api {
    enqueuer: Enqueuer,
    tracer: Tracer,
    shed: CounterHandle,
    limits: Limits,
}

/// How large a body may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) body: usize,
    pub(crate) body_within: Duration,
}

/// Why a request was not accepted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0} is not allowed here: send a message with POST")]
    Method(Method),
    #[error("the body is larger than {0} bytes (--max-body)")]
    TooLarge(usize),
    #[error("the body did not arrive whole within {} s: send it again", .0.as_secs_f64())]
    TooSlow(Duration),
    #[error("the body did not arrive whole: {0}")]
    Body(String),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    NotEnqueued(#[from] crate::enqueuer::NotEnqueued),
}

/// A POST on any path is a message.
pub(crate) fn routes(enqueuer: Enqueuer, tracer: Tracer, limits: Limits) -> Router {
    let api = Api { enqueuer, shed: tracer.counter("shed"), tracer, limits };
    Router::new().fallback(accept).with_state(Arc::new(api))
}

async fn accept(State(api): State<Arc<Api>>, request: Request) -> Result<StatusCode, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Method(request.method().clone()));
    }
    let body = read(request, api.limits).await?;
    let envelope = Envelope::read(&body)?;
    let (id, run) = (envelope.id, api.tracer.run(envelope.run()));
    let message = Incoming { body, run: run.clone(), id, read: clock::now() };
    api.enqueuer.enqueue(message).await.inspect_err(|error| {
        if error.is_shed() {
            run.count(api.shed, 1);
        }
    })?;
    Ok(StatusCode::ACCEPTED)
}

async fn read(request: Request, limits: Limits) -> Result<Bytes, Refusal> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // A body that says it is too large is refused before it is read.
    if announced.is_some_and(|length| length > limits.body) {
        return Err(Refusal::TooLarge(limits.body));
    }
    let mut reading = pin!(read_limited(request.into_body(), limits.body));
    // Most bodies come with their header: those cost no timer.
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return read;
    }
    timeout(limits.body_within, reading).await.unwrap_or(Err(Refusal::TooSlow(limits.body_within)))
}

async fn read_limited(body: Body, max_body: usize) -> Result<Bytes, Refusal> {
    to_bytes(body, max_body).await.map_err(|error| {
        // axum words a body over the limit only in the source of its error.
        let too_large = std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("limit"));
        if too_large { Refusal::TooLarge(max_body) } else { Refusal::Body(error.to_string()) }
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::Body(_) | Refusal::Envelope(_) => StatusCode::BAD_REQUEST,
            Refusal::NotEnqueued(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = (status, Json(json!({"error": self.to_string()}))).into_response();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST")),
            // The rest of the body is not waited for.
            StatusCode::REQUEST_TIMEOUT => response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close")),
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => None,
        };
        response
    }
}
