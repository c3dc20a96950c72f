//! The order of things: set-up, a user's start, one round, its stop, tear-down.

use crate::user::{Attempt, User};
use crate::{hook, rows};
use load::Trust;
use plan::{Hook, OnFailure, Plan, Step, StepOrHook, UserKind};
use stamp::RunId;
use tokio_util::sync::CancellationToken;

/// What has happened.
#[derive(Debug)]
pub enum Told<'a> {
    /// A part of the trial begins.
    Phase(&'a str),
    /// A step was sent.
    Step {
        /// What figures call it.
        name: &'a str,
        /// Each request and its answer; several where it was asked for again.
        attempts: &'a [Attempt],
        /// What was kept, by name.
        kept: &'a [(String, String)],
        /// Why it failed; absent where it did not.
        failure: Option<&'a str>,
    },
    /// A step was left out, and why.
    Skipped {
        /// What figures call it.
        name: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A command was run.
    Hook {
        /// For the shell.
        command: &'a str,
        /// What it printed, or why it failed.
        result: Result<&'a str, &'a str>,
    },
}

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
    /// The plan has no such task.
    #[error("the plan has no task `{task}`: it has {known}")]
    NoTask {
        /// What was asked for.
        task: String,
        /// What there is.
        known: String,
    },
    /// There is nothing to try.
    #[error(
        "the plan has no users: it loads the pipeline with envelopes, as `driver sweep` does; give it `users` to try their steps"
    )]
    NoUsers,
}

/// Tries a plan: one user, one round of `task`, or of the first one. Paths are asked for at `target`, or at the plan's own. Everything is told as it happens.
/// `stop` ends the step under way and leaves out what follows, but not what tidies up: `on_stop` and tear-down.
///
/// # Errors
/// When there is no such task.
pub async fn run(
    plan: &Plan,
    task: Option<&str>,
    target: Option<&str>,
    trust: &Trust,
    id: &RunId,
    stop: &CancellationToken,
    tell: &mut dyn FnMut(&Told<'_>),
) -> Result<Outcome, TrialError> {
    let (kind, steps) = chosen(plan, task)?;
    let mut trial =
        Trial { user: User::new(plan, target, trust, id), outcome: Outcome::default(), stop: Some(stop), tell };
    let ready = trial.once("set-up", &plan.setup).await;
    if ready {
        trial.user(kind, task, steps, plan).await;
    }
    trial.user.kind = None;
    trial.stop = None;
    // Also after a set-up that failed: for what it has kept.
    trial.teardown(&plan.teardown).await;
    Ok(trial.outcome)
}

/// The kind of user and the steps that are tried.
fn chosen<'p>(plan: &'p Plan, task: Option<&str>) -> Result<(&'p UserKind, &'p plan::Task), TrialError> {
    let all = || plan.users.iter().flat_map(|kind| kind.tasks.iter().map(move |task| (kind, task)));
    if plan.users.is_empty() {
        return Err(TrialError::NoUsers);
    }
    let found = all().find(|(_, known)| task.is_none_or(|task| known.name == task));
    found.ok_or_else(|| {
        let known: Vec<String> = all().map(|(_, task)| format!("`{}`", task.name)).collect();
        TrialError::NoTask { task: task.unwrap_or_default().to_owned(), known: known.join(", ") }
    })
}

struct Trial<'a, 't> {
    user: User<'a>,
    outcome: Outcome,
    /// Absent while it tidies up.
    stop: Option<&'t CancellationToken>,
    tell: &'t mut dyn FnMut(&Told<'_>),
}

impl<'a> Trial<'a, '_> {
    /// Whether all of it was done.
    async fn once(&mut self, phase: &str, all: &'a [StepOrHook]) -> bool {
        if !all.is_empty() {
            (self.tell)(&Told::Phase(phase));
        }
        for one in all {
            let done = match one {
                StepOrHook::Step(step) => self.step(step).await,
                StepOrHook::Hook(hook) => self.hook(hook).await,
            };
            if !done {
                return false;
            }
        }
        true
    }

    /// All of it, whatever fails.
    async fn teardown(&mut self, all: &'a [StepOrHook]) {
        if !all.is_empty() {
            (self.tell)(&Told::Phase("tear-down"));
        }
        for one in all {
            match one {
                StepOrHook::Step(step) if !self.user.has_what_it_needs(step) => {
                    (self.tell)(&Told::Skipped { name: &step.name, why: "set-up has not kept what it needs" });
                }
                StepOrHook::Step(step) => {
                    self.step(step).await;
                }
                StepOrHook::Hook(hook) => {
                    self.hook(hook).await;
                }
            }
        }
    }

    async fn user(&mut self, kind: &'a UserKind, task: Option<&str>, steps: &'a plan::Task, plan: &'a Plan) {
        for (number, data) in plan.data.iter().enumerate() {
            let row = or_stopped(self.stop, rows::first(data, &self.user.kept)).await;
            match row.unwrap_or_else(|| Err(INTERRUPTED.to_owned())) {
                Ok(row) => self.user.rows[number] = Some(row),
                Err(why) => {
                    self.outcome.failed += 1;
                    return (self.tell)(&Told::Hook { command: &format!("data {}", data.name), result: Err(&why) });
                }
            }
        }
        self.user.kind = Some(kind);
        if !kind.on_start.is_empty() {
            (self.tell)(&Told::Phase(&format!("user {}, on_start", kind.name)));
        }
        let mut started = true;
        for step in &kind.on_start {
            started = started && self.step(step).await;
        }
        if started {
            let drawn = if task.is_none() && kind.tasks.len() > 1 { " (the first; --task takes another)" } else { "" };
            (self.tell)(&Told::Phase(&format!("user {}, task {}{drawn}", kind.name, steps.name)));
            self.round(kind, &steps.steps).await;
        }
        let stop = self.stop.take();
        if !kind.on_stop.is_empty() {
            (self.tell)(&Told::Phase(&format!("user {}, on_stop", kind.name)));
        }
        for step in &kind.on_stop {
            self.step(step).await;
        }
        self.stop = stop;
    }

    async fn round(&mut self, kind: &UserKind, steps: &'a [Step]) {
        let mut failed = false;
        for step in steps {
            let why = if self.is_stopped() {
                Some("the trial was interrupted")
            } else if step.when.is_some_and(|slot| self.user.kept[slot].is_none()) {
                Some("what it waits for was not kept")
            } else if failed && !step.always {
                Some("the round has failed")
            } else if failed && !self.user.has_what_it_needs(step) {
                Some("the round has failed, and what it needs was not kept")
            } else {
                None
            };
            if let Some(why) = why {
                (self.tell)(&Told::Skipped { name: &step.name, why });
                continue;
            }
            for _ in 0..step.repeat {
                if self.is_stopped() {
                    break;
                }
                failed |= !self.step(step).await && kind.on_failure != OnFailure::Next;
            }
        }
        self.user.end_round();
    }

    async fn step(&mut self, step: &Step) -> bool {
        let (attempts, kept, failure) = or_stopped(self.stop, self.user.send(step))
            .await
            .unwrap_or_else(|| (Vec::new(), Vec::new(), Some(INTERRUPTED.to_owned())));
        (self.tell)(&Told::Step { name: &step.name, attempts: &attempts, kept: &kept, failure: failure.as_deref() });
        self.done(failure.is_none())
    }

    async fn hook(&mut self, hook: &Hook) -> bool {
        let result = or_stopped(self.stop, hook::run(hook)).await.unwrap_or_else(|| Err(INTERRUPTED.to_owned()));
        // Commands may hold what came from the environment, and so may what they print.
        let mask = |text: &str| self.user.plan.secrets.mask(text);
        let (command, masked) = (mask(&hook.command), result.as_ref().map(|text| mask(text)).map_err(|why| mask(why)));
        (self.tell)(&Told::Hook { command: &command, result: masked.as_deref().map_err(String::as_str) });
        self.done(result.is_ok())
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(CancellationToken::is_cancelled)
    }

    fn done(&mut self, well: bool) -> bool {
        self.outcome.done += 1;
        self.outcome.failed += u32::from(!well);
        well
    }
}

/// What became of a step that was stopped.
const INTERRUPTED: &str = "interrupted";

/// What work gives; nothing where it was stopped before its end.
async fn or_stopped<T>(stop: Option<&CancellationToken>, work: impl Future<Output = T>) -> Option<T> {
    match stop {
        Some(stop) => stop.run_until_cancelled(work).await,
        None => Some(work.await),
    }
}
