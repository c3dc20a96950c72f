//! What an experiment loads: one request, or users and what stands around their load.

use crate::error::ExperimentError;
use crate::event::{Audience, Event};
use crate::pipeline::Pipeline;
use crate::plan::{Generator, Hooks, Plan, Users};
use crate::setting::{Setting, Who};
use load::{Around, Endpoint, LoadPlan, Pacing, Target, Tracing};
use scenario::{Scenario, Told};
use stamp::{RunId, Tracer};

/// Files that this process has open beside the connections of users.
const SPARE: u64 = 64;

/// Users who begin before the load of a rate, at the most.
const MOST_AT_FIRST: u32 = 100;

/// Has the pipeline made ready, and sees that it and what is loaded answer.
pub(crate) async fn open(plan: &Plan) -> Result<(Pipeline, Loaded), ExperimentError> {
    let users = plan.work.users();
    for hook in &plan.hooks.before {
        hooked(&plan.hooks, hook).await?;
    }
    let pipeline = Pipeline::open(&plan.site, &plan.queue).await?;
    let loaded = match (users, &pipeline.target) {
        (Some(users), target) => {
            let target = target.as_ref().map(Target::origin);
            let opened = Scenario::open(users.plan.clone(), target.as_deref(), &pipeline.targets, &plan.trust);
            Loaded::Users(Box::new(opened.await?))
        }
        (None, Some(target)) if !matches!(plan.generator, Generator::Other { .. }) => {
            Loaded::Target(target.clone(), pipeline.endpoint(target, &plan.trust).await?)
        }
        _ => Loaded::Elsewhere,
    };
    Ok((pipeline, loaded))
}

/// Runs a command beside the load.
pub(crate) async fn hooked(hooks: &Hooks, hook: &plan::Hook) -> Result<(), ExperimentError> {
    let mask = |text: &str| hooks.secrets.mask(text);
    let ran = scenario::run_hook(hook).await;
    ran.map(|_| ()).map_err(|why| ExperimentError::Hook { command: mask(&hook.command), why: mask(&why) })
}

/// What is loaded.
#[allow(clippy::large_enum_variant, reason = "there is one of it in an experiment")]
pub(crate) enum Loaded {
    /// The same request goes there again and again.
    Target(Target, Endpoint),
    /// Users go through steps.
    Users(Box<Scenario>),
    /// Another program loads.
    Elsewhere,
}

impl Loaded {
    /// Where requests go: `scheme://host:port` of each.
    pub(crate) fn targets(&self) -> Vec<String> {
        match self {
            Self::Target(_, endpoint) => endpoint.targets().to_vec(),
            Self::Users(scenario) => scenario.targets(),
            Self::Elsewhere => Vec::new(),
        }
    }

    /// What stands behind the load: tear-down, and the commands of the pipeline.
    pub(crate) async fn tidy_up(&mut self, plan: &Plan, id: &RunId, audience: &mut Audience<'_>) {
        let mut failed = Vec::new();
        let mut tell = |told: &Told<'_>| match told {
            Told::Step { name, failure: Some(why), .. } | Told::Hook { command: name, result: Err(why) } => {
                failed.push(format!("{name}: {why}"));
            }
            _ => {}
        };
        if let Loaded::Users(scenario) = self {
            scenario.tear_down(id, &mut tell).await;
        }
        for hook in &plan.hooks.after {
            failed.extend(hooked(&plan.hooks, hook).await.err().map(|error| error.to_string()));
        }
        for failed in failed {
            audience.tell(&Event::Warning(&format!("tear-down failed: {failed}"))).await;
        }
    }
}

/// The load of users at one level.
/// Fails when there are fewer rows than users who each take one.
pub(crate) fn of_users(
    plan: &Plan,
    tracer: Option<&Tracer>,
    run: &RunId,
    setting: &Setting,
    scenario: &Scenario,
    users: &Users,
) -> Result<LoadPlan, ExperimentError> {
    let shape = &plan.shape;
    let max_users = users
        .max_users
        .unwrap_or_else(|| scenario.rows_at_most().unwrap_or(plan::Load::MAX_USERS).min(plan::Load::MAX_USERS));
    let (pacing, first, most) = match (setting.rate, setting.who) {
        (Some(rate), _) => {
            // As many as begin a round in a second; more come where these are busy.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let first = (rate.ceil() as u32).clamp(1, MOST_AT_FIRST).min(max_users);
            (Pacing::Open { rate, arrivals: shape.arrivals, max_users }, first, max_users)
        }
        (None, Who::Stages) => {
            let most = users.stages.iter().map(|(to, _)| *to).max().unwrap_or(0);
            (Pacing::Stages(users.stages.clone()), 0, most)
        }
        (None, _) => (Pacing::Closed, setting.connections, setting.connections),
    };
    // In an open loop there may be fewer.
    check_limits(if matches!(pacing, Pacing::Open { .. }) { first } else { most }, scenario.sites())?;
    let run_around: RunId = format!("{run}.around").parse()?;
    let tracing = tracer.map(|tracer| Tracing::new(tracer, &run_around));
    let around = Around { run: run_around.to_string(), tracing, spawn: setting.spawn, warmup: plan.warmup };
    let lasts = setting.lasts.unwrap_or(shape.duration);
    Ok(LoadPlan {
        run: run.to_string(),
        ramp: shape.ramp,
        around: Some(around),
        stop_within: Some(users.stop_within),
        seed: shape.seed,
        ..LoadPlan::new(scenario.program(most)?, pacing, first, lasts)
    })
}

/// Sees that so many users can each have a connection to each host.
fn check_limits(users: u32, sites: usize) -> Result<(), ExperimentError> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    if u64::from(users) * sites as u64 + SPARE > files {
        return Err(ExperimentError::Files { users, sites, limit: files });
    }
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ends: Vec<u32> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
    match ends[..] {
        [first, last] if users > (last + 1).saturating_sub(first) => {
            Err(ExperimentError::Ports { users, ports: (last + 1).saturating_sub(first) })
        }
        _ => Ok(()),
    }
}
