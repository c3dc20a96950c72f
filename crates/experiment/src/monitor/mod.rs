//! What the parts of the pipeline spend while a load runs, and how many messages wait meanwhile.
//!
//! It looks a few times a second, beside the load: processes of the local stack by their ids, services by their beats, Redis by what it tells
//! about itself. What it cannot see, such as a broker on another host, it leaves out.

mod environment;
mod proc;
mod spending;

pub(crate) use environment::environment;

use crate::pipeline::{OwnProcess, Pipeline};
use analysis::{QueueDepth, Usage};
use proc::Process;
use spending::{Reading, Spending};
use stamp::{Beat, LogStore, clock};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// Beats come once a second, and CPU time is told in hundredths of it: every so many looks is enough for these.
const LOOKS_BETWEEN: u32 = 5;

/// What was seen during a load.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) usage: Vec<Usage>,
    pub(crate) queue: Vec<QueueDepth>,
}

/// Watches a pipeline from its start on.
pub(crate) struct Monitor {
    ended: CancellationToken,
    watching: JoinHandle<Observed>,
}

impl Monitor {
    /// Begins to watch.
    pub(crate) async fn start(pipeline: &Pipeline) -> Self {
        let ended = CancellationToken::new();
        let mut watch = Watch::of(pipeline).await;
        let begin = clock::now();
        let mut queue = Vec::new();
        let stop = ended.clone();
        let watching = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            for look in 0u32.. {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stop.cancelled() => break,
                }
                if let Some(messages) = watch.queue().await {
                    let at_us = u64::try_from(clock::now().duration_since(begin).as_micros()).unwrap_or(u64::MAX);
                    queue.push(QueueDepth { at_us, messages });
                }
                if look.is_multiple_of(LOOKS_BETWEEN) {
                    watch.look_at_parts().await;
                }
            }
            watch.look_at_parts().await;
            Observed { usage: watch.usage(), queue }
        });
        Self { ended, watching }
    }

    /// What has been seen from the start until now.
    pub(crate) async fn stop(self) -> Observed {
        self.ended.cancel();
        self.watching.await.unwrap_or_default()
    }
}

/// Looks at a pipeline, as often as it is asked to.
#[derive(Debug)]
pub struct Watch {
    log: Option<LogStore>,
    queue_redis: Option<LogStore>,
    /// Whether log store and queue are one server.
    shares_redis: bool,
    key: String,
    /// The processes that can be looked at here.
    processes: Vec<(OwnProcess, Process)>,
    /// The services' processes that were there at the start, and their last beats.
    services: Vec<Beat>,
    begin: Instant,
    spending: Spending,
}

/// What a part has spent, and what it tells about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Since the first look.
    pub usage: Usage,
    /// Memory at the last look, bytes.
    pub memory_bytes: Option<u64>,
    /// Its beat, where it is a service.
    pub beat: Option<Beat>,
}

impl Watch {
    /// Before a load: it looks through all keys, of which others may have millions.
    pub async fn of(pipeline: &Pipeline) -> Self {
        let store = pipeline.store.as_ref();
        let services = match store {
            Some(store) => store.log.services().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let with_pid = |own: OwnProcess| {
            let process = Process { pid: own.pid };
            (own, process)
        };
        let processes = pipeline.processes().into_iter().map(with_pid).collect();
        Self {
            log: store.map(|store| store.log.clone()),
            queue_redis: store.map(|store| store.queue.clone()),
            shares_redis: store.is_some_and(|store| store.is_shared),
            key: pipeline.queue.clone(),
            processes,
            services,
            begin: clock::now(),
            spending: Spending::default(),
        }
    }

    /// Messages that wait in the queue. A server that is away is told of by the load itself.
    pub async fn queue(&self) -> Option<u64> {
        self.queue_redis.as_ref()?.length(&self.key).await.ok()
    }

    /// Looks through all keys again for services that have come since.
    pub async fn look_for_services(&mut self) {
        let Some(log) = &self.log else { return };
        if let Ok(services) = log.services().await {
            self.services = services;
        }
    }

    /// What the parts have spent since the first look at them.
    pub fn usage(&self) -> Vec<Usage> {
        self.spending.usage()
    }

    /// The same with what they tell about themselves; services of which nothing is known but their beats come last.
    pub fn seen(&self) -> Vec<Seen> {
        let mut beats: Vec<Option<&Beat>> = self.services.iter().map(Some).collect();
        let mut seen: Vec<Seen> = Vec::new();
        for (usage, memory_bytes) in self.spending.latest() {
            let is_its = |beat: &Beat| {
                beat.service == usage.component && (usage.instance.is_empty() || beat.instance == usage.instance)
            };
            let beat = beats.iter_mut().find(|beat| beat.is_some_and(is_its)).and_then(Option::take).cloned();
            seen.push(Seen { usage, memory_bytes, beat });
        }
        seen
    }

    /// Reads what the parts have spent by now.
    pub async fn look_at_parts(&mut self) {
        let here: Vec<String> = self.processes.iter().map(|(own, _)| own.component.clone()).collect();
        for (OwnProcess { component, instance, cores, .. }, process) in &self.processes {
            if let Some(reading) = process.read() {
                self.spending.note(component, instance, *cores, reading);
            }
        }
        if let Some((reading, cores)) = proc::host() {
            self.spending.note("host", "", cores, reading);
        }
        let (Some(log), Some(queue)) = (self.log.clone(), self.queue_redis.clone()) else { return };
        if !here.iter().any(|component| component == "redis") {
            self.look_at_redis("redis", &queue).await;
        }
        if !self.shares_redis {
            self.look_at_redis("logstore", &log).await;
        }
        let beats = log.beats_of(&self.services).await.unwrap_or_default();
        for beat in &beats {
            let known_here = here.contains(&beat.service);
            if let (Some(cpu_us), false) = (beat.cpu_us, known_here) {
                let at = clock::now().checked_sub(Duration::from_millis(beat.age_ms)).unwrap_or(self.begin);
                let reading = Reading { at, cpu_us, memory_bytes: beat.memory_bytes };
                self.spending.note(&beat.service, &beat.instance, 1.0, reading);
            }
        }
        // One that has fallen silent is remembered: it may come back.
        for beat in beats {
            if let Some(known) = self.services.iter_mut().find(|known| known.instance == beat.instance) {
                *known = beat;
            }
        }
    }

    async fn look_at_redis(&mut self, component: &str, server: &LogStore) {
        let Ok(info) = server.info(&["cpu", "memory"]).await else { return };
        let seconds = |name: &str| info.get(name)?.parse::<f64>().ok();
        let (Some(user), Some(system)) = (seconds("used_cpu_user"), seconds("used_cpu_sys")) else { return };
        let Ok(cpu) = Duration::try_from_secs_f64(user + system) else { return };
        let cpu_us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        let memory_bytes = info.get("used_memory_rss").and_then(|bytes| bytes.parse().ok());
        self.spending.note(component, "", 1.0, Reading { at: clock::now(), cpu_us, memory_bytes });
    }
}
