//! The live page as scripts use it: over HTTP, with the token that is printed. What it looks like is tried in a browser (scripts/check page).

#![allow(clippy::unwrap_used)]

mod driving;

use driving::{Running, driver};
#[cfg(target_os = "linux")]
use rustix::process::Signal;
use serde_json::{Value, json};
#[cfg(target_os = "linux")]
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// A driver with its page open.
struct Opened {
    process: Running,
    at: String,
    token: String,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Opened {
    fn new(line: &str) -> Self {
        Self::at("127.0.0.1:0", line)
    }

    fn at(address: &str, line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = driver(format!("{line} --ui {address}"));
        let mut process = Running::start(command.current_dir(folder.path()).stdout(Stdio::null()));
        let mut lines = process.told();
        let url = lines.find_map(|line| line.strip_prefix("page: ").map(str::to_owned)).unwrap();
        // What it says goes on being read.
        std::thread::spawn(move || lines.for_each(drop));
        let (at, token) = url.split_once("/#token=").unwrap();
        Self { process, at: at.to_owned(), token: token.to_owned(), http: reqwest::Client::new(), folder }
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}/api/{path}", self.at)).send().await.unwrap().json().await.unwrap()
    }

    async fn state(&self) -> Value {
        self.get("state").await
    }

    /// Acts as curl would.
    async fn act(&self, what: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}/api/{what}", self.at)).bearer_auth(&self.token);
        let answer = request.header("Origin", &self.at).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until the state is such.
    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let state = self.state().await;
            if is_so(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not come: {:#}", self.state().await["head"]);
    }

    /// Kills a part of the private pipeline.
    #[cfg(target_os = "linux")]
    fn kill(&mut self, role: &str) {
        let parent = format!("PPid:\t{}\n", self.process.child().id());
        let is_part = |folder: &std::path::PathBuf| {
            let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
            read("status").contains(&parent) && read("cmdline").contains(&format!("\0role\0{role}\0"))
        };
        let mut processes = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
        let part = processes.find(is_part).unwrap();
        driving::kill(part.file_name().unwrap().to_string_lossy().parse().unwrap(), Signal::KILL);
    }
}

fn is(state: &Value, word: &str) -> bool {
    state["head"]["state"] == word
}

#[tokio::test]
async fn a_load_is_started_edited_and_stopped_and_leaves_a_report() {
    let page = Opened::new("ui --every 5 --warmup 0s");
    let state = page.state().await;
    assert!(is(&state, "idle") && state["head"]["can"] == json!(["start"]), "{}", state["head"]);
    assert_eq!(state["plans"][0]["name"], "envelopes");
    assert_eq!(page.act("start", json!({ "users": 2, "rate": 9 })).await.0, 422);
    let (status, answer) = page.act("start", json!([])).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("an object such as"), "{answer}");
    assert_eq!(page.act("start", json!({ "users": 2, "duration_s": 0 })).await.0, 200);
    let has_arrivals = |state: &Value| is(state, "running") && state["now"]["tiles"]["arrival"]["n"].as_u64() > Some(0);
    let state = page.until("an arrival", has_arrivals).await;
    assert_eq!((&state["head"]["setting"]["users"], &state["head"]["traced"]), (&json!(2), &json!(true)));
    assert!(!state["points"]["rows"].as_array().unwrap().is_empty());
    assert_eq!(page.act("start", json!({})).await.0, 409);
    assert_eq!(page.act("edit", json!({ "users": 5 })).await.0, 200);
    page.until("the second level", |state| state["head"]["setting"]["number"] == 2 && is(state, "running")).await;
    page.until("points of it", |state| {
        state["points"]["rows"].as_array().unwrap().last().is_some_and(|row| row["level"] == 2)
    })
    .await;
    assert_eq!(page.act("stop", json!({})).await.0, 200);
    let state = page.until("the end", |state| is(state, "done")).await;
    let sweep = state["head"]["sweep"].as_str().unwrap();
    let report = page.get(&format!("download/{sweep}/report.json")).await;
    let levels = report["levels"].as_array().unwrap();
    assert_eq!(levels.iter().map(|level| &level["load"]["concurrency"]).collect::<Vec<_>>(), [2, 5]);
    for (shown, level) in state["levels"].as_array().unwrap().iter().zip(levels) {
        assert_eq!(shown["tiles"]["arrival"]["p50_us"], level["arrival"]["p50_us"]);
        assert_eq!((&shown["accepted"], &shown["tiles"]["lost"]), (&level["books"]["accepted"], &json!(0)));
        assert!(level["load"]["interrupted_us"].is_null(), "a load that lasts until it is ended was not interrupted");
    }
    let reports = page.get("reports").await;
    assert_eq!(reports["reports"][0]["sweep"], sweep);
    assert!(page.folder.path().join("reports").join(sweep).join("plan.yaml").exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_part_that_dies_ends_the_load_which_is_kept() {
    let mut page = Opened::new("ui --warmup 0s --drain-timeout 500ms");
    for (part, is_stopped) in [("apiserver", false), ("mqttclient", true)] {
        assert_eq!(page.act("start", json!({ "rate": 50, "duration_s": 0 })).await.0, 200);
        let has_arrivals =
            |state: &Value| is(state, "running") && state["now"]["tiles"]["arrived"].as_f64() > Some(0.0);
        page.until("the load", has_arrivals).await;
        page.kill(part);
        if is_stopped {
            assert_eq!(page.act("stop", json!({})).await.0, 200);
        }
        let state = page.until("the failure", |state| is(state, "failed")).await;
        let why = format!("{part} ended unexpectedly (signal: 9");
        let sentence = state["head"]["sentence"].as_str().unwrap();
        assert!(sentence.starts_with(&why), "{sentence}");
        let sweep = state["head"]["sweep"].as_str().unwrap();
        let level = page.get(&format!("download/{sweep}/report.json")).await["levels"][0].clone();
        assert!(level["books"]["accepted"].as_u64() > Some(0), "{}", level["books"]);
        if !is_stopped {
            let (load, marks) = (&level["load"], state["marks"].as_array().unwrap());
            assert!(load["broken"].as_str().unwrap().starts_with(&why) && !load["interrupted_us"].is_null(), "{load}");
            assert!(marks.iter().any(|mark| mark["kind"] == "fault"), "{marks:?}");
        }
    }
}

#[tokio::test]
async fn a_sweep_ends_with_its_page_and_streams_until_then() {
    let page = Opened::new("sweep --levels 2 -d 3s --warmup 0s --every 5");
    let stream = page.http.get(format!("{}/events", page.at)).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    // nginx would hold events back.
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    // It is read to its end: the driver closes it.
    let text = stream.text().await.unwrap();
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((events[0], events[events.len() - 1]), ("snapshot", "bye"), "{events:?}");
    assert!(events.iter().filter(|event| **event == "tick").count() >= 2, "{events:?}");
    assert_eq!(events.iter().filter(|event| **event == "level").count(), 1, "{events:?}");
    assert_eq!(page.process.code(), Some(0));
}

#[tokio::test]
async fn whoever_was_away_gets_what_was_missed_and_of_another_process_all() {
    let page = Opened::new("sweep --levels 1 -d 30s --warmup 0s");
    let state = page.until("points", |state| state["points"]["rows"].as_array().unwrap().len() >= 2).await;
    let (boot, event) = (state["boot"].as_str().unwrap(), state["event"].as_u64().unwrap());
    let first = async |last: String| {
        let mut stream =
            page.http.get(format!("{}/events", page.at)).header("Last-Event-ID", last).send().await.unwrap();
        let mut text = String::new();
        while !text.contains("data: ") {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
        text
    };
    assert!(first(format!("{boot}-{}", event - 1)).await.contains(&format!("id: {boot}-{event}\nevent: ")));
    assert!(first(format!("{boot}-{}", event + 5_000)).await.contains("event: snapshot"));
    assert!(first("00000000-1".to_owned()).await.contains("event: snapshot"));
}

#[tokio::test]
async fn a_load_of_one_api_can_be_edited_too() {
    let router = axum::Router::new().fallback(|| async { "well" });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let page = Opened::new(&format!("load {api} -d 60s --think-time 1ms"));
    let state = page.until("answers", |state| state["now"]["tiles"]["http"]["n"].as_u64() > Some(0)).await;
    assert_eq!((&state["head"]["traced"], &state["now"]["tiles"]["arrived"]), (&json!(false), &Value::Null));
    assert_eq!(page.act("edit", json!({ "users": 10_001 })).await.0, 422);
    assert_eq!(page.act("edit", json!({ "users": 3, "rate": 5 })).await.0, 422);
    assert_eq!(page.act("edit", json!({ "users": 3 })).await.0, 200);
    let state = page.until("the second level", |state| state["head"]["setting"]["users"] == 3).await;
    assert_eq!(state["levels"].as_array().unwrap().len(), 1);
    assert_eq!(page.act("pause", json!({})).await.0, 200);
    page.until("the pause", |state| is(state, "paused")).await;
    // No level is under way, and there are no more ids for it.
    assert_eq!(page.act("edit", json!({ "users": 3_000 })).await.0, 422);
    assert_eq!(page.act("start", json!({ "users": 5 })).await.0, 422);
    assert_eq!(page.act("start", json!({})).await.0, 200);
    page.until("the third level", |state| state["head"]["setting"]["number"] == 3).await;
    assert_eq!(page.act("stop", json!({})).await.0, 200);
    assert_eq!(page.process.code(), Some(130));
}

#[tokio::test]
async fn a_page_for_others_is_watched_with_its_token_alone() {
    let page = Opened::at("0.0.0.0:0", "ui");
    let (at, token) = (&page.at, page.token.as_str());
    assert!(at.starts_with("http://127.0.0.1:"), "{at}");
    let status = async |path: &str, token: Option<&str>, host: Option<&str>| {
        let mut request = page.http.get(format!("{at}{path}"));
        request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request = host.into_iter().fold(request, |request, host| request.header("Host", host));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/", None, None).await, 200);
    assert_eq!(status("/api/state", None, None).await, 401);
    assert_eq!(status("/events", None, None).await, 401);
    assert_eq!(status("/api/state", Some(token), None).await, 200);
    assert_eq!(status("/api/state", Some(token), Some("evil.example")).await, 421);
}
