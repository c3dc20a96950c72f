//! The stamps of one stage, a row each, in the order of the list.

use crate::columns::{Column, TableWriter, Values};
use parquet::errors::ParquetError;
use stamp::Stamp;
use std::fs::File;

/// Rows that are held in memory until they are written together: some 20 MB.
const GROUP: usize = 1 << 18;

/// Writes the entries of a list as rows.
pub(super) struct StampRows {
    writer: TableWriter<File>,
    rows: Vec<Stamp>,
    unreadable: u64,
    /// The first fault, as whoever hands over entries cannot be told.
    written: Result<(), ParquetError>,
}

impl StampRows {
    pub(super) fn new(file: File) -> Result<Self, ParquetError> {
        let writer = TableWriter::new(file, "stamps", &columns(&[]), &["id", "event"])?;
        Ok(Self { writer, rows: Vec::new(), unreadable: 0, written: Ok(()) })
    }

    /// Takes in an entry. One that is no stamp is counted and passed over, as in a report.
    pub(super) fn take(&mut self, entry: &[u8]) {
        match Stamp::parse(entry) {
            Ok(stamp) => self.rows.push(stamp),
            Err(_) => self.unreadable += 1,
        }
        if self.rows.len() >= GROUP && self.written.is_ok() {
            self.written = self.write();
        }
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let columns = columns(&self.rows);
        self.rows.clear();
        self.writer.group(&columns)
    }

    /// Ends the file, and says how many entries were no stamps.
    pub(super) fn finish(mut self) -> Result<u64, ParquetError> {
        std::mem::replace(&mut self.written, Ok(()))?;
        if !self.rows.is_empty() {
            self.write()?;
        }
        self.writer.finish()?.sync_all()?;
        Ok(self.unreadable)
    }
}

fn columns(rows: &[Stamp]) -> Vec<Column> {
    let integers = |of: fn(&Stamp) -> Option<i64>| Values::Integers(rows.iter().map(of).collect());
    vec![
        // An id that is out of range keeps its bits: it is no message's, but stays another one than all others.
        Column::required("id", integers(|stamp| Some(stamp.id.cast_signed()))),
        Column::required("event", Values::Times(rows.iter().map(|stamp| Some(stamp.event_us())).collect())),
        Column::optional("lag_us", integers(|stamp| stamp.lag_us)),
        Column::optional("error_us", integers(|stamp| stamp.err_us.map(i64::from))),
        Column::required("scale", integers(|stamp| Some(stamp.step.into()))),
    ]
}
