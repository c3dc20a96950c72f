//! What sweeps and watched loads share: how a load is drained and measured, who shows it, and where the report goes.

use super::notify_args::NotifyArgs;
use super::otlp_args::OtlpArgs;
use super::page_args::{self, PageArgs};
use super::prometheus_args::PrometheusArgs;
use super::value::parse_duration;
use super::workers_args::WorkersArgs;
use crate::listening::{Files, Screen, Told};
use crate::output;
use ::history::History;
use analysis::Report;
use clap::Args;
use experiment::{Audience, Control, Generator, Listener, Patience, Plan};
use page::{Page, PageLimits, PlanOffer, Start};
use reporter::{Output, ThresholdArgs};
use service::shutdown_on_signal;
use stamp::RunId;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Args)]
pub(super) struct MeasuringArgs {
    /// Start even if a stage of the path is missing or samples with another N
    #[arg(long)]
    pub(super) skip_service_check: bool,

    /// After a load: give up on missing messages once nothing has moved for this long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    drain_timeout: Duration,

    /// After a load: go on after this long even if messages still arrive; they are reported as in flight
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    drain_limit: Duration,

    /// A load counts as carried when its arrival p99 is at most this, nothing is lost or refused, and no queue grows
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

    /// What levels are to a reader.
    #[arg(skip)]
    told: Told,

    /// Where the history is, where reports are deeper within.
    #[arg(skip)]
    root: Option<PathBuf>,

    #[command(flatten)]
    pub(super) workers: WorkersArgs,

    #[command(flatten)]
    page: PageArgs,

    #[command(flatten)]
    prometheus: PrometheusArgs,

    #[command(flatten)]
    otlp: OtlpArgs,

    #[command(flatten)]
    notify: NotifyArgs,

    #[command(flatten)]
    pub(super) thresholds: ThresholdArgs,
}

impl MeasuringArgs {
    pub(super) fn patience(&self) -> Patience {
        Patience { still: self.drain_timeout, whole: self.drain_limit }
    }

    /// Runs a plan to its end, or until a signal; `stopping` says what is still done then.
    /// Fails as [`run`](Self::run) does.
    pub(super) async fn until_signal(
        &self,
        command: &'static str,
        plan: &Plan,
        stopping: &'static str,
    ) -> anyhow::Result<ExitCode> {
        let stop = shutdown_on_signal()?;
        let told = stop.clone();
        let telling = tokio::spawn(async move {
            told.cancelled().await;
            output::note(&format!("stopping: {stopping}; a second Ctrl-C ends at once"));
        });
        let report = self.run(command, plan, &experiment::new_id(), &mut (), &stop).await;
        telling.abort();
        Ok(match report? {
            Some(report) if !stop.is_cancelled() => super::reported(&report),
            _ => ExitCode::from(super::INTERRUPTED),
        })
    }

    /// Runs a plan under this id, shows it, and keeps its report; `guide` hears of everything first. Nothing where `stop` came before anything began.
    ///
    /// # Errors
    /// When it could not begin, or not go on, or what was measured could not be written; with `stop` that is told, and the rest is kept.
    pub(super) async fn run(
        &self,
        command: &'static str,
        plan: &Plan,
        id: &RunId,
        guide: &mut dyn Listener,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Report>> {
        let mut page = self.page.open(command, &self.out).await?;
        let ran = self.show(plan, id, guide, page.as_mut(), stop).await;
        page_args::close(page, &ran);
        ran
    }

    /// The folder for reports.
    pub(super) fn out(&self) -> &Path {
        &self.out
    }

    /// The folder that the history of all runs is in.
    pub(super) fn history(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.out)
    }

    /// The same, for one of several runs: with its report in another folder, and with its levels as progress.
    pub(super) fn within(&self, out: &Path) -> Self {
        let root = Some(self.history().to_owned());
        Self { out: out.to_owned(), root, told: Told::Progress, json: false, ..self.clone() }
    }

    /// The same, where its report is a part of a result, which is remembered as a whole.
    pub(super) fn as_progress(&self) -> Self {
        Self { told: Told::Part, ..self.within(&self.out) }
    }

    /// Whether results are wanted as JSON.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// Opens the page, where one is asked for, for several runs in turn.
    /// Fails when its address cannot be listened on.
    pub(super) async fn open_page_of(&self, command: &'static str) -> anyhow::Result<Option<Page>> {
        self.page.open(command, &self.out).await
    }

    /// What may be asked for from the page.
    pub(super) fn page_limits(&self) -> PageLimits {
        self.page.limits()
    }

    /// Opens a page that outlasts what it shows.
    /// Fails when its address cannot be listened on, or no report could be written.
    pub(super) async fn open_page(
        &self,
        starts: Option<(Vec<PlanOffer>, mpsc::Sender<Start>)>,
    ) -> anyhow::Result<Page> {
        Output::open(&self.out, &experiment::new_id())?.discard_empty();
        self.page.open_with("ui", &self.out, starts).await
    }

    /// The same, on a page that is open already.
    /// Fails as [`run`](Self::run) does.
    pub(super) async fn show(
        &self,
        plan: &Plan,
        id: &RunId,
        guide: &mut dyn Listener,
        mut page: Option<&mut Page>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Report>> {
        // What cannot be written or listened on is known before the load.
        self.thresholds.check(&plan.thresholds)?;
        let judge = self.thresholds.open(plan.path.stages())?;
        let mut files = Files::new(Output::open(&self.out, id)?, judge, plan.text.clone());
        let mut screen = Screen::new(plan, self.json, self.verbose, self.told);
        let mut prometheus = self.prometheus.open().await?;
        let mut otlp = self.otlp.open(&plan.queue, stop)?;
        let mut history = History::new(self.history(), &self.out.join(id.as_str()), stop, output::note);
        // Of several runs, each alone is no news.
        let mut notify = if self.told == Told::Result { self.notify.open(plan, self.history(), stop)? } else { None };
        // Who sees a level on the screen finds it in the files.
        let mut listeners: Vec<&mut dyn Listener> = vec![guide, &mut prometheus, &mut files, &mut screen];
        listeners.extend((self.told != Told::Part).then_some(&mut history as &mut dyn Listener));
        listeners.extend(notify.as_mut().map(|notify| notify as &mut dyn Listener));
        let control = Control::default();
        if let Some(page) = page.as_deref_mut() {
            // What other programs load, or a search, is not changed from here.
            let is_ours = plan.generator == Generator::Driver && plan.search.is_none();
            page.attach(is_ours.then_some(&control), stop);
            listeners.push(page);
        }
        // Sending takes time: everybody else has heard of a level by then.
        listeners.extend(otlp.as_mut().map(|otlp| otlp as &mut dyn Listener));
        let mut audience = Audience::new(listeners);
        let ran = Box::pin(experiment::run(plan, id, &mut audience, &control, stop)).await;
        drop(screen);
        let outcome = match ran {
            Ok(Some(outcome)) => outcome,
            nothing => {
                files.discard_empty();
                return nothing.map(|_| None).map_err(Into::into);
            }
        };
        match outcome.failed.map(anyhow::Error::from).or(files.failed()) {
            Some(error) if !stop.is_cancelled() => Err(error),
            failed => {
                if let Some(error) = failed {
                    output::error(&error);
                    if let Some(page) = page {
                        page.fail(&error.to_string());
                    }
                }
                Ok(Some(outcome.report))
            }
        }
    }
}
