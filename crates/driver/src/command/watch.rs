//! `driver watch`: drain, join and report for a load that another program makes: Locust, k6, wrk, or real users.

use super::measuring::MeasuringArgs;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::value::parse_duration;
use crate::output;
use clap::Args;
use experiment::{Event, Generator, Hooks, Listener, Plan, Setting, Shape, Site, Subject, Telling, Who, Work};
use load::{Arrivals, RequestOptions, Trust};
use service::shutdown_on_signal;
use stamp::{ClockMode, Path, RunId, SampleEvery};
use std::collections::BTreeMap;
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

    #[command(flatten)]
    measuring: MeasuringArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    local: LocalArgs,
}

impl WatchArgs {
    fn plan(&self) -> anyhow::Result<Plan> {
        let local = || Ok::<_, anyhow::Error>(Site::Local(self.local.options(self.every)?));
        Ok(Plan {
            site: self.remote.there().map_or_else(local, Ok)?,
            queue: self.remote.queue_key.clone(),
            generator: Generator::Other { quiet: self.quiet },
            workers: None,
            work: Work::Requests(RequestOptions::envelope(0)),
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
            levels: Setting::all(&[(0, None)], Who::Connections, 1, 0, None),
            hooks: Hooks::default(),
            search: None,
            open_ended: false,
            warmup: Duration::ZERO,
            every: self.every,
            path: self.path.clone(),
            clock: ClockMode::Disciplined,
            skip_service_check: self.measuring.skip_service_check,
            patience: self.measuring.patience(),
            p99_limit: self.measuring.p99_limit,
            thresholds: self.measuring.thresholds.thresholds.clone(),
            text: None,
            subject: Subject { name: "watch".to_owned(), params: BTreeMap::new() },
            notify: plan::Notify::default(),
            notes: BTreeMap::new(),
        })
    }
}

pub(crate) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let stop = shutdown_on_signal()?;
    let mut guide = Guide { run: &args.run, quiet: args.quiet };
    let report = args.measuring.run("watch", &plan, &args.run, &mut guide, &stop).await?;
    // Ctrl-C is one of the ways in which a load that was watched ends; but where nothing came in, there is nothing to be judged.
    let judged = report.filter(|report| !report.levels.is_empty());
    Ok(judged.map_or(ExitCode::from(super::INTERRUPTED), |report| super::reported(&report)))
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
