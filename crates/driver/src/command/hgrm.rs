//! HdrHistogram's percentile format (`.hgrm`), as its own tools and plotters read it.

use hdrhistogram::Histogram;
use std::io::{BufWriter, Write};

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 5;

/// Writes a histogram of µs as ms.
pub(crate) fn write(histogram: &Histogram<u64>, out: impl Write) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for value in histogram.iter_quantiles(TICKS_PER_HALF) {
        let (us, quantile) = (value.value_iterated_to(), value.quantile_iterated_to());
        let count = histogram.count_between(0, us);
        let ms = us as f64 / 1e3;
        if quantile < 1.0 {
            writeln!(out, "{ms:>12.3} {quantile:>14.12} {count:>10} {:>14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out, "{ms:>12.3} {quantile:>14.12} {count:>10}")?;
        }
    }
    let (mean, deviation) = (histogram.mean() / 1e3, histogram.stdev() / 1e3);
    writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
    let (max, total) = (histogram.max() as f64 / 1e3, histogram.len());
    writeln!(out, "#[Max     = {max:>12.3}, Total count    = {total:>12}]")?;
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), 2048)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format() {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for us in [1000, 1200, 1500, 2000] {
            histogram.record(us).unwrap();
        }
        let mut written = Vec::new();
        write(&histogram, &mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1.000", "0.000000000000", "1", "1.00"]);
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>()[1..], ["1.000000000000", "4"]);
        assert!(text.contains("#[Max     =        2.000, Total count    =            4]"), "{text}");
    }
}
