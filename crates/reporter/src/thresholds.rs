//! The thresholds of a command line, and what their verdicts are written to.

use crate::{Destination, Output, OutputError, export};
use analysis::{NoHop, Report, Threshold, check_hops};
use clap::Args;
use stamp::{Stage, UsageError, ensure_usage};
use std::path::PathBuf;

/// The exit code of a command that missed a threshold.
pub const THRESHOLD_MISSED: u8 = 99;

/// Arguments of every command that makes a report.
#[derive(Debug, Clone, Default, Args)]
pub struct ThresholdArgs {
    /// A condition that must hold at every level, or at one: 'arrival.p99<50ms', 'lost==0', 'rps>20k@c=20'; exit code 99 otherwise. May be repeated (docs/report.md)
    #[arg(long = "threshold", value_name = "CONDITION")]
    pub thresholds: Vec<Threshold>,

    /// Write the verdicts on the thresholds as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Thresholds cannot be judged, or the verdicts not be written.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdError {
    /// A threshold is on a hop that the path does not have.
    #[error(transparent)]
    NoHop(#[from] NoHop),
    /// The file for JUnit cannot be written.
    #[error("cannot write --junit {path}: {source}")]
    Junit {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The report cannot be written again with the verdicts.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Thresholds that wait for a report.
#[derive(Debug)]
pub struct Judge {
    thresholds: Vec<Threshold>,
    junit: Option<Destination>,
}

impl ThresholdArgs {
    /// Checks that there is something to write, where these are all thresholds, and that they can all hold.
    ///
    /// # Errors
    /// When one of both is not so.
    pub fn check(&self, all: &[Threshold]) -> Result<(), UsageError> {
        for (at, one) in all.iter().enumerate() {
            if let Some(other) = all[..at].iter().find(|other| other.contradicts(one)) {
                return Err(UsageError(format!("{other} and {one} cannot both hold: leave one of them out")));
            }
        }
        ensure_usage(
            self.junit.is_none() || !all.is_empty(),
            || "--junit would have no verdicts to write: give a --threshold, or `thresholds` in the plan",
        )
    }

    /// Sees whether the file for the verdicts can be written, and checks that the path has what the thresholds are on: what cannot work fails here, before the
    /// load and not after it.
    ///
    /// # Errors
    /// When the file cannot be written, or a hop is not there.
    pub fn open(&self, path: &[Stage]) -> Result<Judge, ThresholdError> {
        check_hops(&self.thresholds, path)?;
        let open = |path: &PathBuf| {
            Destination::open(path).map_err(|source| ThresholdError::Junit { path: path.clone(), source })
        };
        Ok(Judge { thresholds: self.thresholds.clone(), junit: self.junit.as_ref().map(open).transpose()? })
    }
}

impl Judge {
    /// Adds the verdicts to a finished report.
    pub fn judge(&self, report: &mut Report) {
        report.thresholds = self.thresholds.iter().map(|threshold| threshold.judge(report)).collect();
    }

    /// Judges a report that has been written, and writes it again with the verdicts. Does nothing where there are no thresholds. The verdicts
    /// are written even where the report cannot be.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn conclude(self, report: &mut Report, output: &Output) -> Result<(), ThresholdError> {
        if self.thresholds.is_empty() {
            return Ok(());
        }
        self.judge(report);
        // Without a level there is no report, but the verdicts say so.
        let written = if report.levels.is_empty() { Ok(()) } else { output.write(report) };
        self.save(report)?;
        Ok(written?)
    }

    /// Writes the verdicts of a report as JUnit XML, where that is asked for.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(self, report: &Report) -> Result<(), ThresholdError> {
        let Some(file) = self.junit else { return Ok(()) };
        let path = || file.path().to_owned();
        file.write(export::junit(report).as_bytes()).map_err(|source| ThresholdError::Junit { path: path(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        thresholds: ThresholdArgs,
    }

    fn thresholds(args: &[&str]) -> Result<ThresholdArgs, clap::Error> {
        Arguments::try_parse_from([&["program"], args].concat()).map(|arguments| arguments.thresholds)
    }

    #[test]
    fn bad_arguments_end_with_2() {
        let folder = tempfile::tempdir().unwrap();
        let junit = folder.path().join("junit.xml");
        for args in [["--threshold", "arrival.p99<50"], ["--threshold", "lost"]] {
            let error = thresholds(&args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
        let alone = thresholds(&["--junit", junit.to_str().unwrap()]).unwrap();
        alone.check(&[]).unwrap_err();
        // Those of a plan file do.
        alone.check(&["lost==0".parse().unwrap()]).unwrap();
        assert!(!junit.exists());
    }

    #[test]
    fn what_cannot_work_fails_before_the_load() {
        let path = report_of(&[1]).path;
        let told = |args: &[&str]| thresholds(args).unwrap().open(&path).unwrap_err().to_string();
        insta::assert_snapshot!(told(&["--threshold", "enricher.p50<1ms"]), @"--threshold 'enricher.p50<1ms': no hop ends at a stage enricher; take one of apiserver, enqueue, pushserver, publish, mqttclient");
        insta::assert_snapshot!(told(&["--threshold", "send.p50<1ms"]), @"--threshold 'send.p50<1ms': no hop ends at a stage send; take one of apiserver, enqueue, pushserver, publish, mqttclient");
        insta::assert_snapshot!(told(&["--threshold", "lost==0", "--junit", "/nowhere/at/all.xml"]), @"cannot write --junit /nowhere/at/all.xml: No such file or directory (os error 2)");
    }

    #[test]
    fn thresholds_that_contradict_each_other_are_refused() {
        let check = |one: &str, other: &str| {
            ThresholdArgs::default().check(&[one.parse().unwrap(), other.parse().unwrap()]).map_err(|error| error.0)
        };
        insta::assert_snapshot!(check("arrival.p99<10ms", "arrival.p99>20ms").unwrap_err(), @"arrival.p99<10ms and arrival.p99>20ms cannot both hold: leave one of them out");
        for (one, other) in [("lost==0", "lost>0@c=4"), ("rps>=5k", "rps<5000"), ("lost==0", "lost!=0")] {
            check(one, other).unwrap_err();
        }
        for (one, other) in [
            ("rps>=5k", "rps<=5k"),
            ("rps>5k", "rps<6k"),
            ("arrival.p50<1ms", "arrival.p99>1ms"),
            ("rps>5k@c=4", "rps<5k@c=1"),
            ("rps>5k", "rps!=6k"),
            ("errors<1%", "errors>=5"),
            ("steps.add.errors<1%", "steps.add.errors>=5"),
        ] {
            check(one, other).unwrap();
        }
    }

    #[test]
    fn the_verdicts_go_into_the_report_and_into_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let junit = folder.path().join("junit.xml");
        let args = ["--threshold", "arrival.p50<1ns", "--threshold", "lost==0", "--junit", junit.to_str().unwrap()];
        let mut report = report_of(&[1, 2]);
        let judge = thresholds(&args).unwrap().open(&report.path).unwrap();
        assert!(!junit.exists(), "nobody finds an empty file before there are verdicts");
        let output = Output::open(folder.path(), &"a".parse().unwrap()).unwrap();
        judge.conclude(&mut report, &output).unwrap();
        assert_eq!(report.thresholds.iter().map(|verdict| verdict.held).collect::<Vec<_>>(), [false, true]);
        assert!(report.misses_a_threshold());
        let written: Report =
            serde_json::from_slice(&std::fs::read(output.folder().join("report.json")).unwrap()).unwrap();
        assert_eq!(written.thresholds, report.thresholds);
        assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"1\""));
    }

    #[test]
    fn without_thresholds_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::open(folder.path(), &"a".parse().unwrap()).unwrap();
        let mut report = report_of(&[1]);
        ThresholdArgs::default().open(&report.path).unwrap().conclude(&mut report, &output).unwrap();
        assert!(!report.misses_a_threshold() && report.thresholds_table().is_none());
        assert_eq!(std::fs::read_dir(output.folder()).unwrap().count(), 0);
    }
}
