//! How the pipeline scales: the Universal Scalability Law, the knees, and how far repetitions lie apart.

use super::figure;
use super::name;
use super::table::{Cell, Column, Table};
use analysis::number::grouped;
use analysis::{Estimate, Fit, Report, Spread, Usl};
use stamp::counted;

/// What the levels tell of more load than they had.
#[derive(Debug)]
pub(super) struct Scaling {
    /// The law's parameters, where it was fitted.
    pub(super) law: Option<Table>,
    /// In words: how well it fits and where it leads, or why it was not fitted.
    pub(super) about_law: String,
    /// One sentence for each knee.
    pub(super) knees: Vec<String>,
    /// Each setting over its repetitions, where there are several.
    pub(super) pooled: Option<Table>,
}

impl Scaling {
    pub(super) fn of(report: &Report) -> Self {
        let (law, about_law) = match &report.findings.usl {
            Usl::Fitted(fit) => (Some(parameters(fit)), about(fit)),
            Usl::Refused(reason) => (None, format!("The law was not fitted: {reason}.")),
        };
        Self { law, about_law, knees: knees(report), pooled: pooled(report) }
    }
}

fn parameters(fit: &Fit) -> Table {
    let columns = vec![
        Column::words("parameter", ""),
        Column::of("value", ""),
        Column::of("±\u{a0}standard error", ""),
        Column::words("what it is", ""),
    ];
    let mut table = Table::new("law", "Parameters of the Universal Scalability Law", columns);
    let mut row = |name: &str, Estimate { value, standard_error }: Estimate, about: &str| {
        let number = |value| Cell::number(value, figure::significant(value, 3));
        table.push(None, vec![Cell::text(name), number(value), number(standard_error), Cell::text(about)]);
    };
    row("λ", fit.lambda, "messages a second of one connection alone");
    row("σ, contention", fit.sigma, "the part of the work that is done one after another");
    row("κ, coherency", fit.kappa, "what each pair of connections costs");
    table
}

fn about(fit: &Fit) -> String {
    let explains = format!(
        "X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1)) explains {} of the variance of throughput (R² = {})",
        figure::percent(fit.r_squared),
        grouped(fit.r_squared, 4)
    );
    match (fit.peak_concurrency, fit.peak_per_sec) {
        (Some(at), Some(rate)) => {
            format!(
                "{explains}. Its peak is {} messages/s at {}.",
                grouped(rate, 0),
                counted(grouped(at, 1), "connection")
            )
        }
        _ => format!("{explains}. The data do not tell where its peak is."),
    }
}

fn knees(report: &Report) -> Vec<String> {
    let knee = |knee: &analysis::Knee| {
        let at = name::setting(report, knee.position);
        let share = format!(" (there, or one level beside it, in {} of resamples)", figure::percent(knee.share));
        match knee.of.as_str() {
            "throughput" => format!(
                "Throughput bends at {at}, {} messages/s: more load brings less and less{share}.",
                grouped(knee.value, 0)
            ),
            "arrival_p99" => format!(
                "p99 of arrival latency bends at {at}, {} ms: more load costs more and more{share}.",
                figure::ms(knee.value)
            ),
            other => format!("{other} bends at {at}."),
        }
    };
    let told: Vec<String> = report.findings.knees.iter().map(knee).collect();
    if told.is_empty() && report.levels.len() > 1 {
        return vec!["No knee: no curve bends by more than the noise between its levels.".to_owned()];
    }
    told
}

fn pooled(report: &Report) -> Option<Table> {
    let pooled = &report.findings.pooled;
    if pooled.iter().all(|setting| setting.repetitions < 2) {
        return None;
    }
    let columns = vec![
        Column::words("setting", ""),
        Column::of("repetitions", "how often it was measured"),
        Column::of("delivered /s", "median of the repetitions; least to most"),
        Column::of("arrival p50", "median of the repetitions' medians, ms; least to most"),
        Column::of("arrival p99", "median of the repetitions' p99, ms; least to most"),
        Column::of("p50, together", "of all repetitions' messages together, ms"),
        Column::of("p99, together", "of all repetitions' messages together, ms"),
    ];
    let mut table = Table::new("pooled", "Each setting over its repetitions", columns);
    for setting in pooled {
        let name = setting.position.map_or_else(|| "another program's load".to_owned(), |at| name::setting(report, at));
        let together = |us: Option<u64>| Cell::ms(us.map(|us| us as f64));
        table.push(
            None,
            vec![
                Cell { sort: setting.position, ..Cell::text(name) },
                Cell::count(setting.repetitions as u64),
                spread(setting.delivered_per_sec, |rate| grouped(rate, 0)),
                spread(setting.arrival_p50_us, figure::ms),
                spread(setting.arrival_p99_us, figure::ms),
                together(setting.together_p50_us),
                together(setting.together_p99_us),
            ],
        );
    }
    Some(table)
}

fn spread(spread: Option<Spread>, written: fn(f64) -> String) -> Cell {
    spread.map_or_else(Cell::absent, |Spread { least, median, most }| {
        Cell::number(median, written(median)).note(format!("{}–{}", written(least), written(most)))
    })
}
