//! From a plan file, and what is set over it, to an experiment.

use super::command_line::command_line;
use super::measuring::MeasuringArgs;
use super::pipeline_args::LocalArgs;
use super::plan_file::{PlanFile, parse_pair};
use super::search_args::{self, SearchArgs, searching};
use super::value::{parse_duration, parse_rate};
use crate::output;
use analysis::{InvalidThreshold, Threshold};
use clap::Args;
use experiment::{Hooks, Plan, Setting, Shape, Site, Subject, Users, Who, Work};
use load::{Arrivals, RequestOptions, Target, Trust};
use plan::{Amount, PipelinePlace, Stage};
use scenario::Chosen;
use stamp::{ClockMode, Path, RedisArgs, RedisUrl, SampleEvery, UsageError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long a load lasts where neither the plan nor an option says.
const DURATION: Duration = Duration::from_secs(10);

/// What is set over a plan file.
#[derive(Debug, Clone, Args)]
pub(crate) struct OverPlanArgs {
    /// Set a parameter of the plan; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub(super) set: Vec<(String, String)>,

    /// Set parameters from a file: lines of `name: value`. What --set says counts more
    #[arg(long, value_name = "FILE")]
    pub(super) params: Option<PathBuf>,

    /// Only these tasks of the plan, separated by commas
    #[arg(long, value_name = "TASKS", value_delimiter = ',')]
    pub(super) only: Vec<String>,

    /// All tasks of the plan but these, separated by commas
    #[arg(long, value_name = "TASKS", value_delimiter = ',')]
    pub(super) except: Vec<String>,

    /// Closed loop: users, separated by commas: a level for each
    #[arg(long, value_name = "USERS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) users: Vec<u32>,

    /// Users that begin a second [default: all at once]
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(super) spawn: Option<f64>,

    /// Open loop: users at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_users: Option<u32>,

    /// At the end of a load, how long rounds under way and the stops of users may take
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) stop_timeout: Option<Duration>,

    /// Write the plan that all this means, and run nothing
    #[arg(long)]
    pub(super) print_plan: bool,
}

impl OverPlanArgs {
    /// The same, with these parameters set.
    pub(super) fn with(&self, params: &[(String, String)]) -> Self {
        let mut args = self.clone();
        args.set.extend(params.iter().cloned());
        args
    }
}

/// How long the end of a load may take unless it is said.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Settings over those of the file; what is absent is the file's.
#[derive(Debug, Clone, Default)]
pub(super) struct Over {
    pub(super) rates: Vec<f64>,
    pub(super) duration: Option<Duration>,
    pub(super) warmup: Option<Duration>,
    pub(super) repeat: Option<u32>,
    pub(super) requests: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) seed: Option<u64>,
    pub(super) arrivals: Option<Arrivals>,
    /// Of a search.
    pub(super) within: Option<f64>,
}

/// What a plan is run with, beside itself.
#[derive(Clone)]
pub(super) struct With<'a> {
    pub(super) file: &'a std::path::Path,
    pub(super) args: &'a OverPlanArgs,
    pub(super) over: Over,
    /// What is set over its search, or makes it one.
    pub(super) search: Option<&'a SearchArgs>,
    /// Where messages are traced, where the plan names no pipeline.
    pub(super) redis: Option<RedisUrl>,
    pub(super) log_store: Option<RedisUrl>,
    pub(super) redis_args: &'a RedisArgs,
    /// 1 message in so many is stamped, where it is said.
    pub(super) every: Option<SampleEvery>,
    pub(super) path: Option<Path>,
    pub(super) trust: Trust,
    pub(super) measuring: &'a MeasuringArgs,
}

impl With<'_> {
    /// The plan as the file and what is set over it have it.
    /// Fails with a [`UsageError`] with all that is wrong.
    pub(super) fn plan(&self) -> anyhow::Result<plan::Plan> {
        let amount = match (&self.args.users[..], &self.over.rates[..]) {
            ([], []) => None,
            (users, []) => Some(Amount::Users(users.to_vec())),
            (_, rates) => Some(Amount::Rates(rates.to_vec())),
        };
        let is_fixed = amount.is_some();
        let mut plan = self.file(amount).read(self.redis.is_some())?;
        if is_fixed {
            // Who says how much load there is wants no search for it.
            plan.search = None;
        }
        let chosen = Chosen { only: self.args.only.clone(), except: self.args.except.clone() };
        chosen.apply(&mut plan).map_err(|error| UsageError(error.to_string()))?;
        if let Some(search) = self.search {
            plan.search = Some(search.over(plan.search.take())?);
        } else if let Some(search) = &mut plan.search {
            search.trial = self.over.duration.or(search.trial);
            search.within = self.over.within.or(search.within);
        }
        let load = &mut plan.load;
        let over = &self.over;
        load.spawn = self.args.spawn.or(load.spawn);
        load.max_users = self.args.max_users.or(load.max_users);
        load.duration = over.duration.or(load.duration);
        load.warmup = over.warmup.or(load.warmup);
        load.repeat = over.repeat.unwrap_or(load.repeat);
        load.requests = over.requests.or(load.requests);
        load.timeout = over.timeout.or(load.timeout);
        load.seed = over.seed.or(load.seed);
        if let Some(arrivals) = over.arrivals {
            load.arrivals = match arrivals {
                Arrivals::Constant => plan::Arrivals::Constant,
                Arrivals::Poisson => plan::Arrivals::Poisson,
            };
        }
        Ok(plan)
    }

    fn file(&self, amount: Option<Amount>) -> PlanFile<'_> {
        PlanFile { file: self.file, set: &self.args.set, params: self.args.params.as_deref(), amount }
    }

    /// The text that repeats it.
    /// Fails when the file is there no more.
    pub(super) fn kept(&self, plan: &plan::Plan) -> anyhow::Result<String> {
        let file = self.file(None);
        let thresholds: Vec<String> = self.thresholds(plan)?.iter().map(ToString::to_string).collect();
        let kept = plan.kept(&file.text()?, &file.folder(), &thresholds);
        let tasks = [("--only", &self.args.only), ("--except", &self.args.except)];
        let chosen: Vec<String> = tasks
            .iter()
            .filter(|(_, tasks)| !tasks.is_empty())
            .map(|(option, tasks)| format!("{option} {}", tasks.join(",")))
            .collect();
        let note = if chosen.is_empty() { String::new() } else { format!("# run with {}\n", chosen.join(" ")) };
        Ok([note, kept].concat())
    }

    /// The experiment that it means.
    /// Fails when an address or an argument of a service is none.
    pub(super) fn experiment(&self, plan: plan::Plan) -> anyhow::Result<Plan> {
        let load = plan.load.clone();
        let stages: Vec<(u32, Duration)> = match &load.amount {
            Amount::Stages(stages) => stages.iter().map(|&Stage { to, over }| (to, over)).collect(),
            _ => Vec::new(),
        };
        let who = match (&load.amount, plan.users.is_empty()) {
            (_, true) => Who::Connections,
            (Amount::Stages(_), false) => Who::Stages,
            _ => Who::Users,
        };
        let levels: Vec<(u32, Option<f64>)> = match &load.amount {
            Amount::Users(users) => users.iter().map(|&users| (users, None)).collect(),
            Amount::Rates(rates) => rates.iter().map(|&rate| (1, Some(rate))).collect(),
            Amount::Stages(_) => vec![(0, None)],
        };
        if who == Who::Connections && !stages.is_empty() {
            return Err(UsageError(
                "stages need `users`: envelopes are sent by connections, as in `levels`".to_owned(),
            )
            .into());
        }
        let seed = load.seed.unwrap_or(1);
        let every = self.every(&plan);
        let (site, queue, path) = self.site(&plan, every)?;
        let text = self.kept(&plan)?;
        let (subject, notify) = (self.subject(&plan), plan.notify.clone());
        let (before, after) =
            plan.pipeline.clone().map(|pipeline| (pipeline.before, pipeline.after)).unwrap_or_default();
        let hooks = Hooks { before, after, secrets: plan.secrets.clone() };
        let (plan_search, is_traced) = (plan.search.clone(), !matches!(site, Site::Alone { .. }));
        let thresholds = self.thresholds(&plan)?;
        let staged = stages.iter().map(|(_, over)| *over).sum();
        let work = if plan.users.is_empty() {
            Work::Requests(envelopes(&plan))
        } else {
            Work::Users(Users {
                max_users: load.max_users,
                stop_within: self.args.stop_timeout.unwrap_or(STOP_WITHIN),
                plan,
                stages,
            })
        };
        let planned = Plan {
            site,
            queue,
            generator: experiment::Generator::Driver,
            workers: self.measuring.workers.workers()?,
            work,
            trust: self.trust.clone(),
            shape: Shape {
                duration: if who == Who::Stages { staged } else { load.duration.unwrap_or(DURATION) },
                timeout: load.timeout.unwrap_or(DURATION),
                ramp: Duration::ZERO,
                arrivals: match load.arrivals {
                    plan::Arrivals::Constant => Arrivals::Constant,
                    plan::Arrivals::Poisson => Arrivals::Poisson,
                },
                max_connections: load.max_users.and_then(|users| u16::try_from(users).ok()).unwrap_or(64),
                think: None,
                accept: "2xx".parse()?,
                seed,
            },
            requests: load.requests,
            levels: Setting::all(&levels, who, load.repeat.max(1), seed, load.spawn),
            hooks,
            search: None,
            open_ended: false,
            warmup: load.warmup.unwrap_or_default(),
            every,
            path,
            clock: ClockMode::Disciplined,
            skip_service_check: self.measuring.skip_service_check,
            patience: self.measuring.patience(),
            p99_limit: self.measuring.p99_limit,
            thresholds,
            text: Some(text),
            subject,
            notify,
            notes: BTreeMap::from([("command".to_owned(), command_line(std::env::args_os()))]),
        };
        Ok(match plan_search {
            Some(search) => searching(planned, &search, is_traced)?,
            None => planned,
        })
    }

    /// All that must hold, by the plan and the options; what both demand once.
    fn thresholds(&self, plan: &plan::Plan) -> Result<Vec<Threshold>, UsageError> {
        let of_plan = plan
            .thresholds
            .iter()
            .map(|one| one.text.parse().map_err(|error: InvalidThreshold| UsageError(error.to_string())));
        let of_options = self.measuring.thresholds.thresholds.iter().cloned().map(Ok);
        let mut all: Vec<Threshold> = Vec::new();
        for threshold in of_plan.chain(of_options) {
            let threshold = threshold?;
            if !all.iter().any(|known| known.to_string() == threshold.to_string()) {
                all.push(threshold);
            }
        }
        Ok(all)
    }

    /// What it is called from run to run. What may be secret is masked.
    pub(super) fn subject(&self, plan: &plan::Plan) -> Subject {
        let stem = || self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let masked = |(name, value): (&String, &String)| {
            let is_secret = stamp::is_secret_name(name);
            (
                name.clone(),
                if is_secret { stamp::MASKED.to_owned() } else { stamp::mask_value(&plan.secrets.mask(value)) },
            )
        };
        Subject {
            name: plan.secrets.mask(&plan.name.clone().or_else(stem).unwrap_or_default()),
            params: plan.params.iter().map(masked).collect(),
        }
    }

    /// 1 message in how many is stamped.
    fn every(&self, plan: &plan::Plan) -> SampleEvery {
        let is_private = match plan.pipeline.as_ref().map(|pipeline| &pipeline.place) {
            Some(place) => matches!(place, PipelinePlace::Local(_)),
            None => self.redis.is_none(),
        };
        self.every.unwrap_or_else(|| search_args::every(plan.search.is_some() && is_private))
    }

    /// The pipeline, its queue, and the stages that messages pass.
    fn site(&self, plan: &plan::Plan, every: SampleEvery) -> anyhow::Result<(Site, String, Path)> {
        let default = || stamp::keys::DEFAULT_QUEUE.to_owned();
        let usual = || self.path.clone().unwrap_or_default();
        let target = || plan.target.as_deref().map(str::parse::<Target>).transpose();
        let remote = |redis: &RedisUrl, log_store: Option<&RedisUrl>| -> anyhow::Result<Site> {
            let target = target()?;
            let log_store = self.redis_args.reach(log_store.unwrap_or(redis));
            Ok(Site::Remote { target, redis: self.redis_args.reach(redis), log_store })
        };
        match plan.pipeline.as_ref().map(|pipeline| &pipeline.place) {
            Some(PipelinePlace::Local(local)) => {
                let options = LocalArgs::of_plan(local).options(every)?;
                Ok((Site::Local(options), default(), usual()))
            }
            Some(PipelinePlace::Remote { redis, log_store, queue, path }) => {
                let log_store = log_store.as_ref().map(|url| url.parse()).transpose()?;
                let site = remote(&redis.parse()?, log_store.as_ref().or(self.log_store.as_ref()))?;
                let path = path.as_deref().map(reporter::parse_path).transpose().map_err(UsageError)?;
                Ok((site, queue.clone().unwrap_or_else(default), path.unwrap_or_else(usual)))
            }
            None => match &self.redis {
                Some(redis) => Ok((remote(redis, self.log_store.as_ref())?, default(), usual())),
                None if plan.target.is_none() && asks_for_paths(plan) => {
                    Ok((Site::Local(LocalArgs::of_plan(&plan::Local::default()).options(every)?), default(), usual()))
                }
                // Steps of users have whole addresses.
                None if plan.users.is_empty() => Ok((Site::Alone { target: target()? }, default(), usual())),
                None => Ok((Site::Alone { target: None }, default(), usual())),
            },
        }
    }
}

/// Whether all steps of a plan ask for paths: without a target they are those of a private pipeline.
fn asks_for_paths(plan: &plan::Plan) -> bool {
    let is_path = |step: &plan::Step| matches!(step.url.parts.first(), Some(plan::Part::Literal(first)) if first.starts_with('/'));
    plan.steps().all(is_path)
}

/// A plan without users sends envelopes.
fn envelopes(plan: &plan::Plan) -> RequestOptions {
    if plan.pipeline.is_none() && plan.target.is_some() && plan.users.is_empty() {
        output::note("the plan has no `users`: it sends envelopes to its target");
    }
    RequestOptions::envelope(64)
}
