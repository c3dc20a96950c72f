//! The history as a table for the terminal.

use crate::Row;
use crate::figure::{CAPACITIES, about, ordered};
use crate::marks::{before, change, differing, marks, newest};
use analysis::aligned;
use analysis::number::NOT_AVAILABLE;

/// What is shown unless a figure is named; of runs that have neither, the first ones that they have.
const USUAL: [&str; 3] = [CAPACITIES[0], CAPACITIES[1], "arrival_p99_us"];

/// The last rows, the newest at the end, with one figure or the usual ones; `rows` may be of several plans.
pub fn table(rows: &[Row], figure: Option<&str>, last: usize) -> String {
    let rows: Vec<&Row> = rows.iter().collect();
    let (newest, params) = (newest(&rows), differing(&rows));
    let figures: Vec<&str> = figure.map_or_else(|| usual(&rows), |figure| vec![figure]);
    let begin = rows.len().saturating_sub(last);
    let mut lines = vec![heading(&figures)];
    for (at, row) in rows.iter().enumerate().skip(begin) {
        let mut line = vec![row.minute(), row.plan.name.clone(), row.commit(), params[at].clone()];
        for name in &figures {
            line.push(row.figures.get(*name).map_or_else(|| NOT_AVAILABLE.to_owned(), crate::Figure::told));
            line.push(change(name, row, before(&rows, at)));
        }
        line.push(row.verdict.word().to_owned());
        line.push(newest.get(row.plan.name.as_str()).map(|newest| marks(row, newest).join(", ")).unwrap_or_default());
        // Names may hold anything, and a row is a line.
        for cell in &mut line {
            *cell = cell.replace(char::is_control, " ");
        }
        lines.push(line);
    }
    laid_out(&lines)
}

fn usual<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let all = ordered(rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)));
    let usual: Vec<&str> = all.iter().copied().filter(|name| USUAL.contains(name)).collect();
    if usual.is_empty() { all.into_iter().take(USUAL.len()).collect() } else { usual }
}

fn heading(figures: &[&str]) -> Vec<String> {
    let names = ["time (UTC)", "plan", "commit", "parameters"].map(str::to_owned).into_iter();
    let figures = figures.iter().flat_map(|name| [about(name), "change".to_owned()]);
    names.chain(figures).chain(["verdict".to_owned(), String::new()]).collect()
}

/// Without the columns in which nothing stands.
fn laid_out(lines: &[Vec<String>]) -> String {
    let is_used = |column: &usize| lines.iter().skip(1).any(|line| !line[*column].is_empty());
    let used: Vec<usize> = (0..lines[0].len()).filter(is_used).collect();
    let line = |line: &Vec<String>| used.iter().map(|&column| line[column].clone()).collect();
    aligned(&lines.iter().map(line).collect::<Vec<Vec<String>>>(), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn the_newest_rows_at_the_end() {
        let mut rows = [
            row("orders", 1, 30_000.0, 12_000.0),
            row("orders", 3, 38_000.0, 12_300.0),
            row("orders", 4, 37_000.0, 12_100.0),
            row("parcels", 5, 1_000.0, 900.0),
        ];
        rows[0].host.id = "other".to_owned();
        rows[3].figures.remove("capacity");
        insta::assert_snapshot!(table(&rows, None, 20));
        insta::assert_snapshot!(table(&rows, Some("arrival_p99_us"), 2));
        assert_eq!(table(&[], None, 20), "");
        rows[0].plan.name = "two\nlines\u{1b}[31m".to_owned();
        assert_eq!(table(&rows, None, 20).lines().count(), 5);
        for row in &mut rows {
            row.figures.retain(|name, _| name == "lost");
        }
        assert!(table(&rows, None, 20).contains("lost messages"));
    }
}
