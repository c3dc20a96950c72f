//! HdrHistogram's percentile format (`.hgrm`), as its own tools and plotters read it.

use super::RenderError;
use analysis::{Level, Report};
use hdrhistogram::Histogram;
use std::io::{BufWriter, Write};

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 5;

/// Writes a histogram of µs as ms.
///
/// # Errors
/// When `out` fails.
pub fn write_hgrm(histogram: &Histogram<u64>, out: impl Write) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    // An empty histogram has a single tick, of nothing.
    for value in histogram.iter_quantiles(TICKS_PER_HALF).filter(|_| !histogram.is_empty()) {
        let (us, quantile) = (value.value_iterated_to(), value.quantile_iterated_to());
        let count = histogram.count_between(0, us);
        let ms = us as f64 / 1e3;
        if quantile < 1.0 {
            writeln!(out, "{ms:>12.3} {quantile:>14.12} {count:>10} {:>14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out, "{ms:>12.3} {quantile:>14.12} {count:>10}")?;
        }
    }
    let measured = |us: f64| super::decimal((!histogram.is_empty()).then_some(us / 1e3), 3);
    let (mean, deviation) = (measured(histogram.mean()), measured(histogram.stdev()));
    writeln!(out, "#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]")?;
    let (max, total) = (measured(histogram.max() as f64), histogram.len());
    writeln!(out, "#[Max     = {max:>12}, Total count    = {total:>12}]")?;
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), 2048)?;
    out.flush()
}

/// A file of arrival latency for each level that has its histogram: a report that was read back has none.
pub(super) fn levels(report: &Report) -> Result<Vec<(String, Vec<u8>)>, RenderError> {
    let measured = report.levels.iter().filter_map(|level| Some((level, level.histograms.arrival.as_ref()?)));
    let file = |(level, histogram): (&Level, &Histogram<u64>)| {
        let mut bytes = Vec::new();
        write_hgrm(histogram, &mut bytes)?;
        Ok((file_name(report, level), bytes))
    };
    measured.map(file).collect()
}

/// `c05.hgrm`: what of the run's id tells it from the other levels.
fn file_name(report: &Report, level: &Level) -> String {
    let run = level.load.run.as_str();
    let name = run.strip_prefix(report.sweep.as_str()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(run);
    format!("{name}.hgrm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    #[test]
    fn the_format() {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for us in [1000, 1200, 1500, 2000] {
            histogram.record(us).unwrap();
        }
        let mut written = Vec::new();
        write_hgrm(&histogram, &mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1.000", "0.000000000000", "1", "1.00"]);
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>()[1..], ["1.000000000000", "4"]);
        assert!(text.contains("#[Max     =        2.000, Total count    =            4]"), "{text}");
    }

    #[test]
    fn nothing_measured_is_not_zero() {
        let mut written = Vec::new();
        write_hgrm(&Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap(), &mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert!(text.contains("#[Mean    =          n/a, StdDeviation   =          n/a]"), "{text}");
        assert!(!text.contains("0.000"), "{text}");
    }

    #[test]
    fn a_file_for_each_level_that_has_a_histogram() {
        let mut report = report_of(&[1, 20, 30]);
        for level in &mut report.levels {
            level.histograms = analysis::Histograms::default();
        }
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record(159).unwrap();
        report.levels[1].histograms.arrival = Some(histogram.clone());
        report.levels[2].histograms.arrival = Some(histogram);
        report.levels[2].load.run = "monday".parse().unwrap();
        let names: Vec<String> = levels(&report).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["c20.hgrm", "monday.hgrm"]);
    }
}
