//! What the tests of the API server share: one on a real Redis, and who posts to it.
// Each test file is a program of its own and uses what it needs.
#![allow(clippy::unwrap_used, dead_code)]

use apiserver::ApiserverArgs;
use reqwest::Response;
use service::{HttpLimits, Readiness, Shell};
use stack::Redis;
use stamp::LogStore;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const QUEUE: &str = stamp::keys::DEFAULT_QUEUE;

/// For what is bound to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) api: String,
    /// Its log store, and its queue where no other has been named.
    pub(crate) redis: Redis,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    pub(crate) http: reqwest::Client,
}

impl TestApp {
    pub(crate) async fn start(options: &str) -> Self {
        Self::start_limited(options, |_| {}).await
    }

    /// With limits that no option sets.
    pub(crate) async fn start_limited(options: &str, limit: impl FnOnce(&mut HttpLimits)) -> Self {
        let redis = Redis::start().await.unwrap();
        let line = format!("--redis {} {options}", redis.url());
        let app = Self::open(redis, &line, limit).await;
        app.ready().await;
        app
    }

    /// One with this command line, which may not be ready yet.
    pub(crate) async fn open(redis: Redis, line: &str, limit: impl FnOnce(&mut HttpLimits)) -> Self {
        let args: ApiserverArgs = service::parse(line.split_whitespace()).unwrap();
        let shutdown = CancellationToken::new();
        let mut shell = Shell::open_with("apiserver", &args.service, shutdown.clone()).await.unwrap();
        limit(&mut shell.limits);
        let (address, readiness) = (shell.address().unwrap(), shell.readiness.clone());
        let running = tokio::spawn(apiserver::run(args, shell));
        let api = format!("http://{address}");
        Self { address, api, redis, readiness, shutdown, running, http: reqwest::Client::new() }
    }

    pub(crate) async fn ready(&self) {
        timeout(PATIENCE, self.readiness.ready()).await.unwrap();
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Response {
        self.http.post(format!("{}/adapter2/poweron/44300", self.api)).body(body).send().await.unwrap()
    }

    /// Posts this message of the run `r`.
    pub(crate) async fn post_id(&self, id: u64) -> Response {
        self.post(message(id)).await
    }

    pub(crate) async fn query<T: redis::FromRedisValue>(&self, command: &str) -> T {
        self.redis.query(command).await.unwrap()
    }

    pub(crate) async fn queue(&self) -> Vec<Vec<u8>> {
        self.query(&format!("LRANGE {QUEUE} 0 -1")).await
    }

    pub(crate) async fn log(&self) -> LogStore {
        LogStore::connect(&self.redis.url().parse().unwrap()).await.unwrap()
    }

    /// Ends the server as SIGTERM does.
    pub(crate) async fn stop(self) -> Redis {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        self.redis
    }

    /// The counters of the run `r`, once the server has ended.
    pub(crate) async fn counts(self) -> stamp::Counts {
        let log = self.log().await;
        let _redis = self.stop().await;
        log.counts(&"r".parse().unwrap()).await.unwrap()
    }
}

/// A message of the run `r`.
pub(crate) fn message(id: u64) -> String {
    format!("{{\"id\":{id},\"run\":\"r\"}}")
}
