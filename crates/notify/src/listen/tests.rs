//! Messages to a real HTTP server.

use super::*;
use crate::message::tests::{message, row};
use crate::slack::tests::assert_valid;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use history::Verdict;
use plan::NotifyWhen;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A part of each address, which nobody may see.
const HUSH: &str = "T0HUSH";

/// Everything that any test of this file was told.
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(told: &str) {
    NOTES.lock().unwrap().push(told.to_owned());
}

/// What was told of this server, which is known by its name.
fn told_of(part: &str) -> Vec<String> {
    let notes = NOTES.lock().unwrap();
    assert!(notes.iter().all(|note| !note.contains(HUSH)), "{notes:?}");
    notes.iter().filter(|note| note.contains(part)).cloned().collect()
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/{HUSH}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn notify(slack: Option<&str>, url: Option<&str>) -> Notify {
    let address = |text: Option<&str>| text.map(|text| text.parse().unwrap());
    let targets = Targets { slack: address(slack), url: address(url), when: vec![NotifyWhen::Always] };
    let notify = Notify::new(targets, Path::new("/nonexistent"), None, &CancellationToken::new(), note);
    assert!(!format!("{notify:?}").contains(HUSH));
    notify
}

#[tokio::test]
async fn slack_and_others_get_what_they_take() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = got.clone();
    let take = move |headers: axum::http::HeaderMap, body: String| async move {
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/json"));
        keep.lock().unwrap().push(serde_json::from_str::<Value>(&body).unwrap());
        "ok"
    };
    let address = serve(Router::new().route(&format!("/{HUSH}"), post(take))).await;
    notify(Some(&address), Some(&address)).send(&message()).await;
    let got = got.lock().unwrap();
    let [slack, plain] = &got[..] else { panic!("{got:?}") };
    assert_valid(slack);
    assert_eq!((&plain["version"], &plain["run"]["verdict"]), (&1.into(), &"missed".into()));
    assert!(plain["text"].as_str().unwrap().contains("Capacity: 40,000/s"), "{plain}");
    assert_eq!(plain["changed_params"]["n"], serde_json::json!(["2", "4"]));
}

#[tokio::test]
async fn what_is_refused_is_a_note() {
    let address = serve(Router::new()).await;
    notify(Some(&address), None).send(&message()).await;
    assert!(!told_of("the Slack webhook took no message: it answers 404").is_empty());
    notify(None, Some(&address)).send(&message()).await;
    assert!(!told_of("the address for messages at 127.0.0.1 took no message: it answers 404").is_empty());
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    // It accepts, as the kernel does, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/{HUSH}", silent.local_addr().unwrap());
    let notify = Notify { within: Duration::from_millis(100), ..notify(Some(&address), None) };
    notify.send(&message()).await;
    assert!(!told_of("it did not answer within 0.1 s").is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let followed = Arc::new(AtomicU32::new(0));
    let count = followed.clone();
    let elsewhere =
        serve(Router::new().fallback(move || async move { count.fetch_add(1, Ordering::Relaxed).to_string() })).await;
    let answer = move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere)], "").into_response() };
    let address = serve(Router::new().fallback(answer)).await;
    notify(Some(&address), None).send(&message()).await;
    assert!(!told_of("it answers 307, a redirect").is_empty());
    assert_eq!(followed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_is_busy_is_asked_again_once() {
    for (first, times) in [(StatusCode::TOO_MANY_REQUESTS, 2), (StatusCode::BAD_GATEWAY, 2), (StatusCode::FORBIDDEN, 1)]
    {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let answer = move || async move {
            let status = if count.fetch_add(1, Ordering::Relaxed) == 0 { first } else { StatusCode::OK };
            (status, [("retry-after", "0")], "ok").into_response()
        };
        let address = serve(Router::new().fallback(answer)).await;
        notify(Some(&address), None).send(&message()).await;
        assert_eq!(asked.load(Ordering::Relaxed), times, "{first}");
    }
    assert!(told_of("it answers 429").is_empty() && told_of("it answers 502").is_empty());
    assert!(!told_of("it answers 403").is_empty());
}

#[tokio::test]
async fn who_is_not_there_or_no_host_or_answers_something_else_is_a_note() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    notify(Some(&format!("http://{gone}/{HUSH}")), Some(&format!("http://nobody.invalid/{HUSH}")))
        .send(&message())
        .await;
    assert!(!told_of("the Slack webhook took no message: no connection came about").is_empty());
    assert!(!told_of("at nobody.invalid took no message: no connection").is_empty());
    let proud = serve(Router::new().fallback(|| async { "no_text" })).await;
    notify(Some(&proud), None).send(&message()).await;
    assert!(!told_of("it answers 200, but not `ok`").is_empty());
    // TLS to who does not speak it.
    let plain = serve(Router::new()).await.replace("http://", "https://");
    notify(Some(&plain), None).send(&message()).await;
    let _ = told_of("");
}

#[tokio::test]
async fn the_run_before_is_of_the_same_plan_and_host() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = |id: &str, time: &str, capacity: f64| {
        let mut row = row(capacity, Verdict::Held);
        (row.id, row.time) = (id.to_owned(), time.to_owned());
        row
    };
    let mut other_host = earlier("c", "2026-11-21T09:30:00Z", 3.0);
    other_host.host.id = "other".to_owned();
    let now = earlier("now", "2026-11-21T10:00:00Z", 9.0);
    let rows =
        [earlier("b", "2026-11-21T09:00:00Z", 2.0), earlier("a", "2026-11-21T08:00:00Z", 1.0), other_host, now.clone()];
    for row in &rows {
        history::append(folder.path(), row).unwrap();
    }
    let notify = Notify { folder: folder.path().to_owned(), ..notify(None, None) };
    assert_eq!(notify.before(&now).unwrap().id, "b");
    let linked = Notify { link: Some("https://ci/reports/".to_owned()), ..notify };
    assert_eq!(linked.place("x"), None);
    std::fs::create_dir(folder.path().join("x")).unwrap();
    std::fs::write(folder.path().join("x/report.html"), "").unwrap();
    assert_eq!(linked.place("x").unwrap(), "https://ci/reports/x/report.html");
}
