//! `reporter compare`: reports that are there already, side by side.

use super::{CompareError, Comparison, source};
use crate::export;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `reporter compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The folders of the reports, for example reports/latest
    #[arg(value_name = "REPORT", required = true, num_args = 2..)]
    pub reports: Vec<PathBuf>,

    /// A name for each report, in their order; reports of the same name are repetitions of one series [default: the sweeps' ids]
    #[arg(long = "label", value_name = "NAME", num_args = 1..)]
    pub labels: Vec<String>,

    /// What the picture is called
    #[arg(long, value_name = "TEXT", default_value = "Arrival latency and throughput, compared")]
    pub title: String,

    /// The folder for compare.tsv, compare.md and compare.png
    #[arg(long, value_name = "DIR", default_value = "reports/compare")]
    pub out: PathBuf,
}

/// Compares the reports, writes the files, and returns the table for people and the folder.
///
/// # Errors
/// When a folder holds no report, the reports cannot be set side by side, or the files cannot be written.
pub fn compare(args: &CompareArgs) -> anyhow::Result<(String, PathBuf)> {
    let (labels, reports) = (args.labels.len(), args.reports.len());
    if labels != 0 && labels != reports {
        return Err(CompareError::Labels { labels, reports }.into());
    }
    let mut named = Vec::new();
    for (index, folder) in args.reports.iter().enumerate() {
        let report = source::read(folder)?;
        named.push((args.labels.get(index).unwrap_or(&report.sweep).clone(), report));
    }
    let comparison = Comparison::new(&named)?;
    let failed = || format!("cannot write to {}: choose another folder with --out", args.out.display());
    std::fs::create_dir_all(&args.out).with_context(failed)?;
    export::write_comparison(&comparison, &args.title, &args.out).with_context(failed)?;
    Ok((export::comparison::text(&comparison), args.out.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;
    use crate::compare::tests::labelled;

    fn written(out: &std::path::Path) -> Vec<PathBuf> {
        let write = |(label, report): (String, crate::Report)| {
            let output = Output::open(out, &label.parse().unwrap()).unwrap();
            output.write(&report).unwrap();
            output.folder().to_owned()
        };
        labelled(&["a", "b"], &[1, 2]).into_iter().map(write).collect()
    }

    #[test]
    fn all_three_files_are_written() {
        let out = tempfile::tempdir().unwrap();
        let args = CompareArgs {
            reports: written(out.path()),
            labels: Vec::new(),
            title: "Sweeps".to_owned(),
            out: out.path().join("x/y"),
        };
        let (table, folder) = compare(&args).unwrap();
        assert!(table.contains("sweep-0") && table.contains("sweep-1"), "{table}");
        for file in ["compare.tsv", "compare.md", "compare.png"] {
            assert!(folder.join(file).metadata().unwrap().len() > 0, "{file}");
        }
    }

    #[test]
    fn each_report_has_a_label_or_none_has() {
        let out = tempfile::tempdir().unwrap();
        let labels = vec!["one".to_owned()];
        let args = CompareArgs { reports: written(out.path()), labels, title: String::new(), out: out.path().into() };
        let error = compare(&args).unwrap_err().to_string();
        assert_eq!(error, "1 labels for 2 reports: give --label one name for each report, in their order");
    }
}
