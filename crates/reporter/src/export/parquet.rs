//! `latencies.parquet`: one row for each level and latency, for those who analyse many sweeps. Behind the feature `parquet`.

use super::RenderError;
use analysis::{Distribution, Level, Percentile, Report};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// One latency of one level.
struct Row<'a> {
    level: &'a Level,
    /// `arrival`, `user`, or the stage at the end of the hop.
    measure: &'a str,
    latency: &'a Distribution,
}

/// A column's values. Only texts are there in every row.
enum Values {
    Texts(Vec<String>),
    Integers(Vec<Option<i64>>),
    Decimals(Vec<Option<f64>>),
}

pub(super) fn render(report: &Report) -> Result<Vec<u8>, RenderError> {
    let columns = columns(report);
    let fields: String = columns.iter().map(|(name, values)| values.field(name)).collect();
    let schema = parse_message_type(&format!("message latencies {{\n{fields}}}"))?;
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(WriterProperties::new()))?;
    let mut group = writer.next_row_group()?;
    for (_, values) in &columns {
        let missing = || ParquetError::General("the schema has fewer columns than there are".to_owned());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        values.write(column.untyped())?;
        column.close()?;
    }
    group.close()?;
    Ok(writer.into_inner()?)
}

fn rows(report: &Report) -> Vec<Row<'_>> {
    report.levels.iter().flat_map(rows_of).collect()
}

fn rows_of(level: &Level) -> impl Iterator<Item = Row<'_>> {
    let whole = [("arrival", &level.arrival), ("user", &level.user)];
    let hops = level.hops.iter().map(|hop| (hop.stage.as_str(), &hop.latency));
    whole.into_iter().chain(hops).map(move |(measure, latency)| Row { level, measure, latency })
}

fn columns(report: &Report) -> Vec<(String, Values)> {
    let rows = rows(report);
    let texts = |of: &dyn Fn(&Row) -> String| Values::Texts(rows.iter().map(of).collect());
    let integers = |of: &dyn Fn(&Row) -> Option<i64>| Values::Integers(rows.iter().map(of).collect());
    let decimals = |of: &dyn Fn(&Row) -> Option<f64>| Values::Decimals(rows.iter().map(of).collect());
    let count = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
    let mut columns = vec![
        ("sweep".to_owned(), texts(&|_| report.sweep.clone())),
        ("run".to_owned(), texts(&|row| row.level.load.run.to_string())),
        ("position".to_owned(), decimals(&|row| row.level.load.position())),
        ("concurrency".to_owned(), integers(&|row| row.level.load.concurrency.map(i64::from))),
        ("rate".to_owned(), decimals(&|row| row.level.load.rate)),
        ("repeat".to_owned(), integers(&|row| Some(i64::from(row.level.load.repeat)))),
        ("measure".to_owned(), texts(&|row| row.measure.to_owned())),
        ("count".to_owned(), integers(&|row| count(row.latency.count))),
        ("censored".to_owned(), integers(&|row| count(row.latency.censored))),
        ("mean_us".to_owned(), decimals(&|row| row.latency.mean_us)),
        ("max_us".to_owned(), integers(&|row| row.latency.max_us)),
    ];
    for percentile in Percentile::ALL {
        let name = percentile.name();
        columns.push((format!("{name}_us"), integers(&|row| row.latency.percentile(percentile))));
        let interval = |row: &Row| row.latency.interval(percentile);
        columns.push((format!("{name}_low_us"), integers(&|row| interval(row).map(|interval| interval.low_us))));
        columns.push((format!("{name}_high_us"), integers(&|row| interval(row)?.high_us)));
    }
    columns
}

impl Values {
    /// The column in the schema.
    fn field(&self, name: &str) -> String {
        match self {
            Self::Texts(_) => format!("required binary {name} (STRING);\n"),
            Self::Integers(_) => format!("optional int64 {name};\n"),
            Self::Decimals(_) => format!("optional double {name};\n"),
        }
    }

    fn write(&self, column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        /// The values that are there, and for each row whether there is one.
        fn present<T: Copy>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
            (
                values.iter().copied().flatten().collect(),
                values.iter().map(|value| i16::from(value.is_some())).collect(),
            )
        }
        match (self, column) {
            (Self::Texts(texts), ColumnWriter::ByteArrayColumnWriter(column)) => {
                let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
                column.write_batch(&texts, None, None)?;
            }
            (Self::Integers(values), ColumnWriter::Int64ColumnWriter(column)) => {
                let (values, levels) = present(values);
                column.write_batch(&values, Some(&levels), None)?;
            }
            (Self::Decimals(values), ColumnWriter::DoubleColumnWriter(column)) => {
                let (values, levels) = present(values);
                column.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General("a column is of another type than its values".to_owned())),
        }
        Ok(())
    }
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
