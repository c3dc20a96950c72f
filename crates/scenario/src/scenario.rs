//! A plan that can be run: its sites answer, set-up has run, its tables have rows.

use crate::error::ScenarioError;
use crate::lower::Lowering;
use crate::site::Sites;
use crate::told::{Attempt, Told};
use crate::{hook, table};
use load::{
    Endpoint, Exchanged, Kind, Limit, LoadPlan, OnFailure, Pacing, Program, Share, Shown, Table, Target, Task, Trust,
    Value, generate,
};
use plan::{Hook, Plan, Rows, Step, StepOrHook, UserKind};
use stamp::RunId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The tasks that are run.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// These alone; none: all.
    pub only: Vec<String>,
    /// All but these.
    pub except: Vec<String>,
}

/// A plan whose requests have somewhere to go.
#[derive(Debug, Clone)]
pub struct Scenario {
    plan: Arc<Plan>,
    sites: Sites,
    /// What set-up has kept, by number.
    constants: Vec<Value>,
    tables: Vec<Vec<Vec<Value>>>,
}

/// What became of a step or a command that was stopped.
const INTERRUPTED: &str = "interrupted";

/// What may happen in set-up and tear-down, and who hears of it.
pub(crate) struct Around<'a> {
    pub(crate) run: &'a RunId,
    /// Absent while it tidies up.
    pub(crate) stop: Option<&'a CancellationToken>,
    pub(crate) tell: &'a mut dyn FnMut(&Told<'_>),
}

/// Why a part of set-up or tear-down failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    name: String,
    why: String,
    answer: String,
}

impl Chosen {
    /// Leaves out the tasks of a plan that are not chosen, and kinds of users that have none left.
    ///
    /// # Errors
    /// When there is no such task, or none is left.
    pub fn apply(&self, plan: &mut Plan) -> Result<(), ScenarioError> {
        let known: Vec<String> = plan.users.iter().flat_map(|kind| &kind.tasks).map(|task| task.name.clone()).collect();
        if let Some(task) = self.only.iter().chain(&self.except).find(|task| !known.contains(task)) {
            let known: Vec<String> = known.iter().map(|task| format!("`{task}`")).collect();
            return Err(ScenarioError::NoTask { task: task.clone(), known: known.join(", ") });
        }
        let stays = |name: &String| (self.only.is_empty() || self.only.contains(name)) && !self.except.contains(name);
        for kind in &mut plan.users {
            kind.tasks.retain(|task| stays(&task.name));
        }
        plan.users.retain(|kind| !kind.tasks.is_empty());
        if plan.users.is_empty() && !known.is_empty() { Err(ScenarioError::NoTasksLeft) } else { Ok(()) }
    }
}

impl Scenario {
    /// Finds whatever the plan asks. `target` is where paths are asked for, unless the plan says; `replicas` are all that serve the same, where there are several.
    ///
    /// # Errors
    /// When a host is unknown, or it is not known where a request goes.
    pub async fn open(
        plan: Plan,
        target: Option<&str>,
        replicas: &[Target],
        trust: &Trust,
    ) -> Result<Self, ScenarioError> {
        let around = plan.setup.iter().chain(&plan.teardown).filter_map(|one| match one {
            StepOrHook::Step(step) => Some(step),
            StepOrHook::Hook(_) => None,
        });
        let steps = around.chain(plan.steps());
        let replicas = if plan.target.is_some() { &[] } else { replicas };
        let sites = Sites::open(steps, plan.target.as_deref().or(target), replicas, trust).await?;
        let constants = vec![Value::default(); plan.kept.len()];
        Ok(Self { plan: Arc::new(plan), sites, constants, tables: Vec::new() })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Sees that whatever its users ask answers: set-up may have started it.
    ///
    /// # Errors
    /// Names what does not.
    pub async fn check(&self) -> Result<(), ScenarioError> {
        self.sites.check(self.plan.steps()).await
    }

    /// Runs set-up, and fetches the rows of tables.
    ///
    /// # Errors
    /// What failed. What was kept until then is known to [`tear_down`](Self::tear_down).
    pub async fn set_up(
        &mut self,
        run: &RunId,
        stop: &CancellationToken,
        tell: &mut dyn FnMut(&Told<'_>),
    ) -> Result<(), ScenarioError> {
        let plan = self.plan.clone();
        let mut around = Around { run, stop: Some(stop), tell };
        if !plan.setup.is_empty() {
            (around.tell)(&Told::Phase("set-up"));
        }
        for one in &plan.setup {
            if let Err(Failed { name, why, answer }) = self.one(one, &mut around).await {
                return Err(ScenarioError::SetUp { name, why, answer });
            }
        }
        self.tables.clear();
        for data in &plan.data {
            let rows = or_stopped(around.stop, table::rows(data, &self.constants)).await;
            let rows = rows.unwrap_or_else(|| Err(INTERRUPTED.to_owned()));
            let rows =
                rows.and_then(|rows| if rows.is_empty() { Err("there are no rows".to_owned()) } else { Ok(rows) });
            let rows = rows.map_err(|why| ScenarioError::Data { name: data.name.clone(), why });
            if let (Rows::Command { .. } | Rows::Kept { .. }, Err(error)) = (&data.rows, &rows) {
                (around.tell)(&Told::Hook { command: &format!("data {}", data.name), result: Err(&error.to_string()) });
            }
            self.tables.push(rows?);
        }
        Ok(())
    }

    /// Runs all of tear-down whose values are known, whatever fails. Gives how much of it failed.
    pub async fn tear_down(&mut self, run: &RunId, tell: &mut dyn FnMut(&Told<'_>)) -> u32 {
        let plan = self.plan.clone();
        let mut around = Around { run, stop: None, tell };
        if !plan.teardown.is_empty() {
            (around.tell)(&Told::Phase("tear-down"));
        }
        let mut failed = 0;
        for one in &plan.teardown {
            if let StepOrHook::Step(step) = one
                && !self.has_what_it_needs(step)
            {
                (around.tell)(&Told::Skipped { name: &step.name, why: "set-up has not kept what it needs" });
                continue;
            }
            failed += u32::from(self.one(one, &mut around).await.is_err());
        }
        failed
    }

    /// What so many users run. Steps are numbered as they stand in the plan.
    ///
    /// # Errors
    /// When there are fewer rows than users who each take one, or what set-up has kept does not fit.
    pub fn program(&self, users: u32) -> Result<Program, ScenarioError> {
        self.lowered(users, true)
    }

    pub(crate) fn lowered(&self, users: u32, pauses: bool) -> Result<Program, ScenarioError> {
        let lowering = self.lowering(users, pauses);
        let mut steps = Vec::new();
        let mut kinds = Vec::new();
        for kind in &self.plan.users {
            let mut add = |step: &Step| {
                steps.push(lowering.step(step, Some(kind))?);
                Ok::<_, ScenarioError>(steps.len() - 1)
            };
            let mut all = |some: &[Step]| some.iter().map(&mut add).collect::<Result<Vec<usize>, _>>();
            let on_start = all(&kind.on_start)?;
            let tasks = kind.tasks.iter().map(|task| {
                Ok::<_, ScenarioError>(Task { name: task.name.clone(), weight: task.weight, steps: all(&task.steps)? })
            });
            let tasks = tasks.collect::<Result<_, _>>()?;
            kinds.push(Kind {
                share: match kind.share {
                    plan::Share::Weight(weight) => Share::Weight(weight),
                    plan::Share::Count(count) => Share::Count(count),
                },
                tables: kind.data.clone(),
                pace: kind.pace,
                cookies: kind.cookies,
                on_start,
                tasks,
                on_stop: all(&kind.on_stop)?,
                on_failure: on_failure(kind),
            });
        }
        let program = Program { steps, kinds, tables: self.dealt(), ..self.empty(&lowering) };
        for (number, data) in self.plan.data.iter().enumerate().filter(|(_, data)| data.take == plan::Take::Unique) {
            let takers = program.users_with(number, users);
            let rows = self.tables[number].len();
            if (rows as u64) < u64::from(takers) {
                return Err(ScenarioError::FewRows { name: data.name.clone(), rows, users: takers });
            }
        }
        Ok(program)
    }

    /// Where requests go: `scheme://host:port` of each.
    pub fn targets(&self) -> Vec<String> {
        self.sites.endpoints().iter().flat_map(Endpoint::targets).cloned().collect()
    }

    /// How many hosts its users ask.
    pub fn sites(&self) -> usize {
        self.sites.endpoints().len()
    }

    /// The users there are rows for, where each takes one.
    pub fn rows_at_most(&self) -> Option<u32> {
        let unique = self.plan.data.iter().zip(&self.tables).filter(|(data, _)| data.take == plan::Take::Unique);
        unique.map(|(_, rows)| u32::try_from(rows.len()).unwrap_or(u32::MAX)).min()
    }

    fn dealt(&self) -> Vec<Table> {
        let all = self.plan.data.iter().zip(&self.tables).enumerate();
        all.map(|(number, (data, rows))| Table::new(rows.clone(), table::take(data, number, &self.plan.users)))
            .collect()
    }

    fn lowering(&self, users: u32, pauses: bool) -> Lowering<'_> {
        Lowering { plan: &self.plan, sites: &self.sites, constants: &self.constants, users, pauses }
    }

    fn empty(&self, lowering: &Lowering<'_>) -> Program {
        Program {
            sites: self.sites.endpoints(),
            steps: Vec::new(),
            kinds: Vec::new(),
            tables: Vec::new(),
            slots: lowering.slots(),
            by_step: true,
        }
    }

    /// One entry of set-up or tear-down.
    async fn one(&mut self, one: &StepOrHook, around: &mut Around<'_>) -> Result<(), Failed> {
        match one {
            StepOrHook::Step(step) => self.once(step, around).await,
            StepOrHook::Hook(hook) => self.hook(hook, around).await,
        }
    }

    /// Sends a step once, as a load of one round of one user, and keeps what it keeps.
    async fn once(&mut self, step: &Step, around: &mut Around<'_>) -> Result<(), Failed> {
        let failed = |why: String, answer: String| Failed { name: step.name.clone(), why, answer };
        let lowering = self.lowering(1, false);
        let program = lowering.step(step, None).map(|lowered| {
            let task = Task { name: String::new(), weight: 1.0, steps: vec![0] };
            let kind = Kind { tasks: vec![task], ..Kind::default() };
            Program { steps: vec![lowered], kinds: vec![kind], ..self.empty(&lowering) }
        });
        let program = program.map_err(|error| failed(error.to_string(), String::new()))?;
        let shown = or_stopped(around.stop, one_round(program, around.run.as_str(), 1, None)).await;
        let shown = match shown {
            Some(Ok(shown)) => shown,
            Some(Err(error)) => return Err(failed(error.to_string(), String::new())),
            None => Vec::new(),
        };
        let exchanges: Vec<Exchanged> = shown.into_iter().filter_map(exchange).collect();
        let told = self.tell_step(&step.name, &exchanges, around.tell);
        for (slot, value) in exchanges.into_iter().flat_map(|exchanged| exchanged.kept) {
            self.constants[slot] = value;
        }
        told.map_err(|(why, answer)| failed(why, answer))
    }

    /// Tells a step; gives why it failed, and its answer.
    pub(crate) fn tell_step(
        &self,
        name: &str,
        exchanges: &[Exchanged],
        tell: &mut dyn FnMut(&Told<'_>),
    ) -> Result<(), (String, String)> {
        let mask = |text: &str| self.plan.secrets.mask(text);
        let attempts: Vec<Attempt> = exchanges.iter().map(|one| Attempt::new(one, &self.plan.secrets)).collect();
        let kept = exchanges.iter().flat_map(|exchanged| &exchanged.kept);
        let shown = |(slot, value): &(usize, Value)| {
            (self.plan.kept[*slot].name.clone(), mask(value.get().unwrap_or_default()))
        };
        let kept: Vec<(String, String)> = kept.map(shown).collect();
        let failure = match exchanges.last() {
            Some(last) => last.failure.as_deref().map(mask),
            None => Some(INTERRUPTED.to_owned()),
        };
        tell(&Told::Step { name, attempts: &attempts, kept: &kept, failure: failure.as_deref() });
        match failure {
            None => Ok(()),
            Some(why) => {
                let answer = attempts.last().and_then(|attempt| attempt.answer.as_ref().ok());
                let answer = answer.map_or_else(String::new, |(reply, _)| format!("\n{}", reply.told()));
                Err((why, answer))
            }
        }
    }

    async fn hook(&self, hook: &Hook, around: &mut Around<'_>) -> Result<(), Failed> {
        let result = or_stopped(around.stop, hook::run(hook)).await.unwrap_or_else(|| Err(INTERRUPTED.to_owned()));
        // Commands may hold what came from the environment, and so may what they print.
        let mask = |text: &str| self.plan.secrets.mask(text);
        let (command, masked) = (mask(&hook.command), result.map(|text| mask(&text)).map_err(|why| mask(&why)));
        (around.tell)(&Told::Hook { command: &command, result: masked.as_deref().map_err(String::as_str) });
        masked.map(|_| ()).map_err(|why| Failed { name: command, why, answer: String::new() })
    }

    /// Whether all is known that a step uses.
    fn has_what_it_needs(&self, step: &Step) -> bool {
        let texts = step.texts();
        texts.iter().flat_map(|text| &text.parts).all(|part| match part {
            plan::Part::Value { value: plan::Value::Kept(slot), or: None, .. } => self.constants[*slot].get().is_some(),
            _ => true,
        })
    }
}

fn on_failure(kind: &UserKind) -> OnFailure {
    match kind.on_failure {
        plan::OnFailure::Round => OnFailure::Round,
        plan::OnFailure::Next => OnFailure::Next,
        plan::OnFailure::User => OnFailure::User,
        plan::OnFailure::Load => OnFailure::Load,
    }
}

fn exchange(shown: Shown) -> Option<Exchanged> {
    match shown {
        Shown::Exchange(exchanged) => Some(exchanged),
        Shown::Skipped { .. } => None,
    }
}

/// One round of one user: everything that happened.
pub(crate) async fn one_round(
    program: Program,
    run: &str,
    seed: u64,
    until: Option<CancellationToken>,
) -> Result<Vec<Shown>, ScenarioError> {
    let (show, mut shown) = mpsc::unbounded_channel();
    let plan = LoadPlan {
        run: run.to_owned(),
        limit: Some(Limit::Rounds(1)),
        until,
        seed,
        show: Some(show),
        ..LoadPlan::new(program, Pacing::Closed, 1, Duration::from_secs(86_400))
    };
    generate(plan, None, watch::Sender::default()).await?;
    let mut all = Vec::new();
    while let Some(one) = shown.recv().await {
        all.push(one);
    }
    Ok(all)
}

/// What work gives; nothing where it was stopped before its end.
pub(crate) async fn or_stopped<T>(stop: Option<&CancellationToken>, work: impl Future<Output = T>) -> Option<T> {
    match stop {
        Some(stop) => stop.run_until_cancelled(work).await,
        None => Some(work.await),
    }
}
