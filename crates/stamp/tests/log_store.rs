//! Stamps and counts on their way into a real Redis and back.
#![allow(clippy::unwrap_used)]

use stack::Redis;
use stamp::{ClockMode, LogStore, MsgId, RedisUrl, RunId, SampleEvery, Stage, Stamp, Tracer, TracerOptions};
use std::time::Duration;

struct Fixture {
    redis: Redis,
    url: RedisUrl,
    log: LogStore,
}

impl Fixture {
    async fn start() -> Self {
        let redis = Redis::start().await.unwrap();
        let url: RedisUrl = redis.url().parse().unwrap();
        let log = LogStore::connect(&url).await.unwrap();
        Self { redis, url, log }
    }

    async fn stamps(&self, run: &str, stage: &Stage) -> Vec<Stamp> {
        let mut stamps = Vec::new();
        let take = |entry: &[u8]| stamps.push(Stamp::parse(entry).unwrap());
        self.log.entries(&run.parse().unwrap(), stage, take).await.unwrap();
        stamps
    }

    async fn count(&self, run: &str, name: &str) -> u64 {
        self.log.counts(&run.parse().unwrap()).await.unwrap().get(name)
    }

    async fn redis_time_us(&self) -> i64 {
        let (seconds, micros): (i64, i64) = self.redis.query("TIME").await.unwrap();
        seconds * 1_000_000 + micros
    }
}

fn id(id: u64) -> MsgId {
    MsgId::new(id).unwrap()
}

#[tokio::test]
async fn sampled_messages_are_stamped_and_all_are_counted() {
    let fixture = Fixture::start().await;
    let tracer = Tracer::connect(&fixture.redis.url()).await.unwrap();
    let before = fixture.redis_time_us().await;
    for n in 1..=1000 {
        tracer.stamp(&Stage::APISERVER, id(n));
    }
    tracer.flush().await;
    let after = fixture.redis_time_us().await;
    let stamps = fixture.stamps(RunId::ADHOC, &Stage::APISERVER).await;
    assert_eq!(stamps.iter().map(|s| s.id).collect::<Vec<_>>(), (1..=10).map(|n| n * 100).collect::<Vec<_>>());
    assert!(stamps.iter().all(|s| (before..=after).contains(&s.time_us)), "{stamps:?} not in {before}..={after}");
    assert_eq!(fixture.count(RunId::ADHOC, "apiserver").await, 1000);
}

#[tokio::test]
async fn a_hundred_thousand_stamps_of_many_runs_arrive_complete_and_in_order() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { every: SampleEvery::new(1).unwrap(), capacity: 1 << 20, ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    let stage = tracer.stage(&Stage::SEND);
    for n in 0..100_000 {
        tracer.run(["a", "b", "c"][n % 3]).stamp(stage, id(n as u64));
    }
    tracer.flush().await;
    for (run, first) in [("a", 0), ("b", 1), ("c", 2)] {
        let ids: Vec<u64> = fixture.stamps(run, &Stage::SEND).await.iter().map(|s| s.id).collect();
        assert_eq!(ids, (first..100_000).step_by(3).collect::<Vec<u64>>());
        assert_eq!(fixture.count(run, "send").await, ids.len() as u64);
    }
}

#[tokio::test]
async fn the_disciplined_clock_tells_the_event_however_late_the_stamp_is_written() {
    let fixture = Fixture::start().await;
    let tracer = Tracer::start(&fixture.url, TracerOptions::default());
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    let before = fixture.redis_time_us().await;
    tracer.stamp(&Stage::SEND, id(200));
    let after = fixture.redis_time_us().await;
    // Written a good while after the event.
    tokio::time::timeout(Duration::from_millis(30), std::future::pending::<()>()).await.unwrap_err();
    tracer.flush().await;
    let stamp = fixture.stamps("adhoc", &Stage::SEND).await[1];
    let error = i64::from(stamp.err_us.unwrap());
    assert!(stamp.lag_us.is_some() && stamp.step == 0, "{stamp:?}");
    assert!(before - error <= stamp.event_us() && stamp.event_us() <= after + error, "{before} {stamp:?} {after}");
}

#[tokio::test]
async fn plain_stamps_carry_the_reading_alone() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { clock: ClockMode::Redis, ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    let stamp = fixture.stamps("adhoc", &Stage::SEND).await[0];
    assert_eq!((stamp.lag_us, stamp.err_us), (None, None));
}

#[tokio::test]
async fn plain_and_disciplined_stamps_agree_on_the_time_scale_that_they_start_in() {
    let fixture = Fixture::start().await;
    let step = format!(r#"RPUSH {} {{"at":"1.000000","size":5000000,"err":60}}"#, stamp::keys::CLOCK_STEPS);
    let () = fixture.redis.query(&step).await.unwrap();
    for clock in [ClockMode::Disciplined, ClockMode::Redis] {
        let tracer = Tracer::start(&fixture.url, TracerOptions { clock, ..TracerOptions::default() });
        tracer.stamp(&Stage::SEND, id(100));
        tracer.close().await;
    }
    let steps: Vec<u32> = fixture.stamps("adhoc", &Stage::SEND).await.iter().map(|stamp| stamp.step).collect();
    assert_eq!(steps, [1, 1]);
    // Every beat keeps the list alive.
    let left: i64 = fixture.redis.query(&format!("TTL {}", stamp::keys::CLOCK_STEPS)).await.unwrap();
    assert!(left > 80_000, "{left}");
}

#[tokio::test]
async fn tracing_that_is_off_leaves_nothing() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { clock: ClockMode::Off, ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    assert!(fixture.stamps("adhoc", &Stage::SEND).await.is_empty());
    assert_eq!(fixture.count("adhoc", "send").await, 0);
    assert!(fixture.log.services().await.unwrap().is_empty());
}

#[tokio::test]
async fn services_register_and_take_their_leave() {
    let fixture = Fixture::start().await;
    let options =
        TracerOptions { service: "enricher".to_owned(), version: "9.1".to_owned(), ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options.clone());
    tracer.stamp(&Stage::PUBLISH, id(1));
    let _ = tracer.counter("other");
    let registered = async {
        loop {
            match fixture.log.services().await.unwrap().pop() {
                Some(beat) if beat.clock.is_some() && !beat.stages.is_empty() => return beat,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let beat = tokio::time::timeout(Duration::from_secs(10), registered).await.unwrap();
    assert_eq!((beat.service.as_str(), beat.version.as_str(), beat.every), ("enricher", "9.1", 100));
    assert_eq!((beat.instance, beat.stages, beat.pid), (options.instance, vec![Stage::PUBLISH], std::process::id()));
    tracer.close().await;
    assert!(fixture.log.services().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stamp_takes_at_most_64_bytes() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { every: SampleEvery::new(1).unwrap(), capacity: 1 << 20, ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    let (run, stage) = (tracer.run("r"), tracer.stage(&Stage::MQTTCLIENT));
    for n in 0..100_000u32 {
        run.stamp(stage, MsgId::compose(0, u16::try_from(n % 20).unwrap(), n / 20));
    }
    tracer.flush().await;
    let bytes: u64 = fixture.redis.query("MEMORY USAGE trace:r:mqttclient SAMPLES 0").await.unwrap();
    let stamps = fixture.stamps("r", &Stage::MQTTCLIENT).await.len() as u64;
    assert!(stamps == 100_000 && bytes <= 64 * stamps, "{bytes} bytes for {stamps} stamps");
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { every: SampleEvery::new(1).unwrap(), capacity: 10, ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    // Nothing is flushed in between: the task that writes has no turn before the first await.
    for n in 0..25 {
        tracer.stamp(&Stage::SEND, id(n));
    }
    tracer.flush().await;
    assert_eq!(fixture.stamps("adhoc", &Stage::SEND).await.len(), 10);
    assert_eq!((fixture.count("adhoc", "send").await, fixture.count("adhoc", "dropped.send").await), (25, 15));
}

#[tokio::test]
async fn counts_of_several_processes_add_up_and_foreign_clients_may_increment() {
    let fixture = Fixture::start().await;
    for _ in 0..2 {
        let tracer = Tracer::start(&fixture.url, TracerOptions::default());
        tracer.run("r").stamp(tracer.stage(&Stage::PUBLISH), id(1));
        tracer.flush().await;
    }
    let () = fixture.redis.query("HINCRBY trace:r:counts publish 5").await.unwrap();
    assert_eq!(fixture.count("r", "publish").await, 7);
}

#[tokio::test]
async fn a_key_of_the_wrong_type_spoils_its_own_run_alone() {
    let fixture = Fixture::start().await;
    for key in ["trace:bad:counts", "trace:worse:send"] {
        let () = fixture.redis.query(&format!("SET {key} x")).await.unwrap();
    }
    let tracer = Tracer::start(&fixture.url, TracerOptions::default());
    let stage = tracer.stage(&Stage::SEND);
    tracer.run("bad").stamp(stage, id(100));
    tracer.flush().await;
    tracer.run("worse").stamp(stage, id(100));
    tracer.flush().await;
    tracer.run("good").stamp(stage, id(100));
    tracer.flush().await;
    assert_eq!((fixture.stamps("good", &Stage::SEND).await.len(), fixture.count("good", "send").await), (1, 1));
    assert_eq!(fixture.count("good", "dropped.send").await, 0);
    assert_eq!((fixture.count("worse", "send").await, fixture.count("worse", "dropped.send").await), (1, 1));
}

#[tokio::test]
async fn a_queue_of_either_kind_has_a_length() {
    let fixture = Fixture::start().await;
    for command in ["LPUSH list a b", "XADD stream * body a", "SET text a"] {
        let _: redis::Value = fixture.redis.query(command).await.unwrap();
    }
    assert_eq!(fixture.log.length("nothing").await.unwrap(), 0);
    assert_eq!(fixture.log.length("list").await.unwrap(), 2);
    assert_eq!(fixture.log.length("stream").await.unwrap(), 1);
    assert!(fixture.log.length("text").await.is_err());
}

#[tokio::test]
async fn a_log_store_that_has_forgotten_the_script_is_given_it_again() {
    let fixture = Fixture::start().await;
    let tracer = Tracer::start(&fixture.url, TracerOptions::default());
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    let () = fixture.redis.query("SCRIPT FLUSH").await.unwrap();
    tracer.stamp(&Stage::SEND, id(200));
    tracer.flush().await;
    let ids: Vec<u64> = fixture.stamps("adhoc", &Stage::SEND).await.iter().map(|stamp| stamp.id).collect();
    assert_eq!((ids, fixture.count("adhoc", "dropped.send").await), (vec![100, 200], 0));
}

#[tokio::test]
async fn a_password_that_is_missing_is_told_at_once() {
    let fixture = Fixture::start().await;
    let () = fixture.redis.query("CONFIG SET requirepass secret").await.unwrap();
    let error = Tracer::connect(&fixture.redis.url()).await.unwrap_err().to_string();
    assert!(error.contains("wants other credentials") && !error.contains("secret"), "{error}");
    let with_password = fixture.redis.url().replace("redis://", "redis://:secret@");
    Tracer::connect(&with_password).await.unwrap();
}

#[tokio::test]
async fn keys_expire() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { time_to_live: Duration::from_secs(77), ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    for key in ["trace:adhoc:send", "trace:adhoc:counts"] {
        let left: i64 = fixture.redis.query(&format!("TTL {key}")).await.unwrap();
        assert!((70..=77).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn stamps_and_counts_outlive_the_loss_of_the_log_store() {
    let mut fixture = Fixture::start().await;
    let tracer = Tracer::connect(&fixture.redis.url()).await.unwrap();
    tracer.stamp(&Stage::SEND, id(100));
    tracer.flush().await;
    fixture.redis.process.kill();
    tracer.stamp(&Stage::SEND, id(200));
    fixture.redis.restart().await.unwrap();
    fixture.log = LogStore::connect(&fixture.url).await.unwrap();
    tracer.flush().await;
    // The new server is empty: the stamp that waited is there, the one before is gone with the old server, and
    // the count, a total and no increment, is whole again.
    let ids: Vec<u64> = fixture.stamps("adhoc", &Stage::SEND).await.iter().map(|s| s.id).collect();
    let dropped = fixture.count("adhoc", "dropped.send").await;
    assert!(ids == [200] && dropped == 0 || ids.is_empty() && dropped == 1, "{ids:?}, {dropped} dropped");
    assert_eq!(fixture.count("adhoc", "send").await, 2);
}

#[tokio::test]
async fn a_log_store_that_has_forgotten_gets_all_counts_again() {
    let mut fixture = Fixture::start().await;
    let tracer = Tracer::connect(&fixture.redis.url()).await.unwrap();
    let (still, moving) = ("still", "moving");
    for run in [still, moving] {
        tracer.run(run).stamp(tracer.stage(&Stage::SEND), id(101));
    }
    tracer.flush().await;
    // Another server has taken over, or this one has begun anew: it does not have what the old one had confirmed.
    fixture.redis.restart().await.unwrap();
    fixture.log = LogStore::connect(&fixture.url).await.unwrap();
    tracer.run(moving).stamp(tracer.stage(&Stage::SEND), id(102));
    let both = async {
        while (fixture.count(still, "send").await, fixture.count(moving, "send").await) != (1, 2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
}

#[tokio::test]
async fn a_log_store_that_is_away_is_named() {
    let mut redis = Redis::start().await.unwrap();
    redis.process.kill();
    let error = Tracer::connect(&redis.url()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("redis at {} refused the connection: is it running, and is the address right?", redis.url())
    );
}
