//! `history.html`: the trends of each plan as one page that needs nothing else.

use crate::check::Change;
use crate::figure::{about, ordered};
use crate::marks::{before, change, differing, marks, newest};
use crate::newest::{Sentence, check};
use crate::store::HistoryError;
use crate::trend::{BOTTOM, HEIGHT, LEFT, RIGHT, Trend, WIDTH};
use crate::{Figure, Row, Verdict};
use askama::Template;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Component, Path};

/// Its name, beside that of the rows.
pub const PAGE: &str = "history.html";

#[derive(Template)]
#[template(path = "history.html")]
struct Page {
    version: &'static str,
    plans: Vec<Plan>,
    runs: usize,
    notes: Vec<String>,
    frame: Frame,
}

/// What all drawings have in common.
struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
}

/// A plan's part of the page.
struct Plan {
    name: String,
    anchor: String,
    runs: usize,
    host: String,
    versions: String,
    sentences: Vec<(String, &'static str)>,
    trends: Vec<Trend>,
    /// Names of the figures in the table.
    figures: Vec<String>,
    rows: Vec<Line>,
    has_params: bool,
    has_commits: bool,
}

/// A row of a plan's table.
struct Line {
    time: String,
    id: String,
    /// Where its report is; absent where it is gone.
    link: Option<String>,
    kind: String,
    commit: String,
    params: String,
    cells: Vec<(String, String)>,
    verdict: &'static str,
    look: &'static str,
    marks: Vec<&'static str>,
}

/// Writes the page to `file`, or else beside the rows: whole, or not at all. `notes` say what could not be read.
///
/// # Errors
/// When it cannot be written.
pub fn write_page(folder: &Path, rows: &[Row], notes: &[String], file: Option<&Path>) -> Result<(), HistoryError> {
    let path = file.map_or_else(|| folder.join(PAGE), Path::to_owned);
    let fault = |why: String| HistoryError::Page { path: path.clone(), why };
    // Links lead from where the page lies.
    let way = match file.and_then(|file| std::path::absolute(file).ok()?.parent().map(Path::to_owned)) {
        Some(place) if std::path::absolute(folder).is_ok_and(|folder| folder != place) => {
            std::path::absolute(folder).ok()
        }
        _ => None,
    };
    let reports = Reports { folder, way: way.as_deref() };
    let page = render(reports, rows, notes).map_err(|error| fault(error.to_string()))?;
    let name = path.file_name().ok_or_else(|| fault("it has no name".to_owned()))?;
    let partial = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&partial, page).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        fault(error.to_string())
    })
}

fn render(reports: Reports<'_>, rows: &[Row], notes: &[String]) -> Result<String, askama::Error> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.plan.name.as_str()).collect();
    let plans = names.iter().enumerate().map(|(number, name)| Plan::of(name, number, reports, rows)).collect();
    let frame = Frame { width: WIDTH, height: HEIGHT, left: LEFT, right: RIGHT, bottom: BOTTOM };
    let page = Page { version: env!("CARGO_PKG_VERSION"), plans, runs: rows.len(), notes: notes.to_vec(), frame };
    Ok(page.render()? + "\n")
}

impl Plan {
    fn of(name: &str, number: usize, reports: Reports<'_>, all: &[Row]) -> Self {
        let rows: Vec<&Row> = all.iter().filter(|row| row.plan.name == name).collect();
        let all_figures = ordered(rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)));
        // That nothing is ever lost takes no picture.
        let is_telling =
            |name: &&str| rows.iter().any(|row| row.figures.get(*name).is_some_and(|figure| figure.value != 0.0));
        let figures: Vec<&str> = all_figures.into_iter().filter(is_telling).collect();
        let (newest, params) = (newest(&rows), differing(&rows));
        let newest = newest.get(name);
        let line = |(at, row): (usize, &&Row)| Line {
            time: row.minute(),
            id: row.id.clone(),
            link: row.report.as_deref().and_then(|report| reports.link(report)),
            kind: row.kind.clone(),
            commit: row.commit(),
            params: params[at].clone(),
            cells: figures
                .iter()
                .map(|name| {
                    (
                        row.figures.get(*name).map_or_else(|| "n/a".to_owned(), Figure::told),
                        change(name, row, before(&rows, at)),
                    )
                })
                .collect(),
            verdict: row.verdict.word(),
            look: match row.verdict {
                Verdict::Held => "good",
                Verdict::Missed | Verdict::Failed => "bad",
                Verdict::Interrupted => "doubt",
                Verdict::NoneDemanded => "",
            },
            marks: newest.map(|newest| marks(row, newest)).unwrap_or_default(),
        };
        let mut lines: Vec<Line> = rows.iter().enumerate().map(line).collect();
        lines.reverse();
        let judged = check(all, Some(name));
        let look = |change: Change| match change {
            Change::Worse => "bad",
            Change::Better => "good",
            Change::Same => "",
        };
        let told = |sentence: &Sentence| match sentence.of.strip_prefix(name).map(str::trim) {
            Some("") | None => sentence.text.clone(),
            Some(combination) => format!("{combination}: {}", sentence.text),
        };
        Self {
            name: name.to_owned(),
            anchor: format!("plan-{number}"),
            runs: rows.len(),
            host: newest.map(|row| row.host.told()).unwrap_or_default(),
            versions: newest
                .map(|row| {
                    row.versions
                        .iter()
                        .map(|(name, version)| format!("{name} {version}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                })
                .unwrap_or_default(),
            sentences: judged.sentences.iter().map(|sentence| (told(sentence), look(sentence.change))).collect(),
            trends: figures.iter().filter_map(|name| Trend::of(name, &rows, look(judged.change_of(name)))).collect(),
            figures: figures.iter().map(|name| about(name)).collect(),
            has_commits: lines.iter().any(|line| !line.commit.is_empty()),
            has_params: lines.iter().any(|line| !line.params.is_empty()),
            rows: lines,
        }
    }
}

/// Where reports are.
#[derive(Clone, Copy)]
struct Reports<'a> {
    folder: &'a Path,
    /// Their folder as the page sees it; absent where it lies there itself.
    way: Option<&'a Path>,
}

impl Reports<'_> {
    /// The way to a report, where it is still there and lies within the folder.
    fn link(self, report: &str) -> Option<String> {
        let is_within = Path::new(report).components().all(|part| matches!(part, Component::Normal(_)));
        let is_there = |file: &&str| is_within && self.folder.join(report).join(file).is_file();
        let file = ["report.html", "vary.md"].into_iter().find(is_there)?;
        let way = self.way.map_or_else(|| ".".to_owned(), |way| escaped(&way.to_string_lossy()));
        Some(format!("{way}/{}/{file}", escaped(report)))
    }
}

/// A path as a part of an address.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'-' | b'_' | b'.' => escaped.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(escaped, "%{other:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn the_page_is_well_formed_and_needs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows: Vec<Row> = (0..12).map(|number| row("<orders> & \"co\"", number, 38_000.0, 12_000.0)).collect();
        rows[0].host.id = "other".to_owned();
        rows[3].params = [("x".to_owned(), "</title><script>".to_owned())].into();
        fs::create_dir(folder.path().join(&rows[5].id)).unwrap();
        write_page(folder.path(), &rows, &["line 3: no whole row".to_owned()], None).unwrap();
        let html = fs::read_to_string(folder.path().join(PAGE)).unwrap();
        let body = html.replace("<!DOCTYPE html>", "");
        roxmltree::Document::parse(&body).unwrap_or_else(|error| panic!("{error}"));
        assert!(!html.contains("<script") && html.contains("default-src 'none'"));
        assert!(!html.contains("<orders>") && html.contains("line 3"));
        assert!(!html.contains("href=\"./"), "no report is there");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
        write_page(folder.path(), &[], &[], None).unwrap();
    }

    #[test]
    fn links_stay_within_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a b");
        fs::create_dir(&there).unwrap();
        fs::write(there.join("report.html"), "x").unwrap();
        let link = |folder: &Path, report: &str| Reports { folder, way: None }.link(report);
        assert_eq!(link(folder.path(), "a b").as_deref(), Some("./a%20b/report.html"));
        assert_eq!(link(folder.path(), "gone"), None);
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let far = Reports { folder: folder.path(), way: Some(Path::new("/r s")) };
        assert_eq!(far.link("a b").as_deref(), Some("/r%20s/a%20b/report.html"));
        assert_eq!((link(&inner, "../a b"), link(&inner, there.to_str().unwrap())), (None, None));
    }
}
