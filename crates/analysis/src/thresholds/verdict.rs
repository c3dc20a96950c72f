//! Whether thresholds hold, and by how much. Pure.

use super::grammar::{Place, Threshold};
use super::measure::Metric;
use crate::{Ended, Found, Level, Report};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One threshold, held against a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdVerdict {
    /// The threshold as it was written, without spaces.
    pub threshold: String,
    /// Whether it held everywhere. What was not measured holds nowhere.
    pub held: bool,
    /// The value that is furthest from holding; µs where `is_time`. Absent where nothing was measured.
    pub measured: Option<f64>,
    /// Whether the value is a time.
    pub is_time: bool,
    /// The level that had this value: `c=20`, `r=5000`, or a run, or `every level`; absent where the figure is of the whole sweep.
    pub at: Option<String>,
    /// What was not measured, and why; absent where everything was.
    pub not_measured: Option<String>,
}

impl Threshold {
    /// Holds it against a finished report.
    pub fn judge(&self, report: &Report) -> ThresholdVerdict {
        let values = match (&self.metric, self.levels(report)) {
            (Metric::Capacity, _) => vec![(None, Metric::of_sweep(report))],
            (_, Err(why)) => vec![(None, Err(why))],
            (_, Ok(levels)) => levels
                .into_iter()
                .map(|level| (Some(name(level)), self.metric.at(level).and_then(|value| self.known(level, value))))
                .collect(),
        };
        let not_measured = values.iter().find_map(|(at, value)| {
            let why = value.as_ref().err()?;
            Some(at.as_ref().map_or_else(|| why.clone(), |at| format!("at {at} {why}")))
        });
        let measured: Vec<_> = values.into_iter().filter_map(|(at, value)| Some((at, value.ok()?))).collect();
        let worst = self.worst(&measured);
        let holds = worst.is_some_and(|(_, value)| self.operator.holds(*value, self.limit));
        let everywhere =
            worst.is_some_and(|(_, worst)| measured.iter().all(|(_, value)| value.total_cmp(worst).is_eq()));
        let at = worst.and_then(|(at, _)| at.clone());
        let at = if everywhere && measured.len() > 1 { Some("every level".to_owned()) } else { at };
        ThresholdVerdict {
            threshold: self.to_string(),
            held: holds && not_measured.is_none(),
            measured: worst.map(|(_, value)| *value),
            is_time: self.metric.is_time(),
            at,
            not_measured,
        }
    }

    /// The value; between foreign clocks the one of all it may be that is furthest from holding, where there is one.
    fn known(&self, level: &Level, value: f64) -> Result<f64, String> {
        let Some(bound) = self.metric.bound(level) else { return Ok(value) };
        // Far below 2^53.
        #[allow(clippy::cast_possible_truncation)]
        let (least, most) = bound.range_us(value.round() as i64);
        let ends = least.zip(most).map(|(least, most)| [least as f64, most as f64]);
        let worst = ends.map(
            |[one, other]| {
                if self.operator.cmp_badness(one, other, self.limit).is_gt() { one } else { other }
            },
        );
        worst.ok_or_else(|| "foreign clocks tell it, and nothing bounds it (docs/traces.md)".to_owned())
    }

    /// The value that is furthest from holding; of several the first.
    fn worst<'a>(&self, measured: &'a [(Option<String>, f64)]) -> Option<&'a (Option<String>, f64)> {
        let worse = |worst: &'a (Option<String>, f64), next: &'a (Option<String>, f64)| {
            if self.operator.cmp_badness(next.1, worst.1, self.limit).is_gt() { next } else { worst }
        };
        measured.iter().reduce(worse)
    }

    /// The levels at which it must hold.
    fn levels<'a>(&self, report: &'a Report) -> Result<Vec<&'a Level>, String> {
        let Some(place) = self.place else {
            let levels: Vec<&Level> = report.levels.iter().collect();
            return if levels.is_empty() { Err("no level was measured".to_owned()) } else { Ok(levels) };
        };
        let is_there = |level: &&Level| Place::of(&level.load) == Some(place);
        let levels: Vec<&Level> = report.levels.iter().filter(is_there).collect();
        if !levels.is_empty() {
            return Ok(levels);
        }
        let mut there: Vec<String> =
            report.levels.iter().filter_map(|level| Place::of(&level.load)).map(|place| place.to_string()).collect();
        there.dedup();
        let there = if there.is_empty() { "no level that can be named so".to_owned() } else { there.join(", ") };
        Err(format!("there is no level {place}: the sweep has {there}"))
    }
}

/// What people call a level: by its place, and by its repetition where it is not the first.
fn name(level: &Level) -> String {
    match Place::of(&level.load) {
        Some(place) if level.load.repeat > 1 => format!("{place}, repetition {}", level.load.repeat),
        Some(place) => place.to_string(),
        None => level.load.run.to_string(),
    }
}

impl ThresholdVerdict {
    /// `held` or `missed`.
    pub fn word(&self) -> &'static str {
        if self.held { "held" } else { "missed" }
    }

    /// The measured value with its unit and level, and what was not measured.
    pub fn told(&self) -> String {
        let measured = self.measured.map(|value| {
            let at = self.at.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
            if self.is_time {
                format!("{:.3} ms{at}", value / 1e3)
            } else if self.threshold.contains('%') {
                format!("{value:.3} %{at}")
            } else if value.fract() == 0.0 {
                format!("{value:.0}{at}")
            } else {
                format!("{value:.1}{at}")
            }
        });
        let absent = self.not_measured.as_ref().map(|why| format!("not measured: {why}"));
        measured.into_iter().chain(absent).collect::<Vec<_>>().join("; ")
    }
}

impl Report {
    /// The verdicts for the terminal: a line for each threshold; absent where there is none.
    pub fn thresholds_table(&self) -> Option<String> {
        let width =
            self.thresholds.iter().map(|verdict| verdict.threshold.chars().count()).max()?.max("threshold".len());
        let mut table = format!("{:<width$}  {:<7}  measured", "threshold", "verdict");
        for verdict in &self.thresholds {
            // Writing to a String cannot fail.
            let _ = write!(table, "\n{:<width$}  {:<7}  {}", verdict.threshold, verdict.word(), verdict.told());
        }
        Some(table)
    }

    /// Whether any of its thresholds was missed.
    pub fn misses_a_threshold(&self) -> bool {
        self.thresholds.iter().any(|verdict| !verdict.held)
    }

    /// The same, or whether what a search demands does not even hold under the lowest load.
    pub fn misses_a_demand(&self) -> bool {
        self.misses_a_threshold() || self.search.as_ref().is_some_and(|search| search.ended == Ended::LowestFails)
    }

    /// Whether it is of no use: nothing was accepted, or the generator did not make even the lowest load of a search.
    pub fn tells_nothing(&self) -> bool {
        let has_no_answer = |search: &Found| search.ended == Ended::GeneratorLimited && search.low.is_none();
        self.accepted_nothing() || self.search.as_ref().is_some_and(has_no_answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::report_of;
    use crate::{Load, Usage};

    fn judged(report: &Report, thresholds: &[&str]) -> String {
        let verdicts = thresholds.iter().map(|text| text.parse::<Threshold>().unwrap().judge(report)).collect();
        Report { thresholds: verdicts, ..report.clone() }.thresholds_table().unwrap()
    }

    #[test]
    fn each_figure_at_its_worst_level() {
        let mut report = report_of(&[1, 2, 20]);
        report.levels[1].books.lost = 3;
        report.levels[2].stability.unstable = Some("its queue grew".to_owned());
        let usage = |component: &str, cpu_us| Usage {
            component: component.to_owned(),
            instance: String::new(),
            cpu_us,
            wall_us: 10_000_000,
            cores: 1.0,
            memory_bytes: None,
        };
        for level in &mut report.levels {
            let accepted = level.books.accepted;
            level.load.usage = vec![
                usage("redis", accepted * 30),
                usage("apiserver", accepted * 20),
                usage("driver", accepted),
                usage("host", accepted * 90),
            ];
        }
        insta::assert_snapshot!(judged(&report, &[
            "arrival.p50<1ns",
            "arrival.p99 < 1s",
            "user.mean<1s",
            "pushserver.max<1s@c=2",
            "http.p99>1ns",
            "lost==0",
            "lost==0@c=1",
            "lost!=0",
            "unstable==0",
            "errors<1",
            "rps>20k",
            "rps>20000@c=20",
            "cpu<60us",
            "delivered<1M",
        ]), @r#"
        threshold              verdict  measured
        arrival.p50<1ns        missed   0.558 ms at c=20
        arrival.p99<1s         held     2.232 ms at c=20
        user.mean<1s           held     0.863 ms at c=20
        pushserver.max<1s@c=2  held     1.040 ms at c=2
        http.p99>1ns           held     0.072 ms at c=1
        lost==0                missed   3 at c=2
        lost==0@c=1            held     0 at c=1
        lost!=0                missed   0 at c=1
        unstable==0            missed   1 at c=20
        errors<1               held     0 at every level
        rps>20k                missed   8000 at c=1
        rps>20000@c=20         held     33333.3 at c=20
        cpu<60us               held     0.050 ms at every level
        delivered<1M           held     33333.3 at c=20
        "#);
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        let mut report = report_of(&[1, 2]);
        report.findings.capacity = None;
        let arrival = &mut report.levels[0].arrival;
        (arrival.count, arrival.censored, arrival.p99_us) = (40, 0, None);
        report.levels[1].arrival.p999_us = None;
        report.levels[1].arrival.censored = 500_000;
        insta::assert_snapshot!(judged(&report, &["arrival.p99<1s", "arrival.p999<1s@c=2", "capacity>1", "lost==0@c=3", "lost==0@r=100", "lost==0"]), @r#"
        threshold            verdict  measured
        arrival.p99<1s       missed   0.720 ms at c=2; not measured: at c=1 p99 takes 368 sampled messages, and there are 40: load for longer, or sample more (--every)
        arrival.p999<1s@c=2  missed   not measured: at c=2 500000 of 501333 sampled messages had not arrived, and it lies among those
        capacity>1           missed   not measured: no level was carried with an arrival p99 of at most 50 ms
        lost==0@c=3          missed   not measured: there is no level c=3: the sweep has c=1, c=2
        lost==0@r=100        missed   not measured: there is no level r=100: the sweep has c=1, c=2
        lost==0              held     0 at every level
        "#);
        report.levels.truncate(1);
        report.levels[0].load = Load::foreign("monday".parse().unwrap());
        report.levels[0].arrival = crate::Distribution::default();
        insta::assert_snapshot!(judged(&report, &["arrival.max<1s", "rps>1", "cpu<1ms", "http.mean<1s", "lost==0", "lost==0@c=1"]), @r#"
        threshold       verdict  measured
        arrival.max<1s  missed   not measured: at monday no sampled message arrived
        rps>1           missed   not measured: at monday another program made the load
        cpu<1ms         missed   not measured: at monday nobody told what the pipeline's parts spent
        http.mean<1s    missed   not measured: at monday another program made the load
        lost==0         held     0 at monday
        lost==0@c=1     missed   not measured: there is no level c=1: the sweep has no level that can be named so
        "#);
        report.levels.clear();
        insta::assert_snapshot!(judged(&report, &["lost==0"]), @r#"
        threshold  verdict  measured
        lost==0    missed   not measured: no level was measured
        "#);
    }

    #[test]
    fn a_part_of_a_whole_in_percent() {
        let mut report = report_of(&[1, 2]);
        report.levels[0].books.lost = 60;
        report.levels[1].load.http.as_mut().unwrap().errors.insert("timeout".to_owned(), 2000);
        insta::assert_snapshot!(judged(&report, &["lost<=0.1%", "lost<=0.05%", "lost==0%@c=2", "errors<1.6%", "lost<0.5"]), @r"
        threshold     verdict  measured
        lost<=0.1%    held     0.075 % at c=1
        lost<=0.05%   missed   0.075 % at c=1
        lost==0%@c=2  held     0.000 % at c=2
        errors<1.6%   held     1.500 % at c=2
        lost<0.5      missed   60 at c=1
        ");
        for text in ["rps<5%", "arrival.p99<5%", "unstable<5%", "lost<5%%"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    #[test]
    fn without_messages_nothing_holds_that_is_about_messages() {
        let mut report = report_of(&[1]);
        let level = &mut report.levels[0];
        let http = level.load.http.as_mut().unwrap();
        http.errors.insert("status 405".to_owned(), http.requests);
        (http.accepted, http.mean_us, http.p50_us, http.p99_us, http.max_us) = (0, None, None, None, None);
        (level.books.accepted, level.books.arrived, level.traces.sampled) = (0, 0, 0);
        let about_messages = "http.mean<1s http.p50<1s http.p99<1s http.max<1s lost==0 late==0 in_flight==0 duplicates==0 \
             reordered==0 negative==0 stamps_dropped==0 unstable==0 rps<1M delivered<1M lost<=5%";
        for text in about_messages.split(' ') {
            let verdict = text.parse::<Threshold>().unwrap().judge(&report);
            assert!(!verdict.held && verdict.measured.is_none(), "{text}: {}", verdict.told());
            assert!(verdict.told().contains("80000 × status 405"), "{text}: {}", verdict.told());
        }
        // What is about requests was measured.
        assert!("errors>=100%".parse::<Threshold>().unwrap().judge(&report).held);
    }

    #[test]
    fn each_repetition_must_hold() {
        let mut report = report_of(&[1, 1, 4]);
        report.levels[1].load.repeat = 2;
        report.levels[1].books.late = 4;
        insta::assert_snapshot!(judged(&report, &["late==0@c=1", "late==0@c=4"]), @r#"
        threshold    verdict  measured
        late==0@c=1  missed   4 at c=1, repetition 2
        late==0@c=4  held     0 at c=4
        "#);
    }
}
