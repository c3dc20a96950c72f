//! `driver ui`: the live page that stays. It offers plans and past reports; what is started there runs here, one at a time.

use super::load::TrustArgs;
use super::measuring::MeasuringArgs;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::plan_file::parse_pair;
use super::planned::{Over, OverPlanArgs, With};
use super::sampling::Every;
use super::sweep::SweepArgs;
use super::value::parse_duration;
use crate::output;
use clap::Args;
use experiment::Plan;
use page::{Asked, PlanOffer, Start};
use plan::Amount;
use service::shutdown_on_signal;
use stamp::{SampleEvery, UsageError, counted};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What can be started without a plan: messages of the pipeline's own, as those of a sweep.
const ENVELOPES: &str = "envelopes";

/// A load that lasts until somebody ends it.
const OPEN_ENDED: Duration = Duration::from_secs(7 * 86_400);

/// The connections of a load unless it is asked for another.
const CONNECTIONS: u16 = 4;

#[derive(Debug, Clone, Args)]
pub(crate) struct UiArgs {
    /// Plans to offer (docs/plan.md)
    #[arg(value_name = "PLAN")]
    plans: Vec<PathBuf>,

    /// Set a parameter of the plans; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,

    /// Warm-up load before each level, where the plan names none; it counts nowhere
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    warmup: Duration,

    /// Stamp 1 message in N: those with id % N == 0 [default: 100, or 10 where a plan searches a private pipeline]
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY")]
    every: Option<SampleEvery>,

    /// The stages that messages pass, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path)]
    path: Option<stamp::Path>,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    measuring: MeasuringArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    local: LocalArgs,
}

impl UiArgs {
    /// The plans that are offered. What is wrong with one is known before the page is open.
    fn offers(&self) -> anyhow::Result<Vec<PlanOffer>> {
        let of_file = |file: &PathBuf| -> anyhow::Result<PlanOffer> {
            let plan = self.read(file, &Asked::default())?;
            let (users, rate) = match &plan.load.amount {
                Amount::Users(users) => (users.first().copied(), None),
                Amount::Rates(rates) => (None, rates.first().copied()),
                Amount::Stages(_) => (None, None),
            };
            Ok(PlanOffer {
                name: name(file),
                about: super::plan_file::told(&plan),
                params: plan.params.iter().map(|(name, value)| (name.clone(), plan.secrets.mask(value))).collect(),
                users,
                rate,
                spawn: plan.load.spawn,
                duration_s: plan.load.duration.map(|duration| duration.as_secs_f64()),
            })
        };
        let envelopes = PlanOffer {
            name: ENVELOPES.to_owned(),
            about: match &self.remote.target {
                Some(target) => format!("the pipeline's own messages, to {target}"),
                None => "the pipeline's own messages, through a private local pipeline".to_owned(),
            },
            params: Vec::new(),
            users: Some(CONNECTIONS.into()),
            rate: None,
            spawn: None,
            duration_s: None,
        };
        let offers: anyhow::Result<Vec<PlanOffer>> = self.plans.iter().map(of_file).collect();
        Ok(offers?.into_iter().chain([envelopes]).collect())
    }

    /// What somebody asks for on the page.
    /// Fails with a [`UsageError`] that says what is wrong with it.
    fn plan(&self, asked: &Asked) -> anyhow::Result<Plan> {
        let named = asked.plan.as_deref();
        let file = self.plans.iter().find(|file| named.is_none_or(|named| named == name(file)));
        let (mut plan, lasts) = match (file, named) {
            (Some(file), _) => self.of_file(file, asked)?,
            (None, None | Some(ENVELOPES)) => (self.envelopes(asked)?, None),
            (None, Some(other)) => {
                return Err(UsageError(format!("no plan {other:?} is offered: name it when the page is opened")).into());
            }
        };
        self.check_limits(&plan, asked)?;
        let lasts = asked.duration_s.map(Duration::from_secs_f64).or(lasts).filter(|lasts| !lasts.is_zero());
        plan.open_ended = lasts.is_none();
        plan.shape.duration = lasts.unwrap_or(OPEN_ENDED);
        Ok(plan)
    }

    /// A parameter may mean users, or a rate. What the plan itself asks for is the matter of whoever opened the page.
    fn check_limits(&self, plan: &Plan, asked: &Asked) -> anyhow::Result<()> {
        let limits = self.measuring.page_limits();
        let stages = plan.work.users().map(|users| &users.stages[..]).unwrap_or_default();
        let stages = stages.iter().map(|(users, _)| *users);
        let users = plan.levels.iter().map(|level| level.connections).chain(stages).max().unwrap_or(0);
        let rate = plan.levels.iter().filter_map(|level| level.rate).fold(0.0, f64::max);
        if !asked.params.is_empty() && (users > limits.users || rate > limits.rate) {
            let users = counted(limits.users, "user");
            let most = format!("{users} (--ui-max-users) and {}/s (--ui-max-rate)", limits.rate);
            return Err(
                UsageError(format!("the parameters mean more than may be asked for here: at most {most}")).into()
            );
        }
        Ok(())
    }

    /// A plan, and how long it lasts, as its file says.
    fn of_file(&self, file: &Path, asked: &Asked) -> anyhow::Result<(Plan, Option<Duration>)> {
        let plan = self.read(file, asked)?;
        // What is reached, read and run was said when the page was opened. Parameters must not change it.
        if reach(&plan) != reach(&self.read(file, &Asked::default())?) {
            return Err(UsageError(
                "a parameter would change the target, the pipeline, a file or a command: set it when the page is opened (--set)"
                    .to_owned(),
            )
            .into());
        }
        let (over, lasts) = (self.over(asked), plan.load.duration);
        Ok((self.with(file, &over, asked).experiment(plan)?, lasts))
    }

    fn read(&self, file: &Path, asked: &Asked) -> anyhow::Result<plan::Plan> {
        let over = self.over(asked);
        self.with(file, &over, asked).plan()
    }

    fn over(&self, asked: &Asked) -> OverPlanArgs {
        let of_page = asked.params.iter().map(|(name, value)| (name.clone(), value.clone()));
        OverPlanArgs {
            set: self.set.iter().cloned().chain(of_page).collect(),
            params: None,
            only: Vec::new(),
            except: Vec::new(),
            users: asked.users.into_iter().collect(),
            spawn: asked.spawn,
            max_users: None,
            stop_timeout: None,
            print_plan: false,
        }
    }

    fn with<'a>(&'a self, file: &'a Path, over: &'a OverPlanArgs, asked: &Asked) -> With<'a> {
        With {
            file,
            args: over,
            over: Over { rates: asked.rate.into_iter().collect(), ..Over::default() },
            search: None,
            redis: self.remote.redis.clone(),
            log_store: self.remote.log_store.clone(),
            redis_args: &self.remote.redis_args,
            every: self.every,
            path: self.path.clone(),
            trust: self.trust.trust(),
            measuring: &self.measuring,
        }
    }

    /// The pipeline's own messages, as a sweep of one level.
    fn envelopes(&self, asked: &Asked) -> anyhow::Result<Plan> {
        if let Some(name) = asked.params.keys().next() {
            return Err(UsageError(format!("{ENVELOPES} has no parameter {name}")).into());
        }
        let mut sweep = SweepArgs::usual()?;
        let connections = asked.users.unwrap_or(CONNECTIONS.into());
        let most = stamp::MsgId::CONNECTIONS;
        sweep.levels = vec![
            u16::try_from(connections)
                .ok()
                .filter(|connections| *connections <= most)
                .ok_or_else(|| UsageError(format!("{connections} connections are too many: give at most {most}")))?,
        ];
        if let Some(rate) = asked.rate {
            (sweep.levels, sweep.rates) = (Vec::new(), vec![rate]);
        }
        sweep.every = Every::One(self.every.unwrap_or_default());
        sweep.warmup = self.warmup;
        if let Some(path) = &self.path {
            sweep.path = path.clone();
        }
        sweep.measuring = self.measuring.clone();
        (sweep.remote, sweep.local) = (self.remote.clone(), self.local.clone());
        sweep.plan()
    }
}

/// What people call a plan: the name of its file.
fn name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// What a plan reaches, reads and runs.
fn reach(plan: &plan::Plan) -> String {
    let hosts = plan.steps().map(|step| match step.url.parts.first() {
        Some(plan::Part::Literal(first)) if !first.starts_with('/') => first.split('/').take(3).collect(),
        _ => Vec::new(),
    });
    let hooks = |all: &[plan::StepOrHook]| -> Vec<String> {
        all.iter().filter(|one| !matches!(one, plan::StepOrHook::Step(_))).map(|hook| format!("{hook:?}")).collect()
    };
    let hosts: Vec<Vec<&str>> = hosts.collect();
    let files: Vec<&String> = plan.files.iter().map(|(_, file)| file).collect();
    format!(
        "{:?} {:?} {hosts:?} {files:?} {:?} {:?}",
        plan.target,
        plan.pipeline,
        hooks(&plan.setup),
        hooks(&plan.teardown)
    )
}

pub(crate) async fn run(args: UiArgs) -> anyhow::Result<ExitCode> {
    let stop = shutdown_on_signal()?;
    let (sender, mut starts) = mpsc::channel(1);
    let mut page = args.measuring.open_page(Some((args.offers()?, sender))).await?;
    output::note("open it in a browser; Ctrl-C ends it");
    while let Some(Some(Start { asked, answer })) = stop.run_until_cancelled(starts.recv()).await {
        let plan = match args.plan(&asked) {
            Ok(plan) => plan,
            Err(error) => {
                let _ = answer.send(Err(error.to_string()));
                continue;
            }
        };
        page.prepare();
        // Who asked in the same moment is not served behind somebody's back when this one has ended.
        while let Ok(Start { answer, .. }) = starts.try_recv() {
            let _ = answer.send(Err("something else has begun".to_owned()));
        }
        let _ = answer.send(Ok(()));
        let run_stop: CancellationToken = stop.child_token();
        let ran = args.measuring.show(&plan, &experiment::new_id(), &mut (), Some(&mut page), &run_stop).await;
        if let Err(error) = ran {
            output::error(&error);
            page.fail(&error.to_string());
        }
        page.rest();
    }
    page.close();
    Ok(ExitCode::SUCCESS)
}
