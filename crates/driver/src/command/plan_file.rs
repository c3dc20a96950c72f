//! A plan file on the command line: `driver check`, and what every command takes that reads one.

use crate::output;
use analysis::Threshold;
use anyhow::Context;
use clap::Args;
use plan::{Amount, Input, Plan};
use stamp::{UsageError, counted, ensure_usage};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of every command that reads a plan.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanFileArgs {
    /// The plan: a YAML file (docs/plan.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Set a parameter of the plan; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,

    /// Set parameters from a file: lines of `name: value`. What --set says counts more
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,

    /// The Redis server that takes the stamps, where the plan names no pipeline
    #[arg(long, value_name = "URL", env = "STAMPEDE_REDIS", hide_env_values = true)]
    redis: Option<stamp::RedisUrl>,
}

/// A plan file, and what is set from outside.
#[derive(Debug, Clone)]
pub(super) struct PlanFile<'a> {
    pub(super) file: &'a Path,
    pub(super) set: &'a [(String, String)],
    pub(super) params: Option<&'a Path>,
    /// How much load there is, instead of what the file says.
    pub(super) amount: Option<Amount>,
}

impl PlanFileArgs {
    /// Reads the plan, and checks all of it.
    /// Fails when a file cannot be read; a [`UsageError`] with all that is wrong with the plan.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let file = PlanFile { file: &self.file, set: &self.set, params: self.params.as_deref(), amount: None };
        file.read(self.redis.is_some())
    }
}

impl PlanFile<'_> {
    /// Its text.
    /// Fails as [`text_of`].
    pub(super) fn text(&self) -> anyhow::Result<String> {
        text_of(self.file, "the plan")
    }

    /// The folder that its files are looked for in.
    pub(super) fn folder(&self) -> PathBuf {
        self.file.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// Reads the plan, and checks all of it; `traced` where a log store is named from outside.
    /// Fails when a file cannot be read; a [`UsageError`] with all that is wrong with the plan.
    pub(super) fn read(&self, traced: bool) -> anyhow::Result<Plan> {
        let (name, text) = (self.file.display().to_string(), self.text()?);
        let mut set = match self.params {
            Some(file) => {
                let text = text_of(file, "--params")?;
                plan::params(&file.display().to_string(), &text).map_err(|problems| UsageError(problems.to_string()))?
            }
            None => Vec::new(),
        };
        set.extend(self.set.iter().cloned());
        let input = Input {
            folder: self.folder(),
            set,
            traced,
            amount: self.amount.clone(),
            environment: |name| std::env::var(name).ok(),
            threshold: |text| text.parse::<Threshold>().err().map(|error| error.to_string()),
            ..Input::new(&name, &text)
        };
        Plan::read(&input).map_err(|problems| UsageError(problems.to_string()).into())
    }
}

/// The text of a file.
/// Fails when it cannot be read, and with a [`UsageError`] where it is none, or no UTF-8.
fn text_of(file: &Path, what: &str) -> anyhow::Result<String> {
    let name = file.display();
    let cannot = || format!("cannot read {what} {name}");
    // A device or a pipe might never end; and a plan is read again for its report.
    ensure_usage(std::fs::metadata(file).with_context(cannot)?.is_file(), || {
        format!("{}: it is a folder, a pipe or a device: name a file", cannot())
    })?;
    let bytes = std::fs::read(file).with_context(cannot)?;
    Ok(String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|&byte| byte == b'\n').count();
        UsageError(format!("{name}:{line}: this is no UTF-8: save the file in that encoding"))
    })?)
}

/// `driver check`: says what a plan is, or all that is wrong with it. Nothing is sent.
pub(crate) fn check(args: &PlanFileArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    output::result(&format!("{}: {}", args.file.display(), told(&plan)));
    Ok(ExitCode::SUCCESS)
}

/// A plan in one line.
pub(super) fn told(plan: &Plan) -> String {
    let (who, what) = if plan.users.is_empty() { ("connection", "request") } else { ("user", "round") };
    let amount = match &plan.load.amount {
        Amount::Users(levels) => match levels[..] {
            [users] => counted(users, who),
            _ => counted(levels.len(), "level"),
        },
        Amount::Rates(rates) => match rates[..] {
            [rate] => counted(rate, what) + "/s",
            _ => counted(rates.len(), "rate"),
        },
        Amount::Stages(stages) => counted(stages.len(), "stage"),
    };
    let amount = if plan.search.is_some() { "a search for the highest load that holds".to_owned() } else { amount };
    let vary = plan
        .vary
        .as_ref()
        .map(|vary| format!("; {}, {}", counted(vary.combinations(), "combination"), counted(vary.runs(), "run")));
    let duration = plan.load.duration.map(|duration| format!(" for {}", humantime::format_duration(duration)));
    let tasks: usize = plan.users.iter().map(|kind| kind.tasks.len()).sum();
    let traced = plan.steps().filter(|step| step.is_traced()).count();
    let users = format!(
        "{} of user, {}, {} ({traced} traced)",
        counted(plan.users.len(), "kind"),
        counted(tasks, "task"),
        counted(plan.steps().count(), "step"),
    );
    format!(
        "{}; {amount}{}; {}{}",
        if plan.users.is_empty() { "the pipeline's own messages".to_owned() } else { users },
        duration.unwrap_or_default(),
        counted(plan.thresholds.len(), "threshold"),
        vary.unwrap_or_default(),
    )
}

pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, as in users=350")?;
    if name.is_empty() {
        Err("the name is missing: write NAME=VALUE".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}
