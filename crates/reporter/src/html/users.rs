//! What users went through: steps, rounds, failures, and what happened beside the measured time.

use super::name;
use super::table::{Cell, Column, Table};
use super::usage::name_cell;
use analysis::number::grouped;
use analysis::scenario::{Scenario, StepLoad};
use analysis::{Level, Report};

/// This part of the page.
pub(super) struct Users {
    pub(super) steps: Table,
    pub(super) rounds: Table,
    pub(super) failures: Vec<Failed>,
    pub(super) around: Table,
}

/// One kind of failure.
pub(super) struct Failed {
    pub(super) level: String,
    pub(super) kind: String,
    pub(super) count: String,
    /// The first answer of the kind; may be empty.
    pub(super) answer: String,
}

impl Users {
    /// Nothing where no load was of users.
    pub(super) fn of(report: &Report) -> Option<Self> {
        report.has_users().then(|| Self {
            steps: steps(report),
            rounds: rounds(report),
            failures: failures(report),
            around: around(report),
        })
    }
}

fn all(report: &Report) -> impl Iterator<Item = (usize, &Level, &Scenario)> {
    let levels = report.levels.iter().enumerate();
    levels.filter_map(|(index, level)| Some((index, level, level.load.scenario.as_ref()?)))
}

fn steps(report: &Report) -> Table {
    let arrival = "arrival latency of the step's messages, in flight ones included, ms";
    let response = "from the intended send to the whole answer, ms";
    let columns = vec![
        Column::words("level", ""),
        Column::words("step", "its name, or its method and the template of its path"),
        Column::of("requests /s", "requests a second whose answer was as expected"),
        Column::of("failed", "answers that were not as expected, or missing"),
        Column::of("retries", "answers that were asked for again"),
        Column::of("HTTP p50", response),
        Column::of("HTTP p99", response),
        Column::of("HTTP max", response),
        Column::of("arrival p50", arrival),
        Column::of("arrival p99", arrival),
        Column::of("arrival max", arrival),
    ];
    let mut table = Table::new(
        "steps",
        "Every step of every level: requests, failures, response times and arrival latency in ms",
        columns,
    );
    for (index, level, scenario) in all(report) {
        for step in &scenario.steps {
            let arrival = level.arrival_of(step);
            let percentile = |of: analysis::Percentile| match arrival {
                Some(arrival) => Cell::percentile((arrival.percentile(of), arrival.interval(of))),
                None => Cell::absent(),
            };
            let mut row = vec![name_cell(report, level)];
            row.extend(of_step(level, step));
            row.extend([
                percentile(analysis::Percentile::P50),
                percentile(analysis::Percentile::P99),
                Cell::whole_ms(arrival.and_then(|arrival| arrival.max_us)),
            ]);
            table.push(Some(index), row);
        }
    }
    table
}

/// Name, rate, failures, retries, response times.
fn of_step(level: &Level, step: &StepLoad) -> [Cell; 7] {
    let times = &step.response;
    let whole = |us: Option<u64>| Cell::ms(us.map(|us| us as f64));
    let failed: u64 = step.errors.values().sum();
    let kinds: Vec<String> =
        step.errors.iter().map(|(kind, count)| format!("{} × {kind}", grouped(*count as f64, 0))).collect();
    [
        Cell::text(step.name.as_str()),
        Cell::rate(level.per_sec(step.accepted)),
        Cell::count(failed).bad_unless_zero().note(kinds.join(", ")),
        Cell::count(step.retries),
        whole(times.p50_us),
        whole(times.p99_us),
        whole(times.max_us),
    ]
}

fn rounds(report: &Report) -> Table {
    let whole = "from the intended start to the end, pauses included, of rounds without a failure, ms";
    let columns = vec![
        Column::words("level", ""),
        Column::words("task", ""),
        Column::of("rounds /s", "rounds that were ended a second"),
        Column::of("failed", "rounds in which a step failed"),
        Column::of("p50", whole),
        Column::of("p99", whole),
        Column::of("max", whole),
        Column::of("waiting", "mean time of a round that was spent waiting for answers, ms"),
        Column::of("pauses", "mean of the pauses of a round, ms"),
        Column::of(
            "withheld /s",
            "rounds a second that users would have begun, had they not waited longer than at the lowest level",
        ),
    ];
    let mut table = Table::new("rounds", "Rounds of every task and level, times in ms", columns);
    for (index, level, scenario) in all(report) {
        let withheld = report.findings.withheld.get(index).and_then(Option::as_ref);
        for (number, rounds) in scenario.rounds.iter().enumerate() {
            let time = |us: Option<u64>| Cell::ms(us.map(|us| us as f64));
            let of_level = withheld.filter(|_| number == 0).map(|withheld| withheld.withheld_per_sec);
            table.push(
                Some(index),
                vec![
                    name_cell(report, level),
                    Cell::text(rounds.task.as_str()),
                    Cell::rate(level.per_sec(rounds.ended)),
                    Cell::count(rounds.failed).bad_unless_zero(),
                    time(rounds.whole.p50_us),
                    time(rounds.whole.p99_us),
                    time(rounds.whole.max_us),
                    Cell::ms(rounds.waiting.mean_us),
                    Cell::ms(Some(rounds.pauses_us)),
                    if number == 0 { Cell::rate(of_level) } else { Cell::text("") },
                ],
            );
        }
    }
    table
}

fn failures(report: &Report) -> Vec<Failed> {
    let failed = |(_, level, scenario): (usize, &Level, &Scenario)| {
        let level = name::level(report, level);
        let told = scenario.failures.iter().map(move |failure| Failed {
            level: level.clone(),
            kind: failure.kind.clone(),
            count: grouped(failure.count as f64, 0),
            answer: failure.answer.clone().unwrap_or_default(),
        });
        told.collect::<Vec<_>>()
    };
    all(report).flat_map(failed).collect()
}

fn around(report: &Report) -> Table {
    let columns = vec![
        Column::words("level", ""),
        Column::of("users", "the most at a time"),
        Column::of("all there after", "from the first user's start until all were there, with the warm-up, ms"),
        Column::words("step", "of on_start and on_stop, and of rounds before the measured time"),
        Column::of("requests", ""),
        Column::of("failed", "answers that were not as expected, or missing"),
        Column::of("retries", "answers that were asked for again"),
        Column::of("HTTP p50", "ms"),
        Column::of("HTTP p99", "ms"),
    ];
    let mut table =
        Table::new("around", "Beside the measured time: users' starts and stops, and rounds before it", columns);
    for (index, level, scenario) in all(report) {
        for step in &scenario.around.steps {
            let [name, _, failed, retries, p50, p99, _] = of_step(level, step);
            table.push(
                Some(index),
                vec![
                    name_cell(report, level),
                    Cell::count(scenario.users.into()),
                    Cell::ms(Some(scenario.around.spawn_us as f64)),
                    name,
                    Cell::count(step.requests),
                    failed,
                    retries,
                    p50,
                    p99,
                ],
            );
        }
    }
    table
}
