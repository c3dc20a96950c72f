//! The pipeline under load: a private local one, or one that is already there.

use crate::error::ExperimentError;
use crate::plan::Site;
use load::{Endpoint, EndpointError, Target, Trust};
use stack::{Part, Stack, StackError};
use stamp::{ClockStep, Counts, LogStore, RedisUrl, RunId, StoreError, clock};

/// A pipeline that answers.
#[derive(Debug)]
pub struct Pipeline {
    /// The API under load; absent where another program loads it.
    pub target: Option<Target>,
    /// Where its messages are traced; absent where an API is loaded alone.
    pub store: Option<Store>,
    /// All API servers, where it is ours and has several.
    pub(crate) targets: Vec<Target>,
    pub(crate) queue: String,
    stack: Option<Stack>,
    /// What has ended of it, although it should not.
    pub(crate) lost: Option<StackError>,
}

/// A process of this pipeline on this host.
#[derive(Debug)]
pub(crate) struct OwnProcess {
    /// What it is.
    pub(crate) component: String,
    /// Which of several, counted from 1; empty where it is the only one.
    pub(crate) instance: String,
    pub(crate) pid: u32,
    /// Processors that it can keep busy.
    pub(crate) cores: f64,
}

/// The Redis servers of a pipeline.
#[derive(Debug)]
pub struct Store {
    /// The one that takes the stamps.
    pub url: RedisUrl,
    /// For reading what the services write there.
    pub log: LogStore,
    /// The one that holds the queue.
    pub(crate) queue: LogStore,
    /// Both are one.
    pub(crate) is_shared: bool,
}

impl Pipeline {
    /// Starts the local stack, or connects to the pipeline that is already there.
    /// Fails when a part does not start, or does not answer.
    pub(crate) async fn open(site: &Site, queue: &str) -> Result<Self, ExperimentError> {
        let mut targets = Vec::new();
        let (target, redis, url, stack) = match site {
            Site::Alone { target } => return Ok(Self::alone(target.clone())),
            Site::Remote { target, redis, log_store } => (target.clone(), redis.clone(), log_store.clone(), None),
            Site::Local(options) => {
                let stack = Stack::start(options).await?;
                let endpoints = stack.endpoints();
                let redis: RedisUrl = endpoints.redis.parse()?;
                targets = endpoints.apis.iter().map(|api| api.parse()).collect::<Result<_, _>>()?;
                (Some(endpoints.api.parse()?), redis.clone(), redis, Some(stack))
            }
        };
        let (log, is_shared) = (LogStore::connect(&url).await?, url.to_string() == redis.to_string());
        let store = Some(Store { url, log, queue: LogStore::connect(&redis).await?, is_shared });
        Ok(Self { target, store, targets, queue: queue.to_owned(), stack, lost: None })
    }

    /// An API alone.
    fn alone(target: Option<Target>) -> Self {
        Self { target, store: None, targets: Vec::new(), queue: String::new(), stack: None, lost: None }
    }

    /// Where requests go: to this target, or in turn to all API servers, where it is ours and has several.
    pub(crate) async fn endpoint(&self, target: &Target, trust: &Trust) -> Result<Endpoint, EndpointError> {
        match Endpoint::among(&self.targets, trust).await? {
            Some(endpoint) => Ok(endpoint),
            None => Endpoint::open(target, trust).await,
        }
    }

    /// Messages that wait in the Redis queue right now; absent where there is none.
    pub(crate) async fn backlog(&self) -> Result<Option<u64>, StoreError> {
        match &self.store {
            Some(store) => Ok(Some(store.queue.length(&self.queue).await?)),
            None => Ok(None),
        }
    }

    /// The log store's time, µs since 1970-01-01 UTC; this machine's, where there is none.
    pub(crate) async fn time_us(&self) -> Result<i64, StoreError> {
        match &self.store {
            Some(store) => store.log.time_us().await,
            None => Ok(i64::try_from(clock::unix_now().as_micros()).unwrap_or(i64::MAX)),
        }
    }

    /// What a run's messages have been counted at.
    pub(crate) async fn counts(&self, run: &RunId) -> Result<Counts, StoreError> {
        match &self.store {
            Some(store) => store.log.counts(run).await,
            None => Ok(Counts::default()),
        }
    }

    /// The times that the log store's clock was set, but for the first so many.
    pub(crate) async fn clock_steps(&self, after: usize) -> Result<Vec<ClockStep>, StoreError> {
        match &self.store {
            Some(store) => store.log.clock_steps(after).await,
            None => Ok(Vec::new()),
        }
    }

    /// The processes of this pipeline that run on this host as children of this one, and this one.
    pub(crate) fn processes(&self) -> Vec<OwnProcess> {
        let one = |component: &str, instance: String, pid, cores| OwnProcess {
            component: component.to_owned(),
            instance,
            pid,
            cores,
        };
        let mut processes = Vec::new();
        for (stack, part) in self.stack.iter().flat_map(|stack| Part::all().map(|part| (stack, part))) {
            let pids = stack.pids(part);
            let is_one_of_several = pids.len() > 1;
            for (index, pid) in pids.into_iter().enumerate() {
                let instance = if is_one_of_several { (index + 1).to_string() } else { String::new() };
                // Its work is done by one thread.
                let cores = stack.cpus(part).map_or(1.0, |cpus| cpus.min(1.0));
                processes.push(one(&part.to_string(), instance, pid, cores));
            }
        }
        processes.push(one(analysis::Usage::DRIVER, String::new(), std::process::id(), 1.0));
        processes
    }

    /// The local stack, where it is ours.
    pub(crate) fn stack(&mut self) -> Option<&mut Stack> {
        self.stack.as_mut()
    }

    /// The address of the broker, where it is ours.
    pub(crate) fn broker_url(&self) -> Option<String> {
        Some(self.stack.as_ref()?.endpoints().mqtt.clone())
    }

    /// The broker and the settings of it that cost latency, where it is ours.
    pub(crate) fn broker(&self) -> Option<String> {
        let stack = self.stack.as_ref()?;
        let log = stack.log(Part::Mosquitto);
        let version = log.split_once("mosquitto version ").and_then(|(_, rest)| rest.split_whitespace().next());
        Some(format!("mosquitto {}, {}", version.unwrap_or("of unknown version"), stack.broker_settings().join(", ")))
    }

    /// Looks whether a part of the local stack is no longer there, and remembers what has become of it.
    pub(crate) fn lost_part(&mut self) -> Option<&StackError> {
        if self.lost.is_none() {
            self.lost = self.stack.as_mut().and_then(|stack| stack.ended().err());
        }
        self.lost.as_ref()
    }

    /// Whether a part of the local stack has no process any more, so that nothing passes it.
    pub(crate) fn is_cut(&mut self) -> bool {
        self.stack.as_mut().is_some_and(Stack::is_cut)
    }

    /// Waits until the Redis of the local stack, without which nothing can be counted or measured, is no longer there; for ever, where none is ours.
    pub(crate) fn store_gone(&self) -> impl Future<Output = ()> + use<> {
        let gone = self.stack.as_ref().map(Stack::log_store_gone);
        async {
            match gone {
                Some(gone) => gone.await,
                None => std::future::pending().await,
            }
        }
    }

    /// An error when a part of the local stack is no longer there.
    pub(crate) fn ended(&mut self) -> Result<(), StackError> {
        self.lost_part();
        self.lost.take().map_or(Ok(()), Err)
    }

    /// Ends the local stack at once: there is nothing that could be finished.
    pub(crate) fn kill(&mut self) {
        self.stack = None;
    }

    /// Ends the local stack in the order of the stream; at once where a part of it has ended before, as the others could not finish anything.
    pub(crate) async fn close(self) {
        if let Some(mut stack) = self.stack
            && stack.ended().is_ok()
        {
            stack.stop().await;
        }
    }
}
