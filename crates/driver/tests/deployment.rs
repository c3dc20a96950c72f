//! What those use who pack and deploy the driver, and what a sweep shows to Prometheus.
#![allow(clippy::unwrap_used)]

mod driving;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use driving::{printed, run, told};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A server on a free port, and its address.
async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn health(url: String) -> Output {
    tokio::task::spawn_blocking(move || run(format!("health {url} --within 20s"))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_an_answer_of_2xx() {
    let ill = || async { (StatusCode::SERVICE_UNAVAILABLE, "waiting for redis") };
    let api = serve(Router::new().route("/well", get(|| async { "ready" })).route("/ill", get(ill))).await;
    let well = health(format!("{api}/well")).await;
    assert_eq!((well.status.code(), printed(&well).trim()), (Some(0), "ready"));
    let ill = health(format!("{api}/ill")).await;
    assert_eq!(ill.status.code(), Some(1));
    assert_eq!(told(&ill), format!("error: {api}/ill answers 503: waiting for redis\n"));
    let nobody = health("http://127.0.0.1:1/".to_owned()).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(told(&nobody).contains("nothing answers at http://127.0.0.1:1"), "{}", told(&nobody));
}

/// A server that takes its time to start is waited for, and one that never does is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_waits_for_what_starts() {
    let asked = Arc::new(AtomicU32::new(0));
    let starting = {
        let asked = asked.clone();
        move || async move {
            let ready = asked.fetch_add(1, Ordering::Relaxed) >= 2;
            if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "waiting for redis") }
        }
    };
    let api = serve(Router::new().route("/readyz", get(starting))).await;
    let wait = |url: String, wait: &'static str| {
        tokio::task::spawn_blocking(move || run(format!("health {url} --within 20s --wait {wait}")))
    };
    let well = wait(format!("{api}/readyz"), "1m").await.unwrap();
    assert_eq!((well.status.code(), printed(&well).trim()), (Some(0), "ready"));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let never = wait("http://127.0.0.1:1/".to_owned(), "1s").await.unwrap();
    assert_eq!(never.status.code(), Some(1));
    assert!(told(&never).contains("nothing answers at http://127.0.0.1:1"), "{}", told(&never));
}

#[test]
fn completions_and_manual_pages_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&run(format!("completions {shell}")));
        assert!(script.contains("sweep") && script.contains("remote-write"), "{shell}");
    }
    assert_eq!(run("completions csh").status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert!(run(format!("man {}", pages.display())).status.success());
    let page = std::fs::read_to_string(pages.join("driver-sweep.1")).unwrap();
    assert!(page.contains("prometheus\\-listen"), "{page}");
    assert!(!pages.join("driver-role.1").exists());
}

#[test]
fn the_owner_of_a_folder_runs_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(format!("as-owner-of {} --version", folder.path().display()));
    assert_eq!(printed(&output), format!("driver {}\n", env!("CARGO_PKG_VERSION")));
    let output = run("as-owner-of /no/such/folder --version");
    assert!(told(&output).contains("cannot look at /no/such/folder: is it mounted?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_sends_its_figures_while_it_runs() {
    let written: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let take = {
        let written = written.clone();
        move |body: Bytes| async move {
            written.lock().unwrap().push(snap::raw::Decoder::new().decompress_vec(&body).unwrap());
        }
    };
    let url = serve(Router::new().route("/api/v1/write", post(take))).await + "/api/v1/write";
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap().to_owned();
    let sweep =
        move || run(format!("sweep --levels 1,2 -d 1s --warmup 0s --every 10 --out {out} --remote-write {url}"));
    let output = tokio::task::spawn_blocking(sweep).await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(!told(&output).contains("--remote-write"), "{}", told(&output));
    let requests = written.lock().unwrap().clone();
    let has = |request: &[u8], text: &str| request.windows(text.len()).any(|window| window == text.as_bytes());
    for level in ["c01", "c02"] {
        let of_level = |request: &&Vec<u8>| has(request, &format!(".{level}"));
        // The last one of a level: by then all its stamps have been read.
        let last = requests.iter().rfind(of_level).unwrap();
        for part in
            ["stampede_load_response_seconds", "stampede_hop_latency_seconds", "publish", "process_cpu_seconds_total"]
        {
            assert!(has(last, part), "{part} of {level}");
        }
        assert!(requests.iter().any(|request| has(request, "stampede_sweep_level") && has(request, level)));
    }
}
