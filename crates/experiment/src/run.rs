//! Runs a plan: one load after another, each warmed up, drained and measured.

use crate::drain::{Drained, End, drain};
use crate::error::ExperimentError;
use crate::event::{Audience, Event};
use crate::eviction::Eviction;
use crate::monitor::{Monitor, environment};
use crate::pipeline::Pipeline;
use crate::plan::{Generator, Plan};
use crate::services::check_services;
use crate::setting::Setting;
use crate::{description, http, intake};
use analysis::{Cutoff, Http, Level, Load, Report, StampQuality, Sweep, check_hops, measure};
use load::{Endpoint, LoadPlan, Target, Template, Tracing, Wrk, watched};
use stamp::{RunId, Tracer, TracerOptions, clock, keys};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How an experiment went.
#[derive(Debug)]
pub struct Outcome {
    /// What has been measured, however it ended. It has been judged.
    pub report: Report,
    /// What ended it early, beside `stop`.
    pub failed: Option<ExperimentError>,
}

/// Runs a plan under this id, and tells the audience what happens. `stop` ends the load under way, which is drained and kept; no other begins.
///
/// # Errors
/// When nothing could begin: the plan cannot work, or the pipeline does not answer. Absent where `stop` came before.
pub async fn run(
    plan: &Plan,
    id: &RunId,
    audience: &mut Audience<'_>,
    stop: &CancellationToken,
) -> Result<Option<Outcome>, ExperimentError> {
    check_hops(&plan.thresholds, plan.path.stages())?;
    let wrk = if plan.generator == Generator::Wrk { Some(Wrk::find().await?) } else { None };
    let opening = async {
        let pipeline = Pipeline::open(&plan.site, &plan.queue).await?;
        let endpoint = match &pipeline.target {
            Some(target) if !matches!(plan.generator, Generator::Other { .. }) => {
                Some((target.clone(), Endpoint::open(target, &plan.trust).await?))
            }
            _ => None,
        };
        Ok::<_, ExperimentError>((pipeline, endpoint))
    };
    let opened = stop.run_until_cancelled(Box::pin(opening)).await;
    let Some((mut pipeline, endpoint)) = opened.transpose()? else { return Ok(None) };
    let mut running = Running::new(plan, id, endpoint, wrk, &pipeline, stop).await;
    let failed = running.all(&mut pipeline, audience).await.err();
    let Running { mut report, tracer, .. } = running;
    report.thresholds = plan.thresholds.iter().map(|threshold| threshold.judge(&report)).collect();
    audience.tell(&Event::Verdict(&report)).await;
    audience.tell(&Event::Ended).await;
    service::close(&tracer).await;
    pipeline.close().await;
    Ok(Some(Outcome { report, failed }))
}

/// A plan under way.
struct Running<'a> {
    plan: &'a Plan,
    /// What is loaded; absent where another program does it.
    endpoint: Option<(Target, Endpoint)>,
    wrk: Option<Wrk>,
    sweep: Sweep,
    report: Report,
    quality: StampQuality,
    tracer: Tracer,
    stop: &'a CancellationToken,
}

/// What is known of a load that was made.
struct Made {
    /// Absent where another program made it.
    http: Option<Http>,
    connections: Option<u16>,
    limited_by: Option<String>,
    interrupted_us: Option<u64>,
}

impl<'a> Running<'a> {
    async fn new(
        plan: &'a Plan,
        id: &RunId,
        endpoint: Option<(Target, Endpoint)>,
        wrk: Option<Wrk>,
        pipeline: &Pipeline,
        stop: &'a CancellationToken,
    ) -> Self {
        let sweep = Sweep {
            id: id.clone(),
            started_unix_s: clock::unix_now().as_secs(),
            every: plan.every.get(),
            path: plan.path.stages().to_vec(),
            settings: description::settings(plan, pipeline),
            environment: environment(pipeline).await,
            p99_limit_us: u64::try_from(plan.p99_limit.as_micros()).unwrap_or(u64::MAX),
            loads: Vec::new(),
        };
        let options = TracerOptions {
            every: plan.every,
            clock: plan.clock,
            service: "driver".to_owned(),
            ..TracerOptions::default()
        };
        let tracer = Tracer::start(&pipeline.log_store, options);
        let quality = StampQuality::new(&sweep.path);
        Self { plan, endpoint, wrk, report: Report::new(&sweep), sweep, quality, tracer, stop }
    }

    async fn all(&mut self, pipeline: &mut Pipeline, audience: &mut Audience<'_>) -> Result<(), ExperimentError> {
        let plan = self.plan;
        if !plan.skip_service_check {
            let checked = check_services(&pipeline.log, &plan.path, plan.every);
            let Some(checked) = self.stop.run_until_cancelled(checked).await else { return Ok(()) };
            checked?;
        }
        audience.tell(&Event::Begun { plan, sweep: &self.sweep, pipeline, tracer: &self.tracer }).await;
        let mut eviction = Eviction::of(&pipeline.log, &pipeline.log_store).await;
        if let Some(warning) = eviction.threatens().await {
            audience.tell(&Event::Warning(&warning)).await;
        }
        for (index, setting) in plan.levels.iter().enumerate() {
            self.level(index + 1, setting, pipeline, audience).await?;
            if let Some(warning) = eviction.happened().await {
                audience.tell(&Event::Warning(&warning)).await;
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    /// Warms up, loads, drains, measures, and adds the level to the report.
    async fn level(
        &mut self,
        number: usize,
        setting: &Setting,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<(), ExperimentError> {
        let run: RunId = if let Generator::Other { .. } = self.plan.generator {
            // The run is the experiment's own, and begins when somebody loads it.
            if !intake::begins(pipeline, &self.sweep.id, &self.plan.path, self.stop).await? {
                return Ok(());
            }
            self.sweep.id.clone()
        } else {
            format!("{}.{}", self.sweep.id, setting.name()).parse()?
        };
        if !self.plan.warmup.is_zero() {
            audience.tell(&Event::WarmUp(setting)).await;
            let stop = self.stop;
            // It counts nowhere: where it is ended, there is nothing to be kept.
            let warm = stop.run_until_cancelled(self.warm_up(&run, setting, pipeline, audience)).await;
            let Some(warm) = warm else { return Ok(()) };
            warm?;
        }
        audience.tell(&Event::LevelBegun { run: &run, number, of: self.plan.levels.len(), setting }).await;
        let load = self.load(&run, setting, self.load_plan(&run, setting), pipeline, audience).await?;
        audience.tell(&Event::Drained).await;
        if load.interrupted_us.is_some() && load.http.as_ref().is_some_and(|http| http.requests == 0) {
            return Ok(());
        }
        let level = measure(&mut pipeline.log.clone().into(), &load, &self.sweep, &mut self.quality).await?;
        self.keep(load, level.clone());
        let saved = self.sweep.save(&pipeline.log, Duration::from_secs(keys::DEFAULT_TTL_SECONDS)).await;
        audience.tell(&Event::LevelEnded { level: &level, report: &self.report }).await;
        if let Err(error) = saved {
            let warning = format!("the report cannot be made again from the log store: {error}");
            audience.tell(&Event::Warning(&warning)).await;
        }
        Ok(())
    }

    fn keep(&mut self, load: Load, level: Level) {
        self.sweep.loads.push(load);
        self.sweep.loads.sort_by(Load::cmp_setting);
        self.report.add(level);
        self.report.conclude(self.quality.summary());
    }

    async fn warm_up(
        &mut self,
        run: &RunId,
        setting: &Setting,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<(), ExperimentError> {
        let run: RunId = format!("{run}.warmup").parse()?;
        let duration = self.plan.warmup;
        let warm = |plan: LoadPlan| LoadPlan { duration, ramp: plan.ramp.min(duration), requests: None, ..plan };
        let plan = self.load_plan(&run, setting).map(warm);
        self.load(&run, setting, plan, pipeline, audience).await?;
        Ok(())
    }

    /// Nothing where another program makes the load.
    fn load_plan(&self, run: &RunId, setting: &Setting) -> Option<LoadPlan> {
        let (target, endpoint) = self.endpoint.as_ref()?;
        let template = Template::new(target, run, &self.plan.request);
        let load = self.plan.shape.load(endpoint.clone(), template, setting.connections, setting.rate);
        Some(LoadPlan { requests: self.plan.requests, until: Some(self.stop.clone()), ..load })
    }

    /// Loads the pipeline and waits until it is empty again.
    async fn load(
        &mut self,
        run: &RunId,
        setting: &Setting,
        load: Option<LoadPlan>,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Load, ExperimentError> {
        let steps_before = pipeline.log.clock_steps(0).await?.len();
        let monitor = Monitor::start(pipeline).await;
        let begin_us = pipeline.log.time_us().await?;
        let made = self.make(run, load, pipeline, audience).await?;
        let end_us = pipeline.log.time_us().await?;
        let observed = monitor.stop().await;
        let backlog = pipeline.backlog().await?;
        let Made { mut http, connections, limited_by, interrupted_us } = made;
        // Other programs do not count the answers that come after their last second: accepted is what the pipeline has taken in.
        let accepted = match &mut http {
            Some(http) if self.wrk.is_none() => http.accepted,
            http => {
                let accepted = intake::settled(pipeline, run, &self.plan.path, intake::STILL, None).await?;
                if let Some(http) = http {
                    http::accept(http, accepted);
                }
                accepted
            }
        };
        audience.tell(&Event::Draining(setting)).await;
        let drained = drain(pipeline, run, &self.plan.path, accepted, self.plan.patience).await?;
        let cutoff = self.cutoff(run, &drained, pipeline, audience).await?;
        self.tracer.flush().await;
        Ok(Load {
            run: run.clone(),
            concurrency: connections.map(u32::from),
            rate: setting.rate,
            repeat: setting.repeat,
            generator_limited: limited_by,
            interrupted_us,
            // Where another program made the load, nobody knows its first request: the stamps tell.
            span_us: http.is_some().then_some((begin_us, end_us)),
            http,
            backlog: Some(backlog),
            clock_steps: pipeline.log.clock_steps(steps_before).await?,
            drain_us: Some(u64::try_from(drained.took.as_micros()).unwrap_or(u64::MAX)),
            cutoff,
            usage: observed.usage,
            queue: observed.queue,
        })
    }

    /// Has the load made.
    async fn make(
        &mut self,
        run: &RunId,
        load: Option<LoadPlan>,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Made, ExperimentError> {
        let Some(load) = load else {
            if let Generator::Other { quiet } = self.plan.generator {
                intake::settled(pipeline, run, &self.plan.path, quiet, Some(self.stop)).await?;
            }
            return Ok(Made { http: None, connections: None, limited_by: None, interrupted_us: None });
        };
        let planned = load.duration;
        let (http, connections, limited_by) = if let (Some(wrk), Some((target, _))) = (&self.wrk, &self.endpoint) {
            let bytes = self.plan.request.payload_bytes;
            let result = wrk.run(target, run, load.connections, load.duration, bytes, self.stop).await?;
            (http::of_wrk(result), load.connections, None)
        } else {
            let (tracing, totals) = (Tracing::new(&self.tracer, run), audience.wants_totals());
            let tick = async |live: &load::Live| audience.tell(&Event::Tick(live)).await;
            let tally = watched(load, Some(tracing), totals, tick).await?;
            (http::of_tally(&tally), tally.connections, tally.limited_by())
        };
        let lasted = Duration::from_micros(http.duration_us);
        let all_sent = self.plan.requests.is_some_and(|requests| http.requests >= requests);
        let interrupted = self.stop.is_cancelled() && lasted < planned && !all_sent;
        let interrupted_us = interrupted.then_some(http.duration_us);
        Ok(Made { http: Some(http), connections: Some(connections), limited_by, interrupted_us })
    }

    /// How things stand when a drain has been given up; nothing where all has arrived.
    async fn cutoff(
        &self,
        run: &RunId,
        drained: &Drained,
        pipeline: &Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Option<Cutoff>, ExperimentError> {
        let time = |duration| humantime::format_duration(duration);
        let why = match drained.end {
            End::Complete => return Ok(None),
            End::Still => format!("nothing has moved for {}", time(self.plan.patience.still)),
            End::Moving => format!("messages still arrive after {} (--drain-limit)", time(self.plan.patience.whole)),
        };
        audience.tell(&Event::GivenUp { run, why: &why }).await;
        Ok(Some(Cutoff {
            at_us: pipeline.log.time_us().await?,
            moving: drained.end == End::Moving,
            queue: pipeline.backlog().await?,
            arrived: drained.arrived,
        }))
    }
}
