//! What the load generator did: kept in the log store beside the stamps.

mod sampling;

use crate::Found;
use crate::WorkerLoad;
use crate::scenario::{Scenario, Times};
use serde::{Deserialize, Serialize};
use stamp::{ClockStep, LogStore, RunId, Stage, StoreError, keys};
use std::collections::BTreeMap;
use std::time::Duration;

/// One sweep: its settings and the loads done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The sweep's id: the runs' ids begin with it.
    pub id: RunId,
    /// When it began, seconds since 1970-01-01 UTC.
    pub started_unix_s: u64,
    /// 1 message in N is sampled; absent where nobody knows.
    pub every: Option<u64>,
    /// The stages that its messages pass, in order.
    pub path: Vec<Stage>,
    /// Every setting that matters, by its name on the command line.
    pub settings: BTreeMap<String, String>,
    /// Where it was measured: kernel, processor, versions, settings of the servers.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A level is within the limit when its 99th percentile of arrival latency is at most this, µs.
    #[serde(default = "usual_limit")]
    pub p99_limit_us: u64,
    /// One load for each level that is finished.
    pub loads: Vec<Load>,
    /// What a search has found whose trials the loads are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Found>,
}

/// One load at one setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// The run under which its messages were traced.
    pub run: RunId,
    /// Its messages were not traced: an API was loaded alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untraced: bool,
    /// Connections of the load generator; absent where another program made the load.
    pub concurrency: Option<u32>,
    /// Requests a second that the load generator meant to send, in an open loop; absent in a closed one.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Which repetition of its setting, from 1.
    #[serde(default = "once")]
    pub repeat: u32,
    /// Why the load generator, and not the pipeline, limited the load; absent where it did not.
    #[serde(default)]
    pub generator_limited: Option<String>,
    /// When a signal ended the load early, µs since its beginning; absent where it came to its end.
    #[serde(default)]
    pub interrupted_us: Option<u64>,
    /// Which threshold ended it early, and what was measured then; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Which part of the pipeline ended, and the load with it; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What the load generator measured; absent where another program made the load.
    pub http: Option<Http>,
    /// The steps and rounds of its users; absent where the load was of a single request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
    /// Messages waiting in the Redis queue when the load ended.
    pub backlog: Option<u64>,
    /// The times that the log store's clock was set while the load ran and drained.
    #[serde(default)]
    pub clock_steps: Vec<ClockStep>,
    /// From the end of the load until every accepted message had arrived, or nothing moved any more, µs.
    pub drain_us: Option<u64>,
    /// When the first request was sent and when the last answer came, µs on the log store's clock; absent where another program made the
    /// load.
    #[serde(default)]
    pub span_us: Option<(i64, i64)>,
    /// What had not arrived when the sweep went on; absent where everything had, or where another program made the load.
    #[serde(default)]
    pub cutoff: Option<Cutoff>,
    /// What each part of the pipeline, and the host, spent while the load ran.
    #[serde(default)]
    pub usage: Vec<Usage>,
    /// How many messages waited in the Redis queue while the load ran, at even distances in time; empty where nobody looked.
    #[serde(default)]
    pub queue: Vec<QueueDepth>,
    /// Each generator, where several made the load together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerLoad>,
}

/// How things stood when the drain was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoff {
    /// When, µs on the log store's clock.
    pub at_us: i64,
    /// Whether messages still moved: the drain had come to its limit. Else nothing had moved for long.
    pub moving: bool,
    /// Messages in the Redis queue.
    pub queue: u64,
    /// Messages that had arrived, duplicates apart.
    pub arrived: u64,
}

/// What one process, or the whole host, spent during a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// `redis`, `mosquitto`, the name of a service, `driver`, or `host` for everything on the driver's host together.
    pub component: String,
    /// Tells several processes of one component apart; empty where there is one.
    pub instance: String,
    /// CPU time, µs.
    pub cpu_us: u64,
    /// Over this time, µs.
    pub wall_us: u64,
    /// The most processors that it can keep busy: 1 for a component whose work is done by one thread.
    pub cores: f64,
    /// Resident memory, bytes, the most that was seen; absent where nobody tells.
    pub memory_bytes: Option<u64>,
}

/// How many messages waited at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    /// Since the beginning of the load, µs.
    pub at_us: u64,
    /// Messages in the Redis queue.
    pub messages: u64,
}

impl Usage {
    /// The component that holds all others on the driver's host.
    pub const HOST: &str = "host";

    /// The load generator.
    pub const DRIVER: &str = "driver";

    /// Whether it is a part of the pipeline.
    pub fn is_pipeline(&self) -> bool {
        self.component != Self::HOST && self.component != Self::DRIVER
    }

    /// Processors that it kept busy, on average.
    pub fn busy(&self) -> f64 {
        if self.wall_us == 0 { 0.0 } else { self.cpu_us as f64 / self.wall_us as f64 }
    }

    /// The same as a part of what it can keep busy, 0 to 1.
    pub fn utilization(&self) -> f64 {
        self.busy() / self.cores.max(f64::MIN_POSITIVE)
    }
}

/// The HTTP side of one load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// The time in which requests were sent, µs: what was waited for after that is no part of it.
    pub duration_us: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests answered with 2xx.
    pub accepted: u64,
    /// Requests that were not accepted, by kind: `status 503`, `timeout`, `connection refused`, …
    pub errors: BTreeMap<String, u64>,
    /// Mean time from the intended send to the whole answer, of accepted requests, µs; absent, like the figures below, where none was accepted.
    pub mean_us: Option<f64>,
    /// Median of the same, µs.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same, µs.
    pub p99_us: Option<u64>,
    /// The longest of the same, µs.
    pub max_us: Option<u64>,
    /// Median time from the actual send to the whole answer, µs; absent where the generator does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_p50_us: Option<u64>,
    /// The share of one processor that the generator's thread took, 0 to 1; absent where nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_cpu_share: Option<f64>,
}

impl Http {
    /// Accepted requests a second; 0 where none was.
    pub fn requests_per_sec(&self) -> f64 {
        if self.duration_us == 0 { 0.0 } else { self.accepted as f64 * 1e6 / self.duration_us as f64 }
    }

    /// The same; absent where none was accepted.
    pub fn accepted_per_sec(&self) -> Option<f64> {
        (self.accepted > 0).then(|| self.requests_per_sec())
    }

    /// Its response times.
    pub fn times(&self) -> Times {
        Times { mean_us: self.mean_us, p50_us: self.p50_us, p99_us: self.p99_us, max_us: self.max_us }
    }

    /// Requests that were not accepted.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// A sweep cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The log store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing is known under this name.
    #[error(
        "the log store knows no sweep and no run {0:?}: it may have expired (keys live for a day unless set otherwise), or \
         lie in another Redis (--redis)"
    )]
    Unknown(String),
    /// The document is not one that this version wrote.
    #[error("the description of sweep {id} cannot be read: {source}")]
    Document {
        /// The sweep.
        id: RunId,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

fn once() -> u32 {
    1
}

fn usual_limit() -> u64 {
    Sweep::P99_LIMIT_US
}

impl Load {
    /// A load of another program, of which only the run is known.
    pub fn foreign(run: RunId) -> Self {
        Self {
            run,
            concurrency: None,
            rate: None,
            repeat: once(),
            untraced: false,
            generator_limited: None,
            interrupted_us: None,
            aborted: None,
            broken: None,
            http: None,
            scenario: None,
            backlog: None,
            clock_steps: Vec::new(),
            drain_us: None,
            span_us: None,
            cutoff: None,
            usage: Vec::new(),
            queue: Vec::new(),
            workers: Vec::new(),
        }
    }

    /// Whether some of the generators that made it were lost: it is not the load that was asked for.
    pub fn has_lost_workers(&self) -> bool {
        self.workers.iter().any(|worker| worker.lost_us.is_some())
    }

    /// Messages that were accepted; unknown where another program made the load.
    pub fn accepted_messages(&self) -> Option<u64> {
        if self.untraced {
            return Some(0);
        }
        let traced =
            |scenario: &Scenario| scenario.steps.iter().filter(|step| step.traced).map(|step| step.accepted).sum();
        self.scenario.as_ref().map(traced).or(self.http.as_ref().map(|http| http.accepted))
    }

    /// The part of the asked rate at which requests were sent, or rounds were begun; absent in a closed loop.
    pub fn sent_share(&self) -> Option<f64> {
        let (rate, http) = (self.rate?, self.http.as_ref()?);
        let rounds = |scenario: &Scenario| scenario.rounds.iter().map(|rounds| rounds.begun).sum();
        let sent: u64 = self.scenario.as_ref().map_or(http.requests, rounds);
        Some(sent as f64 * 1e6 / http.duration_us.max(1) as f64 / rate)
    }

    /// `interrupted after 3.0 s`, where it was, or `cut short after 3.0 s` with what did so.
    pub fn interruption(&self) -> Option<String> {
        let after = self.interrupted_us.map(|us| format!(" after {:.1} s", us as f64 / 1e6));
        match self.cut_short() {
            Some(why) => Some(format!("cut short{}: {why}", after.unwrap_or_default())),
            None => after.map(|after| format!("interrupted{after}")),
        }
    }

    /// What ended it early that was no signal: a threshold, or a part that ended.
    pub fn cut_short(&self) -> Option<&str> {
        self.aborted.as_ref().or(self.broken.as_ref()).map(String::as_str)
    }

    /// By setting, then by repetition: the order of a report.
    pub fn cmp_setting(&self, other: &Self) -> std::cmp::Ordering {
        let position = |load: &Self| load.position().unwrap_or(f64::MAX);
        position(self).total_cmp(&position(other)).then(self.repeat.cmp(&other.repeat))
    }

    /// Where the load stands on the axis of its sweep: at its rate, or else at its concurrency.
    pub fn position(&self) -> Option<f64> {
        self.rate.or(self.concurrency.map(f64::from))
    }
}

impl Sweep {
    /// The limit of p99 unless set otherwise, µs.
    pub const P99_LIMIT_US: u64 = 50_000;

    /// The stages whose stamps a report reads: those of the path, and the answers to them, in the order of a file of raw stamps.
    pub fn stages(&self) -> Vec<Stage> {
        let answers = crate::level::answers(&self.path).into_iter().map(|(_, answer)| answer);
        self.path.iter().cloned().chain(answers).collect()
    }

    /// Keeps the sweep in the log store, as the latest.
    pub async fn save(&self, log: &LogStore, time_to_live: Duration) -> Result<(), SweepError> {
        let document =
            serde_json::to_string(self).map_err(|source| SweepError::Document { id: self.id.clone(), source })?;
        log.put(&keys::sweep(&self.id), &document, time_to_live).await?;
        log.put(keys::LATEST_SWEEP, self.id.as_str(), time_to_live).await?;
        Ok(())
    }

    /// Reads a sweep back by its id, or the latest one. A run that no sweep describes, such as one that wrk drove, becomes a
    /// sweep of one level that knows only what the stamps tell.
    ///
    /// # Errors
    /// [`SweepError::Unknown`] when there is neither a sweep nor a run of that name.
    pub async fn find(log: &LogStore, name: &str) -> Result<Self, SweepError> {
        let unknown = || SweepError::Unknown(name.to_owned());
        let id =
            if name == "latest" { log.get(keys::LATEST_SWEEP).await?.ok_or_else(unknown)? } else { name.to_owned() };
        let id: RunId = id.parse().map_err(|_| unknown())?;
        if let Some(document) = log.get(&keys::sweep(&id)).await? {
            return serde_json::from_slice(document.as_bytes()).map_err(|source| SweepError::Document { id, source });
        }
        let counts = log.counts(&id).await?;
        if counts.iter().next().is_none() {
            return Err(unknown());
        }
        let every = sampling::find(log, &id, &counts).await?;
        let loads = vec![Load::foreign(id.clone())];
        Ok(Self { every, loads, ..Self::of_load(id, 1, &stamp::Path::default().without_send()) })
    }

    /// A load that is no sweep, for those who show it as one: it begins now, and nothing is known of its settings.
    pub fn of_load(run: RunId, every: u64, path: &stamp::Path) -> Self {
        Self {
            id: run,
            started_unix_s: stamp::clock::unix_now().as_secs(),
            every: Some(every),
            path: path.stages().to_vec(),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            p99_limit_us: usual_limit(),
            loads: Vec::new(),
            search: None,
        }
    }
}
