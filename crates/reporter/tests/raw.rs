//! Raw stamps on their way from a real Redis into a file and back.
#![allow(clippy::unwrap_used)]

use analysis::{Http, Load, Report, Sweep};
use reporter::{ExportArgs, ImportArgs, LogStoreArgs, ReportArgs, ThresholdArgs, export, import, report};
use stack::Redis;
use stamp::{LogStore, MsgId, RedisArgs, RedisUrl, SampleEvery, Stage, Tracer, TracerOptions, Wait};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A log store that holds the sweep `s` of two runs, and a folder.
struct Fixture {
    redis: Redis,
    url: RedisUrl,
    folder: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let redis = Redis::start().await.unwrap();
        let url: RedisUrl = redis.url().parse().unwrap();
        let fixture = Self { redis, url, folder: tempfile::tempdir().unwrap() };
        let options =
            TracerOptions { every: SampleEvery::new(1).unwrap(), capacity: 1 << 20, ..TracerOptions::default() };
        let tracer = Tracer::start(&fixture.url, options);
        let path = stamp::Path::default();
        let runs = ["s.c01", "s.c02"];
        for (run, messages) in runs.into_iter().zip([25_000, 400]) {
            let trace = tracer.run(run);
            for stage in path.stages() {
                let handle = tracer.stage(stage);
                (0..messages).for_each(|id| trace.stamp(handle, MsgId::new(id).unwrap()));
                tracer.flush().await;
            }
        }
        tracer.close().await;
        let mut commands = redis::pipe();
        commands.rpush("trace:s.c02:send", &[&b"no\nstamp"[..], &b"\xff\xfe"[..], b"", b"{\"id\":1}"]).ignore();
        commands.rpush("trace:s.c02:enricher", r#"{"id":3,"time":"1426087754.104515"}"#).ignore();
        commands.hset("trace:s.c02:counts", "enricher", 1).ignore();
        // What is no list of stamps is left where it is.
        commands.set("trace:s.c02:other", "x").ignore();
        let (): () = commands.query_async(&mut fixture.connection().await).await.unwrap();
        let sweep = Sweep {
            started_unix_s: 1_795_255_200,
            settings: BTreeMap::from([("duration".to_owned(), "1s".to_owned())]),
            loads: runs.into_iter().zip([25_000, 400]).map(|(run, messages)| load(run, messages)).collect(),
            ..Sweep::of_load("s".parse().unwrap(), 1, &path)
        };
        sweep.save(&LogStore::connect(&fixture.url).await.unwrap(), Duration::from_secs(60)).await.unwrap();
        fixture
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        self.url.connect(Wait::BRIEFLY).await.unwrap()
    }

    fn store(&self) -> LogStoreArgs {
        LogStoreArgs { redis: self.url.clone(), redis_args: RedisArgs::default() }
    }

    async fn export(&self) -> PathBuf {
        let output = Some(self.folder.path().join("s.stamps.lz4"));
        export(&ExportArgs { sweep: "s".to_owned(), output, store: self.store() }).await.unwrap()
    }

    async fn import(&self, file: &Path, replace: bool) -> anyhow::Result<stamp::RunId> {
        import(&ImportArgs { file: file.to_owned(), replace, keep_hours: 2, store: self.store() }).await
    }

    async fn report(&self, sweep: &str) -> anyhow::Result<Report> {
        let out = self.folder.path().join("reports");
        let args = ReportArgs {
            sweep: sweep.to_owned(),
            store: self.store(),
            path: None,
            out,
            p99_limit: None,
            thresholds: ThresholdArgs::default(),
        };
        Ok(report(&args).await?.report)
    }

    async fn everything(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut connection = self.connection().await;
        let keys: Vec<String> = redis::cmd("KEYS").arg("trace:s*").query_async(&mut connection).await.unwrap();
        let mut found = BTreeMap::new();
        for key in keys {
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.unwrap();
            let content: Vec<Vec<u8>> = match kind.as_str() {
                "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query_async(&mut connection).await.unwrap(),
                "hash" => {
                    let fields: BTreeMap<Vec<u8>, Vec<u8>> =
                        redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await.unwrap();
                    fields.into_iter().flat_map(|(field, value)| [field, value]).collect()
                }
                // The description of the sweep.
                _ => vec![redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap()],
            };
            found.insert(key, content);
        }
        found
    }
}

fn load(run: &str, messages: u64) -> Load {
    let http = Http {
        duration_us: 1_000_000,
        requests: messages,
        accepted: messages,
        mean_us: Some(100.0),
        p50_us: Some(90),
        p99_us: Some(300),
        max_us: Some(400),
        ..Http::default()
    };
    Load { concurrency: Some(8), drain_us: Some(1000), http: Some(http), ..Load::foreign(run.parse().unwrap()) }
}

#[tokio::test]
async fn a_sweep_goes_into_a_file_and_comes_back_as_it_was() {
    let fixture = Fixture::start().await;
    let report = fixture.report("s").await.unwrap();
    assert_eq!(report.levels.len(), 2);
    assert_eq!(report.levels[0].arrival.count, 25_000);
    let mut everything = fixture.everything().await;
    let file = fixture.export().await;
    assert_eq!(fixture.report(file.to_str().unwrap()).await.unwrap(), report);

    let () = redis::cmd("FLUSHALL").query_async(&mut fixture.connection().await).await.unwrap();
    assert!(fixture.report("s").await.unwrap_err().to_string().contains("knows no sweep"));
    assert_eq!(fixture.import(&file, false).await.unwrap().as_str(), "s");
    assert_eq!(fixture.report("s").await.unwrap(), report);
    everything.remove("trace:s.c02:other");
    assert_eq!(fixture.everything().await, everything);
    for key in everything.keys() {
        let left: i64 = redis::cmd("TTL").arg(key).query_async(&mut fixture.connection().await).await.unwrap();
        assert!((7000..=7200).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn what_is_there_already_is_replaced_only_when_told_so() {
    let fixture = Fixture::start().await;
    let file = fixture.export().await;
    let mut everything = fixture.everything().await;
    let error = fixture.import(&file, false).await.unwrap_err().to_string();
    let expected =
        "holds run s.c01 already: give --replace to put the file's in its place, or use another Redis (--redis)";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(fixture.everything().await, everything);
    let mut more = redis::cmd("RPUSH");
    let (): () = more.arg("trace:s.c01:send").arg("more").query_async(&mut fixture.connection().await).await.unwrap();
    fixture.import(&file, true).await.unwrap();
    everything.insert("trace:s.c02:other".to_owned(), vec![b"x".to_vec()]);
    assert_eq!(fixture.everything().await, everything);
}

#[tokio::test]
async fn a_file_that_is_cut_off_gives_no_report_and_changes_no_log_store() {
    let fixture = Fixture::start().await;
    let file = fixture.export().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut fixture.connection().await).await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    let name = file.to_str().unwrap();
    for error in [fixture.report(name).await.unwrap_err(), fixture.import(&file, false).await.unwrap_err()] {
        let told = format!("{error:#}");
        assert!(told.contains("is cut off after line "), "{told}");
    }
    assert!(fixture.everything().await.is_empty());
}

#[tokio::test]
async fn a_single_run_that_no_sweep_describes_is_kept_too() {
    let fixture = Fixture::start().await;
    let output = Some(fixture.folder.path().join("run.lz4"));
    let args = ExportArgs { sweep: "s.c02".to_owned(), output, store: fixture.store() };
    let file = export(&args).await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut fixture.connection().await).await.unwrap();
    assert_eq!(fixture.import(&file, false).await.unwrap().as_str(), "s.c02");
    let log = LogStore::connect(&fixture.url).await.unwrap();
    let mut entries = 0;
    log.entries(&"s.c02".parse().unwrap(), &Stage::SEND, |_| entries += 1).await.unwrap();
    assert_eq!(entries, 404);
    let report = fixture.report("s.c02").await.unwrap();
    let from_file = fixture.report(file.to_str().unwrap()).await.unwrap();
    assert_eq!(report.levels, from_file.levels);
}

#[tokio::test]
async fn a_path_that_cannot_be_written_fails_and_leaves_nothing() {
    let mut fixture = Fixture::start().await;
    let output = Some(fixture.folder.path().join("nowhere/s.lz4"));
    let error = export(&ExportArgs { sweep: "s".to_owned(), output, store: fixture.store() }).await.unwrap_err();
    assert!(error.to_string().ends_with("choose another file with --output"), "{error}");
    fixture.redis.process.kill();
    let output = Some(fixture.folder.path().join("s.lz4"));
    export(&ExportArgs { sweep: "s".to_owned(), output, store: fixture.store() }).await.unwrap_err();
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_run_that_nobody_described_is_reported_as_it_was_sampled() {
    let fixture = Fixture::start().await;
    let options = TracerOptions { every: SampleEvery::new(10).unwrap(), ..TracerOptions::default() };
    let tracer = Tracer::start(&fixture.url, options);
    let path: stamp::Path = "api,worker".parse().unwrap();
    for stage in path.stages() {
        let (handle, run, rare) = (tracer.stage(stage), tracer.run("orders"), tracer.run("rare"));
        (0..2000).for_each(|id| run.stamp(handle, MsgId::new(id).unwrap()));
        (1..4).for_each(|id| rare.stamp(handle, MsgId::new(id).unwrap()));
    }
    tracer.flush().await;
    let report_of = async |run: &str| {
        let args = ReportArgs {
            sweep: run.to_owned(),
            path: Some(path.clone()),
            p99_limit: None,
            store: fixture.store(),
            out: fixture.folder.path().join("reports"),
            thresholds: ThresholdArgs::default(),
        };
        serde_json::to_value(report(&args).await.unwrap().report).unwrap()["every"].clone()
    };
    assert_eq!(report_of("orders").await, 10);
    // None of its messages was sampled: the services say how they would have been.
    assert_eq!(report_of("rare").await, 10);
    tracer.close().await;
    assert_eq!(report_of("orders").await, 10);
    assert_eq!(report_of("rare").await, serde_json::Value::Null);
}
