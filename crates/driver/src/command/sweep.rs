//! `driver sweep`: one load after another, each drained and measured, and a report that grows with them.

use super::closing;
use super::description::{describe, sweep_id};
use super::load::{ShapeArgs, parse_duration, parse_rate, watched};
use super::sampling::{self, Every};
use super::setting::Setting;
use super::table::{heading, row, spread_table, stamping_table};
use crate::drain::{Drained, End, Patience, drain, settled};
use crate::http;
use crate::live::{LiveArgs, LiveFigures};
use crate::monitor::{Monitor, environment};
use crate::output;
use crate::pipeline::{LocalArgs, Pipeline, RemoteArgs};
use crate::progress::Progress;
use crate::services::check_services;
use analysis::{Cutoff, Load, Report, StampQuality, Sweep};
use clap::Args;
use load::{Endpoint, LoadPlan, RequestOptions, Template, Tracing, Wrk};
use reporter::{Output, ThresholdArgs};
use service::shutdown_on_signal;
use stamp::{MsgId, Path, RunId, SampleEvery, Tracer, TracerOptions, clock, keys};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Args)]
pub(crate) struct SweepArgs {
    /// The lowest concurrency
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) from: u16,

    /// The highest concurrency
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) to: u16,

    /// Step from one concurrency to the next
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) step: u16,

    /// Sweep over these concurrencies instead, separated by commas, for example 1,4,16
    #[arg(long, value_name = "CONNECTIONS", value_delimiter = ',', conflicts_with_all = ["from", "to", "step"], value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) levels: Vec<u16>,

    /// Sweep over these rates instead, in an open loop: requests a second, separated by commas
    #[arg(long, value_name = "PER_SECOND", value_delimiter = ',', value_parser = parse_rate, conflicts_with_all = ["from", "to", "step", "levels"])]
    pub(super) rates: Vec<f64>,

    /// The lowest rate, where rates are in even steps
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires_all = ["rate_to", "rate_step"], conflicts_with_all = ["from", "to", "step", "levels", "rates"])]
    pub(super) rate_from: Option<f64>,

    /// The highest rate
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires = "rate_from")]
    pub(super) rate_to: Option<f64>,

    /// Step from one rate to the next
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires = "rate_from")]
    pub(super) rate_step: Option<f64>,

    /// Connections at the start of a level with a rate
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) rate_connections: u16,

    /// Run each level this many times, in an order shuffled by --seed
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,

    /// End a level after this many requests, if that comes before --duration
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// The load generator: this program, or wrk with scripts/post.lua (whole seconds, closed loop, no `send` stamps)
    #[arg(long, value_enum, default_value = "driver")]
    pub(super) generator: Generator,

    #[command(flatten)]
    pub(super) shape: ShapeArgs,

    /// Warm-up load before each level; it counts nowhere
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub(super) warmup: Duration,

    /// Stamp 1 message in N: those with id % N == 0; `auto` for as many as cost 1 % of the processor (private pipeline)
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY", default_value = "100")]
    pub(super) every: Every,

    /// The path of requests [default: that of --target]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, value_name = "PATH")]
    http_path: Option<String>,

    /// The stages that messages pass, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path, default_value = "send,apiserver,enqueue,pushserver,publish,mqttclient")]
    pub(super) path: Path,

    /// How the driver takes its own event times
    #[arg(long, value_enum, default_value = "disciplined")]
    pub(super) clock: service::Clock,

    /// Start even if a stage of the path is missing or samples with another N
    #[arg(long)]
    pub(super) skip_service_check: bool,

    /// After a level: give up on missing messages once nothing has moved for this long
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(super) drain_timeout: Duration,

    /// After a level: go on after this long even if messages still arrive; they are reported as in flight
    #[arg(long, default_value = "2m", value_parser = parse_duration)]
    pub(super) drain_limit: Duration,

    /// A level counts as carried when its arrival p99 is at most this, nothing is lost or refused, and no queue grows
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_duration)]
    pub(super) p99_limit: Duration,

    /// The folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,

    /// Print each finished level as one line of JSON
    #[arg(long)]
    json: bool,

    /// Show the quality of each stage's stamps at the end
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    live: LiveArgs,

    #[command(flatten)]
    thresholds: ThresholdArgs,

    #[command(flatten)]
    pub(super) remote: RemoteArgs,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

/// What makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Generator {
    Driver,
    Wrk,
}

pub(crate) async fn run(mut args: SweepArgs) -> anyhow::Result<ExitCode> {
    args.check()?;
    let every = sampling::resolve(&args)?;
    args.every = Every::One(every);
    let options = args.shape.request_options(args.http_path.as_deref())?;
    let wrk = match args.generator {
        Generator::Driver => None,
        Generator::Wrk => {
            args.path = args.path.without_send();
            Some(Wrk::find().await?)
        }
    };
    let shutdown = shutdown_on_signal()?;
    let id = sweep_id();
    let judge = args.thresholds.open(args.path.stages())?;
    let output = Output::open(&args.out, &id)?;
    let opening = async {
        let pipeline = Pipeline::open(&args.remote, &args.local, every).await?;
        let endpoint = args.shape.endpoint(&pipeline.target).await?;
        anyhow::Ok((pipeline, endpoint))
    };
    let opened = tokio::select! {
        opened = Box::pin(opening) => Some(opened),
        () = shutdown.cancelled() => None,
    };
    let Some(Ok((mut pipeline, endpoint))) = opened else {
        output.discard_empty();
        return opened.map_or(Ok(ExitCode::from(super::INTERRUPTED)), |failed| failed.map(|_| ExitCode::FAILURE));
    };
    let told = shutdown.clone();
    tokio::spawn(async move {
        told.cancelled().await;
        output::note("stopping: waiting for what was accepted to arrive; a second Ctrl-C ends at once");
    });
    let source = Source { endpoint, options, wrk };
    let mut sweeping = Sweeping::new(&args, every, source, id, output, &pipeline, shutdown.clone()).await;
    let swept = Box::pin(sweeping.run(&mut pipeline)).await;
    sweeping.progress.finish();
    // However the sweep ended, what it has measured is judged and kept.
    let judged = judge.conclude(&mut sweeping.report, &sweeping.output);
    let written = sweeping.write_again();
    sweeping.tell_outcome();
    sweeping.live.close().await;
    service::close(&sweeping.tracer).await;
    pipeline.close().await;
    let failed = swept.err().or(written.err()).or(judged.err().map(Into::into));
    match failed {
        Some(error) if !shutdown.is_cancelled() => Err(error),
        failed => {
            failed.inspect(output::error);
            let interrupted = shutdown.is_cancelled();
            Ok(if interrupted { ExitCode::from(super::INTERRUPTED) } else { super::reported(&sweeping.report) })
        }
    }
}

/// Where the load comes from.
struct Source {
    endpoint: Endpoint,
    options: RequestOptions,
    wrk: Option<Wrk>,
}

/// A sweep under way.
struct Sweeping<'a> {
    args: &'a SweepArgs,
    every: SampleEvery,
    settings: Vec<Setting>,
    source: Source,
    sweep: Sweep,
    report: Report,
    output: Output,
    quality: StampQuality,
    tracer: Tracer,
    progress: Progress,
    live: LiveFigures,
    /// Cancelled by a signal: the load under way ends, is drained and kept, and no other begins.
    shutdown: CancellationToken,
    /// Whether the report could not be written when it was tried last.
    unwritten: bool,
}

impl<'a> Sweeping<'a> {
    async fn new(
        args: &'a SweepArgs,
        every: SampleEvery,
        source: Source,
        id: RunId,
        output: Output,
        pipeline: &Pipeline,
        shutdown: CancellationToken,
    ) -> Self {
        let path = &args.path;
        let sweep = Sweep {
            id,
            started_unix_s: clock::unix_now().as_secs(),
            every: every.get(),
            path: path.stages().to_vec(),
            settings: describe(args, every, pipeline),
            environment: environment(pipeline).await,
            p99_limit_us: u64::try_from(args.p99_limit.as_micros()).unwrap_or(u64::MAX),
            loads: Vec::new(),
        };
        let settings = Setting::all(args);
        let levels = u32::try_from(settings.len()).unwrap_or(u32::MAX);
        Self {
            args,
            settings,
            source,
            report: Report::new(&sweep),
            sweep,
            output,
            quality: StampQuality::new(path.stages()),
            tracer: Tracer::start(&pipeline.log_store, tracer_options(args, every)),
            every,
            progress: Progress::new(args.shape.duration.saturating_add(args.warmup).saturating_mul(levels)),
            live: LiveFigures::default(),
            shutdown,
            unwritten: false,
        }
    }

    async fn run(&mut self, pipeline: &mut Pipeline) -> anyhow::Result<()> {
        self.live = LiveFigures::open(&self.args.live, &self.tracer, &pipeline.log, &self.args.path).await?;
        if !self.args.skip_service_check {
            let shutdown = self.shutdown.clone();
            tokio::select! {
                checked = check_services(&pipeline.log, &self.args.path, self.every) => checked?,
                () = shutdown.cancelled() => return Ok(()),
            }
        }
        if !self.args.json {
            self.progress.result(&heading());
        }
        for (number, setting) in self.settings.clone().iter().enumerate() {
            self.level(number + 1, setting, pipeline).await?;
            if self.shutdown.is_cancelled() {
                break;
            }
        }
        if self.args.repeat > 1 && !self.args.json {
            self.progress.result(&spread_table(&self.report));
        }
        Ok(())
    }

    /// Warms up, loads, drains, measures, and adds the level to the report.
    async fn level(&mut self, number: usize, setting: &Setting, pipeline: &mut Pipeline) -> anyhow::Result<()> {
        let run: RunId = format!("{}.{}", self.sweep.id, setting.name()).parse()?;
        if !self.args.warmup.is_zero() {
            self.progress.stage(format!("{setting}, warm-up"));
            let warmup: RunId = format!("{run}.warmup").parse()?;
            let plan = self.plan(&warmup, setting, pipeline);
            let duration = self.args.warmup;
            let plan = LoadPlan { duration, ramp: plan.ramp.min(duration), requests: None, ..plan };
            let shutdown = self.shutdown.clone();
            tokio::select! {
                warm = self.load(&warmup, setting, plan, pipeline) => warm.map(|_| ())?,
                // It counts nowhere: there is nothing to be kept.
                () = shutdown.cancelled() => return Ok(()),
            }
        }
        self.progress.stage(format!("{setting}, level {number} of {}", self.settings.len()));
        let plan = self.plan(&run, setting, pipeline);
        self.live.level_begins(&run, number, setting);
        let load = self.load(&run, setting, plan, pipeline).await?;
        self.live.level_ends().await;
        if load.interrupted_us.is_some() && load.http.as_ref().is_some_and(|http| http.requests == 0) {
            return Ok(());
        }
        let level = analysis::measure(&mut pipeline.log.clone().into(), &load, &self.sweep, &mut self.quality).await?;
        let line = if self.args.json { serde_json::to_string(&level)? } else { row(&level) };
        self.sweep.loads.push(load);
        self.sweep.loads.sort_by(Load::cmp_setting);
        self.report.add(level);
        self.report.conclude(self.quality.summary());
        if let Err(error) = self.output.write(&self.report) {
            // The next levels are measured all the same: it may be mended by then.
            if !std::mem::replace(&mut self.unwritten, true) {
                self.progress.note(&error.to_string());
            }
        } else {
            self.unwritten = false;
        }
        let saved = self.sweep.save(&pipeline.log, Duration::from_secs(keys::DEFAULT_TTL_SECONDS)).await;
        // Printed last: who sees the line finds the level in the files.
        self.progress.result(&line);
        Ok(saved?)
    }

    /// Tries once more to write a report that could not be written after its last level.
    fn write_again(&self) -> anyhow::Result<()> {
        if self.unwritten { Ok(self.output.write(&self.report)?) } else { Ok(()) }
    }

    fn plan(&self, run: &RunId, setting: &Setting, pipeline: &Pipeline) -> LoadPlan {
        let template = Template::new(&pipeline.target, run, &self.source.options);
        let plan = self.args.shape.plan(self.source.endpoint.clone(), template, setting.connections, setting.rate);
        LoadPlan { requests: self.args.requests, until: Some(self.shutdown.clone()), ..plan }
    }

    /// Loads the pipeline and waits until it is empty again.
    async fn load(
        &mut self,
        run: &RunId,
        setting: &Setting,
        plan: LoadPlan,
        pipeline: &mut Pipeline,
    ) -> anyhow::Result<Load> {
        let steps_before = pipeline.log.clock_steps(0).await?.len();
        let monitor = Monitor::start(pipeline);
        let begin_us = pipeline.log.time_us().await?;
        let planned = plan.duration;
        let (mut http, connections, limited_by) = match &self.source.wrk {
            None => {
                let tally =
                    watched(plan, Some(Tracing::new(&self.tracer, run)), &self.progress, Some(&self.live)).await?;
                (http::of_tally(&tally), tally.connections, tally.limited_by())
            }
            Some(wrk) => {
                let payload_bytes = self.args.shape.payload_bytes;
                let (target, ended) = (&pipeline.target, &self.shutdown);
                let result = wrk.run(target, run, plan.connections, plan.duration, payload_bytes, ended).await?;
                (http::of_wrk(result), plan.connections, None)
            }
        };
        let lasted = Duration::from_micros(http.duration_us);
        let all_sent = self.args.requests.is_some_and(|requests| http.requests >= requests);
        let interrupted = self.shutdown.is_cancelled() && lasted < planned && !all_sent;
        let end_us = pipeline.log.time_us().await?;
        let observed = monitor.stop().await;
        let backlog = pipeline.backlog().await?;
        if self.source.wrk.is_some() {
            // wrk does not count the answers that come after its last second: accepted is what the pipeline has taken in.
            http.accepted = settled(pipeline, run, &self.args.path).await?;
            http.requests = http.requests.max(http.accepted);
            if http.accepted == 0 {
                // Its times are of all answers, whatever they said.
                (http.mean_us, http.p50_us, http.p99_us, http.max_us) = (None, None, None, None);
            }
        }
        self.progress.stage(format!("{setting}, draining"));
        let patience = Patience { still: self.args.drain_timeout, whole: self.args.drain_limit };
        let drained = drain(pipeline, run, &self.args.path, http.accepted, patience).await?;
        let cutoff = self.cutoff(run, &drained, pipeline).await?;
        self.tracer.flush().await;
        Ok(Load {
            run: run.clone(),
            concurrency: Some(u32::from(connections)),
            rate: setting.rate,
            repeat: setting.repeat,
            generator_limited: limited_by,
            interrupted_us: interrupted.then_some(http.duration_us),
            http: Some(http),
            backlog: Some(backlog),
            clock_steps: pipeline.log.clock_steps(steps_before).await?,
            drain_us: Some(u64::try_from(drained.took.as_micros()).unwrap_or(u64::MAX)),
            span_us: Some((begin_us, end_us)),
            cutoff,
            usage: observed.usage,
            queue: observed.queue,
        })
    }

    /// How things stand when a drain has been given up; nothing where all has arrived.
    async fn cutoff(&self, run: &RunId, drained: &Drained, pipeline: &Pipeline) -> anyhow::Result<Option<Cutoff>> {
        let why = match drained.end {
            End::Complete => return Ok(None),
            End::Still => {
                format!("nothing has moved for {}", humantime::format_duration(self.args.drain_timeout))
            }
            End::Moving => format!(
                "messages still arrive after {} (--drain-limit)",
                humantime::format_duration(self.args.drain_limit)
            ),
        };
        output::note(&format!("{run}: not every accepted message has arrived, and {why}"));
        Ok(Some(Cutoff {
            at_us: pipeline.log.time_us().await?,
            moving: drained.end == End::Moving,
            queue: pipeline.backlog().await?,
            arrived: drained.arrived,
        }))
    }

    /// The verdict, and where the report is.
    fn tell_outcome(&self) {
        if self.report.levels.is_empty() {
            self.output.discard_empty();
            if let Some(table) = self.report.thresholds_table() {
                output::note(&table);
            }
            return output::note("no level was finished: there is no report");
        }
        if self.args.verbose {
            output::note(&stamping_table(&self.report));
        }
        output::note("");
        for sentence in closing::sentences(&self.report) {
            output::note(&sentence);
        }
        if let Some(table) = self.report.thresholds_table() {
            output::note(&table);
        }
        if let Some(note) = self.output.note() {
            output::note(&note);
        }
        output::note(&format!("report: {}", self.output.folder().join("report.html").display()));
    }
}

fn tracer_options(args: &SweepArgs, every: SampleEvery) -> TracerOptions {
    TracerOptions { every, clock: args.clock.into(), service: "driver".to_owned(), ..TracerOptions::default() }
}
