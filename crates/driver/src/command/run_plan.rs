//! `driver run`: its arguments; and how the plans of other commands are run, too.

use super::load::TrustArgs;
use super::measuring::MeasuringArgs;
use super::planned::{Over, OverPlanArgs, With};
use super::search_args::parse_share;
use super::value::{parse_duration, parse_rate};
use super::vary::{self, How};
use crate::output;
use clap::Args;
use experiment::Site;
use stamp::{RedisArgs, RedisUrl, SampleEvery, ensure_usage};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The plan: a YAML file (docs/plan.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    over: OverPlanArgs,

    /// Open loop: rounds a second, separated by commas: a level for each
    #[arg(long, visible_alias = "rate", value_name = "PER_SECOND", value_delimiter = ',', value_parser = parse_rate, conflicts_with = "users")]
    rates: Vec<f64>,

    /// How long each load lasts, from the moment at which all users are there
    #[arg(short, long, value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Load before that which counts nowhere
    #[arg(long, value_parser = parse_duration)]
    warmup: Option<Duration>,

    /// Run each level this many times
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: Option<u32>,

    /// End a level after this many requests, if that comes before its duration
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// How long an answer may take
    #[arg(long, value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,

    /// The Redis server that takes the stamps, where the plan names no pipeline: its messages are traced there
    #[arg(long, value_name = "URL", env = "STAMPEDE_REDIS", hide_env_values = true)]
    redis: Option<RedisUrl>,

    #[command(flatten)]
    redis_args: RedisArgs,

    /// Stamp 1 message in N: those with id % N == 0 [default: 100, or 10 where the plan searches a private pipeline]
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY")]
    every: Option<SampleEvery>,

    #[command(flatten)]
    trust: TrustArgs,

    /// Where the plan searches: how narrow the answer's interval is to be, as a part of its lower end
    #[arg(long, value_name = "PART", value_parser = parse_share)]
    within: Option<f64>,

    /// Where the plan varies parameters: go on with the newest run that was interrupted
    #[arg(long)]
    resume: bool,

    /// Where the plan varies parameters: run them all, however long it takes
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    measuring: MeasuringArgs,
}

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let with = With {
        file: &args.file,
        args: &args.over,
        over: Over {
            rates: args.rates.clone(),
            duration: args.duration,
            warmup: args.warmup,
            repeat: args.repeat,
            requests: args.requests,
            timeout: args.timeout,
            seed: args.seed,
            arrivals: None,
            within: args.within,
        },
        search: None,
        redis: args.redis.clone(),
        log_store: None,
        redis_args: &args.redis_args,
        every: args.every,
        path: None,
        trust: args.trust.trust(),
        measuring: &args.measuring,
    };
    let how = How { resume: args.resume, yes: args.yes };
    perform_varied("run", &with, how).await
}

/// Runs it as `driver sweep` does.
pub(super) async fn perform(command: &'static str, with: &With<'_>) -> anyhow::Result<ExitCode> {
    perform_varied(command, with, How { resume: false, yes: false }).await
}

async fn perform_varied(command: &'static str, with: &With<'_>, how: How) -> anyhow::Result<ExitCode> {
    let mut plan = with.plan()?;
    if with.args.print_plan {
        output::result(with.kept(&plan)?.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(vary) = plan.vary.take() {
        ensure_usage(command == "run", || {
            format!("the plan varies parameters: `driver run` does that, `driver {command}` does not")
        })?;
        return Box::pin(vary::perform(with, plan, vary, how)).await;
    }
    ensure_usage(!how.resume, || "--resume is for a plan that varies parameters (`vary`): leave it out".to_owned())?;
    let plan = with.experiment(plan)?;
    if matches!(plan.site, Site::Alone { .. }) {
        output::note(
            "the plan names neither a pipeline nor a log store: the API is loaded alone, and nothing is traced",
        );
    }
    with.measuring.until_signal(command, &plan, "rounds under way end, and users stop").await
}
