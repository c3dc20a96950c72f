//! `driver chaos`: a steady load on a local pipeline whose parts are killed and stopped one after another. Every message that was
//! answered 202 must arrive.

use super::load::ShapeArgs;
use super::page_args::{self, PageArgs};
use super::value::{parse_duration, parse_rate};
use crate::output;
use crate::progress::Progress;
use analysis::Sweep;
use clap::{Args, Parser};
use experiment::chaos::{Audit, Course, Fault, Faults, Harm, Harmed, Harness, Recovery, audit};
use experiment::{Setting, Who};
use load::{Endpoint, LIVE_PERIOD, LoadPlan, Target, Template, watched};
use page::Page;
use pushserver::Delivery;
use roaring::RoaringTreemap;
use service::shutdown_on_signal;
use stack::{Failover, Part, Stack, StackOptions};
use stamp::{LogStore, RunId, SampleEvery, clock, counted};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time for the pipeline to come to rest under load after the last fault.
const CALM: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Args)]
pub(crate) struct ChaosArgs {
    /// How long to inject faults
    #[arg(short, long, default_value = "10m", value_parser = parse_duration)]
    duration: Duration,

    /// Inject at most this many faults [default: as many as there is time for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    faults: Option<u64>,

    /// Only let these parts fail, for example redis,mosquitto [default: all]
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = parse_part)]
    parts: Vec<Part>,

    /// Requests a second
    #[arg(long, default_value = "500", value_parser = parse_rate)]
    rate: f64,

    /// Seed for which parts fail, how and when
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// What the queue is in Redis: list or stream
    #[arg(long, value_enum, default_value = "list")]
    queue: service::queue::QueueKind,

    /// Delivery guarantee of the push server; at most once loses messages
    #[arg(long, value_enum, default_value = "at-least-once")]
    delivery: Delivery,

    /// Give Redis a replica, and let that take over in place of Redis being killed and stopped: crash kills the primary, planned lets it hand over
    #[arg(long, value_name = "HOW", value_parser = parse_failover)]
    failover: Option<Failover>,

    /// How much later the replica gets what the primary writes
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration, requires = "failover")]
    replica_lag: Duration,

    /// Let messages gather in the queue for so long before Redis fails over: the push server stands still meanwhile
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration, requires = "failover")]
    backlog: Duration,

    /// Accept a message only once the replica has it (apiserver --wait-replicas 1)
    #[arg(long, requires = "failover")]
    wait_replica: bool,

    /// How long without an arrival until missing messages count as lost
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    drain_timeout: Duration,

    #[command(flatten)]
    page: PageArgs,
}

/// Faults may take longer than planned: the load lasts until it is told to end.
const LOAD_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The load's shape with all defaults: clap knows them.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Shape {
    #[command(flatten)]
    shape: ShapeArgs,
}

pub(crate) async fn run(args: ChaosArgs) -> anyhow::Result<ExitCode> {
    stamp::ensure_usage(!args.duration.is_zero(), || "--duration 0s leaves no time for a fault: give a longer one")?;
    let harms_redis = args.parts.is_empty() || args.parts.contains(&Part::Redis);
    stamp::ensure_usage(
        args.failover.is_none() || harms_redis,
        || "--failover is for Redis, which is not among the --parts: add redis",
    )?;
    let shutdown = shutdown_on_signal()?;
    let options = options(&args)?;
    let starting = async {
        match args.failover {
            Some(_) => Stack::start_replicated(&options, args.replica_lag).await,
            None => Stack::start(&options).await,
        }
    };
    let stack = tokio::select! {
        started = Box::pin(starting) => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::from(super::INTERRUPTED)),
    };
    let mut page = args.page.open("chaos", Path::new("reports")).await?;
    let ran = Box::pin(chaos(&args, stack, page.as_mut(), shutdown)).await;
    page_args::close(page, &ran);
    ran
}

async fn chaos(
    args: &ChaosArgs,
    stack: Stack,
    mut page: Option<&mut Page>,
    shutdown: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let run: RunId = "chaos".parse()?;
    let redis = stack.endpoints().redis.parse()?;
    let target: Target = stack.endpoints().api.parse()?;
    let mut harness = Harness { stack, redis, run: run.clone(), done: BTreeMap::new() };

    let shape = Shape::try_parse_from(["--timeout", "5s"])?.shape;
    let endpoint = Endpoint::open(&target, &shape.trust()).await?;
    let template = Template::single(&target, &run, &shape.request_options(None)?);
    let ended = CancellationToken::new();
    let plan = LoadPlan {
        duration: LOAD_LASTS,
        until: Some(ended.clone()),
        keep_ids: true,
        ..shape.shape().load(endpoint, template, 8, Some(args.rate))
    };
    if let Some(page) = &mut page {
        let log = LogStore::connect(&harness.redis).await?;
        let path = stamp::Path::default().without_send();
        page.begin_load(&Sweep::of_load(run.clone(), SampleEvery::default().get(), &path), Some((log, path)));
        page.attach(None, &shutdown);
        let setting = Setting::all(&[(8, Some(args.rate))], Who::Connections, 1, args.seed, None).remove(0);
        page.begin_level(&run, &setting, 1);
    }
    let marks = page.as_ref().map(|page| page.marks());
    let progress = Progress::new(args.duration);
    let begin = clock::now();
    let parts = if args.parts.is_empty() { Part::all().to_vec() } else { args.parts.clone() };
    let of_redis = args.failover.map(|how| Harm::Failover { how, backlog: args.backlog });
    let course = Course { end: begin + args.duration, faults: args.faults, stop: shutdown.clone() };
    let harming = async {
        let tell = |fault: &Fault, recovery: &Recovery| {
            let told = describe(fault, recovery, begin);
            output::note(&told);
            if let Some(marks) = &marks {
                marks.mark("fault", told.trim());
            }
        };
        let harmed = harness.harm(Faults::new(&parts, args.seed).with_redis(of_redis), course, tell).await;
        // Whoever insists by a signal is told what has become of the messages until then.
        shutdown.run_until_cancelled(tokio::time::sleep(CALM)).await;
        ended.cancel();
        harmed
    };
    let (harmed, tally) = tokio::join!(
        harming,
        watched(plan, None, marks.is_some(), async |live| {
            progress.live(live, LIVE_PERIOD);
            if let Some(page) = &mut page {
                page.tick(live);
            }
        })
    );
    if harmed.is_err() {
        progress.finish();
        output::result(&faults_table(&harness.done));
    }
    harmed?;
    let interrupted = shutdown.is_cancelled();
    let lasted = clock::now().duration_since(begin).as_secs_f64();
    if interrupted {
        output::note(&format!(
            "interrupted after {lasted:.1} s: waiting for what was accepted to arrive; a second Ctrl-C ends at once"
        ));
    }
    anyhow::ensure!(interrupted || !harness.done.is_empty(), "no fault came about: give a longer --duration");
    let mut tally = tally?;
    if let Some(page) = &mut page {
        page.drain_load();
    }
    let accepted = tally.accepted_ids.take().unwrap_or_default();
    let books = audit(&harness.redis, &run, &accepted, args.drain_timeout).await?;
    if let Some(page) = page {
        let Harmed { kills, stops, failovers } = sum(&harness.done);
        let Audit { accepted, arrived, duplicates, lost } = &books;
        page.conclude_load(format!(
            "{}, {} and {}: {} accepted, {arrived} arrived, {}, {} lost.",
            counted(kills, "kill"),
            counted(stops, "stop"),
            counted(failovers, "failover"),
            counted(accepted, "message"),
            counted(duplicates, "duplicate"),
            lost.len()
        ));
        page.end_load();
    }
    progress.finish();
    output::result(&table(&harness.done, tally.requests, &books));
    for part in if books.lost.is_empty() { Vec::new() } else { Part::all().to_vec() } {
        output::note(&harness.tail(part));
    }
    harness.stack.stop().await;
    if interrupted {
        output::note(&format!("interrupted after {lasted:.1} s"));
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    Ok(if books.lost.is_empty() && books.accepted > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse_part(text: &str) -> Result<Part, String> {
    let parts = Part::all();
    let names = || parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    parts.iter().copied().find(|part| part.to_string() == text).ok_or_else(|| format!("give some of {}", names()))
}

fn parse_failover(text: &str) -> Result<Failover, String> {
    let kinds = [Failover::Crash, Failover::Planned];
    kinds.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| "give crash or planned".to_owned())
}

/// Everything that keeps a message over the death of a part.
fn options(args: &ChaosArgs) -> anyhow::Result<StackOptions> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let queue = match args.queue {
        service::queue::QueueKind::List => "--queue list",
        service::queue::QueueKind::Stream => "--queue stream",
    };
    let delivery = match args.delivery {
        Delivery::AtMostOnce => "at-most-once",
        Delivery::AtLeastOnce => "at-least-once",
    };
    Ok(StackOptions {
        persistent: true,
        apiserver_args: words(&format!("{queue}{}", if args.wait_replica { " --wait-replicas 1" } else { "" })),
        // MQTT 5 tells when a message reached nobody, because the subscriber was not back yet.
        pushserver_args: words(&format!("{queue} --delivery {delivery} --mqtt-version 5 --qos 1")),
        mqttclient_args: words("--session persistent --qos 1 --arrivals log-store --mqtt-version 5"),
        ..StackOptions::new(std::env::current_exe()?, SampleEvery::default())
    })
}

fn describe(fault: &Fault, recovery: &Recovery, begin: Instant) -> String {
    let part = fault.part.to_string();
    let what = match fault.harm {
        Harm::Kill => "kill -9".to_owned(),
        Harm::Stop(time) => format!("stop {:.1} s", time.as_secs_f64()),
        Harm::Failover { how: Failover::Crash, .. } => "fail over".to_owned(),
        Harm::Failover { how: Failover::Planned, .. } => "hand over".to_owned(),
    };
    let at = recovery.begin.duration_since(begin).as_secs_f64();
    let Recovery { took, duplicates, .. } = recovery;
    let took = took.as_secs_f64();
    format!(
        "{at:7.1} s  {what:<10} {part:<10}  arrivals again after {took:4.1} s, {} so far",
        counted(duplicates, "duplicate")
    )
}

fn faults_table(done: &BTreeMap<String, Harmed>) -> String {
    let mut table = String::new();
    for (part, Harmed { kills, stops, failovers }) in done {
        // Writing to a string never fails.
        let _ = match failovers {
            0 => writeln!(table, "{part:<11} kills {kills:>3}  stops {stops:>3}"),
            _ => writeln!(table, "{part:<11} failovers {failovers:>3}"),
        };
    }
    table
}

/// What all parts have suffered.
fn sum(done: &BTreeMap<String, Harmed>) -> Harmed {
    done.values().fold(Harmed::default(), |sum, more| Harmed {
        kills: sum.kills + more.kills,
        stops: sum.stops + more.stops,
        failovers: sum.failovers + more.failovers,
    })
}

fn table(done: &BTreeMap<String, Harmed>, requests: u64, books: &Audit) -> String {
    let mut table = faults_table(done);
    let Harmed { kills, stops, failovers } = sum(done);
    let Audit { accepted, arrived, duplicates, lost } = books;
    for (name, value) in [
        ("kills", u64::from(kills)),
        ("stops", u64::from(stops)),
        ("failovers", u64::from(failovers)),
        ("requests", requests),
        ("accepted", *accepted),
        ("arrived", *arrived),
        ("duplicates", *duplicates),
        ("lost", lost.len()),
    ] {
        let _ = writeln!(table, "{name:<11} {value:>9}");
    }
    if !lost.is_empty() {
        let some: RoaringTreemap = lost.iter().take(10).collect();
        let _ = writeln!(table, "lost, among others: {:?}", some.iter().collect::<Vec<_>>());
    }
    table.trim_end().to_owned()
}
