//! Keeps the report in files, level by level.

use crate::output;
use analysis::Report;
use experiment::{Event, Listener, Telling};
use reporter::{Judge, Output, OutputError};

/// The folder of the report, and the file of the verdicts.
#[derive(Debug)]
pub(crate) struct Files {
    output: Output,
    /// The plan file that repeats it, until it is written.
    plan: Option<String>,
    judge: Option<Judge>,
    /// Why the report could not be written when it was tried last.
    unwritten: Option<OutputError>,
    /// Why the verdicts could not.
    unjudged: Option<anyhow::Error>,
}

impl Files {
    pub(crate) fn new(output: Output, judge: Judge, plan: Option<String>) -> Self {
        Self { output, plan, judge: Some(judge), unwritten: None, unjudged: None }
    }

    /// Removes the folder if nothing is in it.
    pub(crate) fn discard_empty(&self) {
        self.output.discard_empty();
    }

    /// What could not be written in the end.
    pub(crate) fn failed(self) -> Option<anyhow::Error> {
        self.unwritten.map(Into::into).or(self.unjudged)
    }

    fn write(&mut self, report: &Report) {
        let before = self.unwritten.take();
        if let Err(error) = self.output.write(report) {
            // The next levels are measured all the same: it may be mended by then.
            if before.is_none() {
                output::note(&error.to_string());
            }
            self.unwritten = Some(error);
        }
        let file = self.output.folder().join(reporter::PLAN_FILE);
        if let Some(plan) = self.plan.take()
            && let Err(error) = std::fs::write(&file, plan)
        {
            output::note(&format!("cannot write {}: {error}", file.display()));
        }
    }

    /// Where the report is.
    fn tell(&self) {
        let page = self.output.folder().join("report.html");
        if page.exists() {
            self.output.note().as_deref().map(output::note);
            output::note(&format!("report: {}", page.display()));
        }
    }

    fn conclude(&mut self, report: &Report) {
        if !report.levels.is_empty()
            && (!report.thresholds.is_empty() || report.search.is_some() || self.unwritten.is_some())
        {
            self.write(report);
        }
        self.unjudged = self.judge.take().and_then(|judge| judge.save(report).err()).map(Into::into);
        self.discard_empty();
    }
}

impl Listener for Files {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        match event {
            Event::LevelEnded { report, .. } => self.write(report),
            Event::Verdict(report) => self.conclude(report),
            Event::Ended => self.tell(),
            _ => {}
        }
        Box::pin(async {})
    }
}
