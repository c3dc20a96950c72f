//! What a load of users measured, as a report has it.

use analysis::scenario::{Around, Failure, Rounds, Scenario, StepLoad, Times};
use hdrhistogram::Histogram;
use load::{Pacing, Program, RoundTally, StepTally, Tally};
use plan::Secrets;
use std::time::Duration;

/// The steps, rounds and failures of a load.
pub(crate) fn of_users(tally: &Tally, program: &Program, pacing: &Pacing, secrets: &Secrets) -> Scenario {
    let in_rounds =
        |step: usize| program.kinds.iter().flat_map(|kind| &kind.tasks).any(|task| task.steps.contains(&step));
    let steps = steps(tally, program);
    let mut all = RoundTally::default();
    let mut rounds: Vec<(String, RoundTally)> = Vec::new();
    for (kind, tallies) in program.kinds.iter().zip(&tally.rounds) {
        for (task, tally) in kind.tasks.iter().zip(tallies) {
            all.add(tally);
            // Several kinds of users may have a task of one name.
            match rounds.iter_mut().find(|(name, _)| *name == task.name) {
                Some((_, known)) => known.add(tally),
                None => rounds.push((task.name.clone(), tally.clone())),
            }
        }
    }
    let around = tally.around.as_deref().map_or_else(Around::default, |around| Around {
        spawn_us: microseconds(around.duration),
        steps: self::steps(around, program).filter(|step| step.requests > 0).collect(),
    });
    Scenario {
        users: tally.connections,
        closed: !matches!(pacing, Pacing::Open { .. }) && program.kinds.iter().all(|kind| kind.pace.is_none()),
        steps: steps.filter(|step| in_rounds(step.number.into())).collect(),
        rounds: rounds.iter().map(|(task, tally)| of_rounds(task, tally)).collect(),
        all_rounds: of_rounds("", &all),
        send_delay: times(&tally.send_delay),
        failures: failures(tally, secrets),
        around,
        staged: matches!(pacing, Pacing::Stages(_)),
    }
}

fn steps(tally: &Tally, program: &Program) -> impl Iterator<Item = StepLoad> {
    let all = program.steps.iter().zip(&tally.steps).enumerate();
    all.map(|(number, (step, tally)): (usize, (_, &StepTally))| StepLoad {
        name: step.name.clone(),
        number: u16::try_from(number).unwrap_or(u16::MAX),
        traced: step.traced,
        requests: tally.requests,
        accepted: tally.accepted(),
        retries: tally.retries,
        errors: tally.errors.clone(),
        response: tally.response.as_deref().map_or_else(Times::default, times),
    })
}

fn of_rounds(task: &str, tally: &RoundTally) -> Rounds {
    Rounds {
        task: task.to_owned(),
        begun: tally.begun,
        ended: tally.ended,
        failed: tally.failed,
        whole: times(&tally.whole),
        waiting: times(&tally.waiting),
        pauses_us: tally.pauses_us(),
    }
}

/// Those beside the measured time, too: what a start fails with is what its user lacks.
fn failures(tally: &Tally, secrets: &Secrets) -> Vec<Failure> {
    let both = [Some(tally), tally.around.as_deref()];
    let mut failures: Vec<Failure> = Vec::new();
    for tally in both.into_iter().flatten() {
        for (kind, &count) in &tally.errors {
            let answer = tally.first_answers.get(kind).map(|answer| secrets.mask(answer));
            let kind = secrets.mask(kind);
            match failures.iter_mut().find(|failure| failure.kind == kind) {
                Some(failure) => failure.count += count,
                None => failures.push(Failure { kind, count, answer }),
            }
        }
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    failures
}

fn times(histogram: &Histogram<u64>) -> Times {
    if histogram.is_empty() {
        return Times::default();
    }
    Times {
        mean_us: Some(histogram.mean()),
        p50_us: Some(histogram.value_at_quantile(0.5)),
        p99_us: Some(histogram.value_at_quantile(0.99)),
        max_us: Some(histogram.max()),
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
