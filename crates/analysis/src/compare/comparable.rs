//! Whether reports can be set side by side.

use crate::{Report, StampsError};
use std::path::PathBuf;

/// Reports cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// There is no report at this place.
    #[error("{0} is no report: it has no report.json; name a folder that driver sweep wrote, such as reports/latest")]
    NoReport(PathBuf),
    /// It is neither on this machine nor in the log store.
    #[error("{name} is no folder and no file here, and cannot be had from the log store either: {source}")]
    Elsewhere {
        /// What was named.
        name: String,
        /// What the log store says.
        source: StampsError,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is there, and is something else.
    #[error("{path} is not a report that Stampede wrote: {source}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The report has another shape than this program knows.
    #[error(
        "{path} has version {found} of the report's shape, and this program reads version {known}: make the report again with \
         driver report, or use the program that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// The stamps of the sweep cannot be read.
    #[error(transparent)]
    Stamps(#[from] StampsError),
    /// There is nothing in it to compare.
    #[error("sweep {0} has no finished level: there is nothing to compare")]
    NoLevels(String),
    /// Another program made its load.
    #[error(
        "{0} was loaded by another program, and its report does not tell at which concurrency: make the load with driver sweep"
    )]
    NoPosition(String),
    /// One sweep is over rates, another over concurrency.
    #[error("sweep {by_rate} is over rates and {by_concurrency} over concurrency: compare sweeps of one kind")]
    Mixed {
        /// The one over rates.
        by_rate: String,
        /// The one over concurrency.
        by_concurrency: String,
    },
    /// The same sweep was named more than once.
    #[error("sweep {0} is named twice: name each sweep once")]
    Twice(String),
    /// There are not as many labels as sweeps.
    #[error("{labels} labels for {sweeps} sweeps: give --label one name for each sweep, in their order")]
    Labels {
        /// How many labels.
        labels: usize,
        /// How many sweeps.
        sweeps: usize,
    },
}

/// Whether these reports have levels of one kind, and each of them is another sweep.
pub(crate) fn check_comparable(reports: &[(String, Report)]) -> Result<(), CompareError> {
    for (index, (_, report)) in reports.iter().enumerate() {
        let name = || report.sweep.clone();
        if report.levels.is_empty() {
            return Err(CompareError::NoLevels(name()));
        }
        if let Some(level) = report.levels.iter().find(|level| level.load.position().is_none()) {
            return Err(CompareError::NoPosition(level.load.run.to_string()));
        }
        if reports[..index].iter().any(|(_, earlier)| earlier.sweep == report.sweep) {
            return Err(CompareError::Twice(name()));
        }
    }
    let of_kind =
        |rates: bool| reports.iter().find(|(_, report)| report.is_by_rate() == rates).map(|(_, report)| report);
    match (of_kind(true), of_kind(false)) {
        (Some(one), Some(other)) => {
            Err(CompareError::Mixed { by_rate: one.sweep.clone(), by_concurrency: other.sweep.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Comparison;
    use crate::Load;
    use crate::fixture::labelled;

    #[test]
    fn what_cannot_be_set_side_by_side_is_refused() {
        let refused = |change: fn(&mut Report)| {
            let mut reports = labelled(&["a", "b"], &[1, 2]);
            change(&mut reports[1].1);
            Comparison::new(&reports).unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused(|report| report.levels.clear()), @"sweep sweep-1 has no finished level: there is nothing to compare");
        insta::assert_snapshot!(refused(|report| report.sweep = "sweep-0".to_owned()), @"sweep sweep-0 is named twice: name each sweep once");
        insta::assert_snapshot!(refused(|report| report.levels[1].load.rate = Some(2000.0)), @"sweep sweep-1 is over rates and sweep-0 over concurrency: compare sweeps of one kind");
        insta::assert_snapshot!(refused(|report| report.levels[1].load = Load::foreign("monday".parse().unwrap())), @"monday was loaded by another program, and its report does not tell at which concurrency: make the load with driver sweep");
    }
}
