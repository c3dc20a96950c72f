//! `driver load`: one load on one HTTP API.

use super::load_result::{Loaded, as_json, as_table};
use super::page_args::{self, PageArgs};
use super::value::{parse_duration, parse_rate};
use super::workers_args::WorkersArgs;
use crate::output;
use crate::progress::Progress;
use analysis::{Load, Report, Sweep, untraced};
use anyhow::Context;
use clap::Args;
use experiment::{Control, Hands, Levels, Next, Setting, Shape, Who, http_of};
use load::{
    Arrivals, Endpoint, Header, LIVE_PERIOD, Limit, Live, LoadPlan, Method, RequestOptions, StatusSet, Target,
    Template, Tracing, Trust, watched,
};
use page::Page;
use reporter::Destination;
use service::shutdown_on_signal;
use stamp::ensure_usage;
use stamp::{LogStore, MsgId, RedisArgs, RedisUrl, RunId, SampleEvery, Tracer, TracerOptions, counted};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// The API under load
    #[arg(value_name = "URL")]
    target: Target,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Connections, each with one request in flight; in an open loop those at the start
    #[arg(short, long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    connections: u16,

    /// Open loop: requests a second, sent on schedule whether or not answers come
    #[arg(short, long, value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: Option<f64>,

    /// End after this many requests, if that comes before --duration
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// The path of requests [default: that of the URL]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, visible_alias = "http-path", value_name = "PATH")]
    path: Option<String>,

    /// The run id that the messages carry
    #[arg(long, default_value = RunId::ADHOC)]
    run: RunId,

    /// Stamp what is sent, in this Redis server
    #[arg(long, value_name = "URL")]
    log_store: Option<RedisUrl>,

    #[command(flatten)]
    redis_args: RedisArgs,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", default_value = "100", requires = "log_store")]
    every: SampleEvery,

    /// Write the response times in HdrHistogram's percentile format, in ms
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,

    /// Print the result as JSON (docs/load.schema.json)
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    workers: WorkersArgs,

    #[command(flatten)]
    page: PageArgs,
}

/// Arguments that shape every load.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShapeArgs {
    /// How long each load lasts, for example 10s
    #[arg(short, long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// How long a request may take
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,

    /// Open loop: how arrivals are spaced
    #[arg(long, value_enum, default_value = "constant")]
    pub(crate) arrivals: Arrivals,

    /// Open loop: grow to at most this many connections when all are busy
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(crate) max_connections: u16,

    /// Closed loop: pause before each request, for example 1s or 1s..2.5s
    #[arg(long, value_name = "TIME", value_parser = parse_think_time)]
    pub(crate) think_time: Option<ThinkTime>,

    /// Ramp-up time: a closed loop opens its connections over it, an open loop reaches its rate
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub(crate) ramp: Duration,

    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Bytes of user data in each message
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) payload_bytes: usize,

    /// The HTTP method
    #[arg(short = 'X', long, default_value = "POST")]
    method: Method,

    /// A header such as "Authorization: Bearer …"; may be given several times
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<Header>,

    /// The body [default: an envelope]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,

    /// A file with the body
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustArgs,

    /// The statuses that count as accepted, for example 2xx or 200,202
    #[arg(long, value_name = "STATUSES", default_value = "2xx")]
    accept: StatusSet,
}

/// Whom an https target must prove itself to.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustArgs {
    /// For https: a PEM file with the certificate authorities to trust [default: this machine's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    cacert: Option<PathBuf>,

    /// For https: accept any certificate (for tests)
    #[arg(long)]
    insecure: bool,
}

impl TrustArgs {
    pub(crate) fn trust(&self) -> Trust {
        match &self.cacert {
            Some(file) => Trust::File(file.clone()),
            None if self.insecure => Trust::Anybody,
            None => Trust::System,
        }
    }
}

/// The bounds of a pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThinkTime(Duration, Duration);

impl ShapeArgs {
    /// Checks what clap cannot.
    /// Fails when there would be nothing to measure, or the body's file cannot be read.
    pub(crate) fn request_options(&self, path: Option<&str>) -> anyhow::Result<RequestOptions> {
        ensure_usage(!self.duration.is_zero(), || "--duration 0s leaves no time to load anything: give a longer one")?;
        ensure_usage(!self.timeout.is_zero(), || "--timeout 0s lets no request be answered: give a longer one")?;
        ensure_usage(
            self.ramp <= self.duration,
            || "--ramp is longer than --duration: the full load would never be reached",
        )?;
        let is_path = |path: &str| path.starts_with('/') && !path.contains(|c: char| c.is_control() || c == '#');
        ensure_usage(path.is_none_or(is_path), || {
            let path = path.unwrap_or_default();
            format!(
                "the path {path:?} is none: it begins with /, and holds no control character and no # (write that as %23)"
            )
        })?;
        let body = match &self.body_file {
            Some(file) => {
                let read = std::fs::read(file);
                Some(read.with_context(|| format!("cannot read --body-file {}", file.display()))?)
            }
            None => self.body.clone().map(String::into_bytes),
        };
        Ok(RequestOptions {
            method: self.method.clone(),
            path: path.map(str::to_owned),
            headers: self.header.clone(),
            body,
            payload_bytes: self.payload_bytes,
        })
    }

    /// Whom an https target must prove itself to.
    pub(crate) fn trust(&self) -> Trust {
        self.trust.trust()
    }

    /// What all loads have in common.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            duration: self.duration,
            timeout: self.timeout,
            ramp: self.ramp,
            arrivals: self.arrivals,
            max_connections: self.max_connections,
            think: self.think_time.map(|ThinkTime(least, most)| (least, most)),
            accept: self.accept.clone(),
            seed: self.seed,
        }
    }
}

/// Reads `1s` or `1s..2.5s`.
fn parse_think_time(text: &str) -> Result<ThinkTime, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (parse_duration(least)?, parse_duration(most)?);
    if least > most { Err(format!("{text}: the first must be the shorter one")) } else { Ok(ThinkTime(least, most)) }
}

pub(crate) async fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let options = args.shape.request_options(args.path.as_deref())?;
    let shutdown = shutdown_on_signal()?;
    // What cannot work is named now, not after the load.
    let endpoint = Endpoint::open(&args.target, &args.shape.trust()).await?;
    let unwritable = |path: &Path| format!("cannot write --hgrm {}", path.display());
    let open = |path: &PathBuf| Destination::open(path).with_context(|| unwritable(path));
    let hgrm = args.hgrm.as_ref().map(open).transpose()?;
    let tracer = match &args.log_store {
        Some(log_store) => {
            let log_store = &args.redis_args.reach(log_store);
            LogStore::connect(log_store).await?;
            let service = "driver".to_owned();
            Some(Tracer::start(log_store, TracerOptions { every: args.every, service, ..TracerOptions::default() }))
        }
        None => None,
    };
    let template = Template::single(&args.target, &args.run, &options);
    let mut page = args.page.open("load", Path::new("reports")).await?;
    let Some(mut hands) = args.gather(&endpoint, &shutdown).await? else {
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    let generated = (tracer.as_ref(), hands.as_mut());
    let ran = loads(&args, &endpoint, &template, generated, page.as_mut(), &shutdown).await;
    page_args::close(page, &ran);
    if let Some(hands) = hands {
        hands.close().await;
    }
    if let Some(tracer) = tracer {
        service::close(&tracer).await;
    }
    let Some(Loaded { tally, lost, .. }) = ran? else { return Ok(ExitCode::from(super::INTERRUPTED)) };
    if let Some(file) = hgrm {
        let mut written = Vec::new();
        reporter::write_hgrm(&tally.response, &mut written).context("cannot write --hgrm")?;
        file.write(&written).with_context(|| unwritable(file.path()))?;
    }
    Ok(match (shutdown.is_cancelled(), tally.accepted()) {
        (true, _) => ExitCode::from(super::INTERRUPTED),
        (false, 0) => ExitCode::FAILURE,
        (false, _) if lost => ExitCode::FAILURE,
        (false, _) => ExitCode::SUCCESS,
    })
}

/// The load, and those that it is changed to on the page: each is told once it has ended. Gives the last.
async fn loads(
    args: &LoadArgs,
    endpoint: &Endpoint,
    template: &Template,
    (tracer, mut hands): (Option<&Tracer>, Option<&mut Hands>),
    mut page: Option<&mut Page>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Loaded>> {
    let control = Control::default();
    let sweep = Sweep::of_load(args.run.clone(), args.every.get(), &stamp::Path::default());
    if let Some(page) = &mut page {
        page.begin_load(&sweep, None);
        page.attach(Some(&control), shutdown);
    }
    let mut levels = Levels::new(&args.settings(), &control);
    let (mut last, mut report) = (None, Report::new(&sweep));
    loop {
        if let (Some(page), true) = (&page, levels.is_paused()) {
            page.pause();
        }
        let Some(Next { setting, number, end, .. }) = levels.next(shutdown).await else { break };
        let load = args.shape.shape().load(endpoint.clone(), template.clone(), setting.connections, setting.rate);
        let plan = LoadPlan { limit: args.requests.map(Limit::Requests), until: Some(end), ..load };
        if let Some(page) = &mut page {
            page.begin_level(&args.run, &setting, number);
        }
        let tracing = tracer.map(|tracer| Tracing::new(tracer, &args.run));
        let mut progress = Progress::new(plan.duration);
        progress.stage(match setting.rate {
            Some(rate) => format!("{rate} a second"),
            None => counted(plan.users, "connection"),
        });
        let has_page = page.is_some();
        let tick = async |live: &Live| {
            progress.live(live, LIVE_PERIOD);
            if let Some(page) = &mut page {
                page.tick(live);
            }
        };
        let loaded = match &mut hands {
            Some(hands) => {
                let run = tracer.map(|_| args.run.as_str());
                hands.refill().await?;
                let begun = hands.begin(&plan, run).await?;
                Loaded::of_workers(hands.make(begun, &plan, tick).await?)
            }
            None => Loaded::of(watched(plan, tracing, has_page, tick).await?),
        };
        progress.finish();
        let interrupted = shutdown.is_cancelled();
        let json = || as_json(&loaded, setting.rate, interrupted).to_string();
        let table = || as_table(&loaded, setting.rate, interrupted);
        output::result(&if args.json { json() } else { table() });
        if let Some(page) = &mut page {
            let load = Load {
                concurrency: Some(loaded.tally.connections),
                rate: setting.rate,
                repeat: setting.repeat,
                http: Some(http_of(&loaded.tally)),
                generator_limited: loaded.limited_by.clone(),
                workers: loaded.workers.clone(),
                ..Load::foreign(args.run.clone())
            };
            let level = untraced(&load, &sweep);
            report.add(level.clone());
            page.end_level(&level, &report).await;
        }
        last = Some(loaded);
    }
    if let Some(page) = page {
        page.end_load();
    }
    Ok(last)
}

impl LoadArgs {
    /// The workers that make the load, where some are to. Nothing at all where `stop` came before they were there.
    async fn gather(&self, endpoint: &Endpoint, stop: &CancellationToken) -> anyhow::Result<Option<Option<Hands>>> {
        let Some(workers) = self.workers.workers()? else { return Ok(Some(None)) };
        let meeting = self.log_store.as_ref().map(|log_store| self.redis_args.reach(log_store));
        let meeting = meeting.as_ref().map(|url| (url, false));
        let tell = async |waiting: &str| output::note(waiting);
        let gathering = workers.gather(meeting, "load", self.every, endpoint.targets(), tell);
        Ok(stop.run_until_cancelled(Box::pin(gathering)).await.transpose()?.map(Some))
    }

    /// The one level that is asked for.
    fn settings(&self) -> Vec<Setting> {
        Setting::all(&[(self.connections.into(), self.rate)], Who::Connections, 1, self.shape.seed, None)
    }
}
