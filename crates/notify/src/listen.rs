//! Hears that an experiment has been judged, and tells whoever wants to know.

use crate::post::{WITHIN, post};
use crate::{Address, Message, Targets, slack};
use analysis::Report;
use experiment::{Event, Listener, Telling};
use history::{Prepared, Row};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tells people what happens.
pub type Note = fn(&str);

/// Tells people elsewhere when a run has ended.
#[derive(Debug)]
pub struct Notify {
    targets: Targets,
    folder: PathBuf,
    /// Where the folder of reports can be seen.
    link: Option<String>,
    stop: CancellationToken,
    note: Note,
    /// How long a request may take.
    within: Duration,
    prepared: Option<Prepared>,
}

impl Notify {
    /// Tells `targets`, with what the history in `folder` says of the runs before. `link` is the address under which that folder can be seen; without it
    /// messages name the report's place on this machine. `stop` tells whether the run was ended early. What cannot be sent is told by `note`.
    pub fn new(targets: Targets, folder: &Path, link: Option<String>, stop: &CancellationToken, note: Note) -> Self {
        let (folder, stop) = (folder.to_owned(), stop.clone());
        Self { targets, folder, link, stop, note, within: WITHIN, prepared: None }
    }

    /// Sends a message to all, whenever they want to be told. What fails is a note.
    pub async fn send(&self, message: &Message) {
        if let Some(address) = &self.targets.slack {
            self.post("the Slack webhook", address, &slack::body(message), true).await;
        }
        if let Some(address) = &self.targets.url {
            let name = format!("the address for messages at {}", address.0.host());
            self.post(&name, address, &message.as_json(), false).await;
        }
    }

    async fn post(&self, name: &str, address: &Address, body: &Value, wants_ok: bool) {
        if let Err(error) = Box::pin(post(address, body, wants_ok, self.within)).await {
            (self.note)(&format!("{name} took no message: {error}"));
        }
    }

    /// Where a report is, for people: `report` is its folder, seen from that of all reports. Absent where it could not be written.
    pub fn place(&self, report: &str) -> Option<String> {
        let page = self.folder.join(report).join("report.html");
        let link = self.link.as_ref().map(|link| format!("{}/{report}/report.html", link.trim_end_matches('/')));
        page.exists().then(|| link.unwrap_or_else(|| page.display().to_string()))
    }

    /// The newest run of the same plan on the same host that came before this one; what cannot be read of the history is told where it is shown.
    pub fn before(&self, row: &Row) -> Option<Row> {
        let past = history::read(&self.folder).ok()?;
        let is_before = |other: &Row| {
            other.id != row.id
                && other.plan.name == row.plan.name
                && other.host.id == row.host.id
                && other.time <= row.time
        };
        past.rows.into_iter().rfind(is_before)
    }

    async fn judged(&self, prepared: &Prepared, report: &Report) {
        let row = prepared.row(report, &report.sweep, self.stop.is_cancelled());
        let before = self.before(&row);
        if self.targets.wants(&row, before.as_ref()) {
            let place = self.place(&report.sweep);
            self.send(&Message::of(row, before, report, place)).await;
        }
    }
}

impl Listener for Notify {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            match event {
                Event::Begun { plan, .. } => self.prepared = Some(Prepared::of(plan).await),
                Event::Verdict(report) if !report.levels.is_empty() => {
                    if let Some(prepared) = self.prepared.take() {
                        Box::pin(self.judged(&prepared, report)).await;
                    }
                }
                _ => {}
            }
        })
    }
}

#[cfg(test)]
mod tests;
