//! `driver try`: one user, one round of a plan, each request and answer shown.

use super::pipeline_args::LocalArgs;
use super::plan_file::PlanFileArgs;
use crate::output;
use clap::Args;
use load::Trust;
use plan::PipelinePlace;
use scenario::{Attempt, ScenarioError, Told, TrialError};
use service::shutdown_on_signal;
use stack::Stack;
use stamp::SampleEvery;
use std::fmt::Write;
use std::process::ExitCode;

/// What is shown of a body, characters.
const SHOWN: usize = 4096;

#[derive(Debug, Clone, Args)]
pub(crate) struct TryArgs {
    #[command(flatten)]
    plan: PlanFileArgs,

    /// The task whose steps are tried [default: the first]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,

    /// Accept any certificate: for tests
    #[arg(long)]
    insecure: bool,
}

pub(crate) async fn run(args: TryArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan.plan()?;
    let stop = shutdown_on_signal()?;
    let stack = match plan.pipeline.as_ref().map(|pipeline| &pipeline.place) {
        Some(PipelinePlace::Local(arguments)) => Some(local(arguments).await?),
        _ => None,
    };
    let target = stack.as_ref().map(|stack| stack.endpoints().api.clone());
    let trust = if args.insecure { Trust::Anybody } else { Trust::System };
    let mut tell = |told: &Told<'_>| output::result(shown(told).trim_end());
    let run = experiment::new_id();
    let tried =
        scenario::try_round(plan, args.task.as_deref(), target.as_deref(), &trust, &run, &stop, &mut tell).await;
    if let Some(stack) = stack {
        stack.stop().await;
    }
    let outcome = tried.map_err(|error| match error {
        TrialError::NoUsers | TrialError::Scenario(ScenarioError::NoTask { .. }) => {
            anyhow::Error::from(stamp::UsageError(error.to_string()))
        }
        TrialError::Scenario(_) => error.into(),
    })?;
    output::result(&format!("\n{} done, {} failed", outcome.done, outcome.failed));
    if stop.is_cancelled() {
        return Ok(ExitCode::from(super::INTERRUPTED));
    }
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A private pipeline with the arguments that the plan gives its services.
async fn local(local: &plan::Local) -> anyhow::Result<Stack> {
    Ok(Box::pin(Stack::start(&LocalArgs::of_plan(local).options(SampleEvery::default())?)).await?)
}

/// What happened, as curl would show it.
fn shown(told: &Told<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match told {
        Told::Phase(phase) => writeln!(text, "\n== {phase}"),
        Told::Skipped { name, why } => writeln!(text, "-- {name}: left out, as {why}"),
        Told::Hook { command, result: Ok(printed) } => writeln!(text, "$ {command}\n{}", cut(printed)),
        Told::Hook { command, result: Err(why) } => writeln!(text, "$ {command}\nFAILED: {why}"),
        Told::Step { name, attempts, kept, failure } => {
            let _ = writeln!(text, "-- {name}");
            attempts.iter().for_each(|attempt| exchange(attempt, &mut text));
            for (name, value) in *kept {
                let _ = writeln!(text, "kept {name} = {}", cut(value));
            }
            match failure {
                Some(why) => writeln!(text, "FAILED: {name}: {why}"),
                None => Ok(()),
            }
        }
    };
    text
}

fn exchange(attempt: &Attempt, text: &mut String) {
    let Attempt { sent, answer } = attempt;
    // Where nobody could be reached, there is no request.
    if !sent.line.is_empty() {
        let _ = writeln!(text, "> {}", cut(&sent.line));
    }
    headers(&sent.headers, '>', text);
    if !sent.body.is_empty() {
        let _ = writeln!(text, ">\n> {}", cut(&sent.body));
    }
    match answer {
        Ok((reply, took)) => {
            let _ = writeln!(text, "< {} in {:.1} ms", reply.status, took.as_secs_f64() * 1e3);
            headers(&reply.headers, '<', text);
            if !reply.body.is_empty() {
                let _ = writeln!(text, "<\n< {}", cut(&reply.text()));
            }
        }
        Err(why) => {
            let _ = writeln!(text, "< no answer: {why}");
        }
    }
}

fn headers(fields: &[(String, String)], mark: char, text: &mut String) {
    for (name, value) in fields {
        let _ = writeln!(text, "{mark} {name}: {}", cut(value));
    }
}

/// A text that fits a terminal: its beginning.
fn cut(text: &str) -> String {
    let mut shown: String = text.trim_end().chars().take(SHOWN).collect();
    let left = text.trim_end().chars().count().saturating_sub(SHOWN);
    if left > 0 {
        let _ = write!(shown, "… ({left} more characters)");
    }
    shown
}
