//! `reporter compare`: sweeps side by side.

use crate::{LogStoreArgs, chart, export, find_report};
use analysis::{CompareError, Comparison, Varied};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `reporter compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The sweeps, the one to compare with first: folders of reports such as reports/latest, ids of sweeps that the log store holds, or
    /// files of raw stamps
    #[arg(value_name = "SWEEP", required = true, num_args = 2..)]
    pub sweeps: Vec<String>,

    /// A name for each sweep, in their order; sweeps of the same name are repetitions of one series [default: the sweeps' ids]
    #[arg(long = "label", value_name = "NAME", num_args = 1.., value_parser = parse_label)]
    pub labels: Vec<String>,

    /// What the picture is called
    #[arg(long, value_name = "TEXT", default_value = "Arrival latency and throughput, compared")]
    pub title: String,

    /// The folder for compare.tsv, compare.md, compare.json and the picture
    #[arg(long, value_name = "DIR", default_value = "reports/compare")]
    pub out: PathBuf,

    /// Where the log store is, for sweeps that are named by their ids.
    #[command(flatten)]
    pub store: LogStoreArgs,
}

/// A label stands in cells of tables.
fn parse_label(label: &str) -> Result<String, String> {
    if label.chars().any(char::is_control) {
        return Err("a label stands on one line: leave line breaks, tabs and the like out".to_owned());
    }
    Ok(label.to_owned())
}

/// Compares the sweeps, writes the files, and returns the table for people and the folder.
///
/// # Errors
/// When a sweep cannot be found, they cannot be set side by side, or the files cannot be written.
pub async fn compare(args: &CompareArgs) -> anyhow::Result<(String, PathBuf)> {
    let (labels, sweeps) = (args.labels.len(), args.sweeps.len());
    if labels != 0 && labels != sweeps {
        return Err(CompareError::Labels { labels, sweeps }.into());
    }
    let mut named = Vec::new();
    for (index, name) in args.sweeps.iter().enumerate() {
        let report = find_report(name, &args.store.url()).await?;
        named.push((args.labels.get(index).unwrap_or(&report.sweep).clone(), report));
    }
    let comparison = Comparison::new(&named)?;
    let failed = || format!("cannot write to {}: choose another folder with --out", args.out.display());
    std::fs::create_dir_all(&args.out).with_context(failed)?;
    export::write_comparison(&comparison, &args.title, &args.out).with_context(failed)?;
    Ok((export::comparison::text(&comparison), args.out.clone()))
}

/// The picture of a comparison, as SVG.
///
/// # Errors
/// When it cannot be drawn.
pub fn comparison_picture(comparison: &Comparison, title: &str) -> anyhow::Result<String> {
    Ok(chart::compare::svg(comparison, title)?)
}

/// Writes what the runs of a plan's combinations tell: vary.tsv, vary.md, vary.json, and the picture; `latest` beside the folder points to it.
///
/// # Errors
/// When a file cannot be written to the folder, or the picture cannot be drawn.
pub fn write_varied(varied: &Varied, folder: &Path) -> anyhow::Result<()> {
    export::write_varied(varied, folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    // A link that cannot be set takes nothing away.
    let _ = crate::output::point_latest(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;
    use analysis::Level;
    use analysis::fixture::{labelled, report_of};

    fn args(out: &std::path::Path, labels: &[&str]) -> CompareArgs {
        #[derive(Debug, clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            args: CompareArgs,
        }
        let write = |(label, report): (String, analysis::Report)| {
            let output = Output::open(out, &label.parse().unwrap()).unwrap();
            output.write(&report).unwrap();
            output.folder().display().to_string()
        };
        let folders = labelled(&["a", "b"], &[1, 2]).into_iter().map(write);
        let out = format!("--out={}", out.join("x/y").display());
        let labels = labels.iter().map(|label| format!("--label={label}"));
        let all = ["compare".to_owned()].into_iter().chain(folders).chain(labels).chain([out]);
        <Arguments as clap::Parser>::try_parse_from(all).unwrap().args
    }

    #[tokio::test]
    async fn what_was_written_is_read_back() {
        let out = tempfile::tempdir().unwrap();
        let report = report_of(&[1, 2]);
        let output = Output::open(out.path(), &"a".parse().unwrap()).unwrap();
        output.write(&report).unwrap();
        let store = "redis://127.0.0.1:1".parse().unwrap();
        let found = find_report(output.folder().to_str().unwrap(), &store).await.unwrap();
        assert_eq!((found.sweep, found.path, found.settings), (report.sweep, report.path, report.settings));
        let latencies = |levels: &[Level]| levels.iter().map(|level| level.arrival.p99_us).collect::<Vec<_>>();
        assert_eq!(latencies(&found.levels), latencies(&report.levels));
    }

    #[tokio::test]
    async fn all_files_are_written() {
        let out = tempfile::tempdir().unwrap();
        let (table, folder) = compare(&args(out.path(), &[])).await.unwrap();
        assert!(table.contains("sweep-0") && table.contains("sweep-1"), "{table}");
        for file in ["compare.tsv", "compare.md", "compare.json", "compare.png", "compare.svg"] {
            assert!(folder.join(file).metadata().unwrap().len() > 0, "{file}");
        }
    }

    #[tokio::test]
    async fn each_sweep_has_a_label_or_none_has() {
        let out = tempfile::tempdir().unwrap();
        let error = compare(&args(out.path(), &["one"])).await.unwrap_err().to_string();
        parse_label("before\tafter").unwrap_err();
        assert_eq!(error, "1 labels for 2 sweeps: give --label one name for each sweep, in their order");
    }
}
