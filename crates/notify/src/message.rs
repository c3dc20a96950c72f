//! What is told of a run. Pure.

use analysis::Report;
use history::{CAPACITIES, Row, Verdict};
use serde_json::{Value, json};

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The run.
    pub row: Row,
    /// The one before it: the newest of the same plan on the same host.
    pub before: Option<Row>,
    /// What gives way first, in a sentence.
    pub weakest: Option<String>,
    /// The report: where it lies, or an address that leads to it; absent where it could not be written.
    pub place: Option<String>,
}

impl Message {
    /// What is told of a report.
    pub fn of(row: Row, before: Option<Row>, report: &Report, place: Option<String>) -> Self {
        Self { row, before, weakest: weakest(report), place }
    }

    /// In one line.
    pub fn title(&self) -> String {
        let verdict = match self.row.verdict {
            Verdict::NoneDemanded => "done",
            verdict => verdict.word(),
        };
        format!("{}: {verdict}", self.row.plan.name)
    }

    /// The rest, the most important first.
    pub fn sentences(&self) -> Vec<String> {
        let figure = |name: &str, label: &str| {
            let told = |row: &Row| row.figures.get(name).map(history::Figure::told);
            match (self.before.as_ref().map(told), told(&self.row)) {
                (Some(Some(before)), Some(now)) => Some(format!("{label}: {before} → {now}")),
                (Some(Some(before)), None) => Some(format!("{label}: {before} → not found")),
                (_, Some(now)) => Some(format!("{label}: {now}")),
                (_, None) => None,
            }
        };
        let lost = self.row.figures.get("lost").map(|lost| lost.value).filter(|lost| *lost > 0.0);
        let changed = self.changed_params();
        let changed: Vec<String> = changed.iter().map(|(name, then, now)| format!("{name}: {then} → {now}")).collect();
        let was = self.before.as_ref().map(|before| before.verdict).filter(|verdict| *verdict != self.row.verdict);
        let sentences = [
            was.map(|was| format!("Before: {}", was.word())),
            lost.map(|lost| format!("Lost messages: {lost:.0}")),
            figure(CAPACITIES[0], "Capacity"),
            figure(CAPACITIES[1], "Capacity"),
            figure("arrival_p99_us", "Arrival p99"),
            self.weakest.clone(),
            (!changed.is_empty()).then(|| format!("Parameters changed: {}", changed.join(", "))),
            self.before.is_none().then(|| "The first run of this plan on this host".to_owned()),
        ];
        sentences.into_iter().flatten().collect()
    }

    /// Parameters that differ from the run before: name, then, and now.
    fn changed_params(&self) -> Vec<(String, String, String)> {
        let Some(before) = &self.before else { return Vec::new() };
        let value = |row: &Row, name: &str| row.params.get(name).cloned().unwrap_or_else(|| "none".to_owned());
        let mut names: Vec<&String> = self.row.params.keys().chain(before.params.keys()).collect();
        names.sort();
        names.dedup();
        let pairs = names.into_iter().map(|name| (name.clone(), value(before, name), value(&self.row, name)));
        pairs.filter(|(_, then, now)| then != now).collect()
    }

    /// When, at which commit, and where.
    pub(crate) fn about(&self) -> String {
        let commit = self.row.commit();
        let commit = if commit.is_empty() { commit } else { format!(" · commit {commit}") };
        format!("{} · {}{commit} · {}", self.row.id, self.row.time, self.row.host.name)
    }

    /// As plain JSON.
    pub(crate) fn as_json(&self) -> Value {
        let params: serde_json::Map<String, Value> =
            self.changed_params().into_iter().map(|(name, then, now)| (name, json!([then, now]))).collect();
        json!({
            "version": 1,
            "text": std::iter::once(self.title()).chain(self.sentences()).collect::<Vec<_>>().join("\n"),
            "run": self.row,
            "before": self.before,
            "weakest": self.weakest,
            "changed_params": params,
            "report": self.place,
        })
    }
}

/// What gives way first.
fn weakest(report: &Report) -> Option<String> {
    let weakest = report.findings.weakest.as_ref()?;
    let busy = weakest.saturated.as_ref().map(|component| format!("; {component} is busy")).unwrap_or_default();
    Some(format!("Gives way first: {} → {} ({}{busy})", weakest.from, weakest.hop, weakest.why(report)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use analysis::fixture::report_of;
    use experiment::Subject;
    use history::{Better, Figure, Origin};

    /// A row with this capacity and verdict.
    pub(crate) fn row(capacity: f64, verdict: Verdict) -> Row {
        let report = report_of(&[1, 4, 20]);
        let subject = Subject { name: "orders <&> more".to_owned(), params: [("n".to_owned(), "4".to_owned())].into() };
        let mut row = Row::of(&report, "run", &subject, None, &Origin::default(), "x");
        row.verdict = verdict;
        let (low, high) = (Some(capacity * 0.98), Some(capacity * 1.02));
        let unit = "/s".to_owned();
        row.figures.insert(
            "capacity".to_owned(),
            Figure { value: capacity, low, high, unit, better: Better::Higher, level: None },
        );
        row
    }

    /// A message in which everything is told.
    pub(crate) fn message() -> Message {
        let mut before = row(40_000.0, Verdict::Held);
        before.params.insert("n".to_owned(), "2".to_owned());
        let report = report_of(&[1, 4, 20]);
        Message::of(row(30_000.0, Verdict::Missed), Some(before), &report, Some("reports/x/report.html".to_owned()))
    }

    #[test]
    fn what_is_told() {
        let message = message();
        assert_eq!(message.title(), "orders <&> more: missed");
        insta::assert_snapshot!(message.sentences().join("\n"));
        let first = Message { before: None, ..message };
        assert!(first.sentences().contains(&"Capacity: 30,000/s (29,400 to 30,600)".to_owned()));
        assert_eq!(first.as_json()["before"], Value::Null);
    }
}
