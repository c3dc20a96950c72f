//! A table of Parquet, column by column. Behind the feature `parquet`.

use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::sync::Arc;

/// One column of a row group.
pub(crate) struct Column {
    name: String,
    values: Values,
    /// Whether it has a value in every row.
    required: bool,
}

/// Its values, a row each.
pub(crate) enum Values {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i64>>),
    Decimals(Vec<Option<f64>>),
    /// µs since 1970-01-01 UTC.
    Times(Vec<Option<i64>>),
}

impl Column {
    /// One whose values may be missing.
    pub(crate) fn optional(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), values, required: false }
    }

    /// One that has a value in every row.
    pub(crate) fn required(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), values, required: true }
    }

    /// The column in the schema.
    fn field(&self) -> String {
        let Self { name, required, .. } = self;
        let repetition = if *required { "required" } else { "optional" };
        match self.values {
            Values::Texts(_) => format!("{repetition} binary {name} (STRING);\n"),
            Values::Integers(_) => format!("{repetition} int64 {name};\n"),
            Values::Decimals(_) => format!("{repetition} double {name};\n"),
            Values::Times(_) => format!("{repetition} int64 {name} (TIMESTAMP(MICROS,true));\n"),
        }
    }

    fn write(&self, column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = |levels: Vec<i16>| (!self.required).then_some(levels);
        match (&self.values, column) {
            (Values::Texts(texts), ColumnWriter::ByteArrayColumnWriter(column)) => {
                let there = texts.iter().map(|text| i16::from(text.is_some())).collect();
                let texts: Vec<ByteArray> = texts.iter().flatten().map(|text| ByteArray::from(text.as_str())).collect();
                column.write_batch(&texts, levels(there).as_deref(), None)?;
            }
            (Values::Integers(values) | Values::Times(values), ColumnWriter::Int64ColumnWriter(column)) => {
                let (values, there) = present(values);
                column.write_batch(&values, levels(there).as_deref(), None)?;
            }
            (Values::Decimals(values), ColumnWriter::DoubleColumnWriter(column)) => {
                let (values, there) = present(values);
                column.write_batch(&values, levels(there).as_deref(), None)?;
            }
            _ => return Err(ParquetError::General("a column is of another type than its values".to_owned())),
        }
        Ok(())
    }
}

/// The values that are there, and for each row whether there is one.
fn present<T: Copy>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
    (values.iter().copied().flatten().collect(), values.iter().map(|value| i16::from(value.is_some())).collect())
}

/// A file that is written a row group at a time.
pub(crate) struct TableWriter<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> TableWriter<W> {
    /// Begins a file. `columns` tell the schema; their values are not written. `rising` names those whose values mostly lie a little above the one
    /// before: differences of these take the least room.
    /// Fails when `out` fails, here as in all that follows.
    pub(crate) fn new(out: W, name: &str, columns: &[Column], rising: &[&str]) -> Result<Self, ParquetError> {
        let fields: String = columns.iter().map(Column::field).collect();
        let schema = parse_message_type(&format!("message {name} {{\n{fields}}}"))?;
        let mut properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        for column in rising {
            let path = ColumnPath::from(*column);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
        Ok(Self(SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))?))
    }

    /// Writes columns as they were named at the beginning.
    pub(crate) fn group(&mut self, columns: &[Column]) -> Result<(), ParquetError> {
        let mut group = self.0.next_row_group()?;
        for column in columns {
            let missing = || ParquetError::General("the schema has fewer columns than there are".to_owned());
            let mut writer = group.next_column()?.ok_or_else(missing)?;
            column.write(writer.untyped())?;
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file and gives back what it was written to.
    pub(crate) fn finish(self) -> Result<W, ParquetError> {
        self.0.into_inner()
    }
}

/// A whole table at once.
pub(crate) fn table<W: Write + Send>(out: W, name: &str, columns: &[Column]) -> Result<W, ParquetError> {
    let mut writer = TableWriter::new(out, name, columns, &[])?;
    writer.group(columns)?;
    writer.finish()
}
