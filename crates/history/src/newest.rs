//! The newest run of each plan beside those before it, in words.

use crate::check::{Change, LEAST, Measured, judge};
use crate::figure::{CAPACITIES, about, ordered};
use crate::marks::in_percent;
use crate::{Better, Figure, Row, Verdict};
use std::collections::BTreeSet;
use std::fmt;

/// Earlier runs that are looked at: older ones tell of another time.
const LOOKS_BACK: usize = 30;

/// What the newest runs tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// A sentence for each plan, and for each figure that has changed.
    pub sentences: Vec<Sentence>,
}

/// One thing that is said of a newest run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The plan, with the combination where it varies parameters.
    pub of: String,
    /// The figure that it is about; absent where it is about none.
    pub figure: Option<String>,
    /// Whether it tells of something worse or better.
    pub change: Change,
    /// In words.
    pub text: String,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.text)
    }
}

impl Judged {
    /// Whether any of the newest runs is worse than those before.
    pub fn is_worse(&self) -> bool {
        self.sentences.iter().any(|sentence| sentence.change == Change::Worse)
    }

    /// What became of a figure; of several combinations the worst counts.
    pub(crate) fn change_of(&self, figure: &str) -> Change {
        let changes =
            || self.sentences.iter().filter(|one| one.figure.as_deref() == Some(figure)).map(|one| one.change);
        if changes().any(|change| change == Change::Worse) {
            Change::Worse
        } else {
            changes().next().unwrap_or(Change::Same)
        }
    }
}

/// Sets the newest run of each plan, or of one, beside the earlier runs of the same kind, with the same parameters, on the same host.
pub fn check(rows: &[Row], plan: Option<&str>) -> Judged {
    let names: BTreeSet<&str> =
        rows.iter().map(|row| row.plan.name.as_str()).filter(|name| plan.is_none_or(|plan| plan == *name)).collect();
    let mut judged = Judged::default();
    for name in names {
        let of_plan: Vec<&Row> = rows.iter().filter(|row| row.plan.name == name).collect();
        let newest = newest(&of_plan);
        for (row, earlier) in &newest {
            judged.add(row, earlier, newest.len());
        }
    }
    judged
}

/// The newest run of a plan, or all of the newest that varies parameters, each with what came before it, the newest last.
fn newest<'a>(rows: &[&'a Row]) -> Vec<(&'a Row, Vec<&'a Row>)> {
    let Some(last) = rows.last() else { return Vec::new() };
    let group =
        |row: &Row| if row.kind == "vary" { row.id.rsplit_once('.').map(|(group, _)| group.to_owned()) } else { None };
    let of_group = group(last);
    let is_newest = |row: &Row| row.id == last.id || of_group.is_some() && group(row) == of_group;
    let mut newest: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| is_newest(row)) {
        let like = |other: &&&Row| other.series() == row.series() && other.host.id == row.host.id;
        let earlier: Vec<&Row> = rows[..at].iter().filter(like).copied().filter(|row| row.verdict.is_whole()).collect();
        // Of repetitions the last one stands for all.
        newest.retain(|(other, _)| other.series() != row.series());
        newest.push((*row, earlier[earlier.len().saturating_sub(LOOKS_BACK)..].to_vec()));
    }
    newest
}

impl Judged {
    /// Judges a run beside earlier ones; `of` such runs share the probability of a false alarm.
    fn add(&mut self, row: &Row, earlier: &[&Row], of: usize) {
        let name = name(row);
        match (row.verdict, earlier.len()) {
            (Verdict::Failed, 1..) => {
                let text = format!("the newest run ({}) failed, and those before it did not", row.id);
                return self.say(&name, None, Change::Worse, text);
            }
            (Verdict::Failed | Verdict::Interrupted, _) => {
                let text = format!("the newest run ({}) was {}: it cannot be judged", row.id, told(row.verdict));
                return self.say(&name, None, Change::Same, text);
            }
            _ => {}
        }
        let said = self.sentences.len();
        self.look_at_lost(&name, row, earlier);
        if earlier.len() < LEAST {
            let text = format!(
                "cannot tell yet: it has {} of the {LEAST} earlier runs that it takes, on this host with these parameters",
                earlier.len()
            );
            return self.say(&name, None, Change::Same, text);
        }
        let names = ordered(row.figures.keys().map(String::as_str));
        let known: Vec<(&str, &Figure, Vec<Measured>)> = names
            .into_iter()
            .filter(|name| *name != "lost")
            .map(|figure| (figure, &row.figures[figure], before(figure, row, earlier)))
            .filter(|(.., before)| before.len() >= LEAST)
            .collect();
        for (figure, newest, before) in &known {
            let judged =
                measured(newest).and_then(|newest_is| judge(newest_is, before, newest.better, known.len() * of));
            let Some(judged) = judged else { continue };
            let word = match judged.change {
                Change::Same => continue,
                Change::Worse => "worse",
                Change::Better => "better",
            };
            let at = newest.level.as_ref().map_or_else(String::new, |level| format!(" at {level}"));
            let end = if (newest.better == Better::Higher) == (judged.change == Change::Worse) {
                format!("at least {}", newest.shown(judged.expected.0))
            } else {
                format!("at most {}", newest.shown(judged.expected.1))
            };
            let text = format!(
                "{}{at} is {word}: {} → {} ({}); expected of a new run: {end}, from {} earlier runs",
                about(figure),
                newest.shown(judged.before),
                newest.shown(newest.value),
                in_percent(newest.value / judged.before),
                before.len(),
            );
            self.say(&name, Some(figure), judged.change, text);
        }
        let gone = |name: &&str| earlier.last()?.figures.get(*name).filter(|_| !row.figures.contains_key(*name));
        if let Some(last) = CAPACITIES.iter().find_map(gone) {
            let before = last.told();
            let text = format!("capacity was {before}, and was not found this time: no level held, or all did");
            self.say(&name, None, Change::Same, text);
        }
        if self.sentences.len() == said {
            let text = format!("as before, as far as {} earlier runs can tell", earlier.len());
            return self.say(&name, None, Change::Same, text);
        }
        if let Some(told) = earlier.last().and_then(|last| circumstances(row, last)) {
            self.say(&name, None, Change::Same, format!("meanwhile {told}"));
        }
    }

    /// What was lost is not compared by its size: none is what is right.
    fn look_at_lost(&mut self, name: &str, row: &Row, earlier: &[&Row]) {
        let lost = |row: &Row| row.figures.get("lost").map(|figure| figure.value);
        if let (Some(now), Some(before)) = (lost(row), earlier.last().and_then(|last| lost(last)))
            && before <= 0.0
            && now > 0.0
        {
            self.say(name, Some("lost"), Change::Worse, format!("lost messages: 0 → {now:.0}; expected: none"));
        }
    }

    fn say(&mut self, of: &str, figure: Option<&str>, change: Change, text: String) {
        let figure = figure.map(str::to_owned);
        self.sentences.push(Sentence { of: of.to_owned(), figure, change, text });
    }
}

fn told(verdict: Verdict) -> &'static str {
    if verdict == Verdict::Failed { "a failure" } else { "interrupted" }
}

/// A run's plan, and its combination where it is one of many.
fn name(row: &Row) -> String {
    let combination = row.combination.iter().flatten().map(|(name, value)| format!(" {name}={value}"));
    row.plan.name.clone() + &combination.collect::<String>()
}

/// A figure of earlier runs, as far as it can be set beside the newest.
fn before(name: &str, row: &Row, earlier: &[&Row]) -> Vec<Measured> {
    let newest = row.figures.get(name);
    let is_like = |figure: &&Figure| newest.is_some_and(|newest| newest.is_comparable(figure));
    let of = |other: &&Row| other.figures.get(name).filter(is_like).and_then(measured);
    earlier.iter().filter_map(of).collect()
}

fn measured(figure: &Figure) -> Option<Measured> {
    (figure.value > 0.0).then(|| Measured { value: figure.value, interval: figure.low.zip(figure.high) })
}

/// What else has changed since the run before.
fn circumstances(row: &Row, before: &Row) -> Option<String> {
    let mut told: Vec<String> = row
        .versions
        .iter()
        .filter_map(|(name, version)| Some((name, version, before.versions.get(name)?)))
        .filter(|(_, version, before)| version != before)
        .map(|(name, version, before)| format!("{name} {before} → {version}"))
        .collect();
    if row.plan.hash != before.plan.hash {
        told.push("the plan's text was changed".to_owned());
    }
    if row.git != before.git {
        told.push(format!("commit {} → {}", or_none(&before.commit()), or_none(&row.commit())));
    }
    (!told.is_empty()).then(|| told.join(", "))
}

fn or_none(commit: &str) -> &str {
    if commit.is_empty() { "none" } else { commit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::near;
    use crate::row::tests::row;
    use load::SplitMix;

    fn told(judged: &Judged) -> String {
        judged.sentences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn history(seed: u64, sd: f64, runs: u64) -> Vec<Row> {
        let mut random = SplitMix::new(seed);
        let mut rows: Vec<Row> = (0..runs)
            .map(|number| row("orders", number, near(&mut random, 38_000.0, sd), near(&mut random, 12_000.0, sd)))
            .collect();
        for figure in ["arrival_p50_us", "http_p99_us", "requests_per_sec", "cpu_us_per_message"] {
            for row in &mut rows {
                if let Some(figure) = row.figures.get_mut(figure) {
                    (figure.value, figure.low, figure.high) = (near(&mut random, 1000.0, sd), None, None);
                }
            }
        }
        rows
    }

    #[test]
    fn chance_is_no_alarm() {
        for sd in [0.02, 0.05, 0.1, 0.15] {
            for seed in 0..20 {
                let judged = check(&history(seed, sd, 10), None);
                assert!(!judged.is_worse(), "sd {sd}, seed {seed}: {:?}", judged.sentences);
            }
        }
    }

    #[test]
    fn a_slower_pipeline_is_found() {
        for seed in 0..20 {
            let mut rows = history(seed, 0.05, 10);
            let last = rows.last_mut().unwrap();
            last.figures.get_mut("arrival_p99_us").unwrap().value *= 3.0;
            last.figures.get_mut("capacity").unwrap().value *= 0.7;
            let judged = check(&rows, Some("orders"));
            assert!(judged.is_worse(), "seed {seed}: {:?}", judged.sentences);
        }
    }

    #[test]
    fn what_is_said() {
        let mut rows: Vec<Row> = (0..6).map(|number| row("orders", number, 38_000.0, 12_000.0)).collect();
        let last = rows.last_mut().unwrap();
        last.figures.get_mut("arrival_p99_us").unwrap().value = 36_000.0;
        last.figures.get_mut("lost").unwrap().value = 7.0;
        last.figures.get_mut("capacity").unwrap().value = 76_000.0;
        last.versions.insert("redis".to_owned(), "8.0.0".to_owned());
        rows.push(row("parcels", 7, 1.0, 1.0));
        let mut failed = row("teas", 9, 1.0, 1.0);
        failed.verdict = Verdict::Failed;
        rows.extend([row("teas", 8, 1.0, 1.0), failed]);
        let mut ended = row("ztop", 9, 1.0, 1.0);
        ended.verdict = Verdict::Interrupted;
        rows.push(ended);
        let judged = check(&rows, None);
        assert!(judged.is_worse() && judged.sentences.iter().any(|one| one.change == Change::Better));
        insta::assert_snapshot!(told(&judged));
        assert!(check(&rows, Some("parcels")).sentences[0].text.contains("cannot tell yet"));
        assert_eq!(check(&rows, Some("none")), Judged::default());
    }

    #[test]
    fn a_search_that_was_ended_sooner_is_no_worse_and_one_whose_lowest_load_fails_is() {
        let newest = |low: Option<f64>, high: Option<f64>| {
            let mut rows: Vec<Row> = (0..6).map(|number| row("orders", number, 38_000.0, 12_000.0)).collect();
            let capacity = rows[5].figures.get_mut("capacity").unwrap();
            (capacity.value, capacity.low, capacity.high) = (10_000.0, low, high);
            check(&rows, None).is_worse()
        };
        assert!(!newest(Some(10_000.0), None) && newest(None, Some(10_000.0)));
    }

    #[test]
    fn other_hosts_other_parameters_and_other_levels_are_not_compared() {
        let rows = |change: fn(&mut Row)| {
            let mut rows: Vec<Row> = (0..6).map(|number| row("orders", number, 38_000.0, 12_000.0)).collect();
            let last = rows.last_mut().unwrap();
            last.figures.get_mut("arrival_p99_us").unwrap().value = 36_000.0;
            change(last);
            check(&rows, None).is_worse()
        };
        assert!(rows(|_| ()));
        assert!(!rows(|row| row.host.id = "other".to_owned()));
        assert!(!rows(|row| drop(row.params.insert("n".to_owned(), "2".to_owned()))));
        assert!(!rows(|row| row.figures.get_mut("arrival_p99_us").unwrap().level = Some("c=40".to_owned())));
        assert!(rows(|row| drop(row.versions.insert("redis".to_owned(), "9".to_owned()))));
    }

    #[test]
    fn all_combinations_of_the_newest_vary_are_judged() {
        let mut rows = Vec::new();
        for number in 0..6 {
            for workers in ["1", "4"] {
                let mut row = row("orders", number, 38_000.0, 12_000.0);
                (row.kind, row.id) = ("vary".to_owned(), format!("v{number}.{workers}"));
                row.combination = Some([("workers".to_owned(), workers.to_owned())].into());
                if number == 5 && workers == "1" {
                    row.figures.get_mut("arrival_p99_us").unwrap().value = 90_000.0;
                }
                rows.push(row);
            }
        }
        let judged = check(&rows, None);
        assert!(judged.is_worse());
        let told = told(&judged);
        assert!(
            told.contains("orders workers=1: arrival p99") && told.contains("orders workers=4: as before"),
            "{told}"
        );
    }
}
