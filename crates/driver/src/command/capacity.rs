//! `driver capacity`: what each part carries by itself, how many of each a target takes, and whether the whole then carries it.

use super::load::ShapeArgs;
use super::measuring::MeasuringArgs;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::sampling::Every;
use super::search_args::{parse_load, parse_share};
use super::sweep::SweepArgs;
use super::value::parse_duration;
use crate::output;
use ::history::{Better, Figure, Origin, Row};
use analysis::{Confirmed, PartCapacity, Report, Sizing, Threshold, thousands};
use clap::Args;
use experiment::{CapacityPlan, Hooks, Measured, Plan, Subject, measure_parts};
use load::Target;
use service::mqtt::{Broker, BrokerUrl, Version};
use service::shutdown_on_signal;
use stamp::{RedisArgs, RedisUrl, SampleEvery, UsageError, ensure_usage};
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a part is measured by, in the order of the stream.
const PARTS: [&str; 3] = ["apiserver", "pushserver", "mqttclient"];

/// How long a command beside the measurement may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Args)]
pub(crate) struct CapacityArgs {
    /// The rate that the pipeline is to carry, such as 10000/s
    #[arg(long, value_name = "RATE", value_parser = parse_load)]
    target: f64,

    /// The part of its capacity at which each process is to run
    #[arg(long, value_name = "PART", default_value = "0.8", value_parser = parse_share)]
    headroom: f64,

    /// Measure each part this many times
    #[arg(long, value_name = "K", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,

    /// How long each measurement lasts
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    duration: Duration,

    /// How long the confirming load lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    confirm: Duration,

    /// Connections that keep the API busy
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,

    /// What must hold at the target; may be repeated [default: arrival.p99<50ms, lost==0 and errors==0]
    #[arg(long, value_name = "THRESHOLD")]
    hold: Vec<Threshold>,

    /// The API of a pipeline that is already there [default: a private local pipeline]
    #[arg(long, value_name = "URL", requires_all = ["redis", "mqtt", "pushserver_stop", "pushserver_start"])]
    api: Option<Target>,

    /// Its Redis server, which holds the queue
    #[arg(long, value_name = "URL", env = "STAMPEDE_REDIS", hide_env_values = true)]
    redis: Option<RedisUrl>,

    /// The Redis server that takes the stamps [default: the same as --redis]
    #[arg(long, value_name = "URL", env = "STAMPEDE_LOG_STORE", hide_env_values = true)]
    log_store: Option<RedisUrl>,

    #[command(flatten)]
    redis_args: RedisArgs,

    /// Its broker
    #[arg(long, value_name = "URL", env = "STAMPEDE_MQTT", hide_env_values = true)]
    mqtt: Option<BrokerUrl>,

    /// A command that stops its push servers, and waits for that
    #[arg(long, value_name = "COMMAND")]
    pushserver_stop: Option<String>,

    /// A command that starts them again
    #[arg(long, value_name = "COMMAND")]
    pushserver_start: Option<String>,

    /// The Redis list or stream that is the queue
    #[arg(long, value_name = "KEY", default_value = stamp::keys::DEFAULT_QUEUE)]
    queue_key: String,

    /// The topic that messages are published to
    #[arg(long, value_name = "TOPIC", default_value = "/channel")]
    topic: String,

    /// Bytes of user data in each message
    #[arg(long, value_name = "N", default_value_t = 64)]
    payload_bytes: usize,

    #[command(flatten)]
    measuring: MeasuringArgs,

    #[command(flatten)]
    local: LocalArgs,
}

impl CapacityArgs {
    /// A load of the API alone, as fast as it takes it.
    fn shape(&self) -> anyhow::Result<ShapeArgs> {
        let mut shape = SweepArgs::usual()?.shape;
        (shape.duration, shape.payload_bytes) = (self.duration, self.payload_bytes);
        Ok(shape)
    }

    fn remote(&self) -> RemoteArgs {
        RemoteArgs {
            target: self.api.clone(),
            redis: self.redis.clone(),
            log_store: self.log_store.clone(),
            redis_args: self.redis_args.clone(),
            queue_key: self.queue_key.clone(),
        }
    }

    /// What measures the parts: with one process of each in a private pipeline.
    fn plan(&self) -> anyhow::Result<CapacityPlan> {
        let shape = self.shape()?;
        let hook = |command: &Option<String>| {
            command.iter().map(|command| plan::Hook { command: command.clone(), within: COMMAND_WITHIN }).collect()
        };
        let one = LocalArgs { apiservers: 1, pushservers: 1, mqttclients: 1, ..self.local.clone() };
        let broker = self.mqtt.clone().filter(|_| self.api.is_some());
        Ok(CapacityPlan {
            site: self.remote().site(&one, SampleEvery::default())?,
            queue: self.queue_key.clone(),
            broker: broker.map(|url| Broker::new(url, Version::default(), None)).transpose()?,
            topic: self.topic.clone(),
            request: shape.request_options(None)?,
            trust: shape.trust(),
            shape: shape.shape(),
            connections: self.connections.into(),
            repeat: self.repeat,
            push_server: Hooks {
                before: hook(&self.pushserver_stop),
                after: hook(&self.pushserver_start),
                ..Hooks::default()
            },
        })
    }

    fn hold(&self) -> anyhow::Result<Vec<Threshold>> {
        if !self.hold.is_empty() {
            return Ok(self.hold.clone());
        }
        let usual = ["arrival.p99<50ms", "lost==0", "errors==0", "rate>=99%"];
        Ok(usual.into_iter().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Of a private pipeline as few messages are sampled as what must hold allows, 1 in 10 at the most.
    /// Fails when the confirming load has too few messages.
    fn every(&self) -> anyhow::Result<SampleEvery> {
        let needed = self.hold()?.iter().map(Threshold::samples_needed).max().unwrap_or(0);
        let messages = self.target * self.confirm.as_secs_f64();
        ensure_usage(messages >= needed as f64, || {
            format!(
                "--confirm {} at {}/s has {messages:.0} messages, and what must hold takes {needed}: give a longer --confirm",
                humantime::format_duration(self.confirm),
                thousands(self.target)
            )
        })?;
        // With some to spare.
        let every = (1..=10).rev().find(|every| messages >= 1.2 * (needed * every) as f64);
        Ok(SampleEvery::new(every.unwrap_or(1)).unwrap_or_default())
    }

    /// The whole at the target, with so many of each part.
    fn confirming(&self, sizing: &Sizing) -> anyhow::Result<Plan> {
        let mut sweep = SweepArgs::usual()?;
        sweep.shape = self.shape()?;
        (sweep.shape.duration, sweep.shape.max_connections) = (self.confirm, 1024);
        (sweep.rates, sweep.rate_connections) = (vec![self.target], self.connections);
        sweep.every = Every::One(self.every()?);
        let of = |part: &str| sizing.of(part).and_then(|count| u16::try_from(count).ok()).unwrap_or(1);
        let [apiservers, pushservers, mqttclients] = PARTS.map(of);
        sweep.local = LocalArgs { apiservers, pushservers, mqttclients, ..self.local.clone() };
        (sweep.remote, sweep.measuring) = (self.remote(), self.measuring.clone());
        let mut plan = sweep.plan()?;
        plan.thresholds = self.hold()?;
        plan.subject = self.subject();
        Ok(plan)
    }

    /// Runs the whole at the target.
    async fn confirm(&self, sizing: &Sizing, stop: &CancellationToken) -> anyhow::Result<Option<Confirmed>> {
        let plan = self.confirming(sizing)?;
        let id = experiment::new_id();
        let measuring = self.measuring.as_progress();
        let report = Box::pin(measuring.run("capacity", &plan, &id, &mut (), stop)).await?;
        let Some(report) = report.filter(|report| !report.levels.is_empty() && !stop.is_cancelled()) else {
            return Ok(None);
        };
        self.remember(sizing, &plan, &report).await;
        Ok(Some(confirmed(&report)))
    }

    /// What it is called from run to run.
    fn subject(&self) -> Subject {
        let local = self.local.as_plan();
        let cpus = local.cpus.iter().map(|(part, cpus)| (format!("{part}_cpus"), cpus.to_string()));
        let args = local.arguments.iter().map(|(part, args)| (format!("{part}_args"), args.clone()));
        let target = ("target".to_owned(), format!("{}/s", self.target));
        Subject { name: "capacity".to_owned(), params: cpus.chain(args).chain([target]).collect() }
    }

    /// Adds the run at the target to the history, with what the parts carry.
    async fn remember(&self, sizing: &Sizing, plan: &Plan, report: &Report) {
        let mut row =
            Row::of(report, "capacity", &plan.subject, plan.text.as_deref(), &Origin::find().await, &report.sweep);
        row.figures.extend(sizing.parts.iter().map(|part| {
            let (low, high) = part.interval.unzip();
            let unit = "/s".to_owned();
            let figure = Figure { value: part.per_sec, low, high, unit, better: Better::Higher, level: None };
            (format!("{}_per_sec", part.part), figure)
        }));
        if let Err(error) = ::history::append(self.measuring.history(), &row) {
            output::note(&error.to_string());
        }
    }
}

/// What the run at the target tells.
fn confirmed(report: &Report) -> Confirmed {
    let missed: Vec<String> = report
        .thresholds
        .iter()
        .filter(|one| !one.held)
        .map(|one| format!("{} was {}", one.threshold, one.told()))
        .collect();
    let unstable = report.levels.iter().find_map(|level| level.stability.unstable.clone());
    let why: Vec<String> = missed.into_iter().chain(unstable.map(|why| format!("it did not keep up: {why}"))).collect();
    let verified = why.is_empty();
    let weakest = report.findings.weakest.as_ref().filter(|_| !verified);
    Confirmed {
        verified,
        why: (!verified).then(|| why.join("; ")),
        weakest: weakest.map(analysis::Weakest::part),
        report: report.sweep.clone(),
    }
}

/// The capacities of the parts, of one process of each.
fn parts(measured: &[Measured]) -> Vec<PartCapacity> {
    let of = |part: &str| {
        let of: Vec<&Measured> = measured.iter().filter(|one| one.part == part).collect();
        let each: Vec<(f64, Option<f64>)> =
            of.iter().map(|one| (one.per_sec / f64::from(one.processes), one.cpu_us)).collect();
        PartCapacity::new(part, of.first()?.cores, &each)
    };
    PARTS.into_iter().filter_map(of).collect()
}

/// The parts in a table.
fn table(sizing: &Sizing) -> String {
    let mut rows = vec![format!(
        "{:<12} {:>12} {:>24} {:>12} {:>14} {:>10}",
        "part", "messages/s", "95 % interval", "CPU µs each", "by CPU time /s", "processes"
    )];
    for (part, count) in sizing.parts.iter().zip(&sizing.replicas) {
        let interval = part
            .interval
            .map_or_else(|| "n/a".to_owned(), |(low, high)| format!("{} to {}", thousands(low), thousands(high)));
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.digits$}"))
        };
        rows.push(format!(
            "{:<12} {:>12} {interval:>24} {:>12} {:>14} {count:>10}",
            part.part,
            thousands(part.per_sec),
            number(part.cpu_us_per_message, 1),
            part.by_cpu_per_sec.map_or_else(|| "n/a".to_owned(), thousands),
        ));
    }
    rows.join("\n")
}

/// What it all comes to.
fn sentences(sizing: &Sizing) -> Vec<String> {
    let names: Vec<&str> = sizing.parts.iter().map(|part| part.part.as_str()).collect();
    let mut told = vec![format!(
        "{}/s take {} ({}), each at {:.0} % of what it carries by itself, or less.",
        thousands(sizing.target_per_sec),
        sizing.ratio,
        names.join(":"),
        sizing.headroom * 100.0
    )];
    match &sizing.confirmed {
        Some(confirmed) if confirmed.verified => told.push("Verified: the whole carries that.".to_owned()),
        Some(confirmed) => told.push(format!(
            "NOT verified: {}{}. On one machine parts take processor time from each other, and from the generator: limit them (--apiserver-cpus …), or confirm it where they will run.",
            confirmed.why.as_deref().unwrap_or_default(),
            confirmed.weakest.as_ref().map_or_else(String::new, |part| format!("; {part} fell short"))
        )),
        None => {}
    }
    told
}

pub(crate) async fn run(args: CapacityArgs) -> anyhow::Result<ExitCode> {
    ensure_usage(
        args.local.apiservers == 1 && args.local.pushservers == 1 && args.local.mqttclients == 1,
        || "--apiservers, --pushservers and --mqttclients are what this finds: leave them out",
    )?;
    if args.api.is_none() {
        args.every()?;
    }
    let plan = args.plan()?;
    let stop = shutdown_on_signal()?;
    let tell = |measured: &Measured| {
        output::note(&format!(
            "{} alone, {} of {}: {}/s",
            measured.part,
            measured.repeat,
            args.repeat,
            thousands(measured.per_sec)
        ));
    };
    let measured = Box::pin(measure_parts(&plan, &experiment::new_id(), &stop, tell)).await?;
    if stop.is_cancelled() {
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    let mut sizing = Sizing::new(args.target, args.headroom, parts(&measured));
    if let Some(part) = PARTS.iter().find(|part| sizing.of(part).is_none()) {
        return Err(anyhow::anyhow!(
            "{part} has carried nothing: is it running, and does it count what it carries (docs/protocol.md)?"
        ));
    }
    if args.api.is_none() {
        let most = sizing.replicas.iter().copied().max().unwrap_or(0);
        if most > 64 {
            return Err(UsageError(format!(
                "{} processes of a part are more than a local pipeline starts (64): give a lower --target",
                thousands(most.into())
            ))
            .into());
        }
        let (needed, there) = (sizing.cores(), std::thread::available_parallelism().map_or(1, usize::from));
        output::note(&format!("confirming {} at {}/s", sizing.ratio, thousands(args.target)));
        if needed > there as f64 {
            output::note(&format!(
                "warning: these processes can keep {needed:.1} processors busy, and this machine has {there}: they take time from each other"
            ));
        }
        sizing.confirmed = args.confirm(&sizing, &stop).await?;
    } else {
        output::note(
            "scale it so, then confirm it: driver sweep --rates with the target, and the same --target, --redis and --threshold",
        );
    }
    if args.measuring.wants_json() {
        output::result(&serde_json::to_string(&sizing)?);
    } else {
        output::result(&table(&sizing));
        for sentence in sentences(&sizing) {
            output::result(&sentence);
        }
    }
    Ok(match &sizing.confirmed {
        _ if stop.is_cancelled() => ExitCode::from(super::INTERRUPTED),
        Some(confirmed) if !confirmed.verified => ExitCode::from(super::THRESHOLD_MISSED),
        _ => ExitCode::SUCCESS,
    })
}
