//! Adds a row for each experiment, once it has been judged.

use crate::{Origin, Row, Verdict, append};
use analysis::Report;
use experiment::{Event, Generator, Listener, Plan, Subject, Telling, Work};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Tells people what happens.
pub type Note = fn(&str);

/// What is known of a run before its load, for the row that comes of it.
#[derive(Debug, Clone)]
pub struct Prepared {
    kind: &'static str,
    subject: Subject,
    text: Option<String>,
    origin: Origin,
}

impl Prepared {
    /// Of a plan that begins now: what is checked out when it ends may be something else.
    pub async fn of(plan: &Plan) -> Self {
        Self { kind: kind(plan), subject: plan.subject.clone(), text: plan.text.clone(), origin: Origin::find().await }
    }

    /// The row of its report; `folder` is that of the report, seen from the history's. `stopped` is whether somebody ended it early.
    pub fn row(&self, report: &Report, folder: &str, stopped: bool) -> Row {
        let kind = if report.settings.keys().any(|name| name.starts_with("param_")) { "vary" } else { self.kind };
        let row = Row::of(report, kind, &self.subject, self.text.as_deref(), &self.origin, folder);
        // A load that was watched ends with Ctrl-C as it should.
        let is_ended = stopped && self.kind != "watch" && row.verdict != Verdict::Failed;
        Row { verdict: if is_ended { Verdict::Interrupted } else { row.verdict }, ..row }
    }
}

/// Listens to an experiment, and adds its row.
pub struct History {
    folder: PathBuf,
    report: String,
    stop: CancellationToken,
    note: Note,
    prepared: Option<Prepared>,
}

impl History {
    /// Adds to the history in `folder`; `report` is the folder of the report, within it. `stop` tells whether the experiment was ended early; what goes wrong
    /// is told by `note`, and ends nothing.
    pub fn new(folder: &Path, report: &Path, stop: &CancellationToken, note: Note) -> Self {
        let report = report.strip_prefix(folder).unwrap_or(report).to_string_lossy().into_owned();
        Self { folder: folder.to_owned(), report, stop: stop.clone(), note, prepared: None }
    }
}

/// What a plan does, in a word.
fn kind(plan: &Plan) -> &'static str {
    match (&plan.generator, &plan.work) {
        (Generator::Other { .. }, _) => "watch",
        _ if plan.search.is_some() => "find",
        (_, Work::Users(_)) => "run",
        (_, Work::Requests(_)) => "sweep",
    }
}

impl Listener for History {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            match event {
                Event::Begun { plan, .. } => self.prepared = Some(Prepared::of(plan).await),
                Event::Verdict(report) if !report.levels.is_empty() => {
                    let Some(prepared) = self.prepared.take() else { return };
                    let row = prepared.row(report, &self.report, self.stop.is_cancelled());
                    if let Err(error) = append(&self.folder, &row) {
                        (self.note)(&error.to_string());
                    }
                }
                _ => {}
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    fn prepared(kind: &'static str) -> Prepared {
        Prepared { kind, subject: Subject::default(), text: None, origin: Origin::default() }
    }

    #[tokio::test]
    async fn a_run_that_was_ended_early_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let report = report_of(&[1, 2]);
        assert_eq!(prepared("run").row(&report, "x", false).verdict, Verdict::NoneDemanded);
        assert_eq!(prepared("run").row(&report, "x", true).verdict, Verdict::Interrupted);
        assert_eq!(prepared("watch").row(&report, "x", true).verdict, Verdict::NoneDemanded);
        // A threshold that ended it was missed, and is what people are told of.
        let mut ended = report.clone();
        (ended.levels[1].load.interrupted_us, ended.levels[1].load.aborted) = (Some(1), Some("lost==0".to_owned()));
        ended.thresholds = vec!["rps<1".parse::<analysis::Threshold>().unwrap().judge(&ended)];
        assert_eq!(prepared("run").row(&ended, "x", false).verdict, Verdict::Missed);
        ended.levels[1].load.aborted = None;
        assert_eq!(prepared("run").row(&ended, "x", false).verdict, Verdict::Interrupted);
        let mut history = History::new(folder.path(), &folder.path().join("x"), &CancellationToken::new(), |_| ());
        history.prepared = Some(prepared("run"));
        history.hear(&Event::Verdict(&report)).await;
        let past = crate::read(folder.path()).unwrap();
        assert_eq!(past.rows[0].report.as_deref(), Some("x"));
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_a_note() {
        static TOLD: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        let note: Note = |told| TOLD.store(told.contains("cannot add"), std::sync::atomic::Ordering::Relaxed);
        let gone = Path::new("/nonexistent/reports");
        let mut history = History::new(gone, &gone.join("x"), &CancellationToken::new(), note);
        history.prepared = Some(prepared("run"));
        history.hear(&Event::Verdict(&report_of(&[1]))).await;
        assert!(TOLD.load(std::sync::atomic::Ordering::Relaxed));
    }
}
