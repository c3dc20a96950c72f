//! `driver try` against an API as a stranger would write it: it wants a proof with its newest nonce, and the order of things.
#![allow(clippy::unwrap_used)]

mod driving;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use driving::{Running, driver, printed, told, until};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::process::Output;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Orders {
    /// Counts up with each answer: the nonce that the next proof must hold.
    nonce: u32,
    open: BTreeSet<String>,
    /// Method and path of each request that was taken.
    taken: Vec<String>,
    /// An order of this item is refused.
    refuses: Option<&'static str>,
}

type Shared = Arc<Mutex<Orders>>;

/// The payload of a JWT. Its signature is verified where it is made.
fn claims(proof: &str) -> serde_json::Value {
    let part = proof.split('.').nth(1).unwrap();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u32> =
        part.bytes().map(|byte| u32::try_from(digits.find(char::from(byte)).unwrap()).unwrap()).collect();
    let bytes = bits.chunks(4).flat_map(|four| {
        let word = four.iter().enumerate().fold(0, |word, (at, bits)| word | bits << (18 - 6 * at));
        word.to_be_bytes()[1..four.len()].to_vec()
    });
    serde_json::from_slice(&bytes.collect::<Vec<u8>>()).unwrap()
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut orders = shared.lock().unwrap();
    let is_test = uri.path().starts_with("/api/v1/test/");
    let expected = orders.nonce.to_string();
    orders.nonce += 1;
    let next = [("DPoP-Nonce", orders.nonce.to_string())];
    if !is_test {
        let proof = claims(headers["dpop"].to_str().unwrap());
        assert!(headers["authorization"].to_str().unwrap().starts_with("DPoP token-"));
        assert!(proof["htu"].as_str().unwrap().ends_with(uri.path()) && proof["htm"] == method.as_str(), "{proof}");
        if proof["nonce"] != expected.as_str() {
            return (StatusCode::UNAUTHORIZED, next, "use_dpop_nonce").into_response();
        }
    }
    orders.taken.push(format!("{method} {}", uri.path()));
    let text = String::from_utf8_lossy(&body).into_owned();
    let last = uri.path().rsplit('/').next().unwrap().to_owned();
    match (method.as_str(), uri.path()) {
        ("POST", "/api/v1/test/key") if headers["x-admin"] == "hush-hush" => (next, r#"{"key":"k-1"}"#).into_response(),
        ("POST", "/api/v1/orders") => {
            let order: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(order["id"].is_u64() && order["run"].is_string(), "{text}");
            if orders.refuses.is_some() {
                return (StatusCode::CONFLICT, next, "sold out").into_response();
            }
            orders.open.insert("o/1".to_owned());
            (StatusCode::CREATED, next, r#"{"order":{"id":"o/1"}}"#).into_response()
        }
        ("PATCH", _) => {
            assert_eq!(last, "o%2F1");
            assert!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["amount"].is_u64(), "{text}");
            (next, "").into_response()
        }
        ("DELETE", "/api/v1/test/account") => {
            assert_eq!(headers["x-key"], "k-1");
            (next, "").into_response()
        }
        ("DELETE", _) => {
            assert!(orders.open.remove("o/1"));
            (StatusCode::NO_CONTENT, next).into_response()
        }
        _ => (next, "ok").into_response(),
    }
}

/// Tries a task of the example, and gives what it said and what the API has seen.
fn tried(refuses: Option<&'static str>, task: &str) -> (Output, Orders) {
    let shared = Shared::default();
    shared.lock().unwrap().refuses = refuses;
    let state = shared.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let api = format!("api=http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(state)).await });
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/orders.yaml");
    let mut command = driver(format!("try {example} --set {api} --redis redis://127.0.0.1:1 --task {task}"));
    let output = command.env("ADMIN_KEY", "hush-hush").output().unwrap();
    let orders = std::mem::take(&mut *shared.lock().unwrap());
    (output, orders)
}

#[test]
fn a_round_is_sent_step_by_step_and_shown() {
    let (output, orders) = tried(None, "order");
    let shown = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", told(&output));
    assert_eq!(
        orders.taken,
        [
            "POST /api/v1/test/key",
            "POST /api/v1/login",
            "POST /api/v1/orders",
            "PATCH /api/v1/orders/o%2F1",
            "DELETE /api/v1/orders/o%2F1",
            "POST /api/v1/logout",
            "DELETE /api/v1/test/account"
        ]
    );
    assert!(orders.open.is_empty());
    for part in [
        "== set-up",
        "X-Admin: ***",
        "== user student, task order",
        "kept order = o/1",
        "< 401 in ",
        "7 done, 0 failed",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("hush-hush") && !shown.contains("token-001"), "{shown}");
}

#[test]
fn a_failure_ends_the_round_and_not_what_tidies_up() {
    let (output, orders) = tried(Some("tea"), "order");
    let shown = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("FAILED: add: status 409") && shown.contains("< sold out"), "{shown}");
    assert!(shown.contains("-- remove: left out, as the round has failed, and what it needs was not kept"), "{shown}");
    assert_eq!(orders.taken[orders.taken.len() - 2..], ["POST /api/v1/logout", "DELETE /api/v1/test/account"]);
}

#[test]
fn a_task_that_is_not_there_is_named() {
    let (output, orders) = tried(None, "ordr");
    assert_eq!((output.status.code(), orders.taken.len()), (Some(2), 0));
    assert!(told(&output).contains("no task `ordr`: it has `look`, `order`"));
}

#[test]
fn secrets_in_commands_are_hidden_and_ctrl_c_still_tidies_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let plan = "stampede: 1
target: http://127.0.0.1:9
setup:
  - command: echo ${env.ADMIN_KEY} FOLDER
  - command: touch FOLDER/waits; sleep 600 & echo $! > FOLDER/pid; wait
users: { u: { tasks: { t: { steps: [ { GET: / } ] } } } }
teardown: [ { command: touch FOLDER/tidied } ]
load: { users: 1, duration: 1s }
";
    std::fs::write(file("p.yaml"), plan.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
    let mut tried = driver(format!("try {}", file("p.yaml").display()));
    let tried = Running::start(tried.env("ADMIN_KEY", "hush-hush"));
    let pid = || std::fs::read_to_string(file("pid")).ok().filter(|pid| !pid.is_empty());
    let pid = until(pid, "the command never began");
    tried.signal(Signal::INT);
    let output = tried.output();
    let shown = printed(&output);
    assert_eq!(output.status.code(), Some(130), "{shown}");
    assert!(
        shown.contains("$ echo *** ") && shown.contains("FAILED: interrupted") && !shown.contains("hush"),
        "{shown}"
    );
    assert!(file("tidied").exists(), "{shown}");
    // What the command had started has ended with it.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    until(|| stat().map_or(true, |stat| stat.contains(") Z ")).then_some(()), "the command still runs");
}
