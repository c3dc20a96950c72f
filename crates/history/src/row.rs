//! A row: one run in few words and figures.

use crate::digest::of_text;
use crate::figure::{Figure, figures};
use crate::{Git, Host};
use analysis::Report;
use experiment::Subject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// One run. A line of `history.jsonl` is this, field by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The version of this shape.
    pub version: u32,
    /// The run's id, which is that of its report.
    pub id: String,
    /// What was done: `sweep`, `run`, `find`, `vary`, `watch`, `capacity`, …
    pub kind: String,
    /// When it began, RFC 3339 in UTC.
    pub time: String,
    /// The plan.
    pub plan: PlanName,
    /// What was checked out in the folder where the driver ran; absent where there is no git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The parameters by their names; secrets are masked.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The parameters that a plan varies, where it is one run of many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combination: Option<BTreeMap<String, String>>,
    /// Where the driver ran.
    pub host: Host,
    /// Versions of `stampede`, `redis` and `mosquitto`, as far as they are known.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// How it went.
    pub verdict: Verdict,
    /// What it measured, by name: `capacity`, `arrival_p99_us`, …
    pub figures: BTreeMap<String, Figure>,
    /// The report's folder, relative to that of the history; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// A plan from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanName {
    /// What it is called.
    pub name: String,
    /// Tells texts of it apart: the beginning of the SHA-256 of the text without comments, hexadecimal; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// What was demanded of it holds.
    #[serde(rename = "held")]
    Held,
    /// A threshold was missed.
    #[serde(rename = "missed")]
    Missed,
    /// No threshold was set.
    #[serde(rename = "none demanded")]
    NoneDemanded,
    /// It was ended early, and not by a threshold.
    #[serde(rename = "interrupted")]
    Interrupted,
    /// It measured nothing of use.
    #[serde(rename = "failed")]
    Failed,
}

/// Where a run was made: found out once, before the load.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// What was checked out.
    pub git: Option<Git>,
    /// The machine.
    pub host: Host,
}

impl Origin {
    /// Finds it out. It fails at nothing: what is not known is left out.
    pub async fn find() -> Self {
        Self { git: Git::find().await, host: Host::find() }
    }
}

impl Row {
    /// The version that this program writes, and the newest that it reads.
    pub const VERSION: u32 = 1;

    /// A row of a report: `text` is its plan's, `report_folder` where the report lies, seen from the history's folder.
    pub fn of(
        report: &Report,
        kind: &str,
        subject: &Subject,
        text: Option<&str>,
        origin: &Origin,
        report_folder: &str,
    ) -> Self {
        let combination: BTreeMap<String, String> = report
            .settings
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("param_")?.to_owned(), value.clone())))
            .collect();
        let version = |name: &str, key: &str| {
            let told = report.environment.get(key)?;
            // The broker's is told with its name and its settings.
            let version = told.split(',').next().unwrap_or_default();
            Some((name.to_owned(), version.strip_prefix("mosquitto ").unwrap_or(version).to_owned()))
        };
        let versions =
            [version("stampede", "stampede"), version("redis", "redis_version"), version("mosquitto", "broker")];
        Self {
            version: Self::VERSION,
            id: report.sweep.clone(),
            kind: kind.to_owned(),
            time: moment(report.started_unix_s),
            plan: PlanName { name: subject.name.clone(), hash: text.map(of_text) },
            git: origin.git.clone(),
            params: masked(&subject.params),
            combination: (!combination.is_empty()).then(|| masked(&combination)),
            host: origin.host.clone(),
            versions: versions.into_iter().flatten().collect(),
            verdict: Verdict::of(report),
            figures: figures(report),
            report: Some(report_folder.to_owned()),
        }
    }

    /// What makes runs comparable beside the host: plan, kind and parameters.
    pub(crate) fn series(&self) -> impl Ord + use<'_> {
        (&self.plan.name, &self.kind, &self.params, &self.combination)
    }

    /// The time as people read it: to the minute, in UTC.
    pub(crate) fn minute(&self) -> String {
        self.time.get(..16).unwrap_or(&self.time).replace('T', " ")
    }

    /// The commit, short, and with an asterisk where there were changes beside it.
    pub fn commit(&self) -> String {
        self.git.as_ref().map_or_else(String::new, Git::short)
    }
}

impl Verdict {
    /// Of a report that was not ended early from outside.
    fn of(report: &Report) -> Self {
        let is_broken = report.levels.iter().any(|level| level.load.broken.is_some());
        if report.levels.is_empty() || report.tells_nothing() || is_broken {
            Self::Failed
        } else if report.levels.iter().any(|level| level.load.interrupted_us.is_some() && level.load.aborted.is_none())
        {
            Self::Interrupted
        } else if report.misses_a_demand() {
            Self::Missed
        } else if report.thresholds.is_empty() && report.search.is_none() {
            Self::NoneDemanded
        } else {
            Self::Held
        }
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Missed => "missed",
            Self::NoneDemanded => "none demanded",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// Whether its figures stand for the plan.
    pub(crate) fn is_whole(self) -> bool {
        !matches!(self, Self::Interrupted | Self::Failed)
    }
}

fn masked(params: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = |name: &str, value: &str| {
        if stamp::is_secret_name(name) { stamp::MASKED.to_owned() } else { stamp::mask_value(value) }
    };
    params.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
}

/// Seconds since 1970 as RFC 3339.
fn moment(unix_s: u64) -> String {
    // The year 9999 is the last that has a date.
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_s.min(253_402_300_799))).to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Better;
    use analysis::fixture::report_of;

    /// A row of a plan in the order of `number`, with this capacity and p99 of arrival.
    pub(crate) fn row(plan: &str, number: u64, capacity: f64, p99_us: f64) -> Row {
        let subject = Subject { name: plan.to_owned(), ..Subject::default() };
        let mut report = report_of(&[1, 4, 20]);
        report.sweep = format!("{plan}-{number:03}");
        report.started_unix_s += number * 3600;
        report.environment.insert("stampede".to_owned(), "0.1.0".to_owned());
        report.environment.insert("redis_version".to_owned(), "7.4.1".to_owned());
        let git = Git { commit: format!("{:07x}c0ffee", 0xa1b_2c3d + number), dirty: number % 5 == 4 };
        let origin = Origin { git: Some(git), host: Host { id: "0123456789ab".to_owned(), ..Host::default() } };
        let mut row = Row::of(&report, "run", &subject, Some("stampede: 1\n"), &origin, &report.sweep);
        let figure = |value: f64, unit: &str, better, level: Option<&str>| Figure {
            value,
            low: Some(value * 0.98),
            high: Some(value * 1.02),
            unit: unit.to_owned(),
            better,
            level: level.map(str::to_owned),
        };
        row.figures.insert("capacity".to_owned(), figure(capacity, "/s", Better::Higher, None));
        row.figures.insert("arrival_p99_us".to_owned(), figure(p99_us, "µs", Better::Lower, Some("c=20")));
        row
    }

    #[test]
    fn a_row_tells_a_report() {
        let row = row("orders", 1, 38_200.0, 2_232.0);
        let names: Vec<&str> = row.figures.keys().map(String::as_str).collect();
        for name in ["capacity", "arrival_p50_us", "arrival_p99_us", "http_p99_us", "requests_per_sec", "lost"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert_eq!((row.time.as_str(), row.verdict), ("2026-11-21T11:00:00Z", Verdict::NoneDemanded));
        assert_eq!(row.figures["capacity"].told(), "38,200/s (37,436 to 38,964)");
        assert_eq!(row.figures["arrival_p99_us"].told(), "2.23 ms (2.19 to 2.28)");
        assert_eq!(row.figures["http_p99_us"].level.as_deref(), Some("c=20"));
        let again: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(again, row);
    }

    #[test]
    fn secrets_are_masked() {
        let params = [("token", "hush"), ("api", "http://me:hush@host/?key=hush"), ("n", "7")];
        let params = masked(&params.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(!format!("{params:?}").contains("hush"), "{params:?}");
        assert_eq!(params["n"], "7");
    }

    #[test]
    fn a_row_is_what_its_schema_says() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/history.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut row = row("orders", 1, 38_200.0, 2_232.0);
        row.combination = Some(BTreeMap::from([("workers".to_owned(), "4".to_owned())]));
        let mut bare = row.clone();
        (bare.git, bare.combination, bare.report, bare.plan.hash) = (None, None, None, None);
        bare.host = Host::default();
        for row in [&row, &bare] {
            let json = serde_json::to_value(row).unwrap();
            let faults: Vec<_> =
                validator.iter_errors(&json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
            assert!(faults.is_empty(), "{faults:#?}");
        }
        let mut more = serde_json::to_value(&row).unwrap();
        more["host"]["more"] = 1.into();
        assert!(!validator.is_valid(&more));
    }
}
