//! `driver sweep`: one load after another, each drained and measured, and a report that grows with them.

use super::load::{ShapeArgs, parse_duration, watched};
use super::table::{heading, row, stamping_table};
use crate::drain::{Drained, drain};
use crate::load::{LoadPlan, RequestOptions, Template, Tracing};
use crate::output;
use crate::pipeline::{LocalArgs, Pipeline, RemoteArgs};
use crate::progress::Progress;
use crate::services::check_services;
use clap::Args;
use reporter::{Load, Output, Report, StampQuality, Sweep};
use service::shutdown_on_signal;
use stamp::{MsgId, Path, RunId, SampleEvery, Tracer, TracerOptions, clock, keys};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

#[derive(Debug, Clone, Args)]
pub(crate) struct SweepArgs {
    /// The lowest concurrency
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    from: u16,

    /// The highest concurrency
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    to: u16,

    /// From one concurrency to the next
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    step: u16,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Load before each level that counts nowhere
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    warmup: Duration,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", default_value = "100")]
    every: SampleEvery,

    /// The path of requests [default: that of --target]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, value_name = "PATH")]
    http_path: Option<String>,

    /// The stages that messages pass, in order, parted by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path, default_value = "send,apiserver,enqueue,pushserver,publish,mqttclient")]
    path: Path,

    /// How the driver's own event times come about
    #[arg(long, value_enum, default_value = "disciplined")]
    clock: service::Clock,

    /// Start even though a stage of the path is missing or samples another N
    #[arg(long)]
    skip_service_check: bool,

    /// After a level: give up on messages that have not arrived when nothing has moved for this long
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    drain_timeout: Duration,

    /// The folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,

    /// Print each finished level as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    local: LocalArgs,
}

pub(crate) async fn run(args: SweepArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.from <= args.to, "--from {} is above --to {}: exchange them", args.from, args.to);
    let options = args.shape.request_options(args.http_path.as_deref())?;
    anyhow::ensure!(args.clock != service::Clock::Off, "--clock off leaves nothing to report: use driver load instead");
    let shutdown = shutdown_on_signal()?;
    let id = sweep_id();
    let output = Output::open(&args.out, &id)?;
    let mut pipeline = tokio::select! {
        pipeline = Box::pin(Pipeline::open(&args.remote, &args.local, args.every)) => pipeline?,
        () = shutdown.cancelled() => return Ok(ExitCode::from(super::INTERRUPTED)),
    };
    let mut sweeping = Sweeping::new(&args, options, id, output, &pipeline);
    let swept = tokio::select! {
        swept = Box::pin(sweeping.run(&mut pipeline)) => Some(swept),
        () = shutdown.cancelled() => None,
    };
    sweeping.progress.finish();
    sweeping.tell_outcome();
    service::close(&sweeping.tracer).await;
    pipeline.close().await;
    match swept {
        Some(swept) => swept.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::from(super::INTERRUPTED)),
    }
}

/// A sweep under way.
struct Sweeping<'a> {
    args: &'a SweepArgs,
    options: RequestOptions,
    sweep: Sweep,
    report: Report,
    output: Output,
    quality: StampQuality,
    tracer: Tracer,
    progress: Progress,
}

impl<'a> Sweeping<'a> {
    fn new(args: &'a SweepArgs, options: RequestOptions, id: RunId, output: Output, pipeline: &Pipeline) -> Self {
        let path = &args.path;
        let sweep = Sweep {
            id,
            started_unix_s: clock::unix_now().as_secs(),
            every: args.every.get(),
            path: path.stages().to_vec(),
            settings: settings(args, pipeline),
            loads: Vec::new(),
        };
        let levels = u32::from((args.to - args.from) / args.step) + 1;
        Self {
            args,
            options,
            report: Report::new(&sweep),
            sweep,
            output,
            quality: StampQuality::new(path.stages()),
            tracer: Tracer::start(&pipeline.log_store, tracer_options(args)),
            progress: Progress::new((args.shape.duration + args.warmup) * levels),
        }
    }

    async fn run(&mut self, pipeline: &mut Pipeline) -> anyhow::Result<()> {
        if !self.args.skip_service_check {
            check_services(&pipeline.log, &self.args.path, self.args.every).await?;
        }
        if !self.args.json {
            self.progress.result(&heading());
        }
        for concurrency in (self.args.from..=self.args.to).step_by(usize::from(self.args.step)) {
            self.level(concurrency, pipeline).await?;
        }
        Ok(())
    }

    /// Warms up, loads, drains, measures, and adds the level to the report.
    async fn level(&mut self, concurrency: u16, pipeline: &mut Pipeline) -> anyhow::Result<()> {
        let run: RunId = format!("{}.c{concurrency:02}", self.sweep.id).parse()?;
        if !self.args.warmup.is_zero() {
            self.progress.stage(format!("{concurrency} connections, warm-up"));
            let warmup: RunId = format!("{run}.warmup").parse()?;
            self.load(&warmup, concurrency, self.args.warmup, pipeline).await?;
        }
        self.progress.stage(format!("{concurrency} of {} connections", self.args.to));
        let load = self.load(&run, concurrency, self.args.shape.duration, pipeline).await?;
        let level = reporter::measure(&pipeline.log, &load, &self.sweep.path, &mut self.quality).await?;
        self.report.stamping = self.quality.summary();
        let line = if self.args.json { serde_json::to_string(&level)? } else { row(&level) };
        self.sweep.loads.push(load);
        self.report.levels.push(level);
        self.sweep.save(&pipeline.log, Duration::from_secs(keys::DEFAULT_TTL_SECONDS)).await?;
        self.output.write(&self.report)?;
        // Printed last: who sees the line finds the level in the files.
        self.progress.result(&line);
        Ok(())
    }

    /// Loads the pipeline and waits until it is empty again.
    async fn load(
        &mut self,
        run: &RunId,
        concurrency: u16,
        duration: Duration,
        pipeline: &mut Pipeline,
    ) -> anyhow::Result<Load> {
        let template = Template::new(&pipeline.target, run, &self.options);
        let plan = self.args.shape.plan(pipeline.target.clone(), template, concurrency, None);
        let plan = LoadPlan { duration, ramp: plan.ramp.min(duration), ..plan };
        let steps_before = pipeline.log.clock_steps(0).await?.len();
        let tally = watched(plan, Some(Tracing::new(&self.tracer, run)), &self.progress).await?;
        let backlog = pipeline.backlog().await?;
        self.progress.stage(format!("{concurrency} connections, draining"));
        let Drained { took, complete } =
            drain(pipeline, run, &self.args.path, tally.accepted(), self.args.drain_timeout).await?;
        if !complete {
            let limit = humantime::format_duration(self.args.drain_timeout);
            output::note(&format!("{run}: not every accepted message arrived; nothing has moved for {limit}"));
        }
        self.tracer.flush().await;
        Ok(Load {
            run: run.clone(),
            concurrency: Some(u32::from(concurrency)),
            http: Some(tally.http()),
            backlog: Some(backlog),
            clock_steps: pipeline.log.clock_steps(steps_before).await?,
            drain_us: Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        })
    }

    /// What the stamps are worth, and where the report is.
    fn tell_outcome(&self) {
        if self.report.levels.is_empty() {
            return output::note("no level was finished: there is no report");
        }
        output::note(&stamping_table(&self.report));
        output::note(&format!("report: {}", self.output.folder().display()));
    }
}

fn tracer_options(args: &SweepArgs) -> TracerOptions {
    TracerOptions {
        every: args.every,
        clock: args.clock.into(),
        service: "driver".to_owned(),
        ..TracerOptions::default()
    }
}

/// `20261121-101500-k3f`: the time in UTC and three characters that tell sweeps of one second apart.
fn sweep_id() -> RunId {
    let now = clock::unix_now();
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(now.as_secs())).to_string();
    let time: String = time.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut rest = now.subsec_nanos() ^ std::process::id().rotate_left(16);
    let suffix: String = std::iter::repeat_with(|| {
        let digit = char::from_digit(rest % 36, 36).unwrap_or('0');
        rest /= 36;
        digit
    })
    .take(3)
    .collect();
    let id = format!("{}-{suffix}", time.replace('T', "-"));
    id.parse().unwrap_or_else(|_| RunId::adhoc())
}

/// Every setting that matters, for the report.
fn settings(args: &SweepArgs, pipeline: &Pipeline) -> BTreeMap<String, String> {
    let time = |duration: Duration| humantime::format_duration(duration).to_string();
    let mut settings = BTreeMap::from([
        ("duration".to_owned(), time(args.shape.duration)),
        ("warmup".to_owned(), time(args.warmup)),
        ("every".to_owned(), args.every.to_string()),
        ("payload_bytes".to_owned(), args.shape.payload_bytes.to_string()),
        ("timeout".to_owned(), time(args.shape.timeout)),
        ("drain_timeout".to_owned(), time(args.drain_timeout)),
        ("pipeline".to_owned(), if pipeline.is_local() { "local stack" } else { "remote" }.to_owned()),
        ("target".to_owned(), pipeline.target.to_string()),
        ("clock".to_owned(), format!("{:?}", args.clock).to_lowercase()),
        ("generator".to_owned(), "closed loop".to_owned()),
        ("generator_tcp_nodelay".to_owned(), "true".to_owned()),
    ]);
    if pipeline.is_local() {
        let local = &args.local;
        for (service, more) in [
            ("apiserver", &local.apiserver_args),
            ("pushserver", &local.pushserver_args),
            ("mqttclient", &local.mqttclient_args),
        ] {
            settings.insert(format!("{service}_args"), more.clone());
        }
    }
    settings
}
