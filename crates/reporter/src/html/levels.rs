//! The table of levels: one row a level, with a switch for the pictures.

use super::figure;
use super::name;
use super::table::{Cell, Column, Table};
use analysis::number::grouped;
use analysis::{Http, Level, Percentile, Report};

/// What every level measured.
pub(super) fn table(report: &Report) -> Table {
    let position = match (report.is_by_rate(), report.has_users()) {
        (true, _) => "rate /s",
        (false, true) => "users",
        (false, false) => "connections",
    };
    let mut columns = vec![
        Column::words(position, "what the load generator did at this level"),
        Column::of("delivered /s", "messages that arrived a second, until the last one had arrived"),
        Column::of("accepted /s", "requests answered with 2xx a second"),
        Column::of("HTTP mean", "mean time from the intended send to the whole answer, ms"),
    ];
    let arrival = "arrival latency of all messages, in flight ones included, ms";
    columns.extend(["arrival p50", "p90", "p95", "p99", "p99.9"].map(|percentile| Column::of(percentile, arrival)));
    columns.extend([
        Column::of("max", "the longest arrival latency among the sampled messages, ms"),
        Column::of("lost", "messages taken in that never arrived"),
        Column::of("in flight", "messages still on their way at the cut-off"),
        Column::of("late", "messages that arrived after the cut-off"),
        Column::of("duplicates", "arrivals of messages that had arrived before"),
        Column::of("backlog", "messages in the Redis queue when the load ended"),
        Column::of("drain", "from the end of the load until the last message had arrived, ms"),
        Column::words("stability", "whether the pipeline kept up with the load"),
    ]);
    let repeated = report.levels.iter().any(|level| level.load.repeat > 1);
    if repeated {
        columns.insert(1, Column::of("repeat", "which repetition of its setting"));
    }
    let mut table = Table::new(
        "level-table",
        "Every level: rates, arrival latency in ms, and what became of the messages",
        columns,
    );
    table.switches = true;
    for (index, level) in report.levels.iter().enumerate() {
        table.push(Some(index), row(report, level, repeated));
    }
    table
}

fn row(report: &Report, level: &Level, repeated: bool) -> Vec<Cell> {
    let Level { load, arrival, books, .. } = level;
    let http = load.http.as_ref();
    let head = Cell { sort: load.position(), ..Cell::text(name::short(load)) };
    let mut row = vec![
        head.tags(name::marks(level)).hint(name::level(report, level)),
        Cell::rate(level.delivered_per_sec()),
        accepted(http),
        Cell::ms(http.and_then(|http| http.mean_us)),
    ];
    if repeated {
        row.insert(1, Cell::count(u64::from(load.repeat)));
    }
    row.extend(Percentile::ALL.map(|of| Cell::percentile((arrival.percentile(of), arrival.interval(of)))));
    row.extend([
        Cell::whole_ms(arrival.max_us),
        Cell::balance(books.lost).bad_unless_zero(),
        Cell::count(books.in_flight).bad_unless_zero(),
        Cell::count(books.late).bad_unless_zero(),
        Cell::count(books.duplicates).bad_unless_zero(),
        load.backlog.map_or_else(Cell::absent, Cell::count),
        Cell::ms(load.drain_us.map(|us| us as f64)),
        stability(level),
    ]);
    row
}

fn accepted(http: Option<&Http>) -> Cell {
    let cell = Cell::rate(http.and_then(Http::accepted_per_sec));
    match http.map(Http::failed) {
        Some(failed) if failed > 0 => cell.note(format!("{} failed", grouped(failed as f64, 0))),
        _ => cell,
    }
}

/// In words: steady, or why not.
fn stability(level: &Level) -> Cell {
    let reasons: Vec<&str> =
        [&level.stability.unstable, &level.load.generator_limited].into_iter().flatten().map(String::as_str).collect();
    let growing = match &level.stability.growing {
        Some(stage) => format!(
            "{} messages/s gather on the way to {stage}",
            figure::significant(level.stability.growth_per_sec, 3)
        ),
        None => String::new(),
    };
    let marks = name::marks(level);
    let word = if level.stability.unstable.is_some() { "" } else { "steady" };
    let unknown = level.arrival.count == 0 && marks.is_empty();
    if unknown {
        return Cell::absent();
    }
    Cell::text(word).tags(marks).note(reasons.join("; ")).hint(growing)
}
