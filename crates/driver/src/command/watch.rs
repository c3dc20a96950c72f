//! `driver watch`: drain, join and report for a load that another program makes: Locust, k6, wrk, or real users.

use super::load::parse_duration;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::prometheus_args::PrometheusArgs;
use crate::listening::{Files, Screen};
use crate::output;
use clap::Args;
use experiment::{Audience, Event, Generator, Listener, Patience, Plan, Setting, Shape, Site, Telling};
use load::{Arrivals, RequestOptions, Trust};
use reporter::{Output, ThresholdArgs};
use service::shutdown_on_signal;
use stamp::{ClockMode, Path, RunId, SampleEvery};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// The run that the messages belong to: the `run` of their envelopes
    #[arg(long, value_name = "NAME")]
    run: RunId,

    /// The load has ended when no message has come in for this long; Ctrl-C ends it, too
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    quiet: Duration,

    /// 1 message in N is stamped: those with id % N == 0
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY", default_value = "100")]
    every: SampleEvery,

    /// The stages that messages pass, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path, default_value = "apiserver,enqueue,pushserver,publish,mqttclient")]
    path: Path,

    /// Start even if a stage of the path is missing or samples with another N
    #[arg(long)]
    skip_service_check: bool,

    /// Give up on missing messages once nothing has moved for this long
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    drain_timeout: Duration,

    /// Stop waiting after this long even if messages still arrive; they are reported as in flight
    #[arg(long, default_value = "2m", value_parser = parse_duration)]
    drain_limit: Duration,

    /// The load counts as carried when its arrival p99 is at most this, nothing is lost, and no queue grows
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_duration)]
    p99_limit: Duration,

    /// The folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,

    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    prometheus: PrometheusArgs,

    #[command(flatten)]
    thresholds: ThresholdArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    local: LocalArgs,
}

impl WatchArgs {
    fn plan(&self) -> anyhow::Result<Plan> {
        let remote = &self.remote;
        let site = match &remote.redis {
            Some(redis) => {
                let log_store = remote.redis_args.reach(remote.log_store.as_ref().unwrap_or(redis));
                Site::Remote { target: remote.target.clone(), redis: remote.redis_args.reach(redis), log_store }
            }
            None => Site::Local(self.local.options(self.every)?),
        };
        Ok(Plan {
            site,
            queue: remote.queue.clone(),
            generator: Generator::Other { quiet: self.quiet },
            request: RequestOptions {
                method: "POST".parse().map_err(anyhow::Error::msg)?,
                path: None,
                headers: Vec::new(),
                body: None,
                payload_bytes: 0,
            },
            trust: Trust::System,
            // Nothing is sent from here.
            shape: Shape {
                duration: Duration::ZERO,
                timeout: Duration::ZERO,
                ramp: Duration::ZERO,
                arrivals: Arrivals::Constant,
                max_connections: 0,
                think: None,
                accept: "2xx".parse()?,
                seed: 0,
            },
            requests: None,
            levels: vec![Setting { connections: 0, rate: None, repeat: 1, repeated: false }],
            warmup: Duration::ZERO,
            every: self.every,
            path: self.path.clone(),
            clock: ClockMode::Disciplined,
            skip_service_check: self.skip_service_check,
            patience: Patience { still: self.drain_timeout, whole: self.drain_limit },
            p99_limit: self.p99_limit,
            thresholds: self.thresholds.thresholds.clone(),
            notes: BTreeMap::from([("quiet".to_owned(), humantime::format_duration(self.quiet).to_string())]),
        })
    }
}

pub(crate) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let stop = shutdown_on_signal()?;
    let judge = args.thresholds.open(plan.path.stages())?;
    let mut files = Files::new(Output::open(&args.out, &args.run)?, judge);
    let mut screen = Screen::new(&plan, args.json, false);
    let mut prometheus = args.prometheus.open().await?;
    let mut guide = Guide { run: &args.run, quiet: args.quiet };
    let mut audience = Audience::new(vec![&mut guide, &mut prometheus, &mut files, &mut screen]);
    let watched = Box::pin(experiment::run(&plan, &args.run, &mut audience, &stop)).await;
    drop(screen);
    let outcome = match watched {
        Ok(Some(outcome)) => outcome,
        nothing => {
            files.discard_empty();
            return nothing.map(|_| ExitCode::from(super::INTERRUPTED)).map_err(Into::into);
        }
    };
    match outcome.failed.map(anyhow::Error::from).or(files.failed()) {
        Some(error) => Err(error),
        // Nothing has come in: there is nothing to be judged.
        None if outcome.report.levels.is_empty() => Ok(ExitCode::from(super::INTERRUPTED)),
        None => Ok(super::reported(&outcome.report)),
    }
}

/// Tells people what to load, and what is waited for.
struct Guide<'a> {
    run: &'a RunId,
    quiet: Duration,
}

impl Listener for Guide<'_> {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        let run = self.run;
        match event {
            Event::Begun { pipeline, .. } => {
                if let Some(target) = &pipeline.target {
                    output::note(&format!("load {target} with messages such as {{\"id\":100,\"run\":\"{run}\"}}"));
                }
                output::note(&format!("waiting for messages of run {run}; Ctrl-C ends it"));
            }
            Event::LevelBegun { .. } => output::note(&format!(
                "messages come in; the load has ended when none has for {}, or with Ctrl-C",
                humantime::format_duration(self.quiet)
            )),
            _ => {}
        }
        Box::pin(async {})
    }
}
