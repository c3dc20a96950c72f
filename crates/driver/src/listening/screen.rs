//! What a person at the terminal sees of a sweep: progress, the table of levels, the verdict.

use super::closing;
use super::table::{heading, row, spread_table, stamping_table};
use super::trials::{answer, trial_heading, trial_row};
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
    /// Where results go.
    print: fn(&str),
    /// Levels are trials, and the answer comes at the end.
    is_search: bool,
}

/// What levels are to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Told {
    /// The result.
    #[default]
    Result,
    /// Progress: the result is of several runs together.
    Progress,
    /// The same, where whoever runs it adds the result to the history.
    Part,
}

/// Trials that a search takes, more or less: for the bar alone.
const USUAL_TRIALS: u32 = 20;

impl Screen {
    /// For this plan, with each level as a line of JSON, or in a table; `verbose` shows what the stamps are worth, and `told` says where.
    pub(crate) fn new(plan: &Plan, json: bool, verbose: bool, told: Told) -> Self {
        let (levels, each) = match &plan.search {
            // How many trials there will be is not known.
            Some(search) => (USUAL_TRIALS, search.trial),
            None => (u32::try_from(plan.levels.len()).unwrap_or(u32::MAX), plan.shape.duration),
        };
        let progress = Progress::new(each.saturating_add(plan.warmup).saturating_mul(levels));
        Self {
            progress,
            json,
            verbose,
            print: if told == Told::Result { output::result } else { output::note },
            is_search: plan.search.is_some(),
        }
    }

    fn level(&self, level: &Level, report: &Report) {
        let trial = report.search.as_ref().and_then(|search| search.trials.last());
        let trial = trial.filter(|trial| trial.run == level.load.run.as_str());
        if self.is_search {
            return output::note(&trial_row(level, trial));
        }
        if !self.json {
            return (self.print)(&row(level));
        }
        if let Ok(line) = serde_json::to_string(level) {
            (self.print)(&line);
        }
    }

    fn verdict(&self, report: &Report) {
        self.progress.finish();
        if let Some(search) = &report.search {
            let json = || answer(search).to_string();
            (self.print)(&if self.json { json() } else { search.sentence() });
            search.not_monotonic.iter().for_each(|told| output::note(told));
        }
        if report.levels.is_empty() {
            output::note("no level was finished: there is no report");
        } else {
            let is_repeated = report.levels.iter().any(|level| level.load.repeat > 1);
            if is_repeated && !self.json && !self.is_search {
                (self.print)(&spread_table(report));
            }
            if self.verbose {
                output::note(&stamping_table(report));
            }
            output::note("");
            // A search has printed its answer.
            let answered = usize::from(report.search.is_some() && !self.json);
            for sentence in closing::sentences(report).into_iter().skip(answered) {
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
            Event::Begun { .. } if self.is_search => output::note(&trial_heading()),
            Event::Begun { .. } if !self.json => (self.print)(&heading()),
            Event::Waiting(waiting) => output::note(waiting),
            Event::Warning(warning) => output::note(&format!("warning: {warning}")),
            Event::PartLost(lost) => {
                output::note(&format!("{lost}: the load ends; what can be measured is kept"));
            }
            Event::WarmUp(setting) => self.progress.stage(format!("{setting}, warm-up")),
            Event::LevelBegun { number, of, setting, .. } => {
                let (what, of) = if self.is_search { ("trial", String::new()) } else { ("level", format!(" of {of}")) };
                self.progress.stage(format!("{setting}, {what} {number}{of}"));
            }
            Event::Tick(live) => self.progress.live(live, LIVE_PERIOD),
            Event::Draining(setting) => self.progress.stage(format!("{setting}, draining")),
            Event::GivenUp { run, why } => {
                output::note(&format!("{run}: not every accepted message has arrived, and {why}"));
            }
            Event::LevelEnded { level, report } => self.level(level, report),
            Event::Verdict(report) => self.verdict(report),
            _ => {}
        }
        Box::pin(async {})
    }
}
