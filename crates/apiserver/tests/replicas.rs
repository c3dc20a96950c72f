//! A Redis with a replica: what `--wait-replicas` accepts is on both, and outlives the primary.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, QUEUE, TestApp, message};
use redis::streams::StreamRangeReply;
use stack::{Failover, Redis, RedisOptions, ReplicatedRedis, Signal};
use std::time::Duration;

/// One with its queue in this Redis, which may not be ready yet.
async fn start(redis: &str, kind: &str) -> TestApp {
    let log_store = Redis::start().await.unwrap();
    let line = format!("--redis {redis} --log-store {} --queue {kind} --wait-replicas 1", log_store.url());
    TestApp::open(log_store, &line, |_| {}).await
}

/// The status, and what is told.
async fn post(app: &TestApp, id: u64) -> (u16, String) {
    let posted = app.post_id(id).await;
    (posted.status().as_u16(), posted.text().await.unwrap())
}

/// Posts until a message is accepted, each with an id of its own: a busy machine may take more than a second for one. Gives its body.
async fn post_until_accepted(app: &TestApp, ids: &mut impl Iterator<Item = u64>) -> String {
    let accepted = async {
        loop {
            let id = ids.next().unwrap();
            if post(app, id).await.0 == 202 {
                return message(id);
            }
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.unwrap()
}

/// What a server has in the queue, the oldest first.
async fn messages_in(redis: &Redis, kind: &str) -> Vec<String> {
    if kind == "stream" {
        let range: StreamRangeReply = redis.query(&format!("XRANGE {QUEUE} - +")).await.unwrap();
        return range.ids.iter().map(|entry| entry.get("body").unwrap()).collect();
    }
    let mut bodies: Vec<String> = redis.query(&format!("LRANGE {QUEUE} 0 -1")).await.unwrap();
    bodies.reverse();
    bodies
}

async fn replicated(lag_ms: u64) -> ReplicatedRedis {
    let lag = Duration::from_millis(lag_ms);
    ReplicatedRedis::start(RedisOptions::default(), RedisOptions::default(), lag).await.unwrap()
}

#[tokio::test]
async fn what_was_accepted_outlives_the_primary_and_what_comes_next_waits_for_a_replica() {
    for kind in ["list", "stream"] {
        let mut redis = replicated(20).await;
        let app = start(&redis.url(), kind).await;
        app.ready().await;
        let (mut ids, mut accepted) = (0.., Vec::new());
        for _ in 0..10 {
            accepted.push(post_until_accepted(&app, &mut ids).await);
        }
        redis.fail_over(Failover::Crash).await.unwrap();
        let queued = messages_in(redis.primary(), kind).await;
        assert!(accepted.iter().all(|message| queued.contains(message)), "{kind}: {accepted:?} {queued:?}");
        // There is no replica now: nothing is accepted, and nothing written.
        let (status, _) = post(&app, 1_000_000).await;
        assert_eq!((status, messages_in(redis.primary(), kind).await), (503, queued), "{kind}");
        redis.rejoin().await.unwrap();
        app.ready().await;
        let message = post_until_accepted(&app, &mut ids).await;
        assert!(messages_in(redis.replica(), kind).await.contains(&message), "{kind}");
    }
}

#[tokio::test]
async fn a_replica_that_does_not_answer_is_told_and_written_past_once_at_most() {
    let redis = replicated(0).await;
    let app = start(&redis.url(), "list").await;
    app.ready().await;
    let mut ids = 0..;
    post_until_accepted(&app, &mut ids).await;
    let before = messages_in(redis.primary(), "list").await.len();
    redis.replica().process.signal(Signal::STOP);
    let (status, told) = post(&app, 1_000_000).await;
    assert_eq!(status, 503, "{told}");
    assert!(told.contains("fewer than 1 replicas of redis have confirmed the message (--wait-replicas)"), "{told}");
    assert_eq!(app.readiness.waiting_for(), ["redis"]);
    for id in 1_000_001..1_000_004 {
        let (status, told) = post(&app, id).await;
        assert_eq!(status, 503, "{told}");
        assert!(
            told.contains("fewer than 1 replicas of redis follow (--wait-replicas): the message was not"),
            "{told}"
        );
    }
    // The one that was not confirmed goes its way, and is in the books.
    assert_eq!(messages_in(redis.primary(), "list").await.len(), before + 1);
    redis.replica().process.signal(Signal::CONT);
    app.ready().await;
    let message = post_until_accepted(&app, &mut ids).await;
    let queued = messages_in(redis.replica(), "list").await;
    assert!(queued.contains(&message), "{message} {queued:?}");
    assert_eq!(app.counts().await.get("enqueue"), queued.len() as u64);
}

#[tokio::test]
async fn a_server_without_a_replica_is_not_ready() {
    let redis = Redis::start().await.unwrap();
    let app = start(&redis.url(), "list").await;
    let told = async { while !post(&app, 1).await.1.contains("fewer than 1 replicas of redis follow") {} };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(app.readiness.waiting_for(), ["redis"]);
    assert!(messages_in(&redis, "list").await.is_empty());
}
