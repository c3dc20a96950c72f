//! `latencies.parquet`: one row for each level and latency, for those who analyse many sweeps. Behind the feature `parquet`.

use super::RenderError;
use crate::columns::{Column, Values, table};
use analysis::{Distribution, Level, Percentile, Report};

/// One latency of one level.
struct Row<'a> {
    level: &'a Level,
    /// `arrival`, `user`, or the stage at the end of the hop.
    measure: &'a str,
    latency: &'a Distribution,
}

pub(super) fn render(report: &Report) -> Result<Vec<u8>, RenderError> {
    Ok(table(Vec::new(), "latencies", &columns(report))?)
}

fn rows(report: &Report) -> Vec<Row<'_>> {
    report.levels.iter().flat_map(rows_of).collect()
}

fn rows_of(level: &Level) -> impl Iterator<Item = Row<'_>> {
    let whole = [("arrival", &level.arrival), ("user", &level.user)];
    let hops = level.hops.iter().map(|hop| (hop.stage.as_str(), &hop.latency));
    whole.into_iter().chain(hops).map(move |(measure, latency)| Row { level, measure, latency })
}

fn columns(report: &Report) -> Vec<Column> {
    let rows = rows(report);
    let texts = |name: &str, of: &dyn Fn(&Row) -> String| {
        Column::required(name, Values::Texts(rows.iter().map(|row| Some(of(row))).collect()))
    };
    let integers = |name: &str, of: &dyn Fn(&Row) -> Option<i64>| {
        Column::optional(name, Values::Integers(rows.iter().map(of).collect()))
    };
    let decimals = |name: &str, of: &dyn Fn(&Row) -> Option<f64>| {
        Column::optional(name, Values::Decimals(rows.iter().map(of).collect()))
    };
    let count = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
    let mut columns = vec![
        texts("sweep", &|_| report.sweep.clone()),
        texts("run", &|row| row.level.load.run.to_string()),
        decimals("position", &|row| row.level.load.position()),
        integers("concurrency", &|row| row.level.load.concurrency.map(i64::from)),
        decimals("rate", &|row| row.level.load.rate),
        integers("repeat", &|row| Some(i64::from(row.level.load.repeat))),
        texts("measure", &|row| row.measure.to_owned()),
        integers("count", &|row| count(row.latency.count)),
        integers("censored", &|row| count(row.latency.censored)),
        decimals("mean_us", &|row| row.latency.mean_us),
        integers("max_us", &|row| row.latency.max_us),
    ];
    for percentile in Percentile::ALL {
        let name = percentile.name();
        let interval = |row: &Row| row.latency.interval(percentile);
        columns.push(integers(&format!("{name}_us"), &|row| row.latency.percentile(percentile)));
        columns.push(integers(&format!("{name}_low_us"), &|row| interval(row).map(|interval| interval.low_us)));
        columns.push(integers(&format!("{name}_high_us"), &|row| interval(row)?.high_us));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    #[test]
    fn what_was_written_is_read_back() {
        let mut report = report_of(&[1, 20]);
        report.levels[1].arrival.p999_us = None;
        report.levels[1].arrival.p50_us = Some(-7);
        let bytes = bytes::Bytes::from(render(&report).unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        let rows: Vec<Vec<(String, Field)>> =
            reader.get_row_iter(None).unwrap().map(|row| row.unwrap().into_columns()).collect();
        // Arrival, user, and five hops.
        assert_eq!(rows.len(), 2 * 7);
        let field = |row: usize, name: &str| rows[row].iter().find(|(column, _)| column == name).unwrap().1.clone();
        assert_eq!(field(0, "measure"), Field::Str("arrival".to_owned()));
        assert_eq!(field(13, "measure"), Field::Str("mqttclient".to_owned()));
        assert_eq!(field(0, "p99_us"), Field::Long(report.levels[0].arrival.p99_us.unwrap()));
        assert_eq!((field(7, "p50_us"), field(7, "p999_us")), (Field::Long(-7), Field::Null));
        assert_eq!((field(7, "concurrency"), field(7, "rate")), (Field::Long(20), Field::Null));
        assert_eq!(field(7, "run"), Field::Str(report.levels[1].load.run.to_string()));
    }

    #[test]
    fn a_report_without_levels_is_an_empty_table() {
        let bytes = bytes::Bytes::from(render(&report_of(&[])).unwrap());
        assert_eq!(SerializedFileReader::new(bytes).unwrap().get_row_iter(None).unwrap().count(), 0);
    }
}
