//! What clients may take of the API server: slow ones are cut, idle ones are not, and too many wait.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, TestApp};
use stack::{Process, Redis, Sandbox};
use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(100);

async fn connect(app: &TestApp) -> Client {
    Client { stream: TcpStream::connect(app.address).await.unwrap() }
}

struct Client {
    stream: TcpStream,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn post(&mut self) {
        self.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{\"id\":1}").await;
    }

    /// Sends a header, and waits until the server asks for the body.
    async fn begin(&mut self) {
        self.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n").await;
        let mut asked = [0; 25];
        within(self.stream.read_exact(&mut asked)).await.unwrap();
        assert_eq!(asked, *b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Reads one answer without a body, and checks that it is a 202.
    async fn accepted(&mut self) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(within(self.stream.read_u8()).await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }

    /// What comes until the server closes the connection.
    async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // A server that closes with bytes unread resets the connection, which is closed then, too.
        let _ = within(self.stream.read_to_end(&mut rest)).await;
        String::from_utf8(rest).unwrap()
    }
}

/// Something that is bound to come about.
async fn within<T>(come: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, come).await.unwrap()
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut_and_an_idle_connection_is_not() {
    let app = TestApp::start_limited("", |limits| limits.header = SHORT).await;
    let mut idle = connect(&app).await;
    idle.post().await;
    idle.accepted().await;
    let mut fresh = connect(&app).await;

    let mut slow = connect(&app).await;
    slow.send("POST / HTTP/1.1\r\nHost: x\r\n").await;
    assert_eq!(slow.rest().await, "");
    // So is one that keeps sending a little.
    let mut dribbling = connect(&app).await;
    dribbling.send("POST / HTTP/1.1\r\nHost: x\r\nX-Dribble: ").await;
    let cut = async {
        while dribbling.stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(cut).await;

    // The limit has passed twice for these two, and they still work.
    idle.post().await;
    idle.accepted().await;
    fresh.post().await;
    fresh.accepted().await;
    let page = reqwest::get(format!("http://{}/metrics", app.address)).await.unwrap().text().await.unwrap();
    assert!(page.contains("\nstampede_http_connections_cut_total 2\n"), "{page}");
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_and_half_a_header_behind_them_is_cut() {
    let app = TestApp::start_limited("", |limits| (limits.header, limits.idle) = (SHORT, SHORT)).await;
    let mut client = connect(&app).await;
    let whole = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{\"id\":1}";
    client.send(&format!("{whole}{whole}POST / HT")).await;
    client.accepted().await;
    client.accepted().await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_answered_408_and_closed() {
    let app = TestApp::start_limited("", |limits| limits.body = SHORT).await;
    let mut client = connect(&app).await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"id\"").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("{\"error\":\"the body did not arrive whole within 0.1 s: send it again\"}"), "{answer}");
    // A body that comes late, but in time, is accepted: its header came in a packet of its own.
    let patient = TestApp::start("").await;
    let mut client = connect(&patient).await;
    client.begin().await;
    client.send("{\"id\":1}").await;
    client.accepted().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_at_last() {
    let app = TestApp::start_limited("", |limits| limits.idle = SHORT).await;
    assert_eq!(connect(&app).await.rest().await, "");
    let mut client = connect(&app).await;
    client.post().await;
    client.accepted().await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let app = TestApp::start("--max-connections 2").await;
    let (mut first, mut second, mut third) = (connect(&app).await, connect(&app).await, connect(&app).await);
    third.post().await;
    for _ in 0..20 {
        for client in [&mut first, &mut second] {
            client.post().await;
            client.accepted().await;
        }
    }
    let mut answer = [0; 1];
    let early = third.stream.try_read(&mut answer);
    assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    third.accepted().await;
    second.post().await;
    second.accepted().await;
}

#[tokio::test]
async fn a_shutdown_answers_what_is_under_way_and_closes_the_rest() {
    let app = TestApp::start("").await;
    let (mut idle, mut busy) = (connect(&app).await, connect(&app).await);
    idle.post().await;
    idle.accepted().await;
    busy.begin().await;
    app.shutdown.cancel();
    assert_eq!(idle.rest().await, "");
    assert!(TcpStream::connect(app.address).await.is_err());
    busy.send("{\"id\":2}").await;
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    app.running.await.unwrap().unwrap();
    drop(app.redis);
}

#[tokio::test]
async fn too_few_open_files_are_survived_and_logged_once() {
    let redis = Redis::start().await.unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_apiserver"), "--redis", &redis.url()]);
    let mut server = Process::spawn("apiserver", command, &Arc::new(Sandbox::new().unwrap())).unwrap();
    let listen = |line: &str| {
        let ready: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(ready["listen"].as_str()?.to_owned())
    };
    let address = server.wait_for(listen).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(TcpStream::connect(&address).await.unwrap());
    }
    server.wait_for(|line| line.contains("cannot accept a connection").then_some(())).await.unwrap();
    drop(clients);
    let healthy = within(reqwest::get(format!("http://{address}/healthz"))).await.unwrap();
    assert_eq!(healthy.status(), 200);
    assert_eq!(server.log().matches("cannot accept a connection").count(), 1, "{}", server.log());
}
