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
    /// Each part by name, and whether its holder has it.
    parts: Arc<watch::Sender<Vec<(&'static str, bool)>>>,
}

/// One thing a service needs, for example `redis`: its holder says when it comes and goes. A thing that has several holders is
/// there when each of them has it.
#[derive(Debug, Clone)]
pub struct Part {
    index: usize,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { parts: Arc::new(watch::Sender::new(vec![(START, false)])) }
    }
}

impl Readiness {
    /// Adds a holder of something that the service needs; it does not have it yet.
    pub fn part(&self, name: &'static str) -> Part {
        let mut index = 0;
        self.parts.send_modify(|parts| {
            index = parts.len();
            parts.push((name, false));
        });
        Part { index, readiness: self.clone() }
    }

    /// All parts have been added: from now on they alone decide.
    pub(crate) fn started(&self) {
        Part { index: 0, readiness: self.clone() }.set(true);
    }

    /// The parts that are missing; none when the service is ready.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.parts().into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
    }

    /// Each part that the service needs, its start among them, and whether all its holders have it.
    pub(crate) fn parts(&self) -> Vec<(&'static str, bool)> {
        let mut named: Vec<(&'static str, bool)> = Vec::new();
        for &(name, there) in &*self.parts.borrow() {
            match named.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) => *all &= there,
                None => named.push((name, there)),
            }
        }
        named
    }

    /// Waits until no part is missing.
    pub async fn ready(&self) {
        // The sender lives as long as self: there is no error.
        let _ = self.parts.subscribe().wait_for(|parts| parts.iter().all(|(_, there)| *there)).await;
    }
}

impl Part {
    /// Says whether the holder has the part now.
    pub fn set(&self, there: bool) {
        self.readiness.parts.send_if_modified(|parts| std::mem::replace(&mut parts[self.index].1, there) != there);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_there_when_each_of_its_holders_has_it() {
        let readiness = Readiness::default();
        let holders = [readiness.part("mqtt"), readiness.part("mqtt")];
        let other = readiness.part("redis");
        readiness.started();
        assert_eq!(readiness.waiting_for(), ["mqtt", "redis"]);
        holders[0].set(true);
        holders[0].clone().set(true);
        other.set(true);
        assert_eq!(readiness.waiting_for(), ["mqtt"]);
        holders[1].set(true);
        assert!(readiness.waiting_for().is_empty());
        holders[0].set(false);
        assert_eq!(readiness.parts(), [(START, true), ("mqtt", false), ("redis", true)]);
    }
}
