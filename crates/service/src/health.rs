//! Whether a service works, for people and orchestrators: `/healthz` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{Router, get};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// The part that every service lacks until it answers HTTP: by then the others have been added.
const START: &str = "start";

/// What a service still waits for before it can do its work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Each part, and whether it is there.
    parts: Arc<watch::Sender<Vec<(&'static str, bool)>>>,
}

/// One thing a service needs, for example `redis`: its holder says when it comes and goes.
#[derive(Debug, Clone)]
pub struct Part {
    name: &'static str,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { parts: Arc::new(watch::Sender::new(vec![(START, false)])) }
    }
}

impl Readiness {
    /// Adds something that the service needs and does not have yet.
    #[must_use]
    pub fn part(&self, name: &'static str) -> Part {
        let part = Part { name, readiness: self.clone() };
        part.set(false);
        part
    }

    /// All parts have been added: from now on they alone decide.
    pub(crate) fn started(&self) {
        Part { name: START, readiness: self.clone() }.set(true);
    }

    /// The parts that are missing; none when the service is ready.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.parts.borrow().iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect()
    }

    /// Each part that the service needs, its start among them, and whether it is there.
    pub(crate) fn parts(&self) -> Vec<(&'static str, bool)> {
        self.parts.borrow().clone()
    }

    /// Waits until no part is missing.
    pub async fn ready(&self) {
        // The sender lives as long as self: there is no error.
        let _ = self.parts.subscribe().wait_for(|parts| parts.iter().all(|(_, there)| *there)).await;
    }
}

impl Part {
    /// Says whether the part is there now.
    pub fn set(&self, there: bool) {
        self.readiness.parts.send_if_modified(|parts| {
            let Some(known) = parts.iter_mut().find(|(name, _)| *name == self.name) else {
                parts.push((self.name, there));
                return true;
            };
            std::mem::replace(&mut known.1, there) != there
        });
    }
}

/// `GET /healthz`: 200 as long as the process lives. `GET /readyz`: 200 when it can do its work, else 503 with what
/// it waits for.
pub fn health_routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"ok": true})) }))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<Value>) {
    let waiting_for = readiness.waiting_for();
    let status = if waiting_for.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": waiting_for.is_empty(), "waiting_for": waiting_for})))
}
