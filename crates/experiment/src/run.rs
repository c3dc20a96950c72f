//! Runs a plan: one load after another, each warmed up, drained and measured.

use crate::abort::Watcher;
use crate::control::{Control, Levels, Next};
use crate::crew::{self, Hands};
use crate::drain::{Drained, End, drain};
use crate::error::ExperimentError;
use crate::event::{Audience, Event};
use crate::eviction::Eviction;
use crate::loaded::{self, Loaded};
use crate::monitor::{Monitor, environment};
use crate::pipeline::Pipeline;
use crate::plan::{Generator, Plan, Work};
use crate::search::{Ask, Search};
use crate::services::check_services;
use crate::setting::{Setting, Who};
use crate::{description, figures, http, intake};
use analysis::{
    Cutoff, Found, Http, Level, Load, Report, StampQuality, Sweep, WorkerLoad, check_hops, measure, untraced,
};
use load::{Limit, LoadPlan, Template, Tracing, Wrk, watched};
use stack::StackError;
use stamp::{RunId, Tracer, TracerOptions, clock, keys};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use workers::Begun;

/// Connections with which a trial of a search begins; more come where these are busy.
const FIRST_CONNECTIONS: u32 = 16;

/// The end of a warm-up's run.
const WARMUP: &str = ".warmup";

/// How an experiment went.
#[derive(Debug)]
pub struct Outcome {
    /// What has been measured, however it ended. It has been judged.
    pub report: Report,
    /// What ended it early, beside `stop`.
    pub failed: Option<ExperimentError>,
}

/// Runs a plan under this id, and tells the audience what happens. `control` changes what runs next; `stop` ends the load under way, which is drained
/// and kept, and no other begins.
///
/// # Errors
/// When nothing could begin: the plan cannot work, or the pipeline does not answer. Absent where `stop` came before.
pub async fn run(
    plan: &Plan,
    id: &RunId,
    audience: &mut Audience<'_>,
    control: &Control,
    stop: &CancellationToken,
) -> Result<Option<Outcome>, ExperimentError> {
    check_hops(&plan.thresholds, plan.path.stages())?;
    let wrk = if plan.generator == Generator::Wrk { Some(Wrk::find().await?) } else { None };
    let opened = stop.run_until_cancelled(Box::pin(loaded::open(plan))).await;
    let Some((mut pipeline, target)) = opened.transpose()? else { return Ok(None) };
    let mut running = Box::pin(Running::new(plan, id, target, wrk, &pipeline, stop)).await;
    let gone = pipeline.store_gone();
    let (mut failed, is_gone) = tokio::select! {
        ran = Box::pin(running.all(&mut pipeline, audience, control)) => (ran.err(), false),
        () = gone => (None, true),
    };
    if is_gone {
        failed = pipeline.ended().err().map(Into::into);
        // Whatever waits for its answers would do so in vain.
        pipeline.kill();
    }
    Box::pin(running.loaded.tidy_up(plan, id, audience)).await;
    let Running { mut report, tracer, hands, .. } = *running;
    if let Some(hands) = hands.filter(|_| !is_gone) {
        hands.close().await;
    }
    let begun = !report.levels.is_empty();
    if begun || failed.is_none() {
        report.thresholds = plan.thresholds.iter().map(|threshold| threshold.judge(&report)).collect();
        for verdict in &mut report.thresholds {
            // What has ended a level was missed, whatever the drain has brought since.
            let ended = |load: &Load| load.aborted.as_ref().is_some_and(|why| why.starts_with(&verdict.threshold));
            verdict.held &= !report.levels.iter().any(|level| ended(&level.load));
        }
        audience.tell(&Event::Verdict(&report)).await;
    }
    audience.tell(&Event::Ended).await;
    if let Some(tracer) = tracer.filter(|_| !is_gone) {
        service::close(&tracer).await;
    }
    pipeline.close().await;
    match failed {
        // Where set-up fails, nothing has been loaded.
        Some(error @ ExperimentError::Scenario(_)) if !begun => Err(error),
        failed => Ok(Some(Outcome { report, failed })),
    }
}

/// A plan under way.
struct Running<'a> {
    plan: &'a Plan,
    loaded: Loaded,
    wrk: Option<Wrk>,
    sweep: Sweep,
    report: Report,
    quality: StampQuality,
    /// Absent where nothing is traced.
    tracer: Option<Tracer>,
    search: Option<Searching>,
    /// Who makes the loads, where it is not this process.
    hands: Option<Hands>,
    /// That some of them were lost in the level under way.
    lost: Option<String>,
    stop: &'a CancellationToken,
}

/// A search under way.
struct Searching {
    search: Search,
    begun: Instant,
    /// What the level under way tries.
    ask: Option<Ask>,
}

/// What is known of a load that was made.
#[derive(Default)]
struct Made {
    /// Absent where another program made it.
    http: Option<Http>,
    connections: Option<u32>,
    /// Traced messages that were accepted; unknown where another program made it.
    messages: Option<u64>,
    scenario: Option<analysis::scenario::Scenario>,
    /// From the beginning to the measured time, and how long that was; absent where all was measured.
    measured: Option<(Duration, Duration)>,
    limited_by: Option<String>,
    interrupted_us: Option<u64>,
    /// The threshold that ended it.
    aborted: Option<String>,
    /// Each generator, where several made it.
    workers: Vec<WorkerLoad>,
    /// How much was not sent, as some of them were lost.
    lost: Option<String>,
}

impl<'a> Running<'a> {
    async fn new(
        plan: &'a Plan,
        id: &RunId,
        loaded: Loaded,
        wrk: Option<Wrk>,
        pipeline: &Pipeline,
        stop: &'a CancellationToken,
    ) -> Box<Self> {
        let sweep = Sweep {
            id: id.clone(),
            started_unix_s: clock::unix_now().as_secs(),
            every: Some(plan.every.get()),
            path: plan.path.stages().to_vec(),
            settings: description::all_settings(plan, pipeline),
            environment: environment(pipeline).await,
            p99_limit_us: u64::try_from(plan.p99_limit.as_micros()).unwrap_or(u64::MAX),
            loads: Vec::new(),
            search: None,
        };
        let options = TracerOptions {
            every: plan.every,
            clock: plan.clock,
            service: "driver".to_owned(),
            ..TracerOptions::default()
        };
        let tracer = pipeline.store.as_ref().map(|store| Tracer::start(&store.url, options));
        let quality = StampQuality::new(&sweep.path);
        let search = plan.search.clone();
        let search = search.map(|search| Searching { search: Search::new(search), begun: clock::now(), ask: None });
        let report = Report::new(&sweep);
        Box::new(Self { plan, loaded, wrk, report, sweep, quality, tracer, search, hands: None, lost: None, stop })
    }

    async fn all(
        &mut self,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
        control: &Control,
    ) -> Result<(), ExperimentError> {
        let plan = self.plan;
        if let Some(store) = pipeline.store.as_ref().filter(|_| !plan.skip_service_check) {
            let checked = check_services(&store.log, &plan.path, plan.every);
            let Some(checked) = self.stop.run_until_cancelled(checked).await else { return Ok(()) };
            checked?;
        }
        if let Loaded::Users(scenario) = &mut self.loaded {
            let set_up = scenario.set_up(&self.sweep.id, self.stop, &mut |_| {}).await;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            set_up?;
            scenario.check().await?;
        }
        let targets = self.loaded.targets();
        let gathering = Hands::of(plan, &self.sweep.id, pipeline, &targets, audience);
        let Some(hands) = self.stop.run_until_cancelled(Box::pin(gathering)).await else { return Ok(()) };
        self.hands = hands?;
        audience.tell(&Event::Begun { plan, sweep: &self.sweep, pipeline, tracer: self.tracer.as_ref() }).await;
        let mut eviction = match &pipeline.store {
            Some(store) => Some(Eviction::of(&store.log, &store.url).await),
            None => None,
        };
        if let Some(eviction) = &eviction
            && let Some(warning) = eviction.threatens().await
        {
            audience.tell(&Event::Warning(&warning)).await;
        }
        let mut levels = Levels::new(&plan.levels, control);
        loop {
            self.ask(&mut levels);
            if levels.is_paused() {
                audience.tell(&Event::Paused).await;
            }
            let Some(next) = levels.next(self.stop).await else { break };
            // Some may have gone since the last level.
            self.fill_up(audience).await?;
            let ran = Box::pin(self.level(&next, pipeline, audience)).await;
            // A part that has ended explains what has failed beside.
            pipeline.ended()?;
            ran?;
            self.fill_up(audience).await?;
            if let Some(eviction) = &mut eviction
                && let Some(warning) = eviction.happened().await
            {
                audience.tell(&Event::Warning(&warning)).await;
            }
            // A search goes on: it has learnt that this load fails.
            let is_cut_short = self.sweep.loads.iter().any(|load| load.aborted.is_some());
            if self.stop.is_cancelled() || is_cut_short && self.search.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Sees to it that all workers are there for the next load: where some were lost, the experiment ends, or takes others.
    async fn fill_up(&mut self, audience: &mut Audience<'_>) -> Result<(), ExperimentError> {
        let Some(hands) = &mut self.hands else { return Ok(()) };
        let lost = self.lost.take();
        // A level's own words say more.
        if let Some(lost) = hands.lost().map(|gone| lost.unwrap_or(gone)) {
            if !self.plan.workers.as_ref().is_some_and(|workers| workers.continues) {
                return Err(ExperimentError::WorkersLost(lost));
            }
            audience.tell(&Event::Warning(&lost)).await;
        }
        hands.refill().await
    }

    /// Warms up, loads, drains, measures, and adds the level to the report.
    async fn level(
        &mut self,
        next: &Next,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<(), ExperimentError> {
        let Next { setting, number, of, end } = next;
        let run: RunId = if let Generator::Other { .. } = self.plan.generator {
            // The run is the experiment's own, and begins when somebody loads it.
            if !intake::begins(pipeline, &self.sweep.id, &self.plan.path, self.stop).await? {
                return Ok(());
            }
            self.sweep.id.clone()
        } else {
            format!("{}.{}", self.sweep.id, setting.name()).parse()?
        };
        let plan = self.load_plan(&run, setting, end)?;
        // Users begin once: their warm-up is a part of their load.
        if !self.plan.warmup.is_zero() && self.plan.work.request().is_some() {
            audience.tell(&Event::WarmUp(setting)).await;
            // It counts nowhere: where it is ended, there is nothing to be kept.
            let warm = end.run_until_cancelled(Box::pin(self.warm_up(&run, next, pipeline, audience))).await;
            let Some(warm) = warm else { return Ok(()) };
            warm?;
            pipeline.ended()?;
            self.fill_up(audience).await?;
        }
        audience.tell(&Event::LevelBegun { run: &run, number: *number, of: *of, setting }).await;
        let load = self.load(&run, setting, plan, pipeline, audience).await?;
        audience.tell(&Event::Drained).await;
        if end.is_cancelled() && load.http.as_ref().is_some_and(|http| http.requests == 0) {
            return Ok(());
        }
        let level = match &pipeline.store {
            Some(store) => {
                measure(&mut store.log.clone().into(), &load, &self.sweep, &mut self.quality, &|| ()).await?
            }
            None => untraced(&load, &self.sweep),
        };
        self.keep(load, level.clone());
        let saved = match &pipeline.store {
            Some(store) => self.sweep.save(&store.log, Duration::from_secs(keys::DEFAULT_TTL_SECONDS)).await,
            None => Ok(()),
        };
        audience.tell(&Event::LevelEnded { level: &level, report: &self.report }).await;
        if let Err(error) = saved {
            let warning = format!("the report cannot be made again from the log store: {error}");
            audience.tell(&Event::Warning(&warning)).await;
        }
        Ok(())
    }

    /// Has a search say what is to be tried next, where nothing is left.
    fn ask(&mut self, levels: &mut Levels) {
        let Some(Searching { search, ask, .. }) = &mut self.search else { return };
        if levels.is_empty() {
            *ask = search.ask();
            let who = if self.plan.work.users().is_some() { Who::Users } else { Who::Connections };
            let connections = FIRST_CONNECTIONS.min(self.plan.shape.max_connections.into());
            let spawn = self.plan.work.users().and_then(|users| users.plan.load.spawn);
            levels.extend(ask.map(|ask| search.setting(ask, who, spawn, connections)));
        }
    }

    fn keep(&mut self, load: Load, level: Level) {
        if let Some(Searching { search, begun, ask }) = &mut self.search {
            // What was cut short tells nothing.
            if let Some(ask) = ask.take().filter(|_| load.interrupted_us.is_none() || load.aborted.is_some()) {
                search.judge(ask, &level);
            }
            let took_us = u64::try_from(clock::now().duration_since(*begun).as_micros()).unwrap_or(u64::MAX);
            self.sweep.search = Some(Found { took_us, ..search.found() });
            self.report.search.clone_from(&self.sweep.search);
        }
        self.sweep.loads.push(load);
        self.sweep.loads.sort_by(Load::cmp_setting);
        self.report.add(level);
        self.report.conclude(self.quality.summary());
    }

    async fn warm_up(
        &mut self,
        run: &RunId,
        next: &Next,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<(), ExperimentError> {
        let run: RunId = format!("{run}{WARMUP}").parse()?;
        let duration = self.plan.warmup;
        let warm = |plan: LoadPlan| LoadPlan { duration, ramp: plan.ramp.min(duration), limit: None, ..plan };
        let plan = self.load_plan(&run, &next.setting, &next.end)?.map(warm);
        self.load(&run, &next.setting, plan, pipeline, audience).await?;
        Ok(())
    }

    /// Nothing where another program makes the load.
    fn load_plan(
        &self,
        run: &RunId,
        setting: &Setting,
        end: &CancellationToken,
    ) -> Result<Option<LoadPlan>, ExperimentError> {
        let mut load = match (&self.loaded, &self.plan.work) {
            (Loaded::Target(target, endpoint), Work::Requests(request)) => {
                let template = Template::single(target, run, request);
                let load = self.plan.shape.load(endpoint.clone(), template, setting.connections, setting.rate);
                LoadPlan { duration: setting.lasts.unwrap_or(load.duration), ..load }
            }
            (Loaded::Users(scenario), Work::Users(users)) => {
                loaded::of_users(self.plan, self.tracer.as_ref(), run, setting, scenario, users)?
            }
            _ => return Ok(None),
        };
        if self.tracer.is_none() {
            Arc::make_mut(&mut load.program).steps.iter_mut().for_each(|step| step.traced = false);
        }
        let (limit, until) = (self.plan.requests.map(Limit::Requests), Some(end.clone()));
        Ok(Some(LoadPlan { limit, until, ..load }))
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
        let steps_before = pipeline.clock_steps(0).await?.len();
        let begun = match (&mut self.hands, &load) {
            (Some(hands), Some(load)) => {
                let begun = hands.begin(load, self.tracer.as_ref().map(|_| run.as_str())).await?;
                sleep_until(begun.begin.into()).await;
                Some(begun)
            }
            _ => None,
        };
        let monitor = Monitor::start(pipeline).await;
        let begin_us = match &begun {
            Some(begun) => begun.begin_us,
            None => pipeline.time_us().await?,
        };
        let made = self.make(run, setting, load, begun, pipeline, audience).await?;
        let broken = pipeline.lost.as_ref().map(StackError::headline);
        let end_us = pipeline.time_us().await?;
        let observed = monitor.stop().await;
        let backlog = pipeline.backlog().await?;
        let Made {
            mut http,
            connections,
            messages,
            scenario,
            measured,
            limited_by,
            interrupted_us,
            aborted,
            workers,
            lost,
        } = made;
        let span_us = measured.map_or((begin_us, end_us), |(before, lasted)| {
            let begin_us = begin_us + micros(before);
            (begin_us, begin_us + micros(lasted))
        });
        // Other programs do not count the answers that come after their last second: accepted is what the pipeline has taken in.
        let accepted = match (messages, &mut http) {
            (Some(messages), _) if lost.is_some() && self.tracer.is_some() => {
                // What lost workers have not told of any more, the pipeline has taken in nevertheless.
                messages.max(intake::settled(pipeline, run, &self.plan.path, intake::STILL, None).await?)
            }
            (Some(messages), _) => messages,
            (None, http) => {
                let accepted = intake::settled(pipeline, run, &self.plan.path, intake::STILL, None).await?;
                if let Some(http) = http {
                    http::accept(http, accepted);
                }
                accepted
            }
        };
        self.lost = lost.or(self.lost.take());
        audience.tell(&Event::Draining(setting)).await;
        let drained = drain(pipeline, run, &self.plan.path, accepted, self.plan.patience).await?;
        let cutoff = self.cutoff(run, &drained, pipeline, audience).await?;
        if let Some(tracer) = &self.tracer {
            // A log store that takes nothing more is waited for as long as for messages; what it lacks then, the report tells.
            let _ = tokio::time::timeout(self.plan.patience.still, tracer.flush()).await;
        }
        Ok(Load {
            run: run.clone(),
            concurrency: connections,
            rate: setting.rate,
            repeat: setting.repeat,
            untraced: self.tracer.is_none(),
            generator_limited: limited_by,
            interrupted_us,
            aborted,
            broken,
            // Where another program made the load, nobody knows its first request: the stamps tell.
            span_us: http.is_some().then_some(span_us),
            http,
            scenario,
            backlog,
            clock_steps: pipeline.clock_steps(steps_before).await?,
            drain_us: Some(u64::try_from(drained.took.as_micros()).unwrap_or(u64::MAX)),
            cutoff,
            usage: observed.usage,
            queue: observed.queue,
            workers,
        })
    }

    /// Has the load made.
    async fn make(
        &mut self,
        run: &RunId,
        setting: &Setting,
        load: Option<LoadPlan>,
        begun: Option<Begun>,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Made, ExperimentError> {
        let Some(load) = load else {
            if let Generator::Other { quiet } = self.plan.generator {
                intake::settled(pipeline, run, &self.plan.path, quiet, Some(self.stop)).await?;
            }
            return Ok(Made::default());
        };
        let planned = load.duration;
        let mut made = match (&self.wrk, &self.loaded, self.plan.work.request()) {
            (Some(wrk), Loaded::Target(target, _), Some(request)) => {
                let (connections, bytes) = (load.users, request.payload_bytes);
                let result = wrk.run(target, run, connections, load.duration, bytes, self.stop).await?;
                Made { http: Some(http::of_wrk(result)), connections: Some(connections), ..Made::default() }
            }
            _ => self.load_ourselves(run, setting, load, begun, pipeline, audience).await?,
        };
        if let Some(http) = &made.http {
            let lasted = Duration::from_micros(http.duration_us);
            let all_sent = self.plan.requests.is_some_and(|requests| http.requests >= requests);
            let stopped = self.stop.is_cancelled() && lasted < planned && !all_sent && !self.plan.open_ended;
            let interrupted = stopped || made.aborted.is_some() || pipeline.lost.is_some();
            made.interrupted_us = interrupted.then_some(http.duration_us);
        }
        Ok(made)
    }

    async fn load_ourselves(
        &mut self,
        run: &RunId,
        setting: &Setting,
        load: LoadPlan,
        begun: Option<Begun>,
        pipeline: &mut Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Made, ExperimentError> {
        let tracing = self.tracer.as_ref().map(|tracer| Tracing::new(tracer, run));
        let (program, pacing) = (load.program.clone(), load.pacing.clone());
        let hold = self.plan.search.as_ref().map_or(&self.plan.thresholds, |search| &search.hold);
        let is_warmup = run.as_str().ends_with(WARMUP);
        let mut watcher = Watcher::of(hold).filter(|_| !is_warmup);
        let totals = audience.wants_totals() || watcher.is_some();
        let (end, so_far) = (load.until.clone(), self.so_far(run, setting));
        let (mut aborted, hands, sweep) = (None, &mut self.hands, &self.sweep);
        let tick = async |live: &load::Live| {
            audience.tell(&Event::Tick(live)).await;
            if let Some(end) = end.as_ref().filter(|end| !end.is_cancelled())
                && let Some(lost) = pipeline.lost_part()
            {
                audience.tell(&Event::PartLost(&lost.headline())).await;
                end.cancel();
            }
            let (Some(watcher), Some(total), None) = (&mut watcher, live.totals(), &aborted) else { return };
            // A log store that is away is told of by the load itself.
            aborted = watcher.look(&total, &so_far, sweep, pipeline, clock::now()).await.unwrap_or(None);
            if let (Some(end), Some(_)) = (&end, &aborted) {
                end.cancel();
            }
        };
        let (tally, made) = if let (Some(hands), Some(begun)) = (hands, begun) {
            let made = hands.make(begun, &load, tick).await?;
            let (limited_by, cpu_share) = (made.limited_by(), made.cpu_share());
            let workers = crew::of_parts(&made.parts);
            let http = Http { generator_cpu_share: cpu_share, ..http::of_tally(&made.tally) };
            (made.tally, Made { http: Some(http), limited_by, workers, lost: made.lost, ..Made::default() })
        } else {
            let tally = watched(load, tracing, totals, tick).await?;
            let (http, limited_by) = (Some(http::of_tally(&tally)), tally.limited_by());
            (tally, Made { http, limited_by, ..Made::default() })
        };
        // Its last totals come when it has ended by itself.
        let aborted = aborted.filter(|_| end.is_some_and(|end| end.is_cancelled()));
        let users = self.plan.work.users();
        Ok(Made {
            // Those of lost workers, and those whose start failed, were asked for, too: the level is known by them.
            connections: Some(if setting.rate.is_none() {
                tally.connections.max(setting.connections)
            } else {
                tally.connections
            }),
            // Nobody follows those of an API alone.
            messages: Some(self.tracer.as_ref().map_or(0, |_| tally.accepted_messages(&program))),
            scenario: users.map(|users| figures::of_users(&tally, &program, &pacing, &users.plan.secrets)),
            measured: tally.around.as_ref().map(|around| (around.duration, tally.duration)),
            aborted,
            ..made
        })
    }

    /// A level under way, of which nothing has been measured.
    fn so_far(&self, run: &RunId, setting: &Setting) -> Load {
        Load {
            concurrency: setting.rate.is_none().then_some(setting.connections),
            rate: setting.rate,
            repeat: setting.repeat,
            untraced: self.tracer.is_none(),
            ..Load::foreign(run.clone())
        }
    }

    /// How things stand when a drain has been given up; nothing where all has arrived.
    async fn cutoff(
        &self,
        run: &RunId,
        drained: &Drained,
        pipeline: &Pipeline,
        audience: &mut Audience<'_>,
    ) -> Result<Option<Cutoff>, ExperimentError> {
        let Some(why) = drained.given_up(self.plan.patience) else { return Ok(None) };
        audience.tell(&Event::GivenUp { run, why: &why }).await;
        Ok(Some(Cutoff {
            at_us: pipeline.time_us().await?,
            moving: drained.end == End::Moving,
            queue: pipeline.backlog().await?.unwrap_or(0),
            arrived: drained.arrived,
        }))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
