//! One user, one round of a plan, told step by step.

use crate::error::ScenarioError;
use crate::scenario::{Chosen, Scenario, one_round};
use crate::told::Told;
use load::{Exchanged, Shown, Trust};
use plan::Plan;
use stamp::RunId;
use tokio_util::sync::CancellationToken;

/// How a trial went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Steps and commands that were done.
    pub done: u32,
    /// Those of them that failed.
    pub failed: u32,
}

/// A trial cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is nothing to try.
    #[error(
        "the plan has no users: it loads the pipeline with envelopes, as `driver sweep` does; give it `users` to try their steps"
    )]
    NoUsers,
    /// The plan cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// Tries a plan: one user, one round of `task`, or of the first one, without pauses. Paths are asked for at `target`, or at the plan's own.
/// Everything is told. `stop` leaves out what follows, but not what tidies up: `on_stop` and tear-down.
///
/// # Errors
/// When there is no such task, or whom the plan asks does not answer.
pub async fn try_round(
    mut plan: Plan,
    task: Option<&str>,
    target: Option<&str>,
    trust: &Trust,
    id: &RunId,
    stop: &CancellationToken,
    tell: &mut dyn FnMut(&Told<'_>),
) -> Result<Outcome, TrialError> {
    let drawn = choose(&mut plan, task)?;
    let mut outcome = Outcome::default();
    let mut tell = |told: &Told<'_>| {
        let failed = match told {
            Told::Step { failure, .. } => Some(failure.is_some()),
            Told::Hook { result, .. } => Some(result.is_err()),
            Told::Phase(_) | Told::Skipped { .. } => None,
        };
        if let Some(failed) = failed {
            outcome.done += 1;
            outcome.failed += u32::from(failed);
        }
        tell(told);
    };
    let mut scenario = Scenario::open(plan, target, &[], trust).await?;
    // What failed has been told.
    let ready = scenario.set_up(id, stop, &mut tell).await.is_ok();
    let tried = if ready && !stop.is_cancelled() { round(&scenario, drawn, id, stop, &mut tell).await } else { Ok(()) };
    // Also after a set-up that failed: for what it has kept.
    scenario.tear_down(id, &mut tell).await;
    tried?;
    Ok(outcome)
}

/// Leaves only the task that is tried; tells whether there were others.
fn choose(plan: &mut Plan, task: Option<&str>) -> Result<bool, TrialError> {
    let first = plan.users.first().and_then(|kind| kind.tasks.first()).ok_or(TrialError::NoUsers)?.name.clone();
    let others = task.is_none() && plan.users.first().is_some_and(|kind| kind.tasks.len() > 1);
    let chosen = Chosen { only: vec![task.map_or(first, str::to_owned)], except: Vec::new() };
    chosen.apply(plan)?;
    plan.users.truncate(1);
    Ok(others)
}

/// The round, as parts that begin: a user's start, its task, its stop.
async fn round(
    scenario: &Scenario,
    drawn: bool,
    id: &RunId,
    stop: &CancellationToken,
    tell: &mut dyn FnMut(&Told<'_>),
) -> Result<(), ScenarioError> {
    let program = scenario.lowered(1, false)?;
    let names: Vec<String> = program.steps.iter().map(|step| step.name.clone()).collect();
    let seed = scenario.plan().load.seed.unwrap_or(1);
    let shown = one_round(program, id.as_str(), seed, Some(stop.clone())).await?;
    let Some(kind) = scenario.plan().users.first() else { return Ok(()) };
    let task = kind.tasks.first().map_or("", |task| &task.name);
    let before = if drawn { " (the first; --task takes another)" } else { "" };
    let first_of_stop = names.len() - kind.on_stop.len();
    let phases = [
        (0, format!("user {}, on_start", kind.name)),
        (kind.on_start.len(), format!("user {}, task {task}{before}", kind.name)),
        (first_of_stop, format!("user {}, on_stop", kind.name)),
    ];
    let phase_of = |step: usize| phases.iter().rposition(|&(first, _)| first <= step).unwrap_or(0);
    let (mut phase, mut attempts) = (None, Vec::<Exchanged>::new());
    for one in shown {
        let step = match &one {
            Shown::Exchange(exchanged) => exchanged.step,
            Shown::Skipped { step, .. } => *step,
        };
        if phase != Some(phase_of(step)) {
            phase = Some(phase_of(step));
            tell(&Told::Phase(&phases[phase_of(step)].1));
        }
        match one {
            Shown::Skipped { why, .. } => tell(&Told::Skipped { name: &names[step], why }),
            Shown::Exchange(exchanged) => {
                let again = exchanged.again;
                attempts.push(exchanged);
                if !again {
                    // Whether it failed is told with it.
                    let _ = scenario.tell_step(&names[step], &attempts, tell);
                    attempts.clear();
                }
            }
        }
    }
    Ok(())
}
