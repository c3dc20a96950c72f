//! The queue's kinds and its limit, against a real Redis.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, QUEUE, TestApp, message};
use redis::streams::StreamRangeReply;
use std::time::Duration;

#[tokio::test]
async fn a_message_gets_a_trace_context_where_it_has_no_such_field() {
    let app = TestApp::start("").await;
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let bodies = [
        r#"{"id":7,"traceparent":"abc"}"#,
        r#"{"id":7,"traceparent":null}"#,
        r#"{"id":7,"traceparent":{"a":1}}"#,
        r#"{"id":7,"a":{"traceparent":"abc"}}"#,
    ];
    for body in bodies {
        let request = app.http.post(&app.api).header("traceparent", context).body(body);
        assert_eq!(request.send().await.unwrap().status(), 202, "{body}");
    }
    let mut queued: Vec<String> = app.query(&format!("LRANGE {QUEUE} 0 -1")).await;
    queued.sort();
    let mut expected = bodies.map(str::to_owned);
    expected[3] = format!(r#"{{"traceparent":"{context}","id":7,"a":{{"traceparent":"abc"}}}}"#);
    expected.sort();
    assert_eq!(queued, expected);
}

#[tokio::test]
async fn a_stream_takes_messages_unchanged() {
    let app = TestApp::start("--queue stream").await;
    for id in 0..20 {
        assert_eq!(app.post_id(id).await.status(), 202);
    }
    let entries: StreamRangeReply = app.query(&format!("XRANGE {QUEUE} - +")).await;
    let bodies: Vec<String> = entries.ids.iter().map(|entry| entry.get("body").unwrap()).collect();
    assert_eq!(bodies, (0..20).map(message).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_sheds_and_one_that_has_room_again_does_not() {
    for kind in ["list", "stream"] {
        let app = TestApp::start(&format!("--queue {kind} --max-queue 5")).await;
        for id in 0..5 {
            assert_eq!(app.post_id(id).await.status(), 202, "{kind}");
        }
        for id in 5..8 {
            let refused = app.post_id(id).await;
            assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
            let told = refused.text().await.unwrap();
            assert!(told.contains("the queue is full (5 messages, --max-queue)"), "{told}");
        }
        // A queue that is full is no fault.
        assert!(app.readiness.waiting_for().is_empty());
        let trimmed: u64 = match kind {
            "list" => app.query::<Vec<Vec<u8>>>(&format!("RPOP {QUEUE} 2")).await.len() as u64,
            _ => app.query(&format!("XTRIM {QUEUE} MAXLEN = 3")).await,
        };
        assert_eq!(trimmed, 2);
        assert_eq!(app.post_id(8).await.status(), 202);
        assert_eq!(app.post_id(9).await.status(), 202);
        assert_eq!(app.post_id(10).await.status(), 503);
        let counts = app.counts().await;
        // What was shed is in no other book.
        assert_eq!((counts.get("enqueue"), counts.get("apiserver"), counts.get("shed")), (7, 7, 4), "{kind}");
    }
}

#[tokio::test]
async fn many_at_once_never_pass_the_limit() {
    let app = TestApp::start("--max-queue 100").await;
    let answers = (0..300).map(|id| {
        let request = app.http.post(&app.api).body(message(id));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let mut accepted = 0;
    for answer in answers.collect::<Vec<_>>() {
        let status = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert!(status == 202 || status == 503, "{status}");
        accepted += u64::from(status == 202);
    }
    assert_eq!((accepted, app.query::<u64>(&format!("LLEN {QUEUE}")).await), (100, 100));
    assert_eq!(app.counts().await.get("shed"), 200);
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_told_until_it_takes_them_again() {
    let app = TestApp::start("").await;
    let () = app.query("CONFIG SET maxmemory 1").await;
    assert_eq!(app.post_id(1).await.status(), 503);
    assert_eq!(app.readiness.waiting_for(), ["redis"]);
    // Redis still answers questions about the queue's length, twice at least before this is over.
    let refused = stamp::clock::now();
    while stamp::clock::now().duration_since(refused) < Duration::from_millis(2200) {
        assert_eq!(app.readiness.waiting_for(), ["redis"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let () = app.query("CONFIG SET maxmemory 0").await;
    app.ready().await;
    assert_eq!(app.post_id(2).await.status(), 202);
    assert_eq!(app.query::<u64>("EXISTS stampede:queue:probe").await, 0);
}

#[tokio::test]
async fn a_message_whose_client_has_gone_is_in_the_books_if_it_is_in_the_queue() {
    let app = TestApp::start("").await;
    app.redis.process.signal(stack::Signal::STOP);
    let request = app.post_id(1);
    // The client gives up while Redis is silent.
    assert!(tokio::time::timeout(Duration::from_millis(300), request).await.is_err());
    app.redis.process.signal(stack::Signal::CONT);
    assert_eq!(app.post_id(2).await.status(), 202);
    let queued: u64 = app.query(&format!("LLEN {QUEUE}")).await;
    assert_eq!(app.counts().await.get("enqueue"), queued);
}
