//! Whatever is posted, the answer is one of three, the queue has what was accepted, and the connection goes on.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, TestApp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stamp::Envelope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_BODY: usize = 300;

/// Bytes of any kind, and messages with a byte or a piece of them exchanged.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let random = || prop::collection::vec(any::<u8>(), 0..MAX_BODY + 50);
    let message = (any::<u64>(), "[a-z0-9:._-]{0,20}", prop::collection::vec(any::<char>(), 0..40)).prop_map(
        |(id, run, data)| serde_json::json!({"id": id >> 10, "run": run, "data": String::from_iter(data)}).to_string(),
    );
    let mutated = (message.clone(), any::<prop::sample::Index>(), 0..4_usize, prop::collection::vec(any::<u8>(), 0..4));
    prop_oneof![
        random(),
        message.prop_map(String::into_bytes),
        mutated.prop_map(|(message, at, taken, put)| {
            let mut body = message.into_bytes();
            let begin = at.index(body.len());
            body.splice(begin..body.len().min(begin + taken), put);
            body
        }),
    ]
}

/// Posts a body and gives the status, once the answer has come whole.
async fn post(stream: &mut TcpStream, body: &[u8]) -> u16 {
    let head = format!("POST /any HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
    answer.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap()
}

#[tokio::test]
async fn any_body_gets_one_of_three_answers_and_what_is_accepted_is_on_the_queue() {
    let app = TestApp::start(&format!("--max-body {MAX_BODY}")).await;
    let (mut runner, bodies) = (TestRunner::deterministic(), bodies());
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let mut accepted = Vec::new();
    let mut statuses = [0; 3];
    for _ in 0..3000 {
        let body = bodies.new_tree(&mut runner).unwrap().current();
        let (place, expected) = match Envelope::read(&body) {
            _ if body.len() > MAX_BODY => (0, 413),
            Err(_) => (1, 400),
            Ok(_) => (2, 202),
        };
        let posted = tokio::time::timeout(PATIENCE, post(&mut stream, &body)).await;
        assert_eq!(posted, Ok(expected), "{:?}", String::from_utf8_lossy(&body));
        statuses[place] += 1;
        match expected {
            202 => accepted.push(body),
            // A body that is not read to its end may take the connection with it.
            413 => stream = TcpStream::connect(app.address).await.unwrap(),
            _ => {}
        }
    }
    assert!(statuses.iter().all(|&count| count > 50), "{statuses:?}");

    let mut queue = app.queue().await;
    queue.reverse();
    assert_eq!(queue, accepted);
    app.stop().await;
}
