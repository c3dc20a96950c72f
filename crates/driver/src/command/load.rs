//! `driver load`: one load on one HTTP API.

use crate::load::{LoadPlan, Tally, Target, Template, Tracing, generate};
use crate::output;
use crate::progress::Progress;
use clap::Args;
use serde_json::json;
use service::shutdown_on_signal;
use stamp::{LogStore, MsgId, RedisUrl, RunId, SampleEvery, Tracer, TracerOptions};
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// The API under load
    #[arg(value_name = "URL")]
    target: Target,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Connections, each with one request in flight
    #[arg(short, long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    connections: u16,

    /// The run that the messages name
    #[arg(long, default_value = RunId::ADHOC)]
    run: RunId,

    /// Stamp what is sent, in this Redis server
    #[arg(long, value_name = "URL")]
    log_store: Option<RedisUrl>,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", default_value = "100", requires = "log_store")]
    every: SampleEvery,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments that shape one load.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShapeArgs {
    /// How long each load lasts, for example 10s
    #[arg(short, long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// Bytes of user data in each message
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) payload_bytes: usize,

    /// How long a request may take
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

/// Reads a duration such as `10s`, `200ms` or `1m 30s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}: write it with its unit, as in 10s or 200ms"))
}

pub(crate) async fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!args.shape.duration.is_zero(), "--duration 0s leaves no time to load anything: give a longer one");
    let shutdown = shutdown_on_signal()?;
    // A target that is not there is named now, not after the load.
    drop(args.target.connect().await?);
    let tracer = match &args.log_store {
        Some(log_store) => {
            LogStore::connect(log_store).await?;
            Some(Tracer::start(log_store, TracerOptions { every: args.every, ..TracerOptions::default() }))
        }
        None => None,
    };
    let plan = LoadPlan {
        template: Template::new(&args.target, &args.run, args.shape.payload_bytes),
        target: args.target,
        connections: args.connections,
        duration: args.shape.duration,
        timeout: args.shape.timeout,
    };
    let tracing = tracer.as_ref().map(|tracer| Tracing::new(tracer, &args.run));
    let mut progress = Progress::new(plan.duration);
    progress.stage(format!("{} connections", plan.connections));
    let tally = tokio::select! {
        tally = watched(plan, tracing, &progress) => tally?,
        () = shutdown.cancelled() => return Ok(ExitCode::from(super::INTERRUPTED)),
    };
    progress.finish();
    if let Some(tracer) = tracer {
        service::close(&tracer).await;
    }
    output::result(&if args.json { as_json(&tally).to_string() } else { as_table(&tally) });
    Ok(if tally.accepted() == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs a load and shows its live figures.
pub(crate) async fn watched(plan: LoadPlan, tracing: Option<Tracing>, progress: &Progress) -> anyhow::Result<Tally> {
    let (sender, mut live) = watch::channel(crate::load::Live::default());
    let generating = generate(plan, tracing, sender);
    tokio::pin!(generating);
    loop {
        tokio::select! {
            tally = &mut generating => return tally,
            Ok(()) = live.changed() => progress.live(*live.borrow_and_update(), Duration::from_millis(250)),
        }
    }
}

fn as_json(tally: &Tally) -> serde_json::Value {
    let http = tally.http();
    let at = |quantile: f64| tally.latency.value_at_quantile(quantile);
    json!({
        "requests": http.requests,
        "accepted": http.accepted,
        "errors": http.errors,
        "duration_s": tally.duration.as_secs_f64(),
        "requests_per_sec": http.requests_per_sec(),
        "latency_us": {
            "mean": http.mean_us,
            "p50": at(0.5),
            "p90": at(0.9),
            "p99": at(0.99),
            "p999": at(0.999),
            "max": http.max_us,
        },
    })
}

fn as_table(tally: &Tally) -> String {
    let http = tally.http();
    let at = |quantile: f64| tally.latency.value_at_quantile(quantile) as f64 / 1e3;
    let mut table = format!(
        "{} requests in {:.2} s, {} accepted: {:.0} requests/s\n\
         latency  mean {:.3} ms   p50 {:.3}   p90 {:.3}   p99 {:.3}   p99.9 {:.3}   max {:.3}",
        http.requests,
        tally.duration.as_secs_f64(),
        http.accepted,
        http.requests_per_sec(),
        http.mean_us / 1e3,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        http.max_us as f64 / 1e3,
    );
    for (kind, count) in &http.errors {
        // Writing to a String cannot fail.
        let _ = write!(table, "\nerror    {kind}: {count}");
    }
    table
}
