//! What each part of a pipeline carries by itself: the API server with nobody behind it, the push server on a queue that is full, the subscriber with a
//! publisher that is never the limit. Each by the rate at which it has no time left, several times in turn.

mod publisher;
mod slope;

use crate::error::ExperimentError;
use crate::loaded::hooked;
use crate::monitor::Monitor;
use crate::pipeline::Pipeline;
use crate::plan::{Hooks, Shape, Site};
use analysis::Usage;
use load::{RequestOptions, Template, Trust, generate};
use publisher::Window;
use service::mqtt::Broker;
use stack::Part;
use stamp::{RunId, clock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A part for which nothing moves for so long is through.
const STILL: Duration = Duration::from_secs(3);

/// How often counters are looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// Messages on their way to the subscriber: as many are tried in turn as bring more.
const WINDOWS: [u64; 5] = [1000, 4000, 16_000, 64_000, 256_000];

/// A larger window has to bring so much more.
const MORE: f64 = 1.05;

/// What is measured.
#[derive(Debug, Clone)]
pub struct CapacityPlan {
    /// The pipeline.
    pub site: Site,
    /// The key of its queue.
    pub queue: String,
    /// Its broker, where it is not the local one.
    pub broker: Option<Broker>,
    /// The topic.
    pub topic: String,
    /// What the API is sent.
    pub request: RequestOptions,
    /// Whom an https target must prove itself to.
    pub trust: Trust,
    /// How it is loaded.
    pub shape: Shape,
    /// By so many connections.
    pub connections: u32,
    /// How often each part is measured.
    pub repeat: u32,
    /// Commands that stop (`before`) and start (`after`) the push server, where it is not a local one.
    pub push_server: Hooks,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Of which part.
    pub part: String,
    /// Which time, counted from 1.
    pub repeat: u32,
    /// Messages a second, of all its processes together.
    pub per_sec: f64,
    /// Processor time a message, µs.
    pub cpu_us: Option<f64>,
    /// Processes that did it.
    pub processes: u32,
    /// Processors that each can keep busy.
    pub cores: f64,
}

/// Measures each part in turn; `tell` hears of each measurement. What was measured until `stop` is given.
///
/// # Errors
/// When the pipeline does not start or answer, or a command fails.
pub async fn measure_parts(
    plan: &CapacityPlan,
    id: &RunId,
    stop: &CancellationToken,
    mut tell: impl FnMut(&Measured),
) -> Result<Vec<Measured>, ExperimentError> {
    let mut measuring = Measuring { pipeline: Pipeline::open(&plan.site, &plan.queue).await?, plan, is_stopped: false };
    let mut all = Vec::new();
    let gone = measuring.pipeline.store_gone();
    let mut done = tokio::select! {
        done = Box::pin(stop.run_until_cancelled(measuring.all(id, &mut all, &mut tell))) => done,
        () = gone => Some(measuring.pipeline.ended().map_err(Into::into)),
    };
    // Whose push server was stopped has it back, however this ends.
    if measuring.is_stopped && measuring.pipeline.stack().is_none() {
        let started = measuring.push_server(true).await;
        done = done.map(|ended| ended.and(started));
    }
    measuring.pipeline.close().await;
    match done {
        Some(Err(error)) => Err(error),
        _ => Ok(all),
    }
}

struct Measuring<'a> {
    plan: &'a CapacityPlan,
    pipeline: Pipeline,
    /// The push server does not run.
    is_stopped: bool,
}

impl Measuring<'_> {
    async fn all(
        &mut self,
        id: &RunId,
        all: &mut Vec<Measured>,
        tell: &mut impl FnMut(&Measured),
    ) -> Result<(), ExperimentError> {
        for repeat in 1..=self.plan.repeat {
            let run: RunId = format!("{id}.api{repeat}").parse()?;
            self.push_server(false).await?;
            self.empty().await?;
            let mut keep = |measured: Option<Measured>| {
                measured.iter().for_each(&mut *tell);
                all.extend(measured);
            };
            let (api, taken) = self.api(&run, repeat).await?;
            keep(api);
            keep(self.push(&run, repeat, taken).await?);
            self.empty().await?;
            let run: RunId = format!("{id}.mqtt{repeat}").parse()?;
            keep(self.subscriber(&run, repeat).await?);
        }
        Ok(())
    }

    /// Loads the API, whose messages stay in the queue; tells also how many it has taken.
    async fn api(&mut self, run: &RunId, repeat: u32) -> Result<(Option<Measured>, u64), ExperimentError> {
        let Some(target) = self.pipeline.target.clone() else { return Ok((None, 0)) };
        let endpoint = self.pipeline.endpoint(&target, &self.plan.trust).await?;
        let template = Template::single(&target, run, &self.plan.request);
        let monitor = Monitor::start(&self.pipeline).await;
        let load = self.plan.shape.load(endpoint, template, self.plan.connections, None);
        let tally = generate(load, None, watch::channel(load::Live::default()).0).await?;
        let usage = monitor.stop().await.usage;
        let (rate, taken) = (tally.requests_per_sec(), tally.accepted());
        Ok((measured("apiserver", repeat, (rate > 0.0).then_some(rate), taken, &usage), taken))
    }

    /// Starts the push server on a queue that is full, and sees how fast it publishes.
    async fn push(&mut self, run: &RunId, repeat: u32, waiting: u64) -> Result<Option<Measured>, ExperimentError> {
        self.push_server(true).await?;
        let monitor = Monitor::start(&self.pipeline).await;
        let looks = self.watched(run, "publish", waiting, self.plan.shape.duration * 3).await?;
        let usage = monitor.stop().await.usage;
        let published = looks.last().map_or(0, |(_, count)| *count) - looks.first().map_or(0, |(_, count)| *count);
        Ok(measured("pushserver", repeat, slope::of_middle(&looks), published, &usage))
    }

    /// Publishes to the subscriber as fast as it takes it.
    async fn subscriber(&mut self, run: &RunId, repeat: u32) -> Result<Option<Measured>, ExperimentError> {
        let Some(store) = &self.pipeline.store else { return Ok(None) };
        let broker = match (&self.plan.broker, self.pipeline.broker_url()) {
            (Some(broker), _) => broker.clone(),
            (None, Some(url)) => Broker::new(url.parse()?, service::mqtt::Version::V3, None)?,
            (None, None) => return Ok(None),
        };
        let mut window = Window { broker: &broker, topic: &self.plan.topic, log: &store.log, size: WINDOWS[0] };
        let mut best = (0.0, WINDOWS[0]);
        for (number, size) in WINDOWS.into_iter().enumerate() {
            window.size = size;
            let probe: RunId = format!("{run}.w{number}").parse()?;
            let probed = window.publish(&probe, self.plan.shape.duration / 5).await?;
            let all_arrived = probed.arrived.last().is_some_and(|(_, count)| *count == probed.sent);
            let rate = slope::of_middle(&probed.arrived).unwrap_or(0.0);
            // Where messages are lost on the way, too many were on it.
            if !all_arrived || rate < best.0 * MORE {
                break;
            }
            best = (rate, size);
        }
        window.size = best.1;
        let monitor = Monitor::start(&self.pipeline).await;
        let published = window.publish(run, self.plan.shape.duration).await?;
        let usage = monitor.stop().await.usage;
        let arrived = published.arrived.last().map_or(0, |(_, count)| *count);
        Ok(measured("mqttclient", repeat, slope::of_middle(&published.arrived), arrived, &usage))
    }

    /// Looks at a stage of a run until so many have passed, nothing more does, or it has taken long enough.
    async fn watched(
        &mut self,
        run: &RunId,
        stage: &str,
        expected: u64,
        longest: Duration,
    ) -> Result<Vec<slope::Look>, ExperimentError> {
        let begin = clock::now();
        let (mut looks, mut moved) = (Vec::<slope::Look>::new(), begin);
        loop {
            let count = self.pipeline.counts(run).await?.get(stage);
            let now = clock::now();
            if looks.last().is_none_or(|(_, before)| count > *before) {
                moved = now;
            }
            looks.push((now.duration_since(begin), count));
            if count >= expected || now >= moved + STILL || now >= begin + longest {
                return Ok(looks);
            }
            self.pipeline.ended()?;
            sleep(PERIOD).await;
        }
    }

    /// Stops, or starts, the push server.
    async fn push_server(&mut self, start: bool) -> Result<(), ExperimentError> {
        self.is_stopped = !start;
        if let Some(stack) = self.pipeline.stack() {
            if start {
                stack.start_again(Part::Pushserver).await?;
            } else {
                stack.stop_service(Part::Pushserver).await;
            }
            return Ok(());
        }
        let hooks = &self.plan.push_server;
        for hook in if start { &hooks.after } else { &hooks.before } {
            hooked(hooks, hook).await?;
        }
        Ok(())
    }

    /// Throws away what waits in the queue.
    async fn empty(&mut self) -> Result<(), ExperimentError> {
        if let Some(store) = &self.pipeline.store {
            store.queue.delete(&self.plan.queue).await?;
        }
        Ok(())
    }
}

/// What a part did.
fn measured(part: &str, repeat: u32, per_sec: Option<f64>, messages: u64, usage: &[Usage]) -> Option<Measured> {
    let of_part: Vec<&Usage> = usage.iter().filter(|usage| usage.component == part).collect();
    let spent: u64 = of_part.iter().map(|usage| usage.cpu_us).sum();
    let processes = u32::try_from(of_part.len()).unwrap_or(1).max(1);
    Some(Measured {
        part: part.to_owned(),
        repeat,
        per_sec: per_sec?,
        cpu_us: (spent > 0 && messages > 0).then(|| spent as f64 / messages as f64),
        processes,
        cores: of_part.first().map_or(1.0, |usage| usage.cores),
    })
}
