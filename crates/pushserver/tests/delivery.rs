//! What becomes of messages when something ends in the middle: at least once and at most once, lists and streams.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, Subscriber, TestApp, enqueue, messages};
use pushserver::PushserverArgs;
use rumqttc::QoS;
use service::Shell;
use stack::{Mosquitto, Process, Redis, Sandbox, Signal, until};
use std::process::Command;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const QUEUE: &str = stamp::keys::DEFAULT_QUEUE;
const HOLDERS: &str = "stampede:queue:holders";

/// The summary of XPENDING: it begins with their number.
type Pending = (u64, redis::Value, redis::Value, redis::Value);

/// Messages that are held, or wait, in Redis.
async fn left(redis: &Redis, kind: &str) -> u64 {
    if kind == "stream" {
        return redis.query(&format!("XLEN {QUEUE}")).await.unwrap();
    }
    let mut left: u64 = redis.query(&format!("LLEN {QUEUE}")).await.unwrap();
    for held in redis.query::<Vec<String>>("KEYS stampede:queue:held:*").await.unwrap() {
        left += redis.query::<u64>(&format!("LLEN {held}")).await.unwrap();
    }
    left
}

/// A push server as a process of its own, to be killed.
async fn start(sandbox: &Arc<Sandbox>, redis: &Redis, mosquitto: &Mosquitto, more: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushserver"));
    command.args(["--redis", &redis.url(), "--mqtt", &mosquitto.url()]).args(more);
    let mut process = Process::spawn("pushserver", command, sandbox).unwrap();
    process.wait_for(|line| line.contains("\"ready\":\"pushserver\"").then_some(())).await.unwrap();
    process
}

#[tokio::test]
async fn every_message_arrives_once_in_every_setting() {
    let sent = messages(0..3000);
    for kind in ["list", "stream"] {
        for delivery in ["at-most-once", "at-least-once"] {
            for handoff in ["channel", "inline"] {
                let app =
                    TestApp::start(&["--queue", kind, "--delivery", delivery, "--handoff", handoff, "--batch", "50"])
                        .await;
                let mut subscriber = app.subscribe(QoS::AtLeastOnce).await;
                enqueue(&app.redis, kind, &sent).await;
                assert_eq!(subscriber.receive_all(&sent).await, sent.len(), "{kind} {delivery} {handoff}");
                let (redis, _mosquitto) = app.stop().await;
                assert_eq!(left(&redis, kind).await, 0, "{kind} {delivery} {handoff}");
                let holders: u64 = redis.query(&format!("ZCARD {HOLDERS}")).await.unwrap();
                assert_eq!(holders, 0, "{kind} {delivery} {handoff}");
            }
        }
    }
}

#[tokio::test]
async fn at_least_once_a_message_leaves_redis_only_when_the_broker_has_it() {
    for kind in ["list", "stream"] {
        let mut app = TestApp::start(&["--queue", kind, "--delivery", "at-least-once"]).await;
        app.mosquitto.process.kill();
        let sent = messages(0..5000);
        enqueue(&app.redis, kind, &sent).await;
        until(async || !app.redis.query::<Vec<String>>(&format!("ZRANGE {HOLDERS} 0 -1")).await.unwrap().is_empty())
            .await;
        // The keys are read one after the other, and messages move between them until all that may be taken is taken.
        until(async || kind == "stream" || app.redis.query::<u64>(&format!("LLEN {QUEUE}")).await.unwrap() < 4900)
            .await;
        until(async || left(&app.redis, kind).await == 5000).await;
        app.mosquitto.restart().await.unwrap();
        let mut subscriber = app.subscribe(QoS::AtLeastOnce).await;
        // What the broker took before somebody subscribed reached nobody; the rest does.
        subscriber.receive().await;
        until(async || {
            while timeout(std::time::Duration::from_millis(1), subscriber.reader.fill()).await.is_ok() {
                while subscriber.reader.next_packet().unwrap().is_some() {}
            }
            left(&app.redis, kind).await == 0
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_dead_one_held_is_taken_over() {
    for kind in ["list", "stream"] {
        let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let args = ["--queue", kind, "--delivery", "at-least-once", "--lease", "1s", "--workers", "2"];
        let mut dead = start(&sandbox, &redis, &mosquitto, &args).await;
        // A broker that stands still acknowledges nothing: all that is taken stays held. On a new connection that is what fits in front of
        // the publisher.
        mosquitto.process.signal(Signal::STOP);
        let sent = messages(0..1000);
        enqueue(&redis, kind, &sent).await;
        until(async || {
            if kind == "list" {
                return redis.query::<u64>(&format!("LLEN {QUEUE}")).await.unwrap() == 0;
            }
            redis.query::<Pending>(&format!("XPENDING {QUEUE} pushserver")).await.unwrap().0 == 1000
        })
        .await;
        dead.kill();
        mosquitto.process.signal(Signal::CONT);
        let mut subscriber = Subscriber::at(&mosquitto, QoS::AtLeastOnce).await;
        let _heir = start(&sandbox, &redis, &mosquitto, &args).await;
        subscriber.receive_all(&sent).await;
        until(async || left(&redis, kind).await == 0).await;
    }
}

#[tokio::test]
async fn one_that_was_only_slow_loses_nothing() {
    for kind in ["list", "stream"] {
        let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let args = ["--queue", kind, "--delivery", "at-least-once", "--lease", "1s", "--workers", "1"];
        let slow = start(&sandbox, &redis, &mosquitto, &args).await;
        let mut subscriber = Subscriber::at(&mosquitto, QoS::AtLeastOnce).await;
        let first = messages(0..1000);
        enqueue(&redis, kind, &first).await;
        subscriber.receive().await;
        slow.signal(Signal::STOP);
        let _other = start(&sandbox, &redis, &mosquitto, &args).await;
        // The fence tells that the other has taken over.
        until(async || {
            !redis.query::<Vec<String>>(&format!("ZRANGE {HOLDERS} -inf (0 BYSCORE")).await.unwrap().is_empty()
        })
        .await;
        subscriber.receive_all(&first[1..]).await;
        slow.signal(Signal::CONT);
        until(async || slow.log().contains("the lease on what was taken is lost")).await;
        let more = messages(1000..3000);
        enqueue(&redis, kind, &more).await;
        subscriber.receive_all(&more).await;
        until(async || left(&redis, kind).await == 0).await;
    }
}

#[tokio::test]
async fn a_shutdown_without_a_broker_gives_messages_back() {
    for (kind, delivery) in
        [("list", "at-most-once"), ("list", "at-least-once"), ("stream", "at-most-once"), ("stream", "at-least-once")]
    {
        let mut app = TestApp::start(&["--queue", kind, "--delivery", delivery, "--workers", "1"]).await;
        app.mosquitto.process.kill();
        until(async || app.readiness.waiting_for() == ["mqtt"]).await;
        let sent = messages(0..300);
        enqueue(&app.redis, kind, &sent).await;
        if kind == "list" {
            until(async || app.redis.query::<u64>(&format!("LLEN {QUEUE}")).await.unwrap() == 0).await;
        }
        let (redis, _mosquitto) = app.stop().await;
        let length = if kind == "list" { "LLEN" } else { "XLEN" };
        let waiting: u64 = redis.query(&format!("{length} {QUEUE}")).await.unwrap();
        assert_eq!(waiting, 300, "{kind} {delivery}");
        if kind == "list" {
            // In their old order: the one that was taken first is taken first again.
            let next: Vec<u8> = redis.query(&format!("LINDEX {QUEUE} -1")).await.unwrap();
            assert_eq!(next, sent[0], "{delivery}");
        }
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_redis_that_stands_still() {
    for delivery in ["at-most-once", "at-least-once"] {
        let app = TestApp::start(&["--delivery", delivery]).await;
        app.redis.process.signal(Signal::STOP);
        let (redis, _mosquitto) = app.stop().await;
        redis.process.signal(Signal::CONT);
    }
}

#[tokio::test]
async fn what_reaches_nobody_is_kept_until_somebody_subscribes() {
    let app = TestApp::start(&["--delivery", "at-least-once", "--mqtt-version", "5"]).await;
    let sent = messages(0..500);
    app.enqueue(&sent).await;
    until(async || app.readiness.waiting_for() == ["mqtt"]).await;
    assert_eq!(left(&app.redis, "list").await, 500);
    let mut subscriber = app.subscribe(QoS::AtLeastOnce).await;
    subscriber.receive_all(&sent).await;
    until(async || left(&app.redis, "list").await == 0).await;
    timeout(PATIENCE, app.readiness.ready()).await.unwrap();
}

#[tokio::test]
async fn at_least_once_without_acknowledgements_is_refused() {
    let redis = Redis::start().await.unwrap();
    let args: PushserverArgs =
        service::parse(["--redis", &redis.url(), "--delivery", "at-least-once", "--qos", "0"]).unwrap();
    let shell = Shell::open_with("pushserver", &args.service, CancellationToken::new()).await.unwrap();
    let error = pushserver::run(args, shell).await.unwrap_err().to_string();
    assert!(error.contains("--qos 0 has no acknowledgements"), "{error}");
}
