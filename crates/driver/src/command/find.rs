//! `driver find`: the highest load under which something holds, of a pipeline, of one API, or of a plan's users.

use super::load::ShapeArgs;
use super::measuring::MeasuringArgs;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::planned::{Over, OverPlanArgs, With};
use super::run_plan::perform;
use super::sampling::Every;
use super::search_args::{self, SearchArgs, searching};
use super::sweep::SweepArgs;
use super::value::parse_duration;
use crate::output;
use clap::{ArgMatches, Args};
use experiment::Site;
use load::Target;
use reporter::is_given;
use stamp::{SampleEvery, UsageError, ensure_usage};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct FindArgs {
    /// An API that is loaded alone, or with --redis as the pipeline behind it; or a plan file (docs/plan.md) [default: a private local pipeline]
    #[arg(value_name = "URL|PLAN")]
    what: Option<String>,

    #[command(flatten)]
    search: SearchArgs,

    #[command(flatten)]
    over_plan: OverPlanArgs,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Warm-up load before each trial; it counts nowhere
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    warmup: Duration,

    /// Stamp 1 message in N: those with id % N == 0 [default: 10 in a private pipeline, else 100]
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY")]
    every: Option<SampleEvery>,

    /// The path of requests [default: that of the URL]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, value_name = "PATH")]
    http_path: Option<String>,

    /// The stages that messages pass, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path)]
    path: Option<stamp::Path>,

    #[command(flatten)]
    measuring: MeasuringArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    local: LocalArgs,
}

/// Where nothing else is said: so many connections that the generator seldom limits an API that answers slowly.
const CONNECTIONS: u16 = 1024;

impl FindArgs {
    fn with<'a>(&'a self, file: &'a Path, matches: &ArgMatches) -> With<'a> {
        let given = |id: &str| is_given(matches, id);
        With {
            file,
            args: &self.over_plan,
            over: Over {
                warmup: given("warmup").then_some(self.warmup),
                timeout: given("timeout").then_some(self.shape.timeout),
                seed: given("seed").then_some(self.shape.seed),
                arrivals: given("arrivals").then_some(self.shape.arrivals),
                ..Over::default()
            },
            search: Some(&self.search),
            redis: self.remote.redis.clone(),
            log_store: self.remote.log_store.clone(),
            redis_args: &self.remote.redis_args,
            every: self.every,
            path: self.path.clone(),
            trust: self.shape.trust(),
            measuring: &self.measuring,
        }
    }

    /// The search as a sweep whose levels are found.
    fn plan(&self, target: Option<Target>, matches: &ArgMatches) -> anyhow::Result<experiment::Plan> {
        let mut sweep = SweepArgs::usual()?;
        sweep.shape = self.shape.clone();
        if !is_given(matches, "max_connections") {
            sweep.shape.max_connections = CONNECTIONS;
        }
        (sweep.warmup, sweep.http_path) = (self.warmup, self.http_path.clone());
        (sweep.measuring, sweep.remote, sweep.local) =
            (self.measuring.clone(), self.remote.clone(), self.local.clone());
        sweep.path = self.path.clone().unwrap_or(sweep.path);
        let is_alone = target.is_some() && self.remote.redis.is_none();
        sweep.remote.target = target.clone().or(sweep.remote.target);
        let is_private = sweep.remote.target.is_none();
        sweep.every = Every::One(self.every.unwrap_or_else(|| search_args::every(is_private)));
        let search = self.search.over(None)?;
        let mut plan = sweep.plan()?;
        if is_alone {
            plan.site = Site::Alone { target };
        }
        plan.text = Some(sweep.as_plan_of(&search));
        "find".clone_into(&mut plan.subject.name);
        plan.subject.params.retain(|name, _| !["levels", "duration"].contains(&name.as_str()));
        plan.subject
            .params
            .insert("hold".to_owned(), search.hold.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(", "));
        Ok(searching(plan, &search, !is_alone)?)
    }
}

/// Whether it names an API, and no plan file.
pub(super) fn is_url(what: &str) -> bool {
    what.starts_with("http://") || what.starts_with("https://")
}

pub(crate) async fn run(args: FindArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    ensure_usage(
        !is_given(matches, "duration"),
        || "--duration is not for a search: --trial says how long a trial loads at the most",
    )?;
    let target: Option<Target> = match &args.what {
        Some(what) if is_url(what) => {
            ensure_usage(!is_given(matches, "target"), || format!("{what} is the API under load: leave --target out"))?;
            Some(what.parse()?)
        }
        Some(file) if Path::new(file).exists() => {
            return Box::pin(perform("find", &args.with(Path::new(file), matches))).await;
        }
        Some(other) => {
            return Err(UsageError(format!(
                "{other:?} is neither the URL of an API (http://…) nor a plan file that is there"
            ))
            .into());
        }
        None => None,
    };
    let plan = args.plan(target, matches)?;
    if args.over_plan.print_plan {
        output::result(plan.text.as_deref().unwrap_or_default().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    args.measuring.until_signal("find", &plan, "the trial under way ends, and what was accepted is waited for").await
}
