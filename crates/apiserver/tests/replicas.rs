//! A Redis with a replica: what `--wait-replicas` accepts is on both, and outlives the primary.
#![allow(clippy::unwrap_used)]

use apiserver::ApiserverArgs;
use redis::streams::StreamRangeReply;
use service::{Readiness, Shell};
use stack::{Failover, Redis, RedisOptions, ReplicatedRedis, Signal};
use stamp::{LogStore, RedisUrl, Wait};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const QUEUE: &str = stamp::keys::DEFAULT_QUEUE;

/// For what is bound to come about.
const PATIENCE: Duration = Duration::from_secs(20);

struct TestApp {
    api: String,
    kind: &'static str,
    log_store: Redis,
    readiness: Readiness,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    http: reqwest::Client,
}

impl TestApp {
    async fn start(redis: &str, kind: &'static str) -> Self {
        let log_store = Redis::start().await.unwrap();
        let args = ["--redis", redis, "--log-store", &log_store.url(), "--queue", kind, "--wait-replicas", "1"];
        let args: ApiserverArgs = service::parse(args).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("apiserver", &args.service, shutdown.clone()).await.unwrap();
        let (api, readiness) = (format!("http://{}", shell.address().unwrap()), shell.readiness.clone());
        let running = tokio::spawn(apiserver::run(args, shell));
        Self { api, kind, log_store, readiness, shutdown, running, http: reqwest::Client::new() }
    }

    async fn ready(&self) {
        tokio::time::timeout(PATIENCE, self.readiness.ready()).await.unwrap();
    }

    /// The status, and what is told.
    async fn post(&self, id: u64) -> (u16, String) {
        let posted = self.http.post(&self.api).body(format!("{{\"id\":{id},\"run\":\"r\"}}")).send().await.unwrap();
        (posted.status().as_u16(), posted.text().await.unwrap())
    }

    /// Posts until a message is accepted, each with an id of its own: a busy machine may take more than a second for one. Gives its body.
    async fn accepted(&self, ids: &mut impl Iterator<Item = u64>) -> String {
        let accepted = async {
            loop {
                let id = ids.next().unwrap();
                if self.post(id).await.0 == 202 {
                    return format!("{{\"id\":{id},\"run\":\"r\"}}");
                }
            }
        };
        tokio::time::timeout(PATIENCE, accepted).await.unwrap()
    }

    /// What a server has in the queue, the oldest first.
    async fn queued(&self, redis: &Redis) -> Vec<String> {
        let mut connection = redis.url().parse::<RedisUrl>().unwrap().connect(Wait::BRIEFLY).await.unwrap();
        if self.kind == "stream" {
            let range = redis::cmd("XRANGE").arg(&[QUEUE, "-", "+"]).query_async(&mut connection).await;
            let range: StreamRangeReply = range.unwrap();
            return range.ids.iter().map(|entry| entry.get("body").unwrap()).collect();
        }
        let mut bodies: Vec<String> =
            redis::cmd("LRANGE").arg(&[QUEUE, "0", "-1"]).query_async(&mut connection).await.unwrap();
        bodies.reverse();
        bodies
    }

    async fn counts(self) -> stamp::Counts {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        let log = LogStore::connect(&self.log_store.url().parse().unwrap()).await.unwrap();
        log.counts(&"r".parse().unwrap()).await.unwrap()
    }
}

async fn replicated(lag_ms: u64) -> ReplicatedRedis {
    let lag = Duration::from_millis(lag_ms);
    ReplicatedRedis::start(RedisOptions::default(), RedisOptions::default(), lag).await.unwrap()
}

#[tokio::test]
async fn what_was_accepted_outlives_the_primary_and_what_comes_next_waits_for_a_replica() {
    for kind in ["list", "stream"] {
        let mut redis = replicated(20).await;
        let app = TestApp::start(&redis.url(), kind).await;
        app.ready().await;
        let (mut ids, mut accepted) = (0.., Vec::new());
        for _ in 0..10 {
            accepted.push(app.accepted(&mut ids).await);
        }
        redis.fail_over(Failover::Crash).await.unwrap();
        let queued = app.queued(redis.primary()).await;
        assert!(accepted.iter().all(|message| queued.contains(message)), "{kind}: {accepted:?} {queued:?}");
        // There is no replica now: nothing is accepted, and nothing written.
        let (status, _) = app.post(1_000_000).await;
        assert_eq!((status, app.queued(redis.primary()).await), (503, queued), "{kind}");
        redis.rejoin().await.unwrap();
        app.ready().await;
        let message = app.accepted(&mut ids).await;
        assert!(app.queued(redis.replica()).await.contains(&message), "{kind}");
    }
}

#[tokio::test]
async fn a_replica_that_does_not_answer_is_told_and_written_past_once_at_most() {
    let redis = replicated(0).await;
    let app = TestApp::start(&redis.url(), "list").await;
    app.ready().await;
    let mut ids = 0..;
    app.accepted(&mut ids).await;
    let before = app.queued(redis.primary()).await.len();
    redis.replica().process.signal(Signal::STOP);
    let (status, told) = app.post(1_000_000).await;
    assert_eq!(status, 503, "{told}");
    assert!(told.contains("fewer than 1 replicas of redis have confirmed the message (--wait-replicas)"), "{told}");
    assert_eq!(app.readiness.waiting_for(), ["redis"]);
    for id in 1_000_001..1_000_004 {
        let (status, told) = app.post(id).await;
        assert_eq!(status, 503, "{told}");
        assert!(
            told.contains("fewer than 1 replicas of redis follow (--wait-replicas): the message was not"),
            "{told}"
        );
    }
    // The one that was not confirmed goes its way, and is in the books.
    assert_eq!(app.queued(redis.primary()).await.len(), before + 1);
    redis.replica().process.signal(Signal::CONT);
    app.ready().await;
    let message = app.accepted(&mut ids).await;
    let queued = app.queued(redis.replica()).await;
    assert!(queued.contains(&message), "{message} {queued:?}");
    assert_eq!(app.counts().await.get("enqueue"), queued.len() as u64);
}

#[tokio::test]
async fn a_server_without_a_replica_is_not_ready() {
    let redis = Redis::start().await.unwrap();
    let app = TestApp::start(&redis.url(), "list").await;
    let told = async { while !app.post(1).await.1.contains("fewer than 1 replicas of redis follow") {} };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(app.readiness.waiting_for(), ["redis"]);
    assert!(app.queued(&redis).await.is_empty());
}
