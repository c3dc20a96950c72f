//! The push server of the reference pipeline: takes messages from the Redis queue and publishes them by MQTT.
//!
//! Second service of the flow: `Redis -> pushserver -> broker`. Workers take batches and hand what they have to
//! publishers over bounded channels: a slow broker therefore leaves the backlog in Redis, never in this process.
//! It must not change a message's bytes.

mod arguments;
mod aside;
mod hold;
mod ledger;
mod message;
mod outbox;
mod publisher;
mod refusal;
mod suspicion;
mod turns;
mod worker;

pub use arguments::{Delivery, Handoff, PushserverArgs};
use aside::Aside;
use hold::{Hold, Keeper, Keys, Names};
use ledger::Ledger;
use message::Message;
use publisher::Publisher;
use rumqttc::QoS;
use service::mqtt::{Broker, Version};
use service::queue::{BODY, QueueKind};
use service::{Garbage, Outage, Shell};
use stamp::{RedisUrl, Stage, Wait};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::ExitCode;
use std::time::Duration;
use suspicion::Guilty;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use turns::Turns;
use worker::{Course, Intake, Worker};

/// Messages between workers and publisher.
const HANDED_OVER: usize = 1024;

/// How long what has been taken may take to reach the broker once the shutdown has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(4);

/// How long what was not published may take to get back to the queue.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// Runs as a process of its own, until a signal ends it.
///
/// # Errors
/// When its address is taken, and as those of [`run`].
pub fn start(args: PushserverArgs) -> anyhow::Result<ExitCode> {
    service::start("pushserver", &args.service.clone(), |shell| run(args, shell))
}

/// Runs until the shell's shutdown, and then until everything taken is published and stamped, or back in the queue.
///
/// # Errors
/// When the topic is no topic, the delivery cannot be had at the quality of service, or the HTTP listener fails.
pub async fn run(args: PushserverArgs, shell: Shell) -> anyhow::Result<()> {
    let (tracer, shutdown, given_up) = (shell.tracer.clone(), shell.shutdown.clone(), CancellationToken::new());
    let unsendable =
        shell.metrics.counter("unsendable_messages", "Messages set aside because the broker does not take them");
    let (aside, keeping) = Aside::of(&args.queue.key, args.service.redis(), unsendable);
    let mut setting_aside = JoinSet::new();
    setting_aside.spawn(keeping);
    let crew = Crew {
        aside: &aside,
        guilty: Guilty::default(),
        qos: args.checked_qos()?,
        broker: args.mqtt.broker()?,
        turns: Turns::new(args.workers.into()),
        redis_outage: Outage::default(),
        mqtt_outage: Outage::default(),
        args: &args,
        shell: &shell,
    };
    let names = Names::default();
    let mut workers = JoinSet::new();
    let mut publishers = JoinSet::new();
    let publishing = args.connections(crew.qos);
    let spawn = |_| {
        let (messages, handed_over) = mpsc::channel(HANDED_OVER);
        publishers.spawn(crew.publisher().run(handed_over, given_up.clone()));
        messages
    };
    let channels: Vec<_> = (0..publishing).map(spawn).collect();
    for number in 0..args.workers {
        let messages = channels[usize::from(number % publishing)].clone();
        let course = Course { messages, shutdown: shutdown.clone(), given_up: given_up.clone() };
        workers.spawn(crew.worker(number, &names).run(course));
    }
    drop(channels);
    let (url, keys, lease) = (args.service.redis(), Keys::new(&args.queue), args.lease);
    // Ends with this function.
    let mut keeper = JoinSet::new();
    if crew.holds() {
        keeper.spawn(Keeper { url, keys, names, lease }.run());
    }
    shell.serve().await?;

    let unsent = finish(workers, publishers, &given_up).await;
    if args.delivery == Delivery::AtMostOnce && !unsent.is_empty() {
        give_back(&args, &unsent).await;
    }
    drop(aside);
    if tokio::time::timeout(GIVE_BACK_WITHIN, setting_aside.join_next()).await.is_err() {
        warn!("redis does not take what the broker refused: at least once it comes again");
    }
    service::close(&tracer).await;
    Ok(())
}

/// Waits until everything taken is published, or given up. Gives what never left this process.
async fn finish(
    mut workers: JoinSet<()>,
    mut publishers: JoinSet<Vec<Message>>,
    given_up: &CancellationToken,
) -> Vec<Message> {
    let limit = tokio::time::sleep(FINISH_WITHIN);
    tokio::pin!(limit);
    let unsettled = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_WITHIN, unsettled).await.is_err() {
        given_up.cancel();
        let ended = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(GIVE_BACK_WITHIN, ended).await.is_err() {
            warn!("redis does not answer: what its commands were to take may be lost");
        }
    }
    // A publisher ends when the last worker has let go of its channel.
    workers.shutdown().await;
    let published = async {
        let mut unsent = Vec::new();
        while let Some(publisher) = publishers.join_next().await {
            unsent.extend(publisher.unwrap_or_default());
        }
        unsent
    };
    tokio::pin!(published);
    tokio::select! {
        unsent = &mut published => unsent,
        () = limit => {
            warn!("not everything taken could be published within {} s", FINISH_WITHIN.as_secs());
            given_up.cancel();
            published.await
        }
    }
}

/// What workers and publishers are made from.
struct Crew<'a> {
    args: &'a PushserverArgs,
    shell: &'a Shell,
    qos: QoS,
    broker: Broker,
    turns: Turns,
    redis_outage: Outage,
    mqtt_outage: Outage,
    aside: &'a Aside,
    guilty: Guilty,
}

impl Crew<'_> {
    /// Whether messages stay in Redis, under a worker's name, until they are published.
    fn holds(&self) -> bool {
        self.args.delivery == Delivery::AtLeastOnce || self.args.queue.kind == QueueKind::Stream
    }

    fn worker(&self, number: u16, names: &Names) -> Worker {
        let (args, shell) = (self.args, self.shell);
        let intake = if self.holds() {
            // Unique, as a name is never used again.
            let worker = format!("{}-{:x}-{number}", std::process::id(), RandomState::new().build_hasher().finish());
            Intake::Hold(Box::new(Hold::new(Keys::new(&args.queue), names.clone(), worker)), args.delivery)
        } else {
            Intake::Pop { key: args.queue.key.clone(), turns: self.turns.clone() }
        };
        Worker {
            url: args.service.redis(),
            answered_within: args.answered_within,
            intake,
            handoff: args.handoff,
            batch: usize::from(args.batch),
            redis: shell.readiness.part("redis"),
            outage: self.redis_outage.clone(),
            stage: shell.tracer.stage(&Stage::PUSHSERVER),
            garbage: Garbage::new("the queue", &shell.tracer),
            tracer: shell.tracer.clone(),
            reconnects: shell.metrics.reconnects("redis"),
            was_connected: false,
            tells_context: self.broker.version() == Version::V5,
            refused: false,
            ledger: Ledger::default(),
            dropping: 0,
            waiting: Vec::new(),
        }
    }

    fn publisher(&self) -> Publisher {
        let shell = self.shell;
        Publisher {
            broker: self.broker.clone(),
            topic: self.args.topic.clone(),
            qos: self.qos,
            needs_subscriber: self.args.delivery == Delivery::AtLeastOnce,
            publish: shell.tracer.stage(&Stage::PUBLISH),
            acknowledged: shell.tracer.stage(&Stage::ACKNOWLEDGED),
            mqtt: shell.readiness.part("mqtt"),
            outage: self.mqtt_outage.clone(),
            latency: shell.metrics.latency(&Stage::PUSHSERVER, &Stage::PUBLISH),
            in_flight: shell.metrics.gauge("in_flight", "Messages taken from the queue and not yet published"),
            reconnects: shell.metrics.reconnects("mqtt"),
            aside: self.aside.clone(),
            guilty: self.guilty.clone(),
        }
    }
}

/// Puts messages that have left the queue, and never left this process, back: to the end of the list that is popped next, or to
/// the stream.
async fn give_back(args: &PushserverArgs, unsent: &[Message]) {
    let url: RedisUrl = args.service.redis();
    let giving_back = async {
        let mut connection = url.connect(Wait::BRIEFLY).await?;
        let mut pipeline = redis::pipe();
        for message in unsent.iter().rev() {
            let (key, body) = (&args.queue.key, message.body.as_ref());
            match args.queue.kind {
                QueueKind::List => pipeline.cmd("RPUSH").arg(key).arg(body),
                QueueKind::Stream => pipeline.cmd("XADD").arg(key).arg("*").arg(BODY).arg(body),
            };
        }
        pipeline.exec_async(&mut connection).await.map_err(|error| url.failed(error))
    };
    match tokio::time::timeout(GIVE_BACK_WITHIN, giving_back).await {
        Ok(Ok(())) => warn!("{} messages could not be published and are back in the queue", unsent.len()),
        Ok(Err(fault)) => error!("{} messages are lost: {fault}", unsent.len()),
        Err(_) => error!("{} messages are lost: redis at {url} did not take them back", unsent.len()),
    }
}
