//! What the API server answers.

use crate::ContextHandling;
use crate::context;
use crate::enqueuer::Enqueuer;
use crate::request::{Incoming, NotEnqueued};
use axum::Json;
use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::Router;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use service::Posts;
use stamp::{CounterHandle, Envelope, EnvelopeError, Tracer, clock};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

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
    NotEnqueued(#[from] NotEnqueued),
}

/// What all requests share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    enqueuer: Enqueuer,
    tracer: Tracer,
    shed: CounterHandle,
    limits: Limits,
    handling: ContextHandling,
}

impl Api {
    pub(crate) fn new(enqueuer: Enqueuer, tracer: Tracer, limits: Limits, handling: ContextHandling) -> Self {
        Self { enqueuer, shed: tracer.counter("shed"), tracer, limits, handling }
    }

    async fn accept(&self, request: Request<hyper::body::Incoming>) -> Result<StatusCode, Refusal> {
        let header = match self.handling {
            ContextHandling::Carry => context::of(request.headers()),
            ContextHandling::Ignore => None,
        };
        let body = read(request, self.limits).await?;
        let envelope = Envelope::read(&body)?;
        let (id, run, own) = (envelope.id, self.tracer.run(envelope.run()), envelope.traceparent());
        let has_own = envelope.has_traceparent();
        // What the message itself says comes from whoever made it, even where it is of no use here.
        let body = match header {
            Some(header) if !has_own => context::carried(&body, header),
            _ => body,
        };
        let message = Incoming { body, run: run.clone(), id, context: own.or(header), read: clock::now() };
        self.enqueuer.enqueue(message).await.inspect_err(|error| {
            if error.is_shed() {
                run.count(self.shed, 1);
            }
        })?;
        Ok(StatusCode::ACCEPTED)
    }
}

/// A POST on any path is a message.
impl Posts for Api {
    async fn post(self, request: Request<hyper::body::Incoming>) -> Response {
        self.accept(request).await.into_response()
    }
}

/// Whatever else is asked for.
pub(crate) fn routes() -> Router {
    Router::new().fallback(async |request: Request<Body>| Refusal::Method(request.method().clone()))
}

async fn read(request: Request<hyper::body::Incoming>, limits: Limits) -> Result<Bytes, Refusal> {
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

async fn read_limited(body: hyper::body::Incoming, most: usize) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { Refusal::TooLarge(most) } else { Refusal::Body(error.to_string()) }
    })?;
    Ok(read.to_bytes())
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
