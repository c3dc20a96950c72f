//! What a person at the terminal sees of a sweep: progress, the table of levels, the verdict.

use super::closing;
use super::table::{heading, row, spread_table, stamping_table};
use crate::output;
use crate::progress::Progress;
use analysis::{Level, Report};
use experiment::{Event, Listener, Plan, Telling};
use load::LIVE_PERIOD;

/// The terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    progress: Progress,
    /// Levels as JSON, for scripts, and not as a table.
    json: bool,
    verbose: bool,
}

impl Screen {
    /// For this plan, with each level as a line of JSON, or in a table; `verbose` shows what the stamps are worth.
    pub(crate) fn new(plan: &Plan, json: bool, verbose: bool) -> Self {
        let levels = u32::try_from(plan.levels.len()).unwrap_or(u32::MAX);
        let progress = Progress::new(plan.shape.duration.saturating_add(plan.warmup).saturating_mul(levels));
        Self { progress, json, verbose }
    }

    fn level(&self, level: &Level) {
        if !self.json {
            return output::result(&row(level));
        }
        // It has no maps with other keys than texts, nor numbers that JSON lacks.
        if let Ok(line) = serde_json::to_string(level) {
            output::result(&line);
        }
    }

    fn verdict(&self, report: &Report) {
        self.progress.finish();
        if report.levels.is_empty() {
            output::note("no level was finished: there is no report");
        } else {
            if report.levels.iter().any(|level| level.load.repeat > 1) && !self.json {
                output::result(&spread_table(report));
            }
            if self.verbose {
                output::note(&stamping_table(report));
            }
            output::note("");
            for sentence in closing::sentences(report) {
                output::note(&sentence);
            }
        }
        if let Some(table) = report.thresholds_table() {
            output::note(&table);
        }
    }
}

impl Listener for Screen {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        match event {
            Event::Begun { .. } if !self.json => output::result(&heading()),
            Event::Warning(warning) => output::note(&format!("warning: {warning}")),
            Event::WarmUp(setting) => self.progress.stage(format!("{setting}, warm-up")),
            Event::LevelBegun { number, of, setting, .. } => {
                self.progress.stage(format!("{setting}, level {number} of {of}"));
            }
            Event::Tick(live) => self.progress.live(live, LIVE_PERIOD),
            Event::Draining(setting) => self.progress.stage(format!("{setting}, draining")),
            Event::GivenUp { run, why } => {
                output::note(&format!("{run}: not every accepted message has arrived, and {why}"));
            }
            Event::LevelEnded { level, .. } => self.level(level),
            Event::Verdict(report) => self.verdict(report),
            _ => {}
        }
        Box::pin(async {})
    }
}
