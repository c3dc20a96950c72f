//! What the page and its API are served by. Every request passes through one door.

mod actions;
mod assets;
mod reports;
mod stream;

use crate::board::{Board, Inner};
use crate::security::{Door, Refusal};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use reports::Reports;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use stream::Streams;
use tokio::time::timeout;

/// The page fetches nothing but itself, runs nothing but itself, and stands in no frame.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A report is a page of its own, with scripts in it. It is shown as if it came from elsewhere: it cannot reach the API.
const REPORT_POLICY: &str = "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The most that somebody may send.
const LONGEST_BODY: usize = 64 * 1024;

/// How long that may take.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) board: Board,
    pub(crate) door: Door,
    streams: Arc<Streams>,
    reports: Reports,
}

/// A request that is not done, and why.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) StatusCode, pub(crate) String);

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.status(), refusal.told().to_owned())
    }
}

pub(crate) fn routes(board: Board, door: Door) -> Router {
    let reports = Reports::new(door.out.clone());
    let server = Arc::new(Server { board, door, streams: Arc::default(), reports });
    Router::new().fallback(handle).with_state(server)
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answered = match parts.method {
        Method::GET | Method::HEAD => server.get(&parts.uri, &parts.headers).await,
        Method::POST => server.post(&parts.uri, &parts.headers, body).await,
        _ => Err(Fault(StatusCode::METHOD_NOT_ALLOWED, "send GET or POST".to_owned())),
    };
    let mut response = answered.unwrap_or_else(|Fault(status, why)| json_of(status, &json!({ "error": why })));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

impl Server {
    async fn get(&self, uri: &Uri, headers: &HeaderMap) -> Result<Response, Fault> {
        self.door.check_host(headers)?;
        if let Some(asset) = assets::find(uri.path()) {
            return Ok(asset);
        }
        self.door.check_watch(headers)?;
        match uri.path() {
            "/events" => self.stream(headers),
            "/api/state" => Ok(json_of(StatusCode::OK, &self.board.look(Inner::state))),
            "/api/reports" => Ok(json_of(StatusCode::OK, &self.reports.list())),
            "/api/compare" => self.reports.compare(uri.query().unwrap_or_default()).await,
            "/api/compare.svg" => self.reports.picture(uri.query().unwrap_or_default()).await,
            "/api/download/points.tsv" => {
                Ok(attached("points.tsv", "text/tab-separated-values", self.board.look(Inner::points).into()))
            }
            path => match path.strip_prefix("/api/download/") {
                Some(path) => self.reports.file(path),
                None => Err(Fault(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))),
            },
        }
    }

    async fn post(&self, uri: &Uri, headers: &HeaderMap, body: Body) -> Result<Response, Fault> {
        self.door.check_host(headers)?;
        if uri.path() == "/api/session" {
            Door::check_origin(headers)?;
        } else {
            self.door.check_act(headers)?;
        }
        let read = timeout(BODY_WITHIN, to_bytes(body, LONGEST_BODY)).await;
        let body: Bytes = match read {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                return Err(Fault(StatusCode::PAYLOAD_TOO_LARGE, format!("send at most {LONGEST_BODY} bytes")));
            }
            Err(_) => return Err(Fault(StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned())),
        };
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        match uri.path() {
            "/api/session" => self.enter(body),
            "/api/start" => self.start(body).await,
            "/api/edit" => self.edit(body),
            "/api/pause" => self.pause(),
            "/api/stop" => self.stop(),
            path => Err(Fault(StatusCode::NOT_FOUND, format!("there is nothing to be done at {path}"))),
        }
    }
}

pub(crate) fn json_of(status: StatusCode, value: &Value) -> Response {
    of(status, "application/json", value.to_string().into())
}

fn of(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// To be saved, and not shown.
fn attached(name: &str, media_type: &'static str, body: Body) -> Response {
    let mut response = of(StatusCode::OK, media_type, body);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(axum::http::header::CONTENT_DISPOSITION, value);
    }
    response
}
