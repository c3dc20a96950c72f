//! A table of the page: what stands in its cells, and how they sort.

use super::figure;
use analysis::Interval;
use analysis::number::NOT_AVAILABLE;
use analysis::number::grouped;
use askama::Template;

/// A table that scrolls in its own frame and can be sorted by any of its columns.
#[derive(Debug, Template)]
#[template(path = "table.html")]
pub(super) struct Table {
    /// What it is called in the page.
    pub(super) id: String,
    /// What it holds, for those who do not see it.
    pub(super) caption: String,
    /// Whether each row has a switch for its level.
    pub(super) switches: bool,
    /// The columns, of which the first names the rows.
    pub(super) columns: Vec<Column>,
    /// The rows.
    pub(super) rows: Vec<Row>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) name: String,
    /// What that means; may be empty.
    pub(super) hint: &'static str,
    /// Whether it holds words and not numbers.
    pub(super) words: bool,
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    /// The level that it tells of, by its place in the report.
    pub(super) level: Option<usize>,
    /// One for each column.
    pub(super) cells: Vec<Cell>,
}

/// What stands in one place of a table.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// Its text.
    pub(super) text: String,
    /// What stands small below it; may be empty.
    pub(super) note: String,
    /// What is told to those who point at it; may be empty.
    pub(super) hint: String,
    /// What it is sorted by; absent where that is its text, and for what is not known, which comes last.
    pub(super) sort: Option<f64>,
    /// Marks beside the text.
    pub(super) tags: Vec<Tag>,
    /// How the text is shown: `zero`, `absent`, or as usual.
    pub(super) look: &'static str,
}

/// A mark.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    /// A word or two.
    pub(super) text: String,
    /// `good`, `doubt` or `bad`.
    pub(super) look: &'static str,
}

impl Tag {
    pub(super) fn good(text: &str) -> Self {
        Self { text: text.to_owned(), look: "good" }
    }

    pub(super) fn doubt(text: &str) -> Self {
        Self { text: text.to_owned(), look: "doubt" }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self { text: text.to_owned(), look: "bad" }
    }
}

impl Table {
    /// A table without rows.
    pub(super) fn new(id: impl Into<String>, caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { id: id.into(), caption: caption.into(), switches: false, columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, level: Option<usize>, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}: a cell for each column", self.id);
        self.rows.push(Row { level, cells });
    }
}

impl Column {
    /// Of numbers.
    pub(super) fn of(name: impl Into<String>, hint: &'static str) -> Self {
        Self { name: name.into(), hint, words: false }
    }

    /// Of words.
    pub(super) fn words(name: impl Into<String>, hint: &'static str) -> Self {
        Self { name: name.into(), hint, words: true }
    }
}

impl Cell {
    /// Words.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// What is not known.
    pub(super) fn absent() -> Self {
        Self { look: "absent", ..Self::text(NOT_AVAILABLE) }
    }

    /// A number and how it is written.
    pub(super) fn number(value: f64, text: impl Into<String>) -> Self {
        Self { sort: Some(value), look: if value == 0.0 { "zero" } else { "" }, ..Self::text(text) }
    }

    /// A count.
    pub(super) fn count(count: u64) -> Self {
        Self::number(count as f64, grouped(count as f64, 0))
    }

    /// A count that may be below zero.
    pub(super) fn balance(count: i64) -> Self {
        Self::number(count as f64, grouped(count as f64, 0))
    }

    /// A time in µs, as ms.
    pub(super) fn ms(us: Option<f64>) -> Self {
        // A time of zero is as telling as any other.
        us.map_or_else(Self::absent, |us| Self { look: "", ..Self::number(us, figure::ms(us)) })
    }

    /// The same of whole µs.
    pub(super) fn whole_ms(us: Option<i64>) -> Self {
        Self::ms(us.map(|us| us as f64))
    }

    /// A percentile in µs, as ms, with its interval.
    pub(super) fn percentile((us, interval): (Option<i64>, Option<Interval>)) -> Self {
        let cell = Self::whole_ms(us);
        match interval {
            Some(interval) => cell.note(figure::interval(&interval)).hint(figure::interval_explained(&interval)),
            None => cell,
        }
    }

    /// Something a second.
    pub(super) fn rate(per_sec: Option<f64>) -> Self {
        per_sec.map_or_else(Self::absent, |rate| Self::number(rate, grouped(rate, usize::from(rate < 100.0))))
    }

    /// A part of a whole, 0 to 1.
    pub(super) fn part(part: Option<f64>) -> Self {
        part.map_or_else(Self::absent, |part| Self::number(part, figure::percent(part)))
    }

    /// With this below its text.
    pub(super) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// With this told to those who point at it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// With these marks.
    pub(super) fn tags(self, tags: Vec<Tag>) -> Self {
        Self { tags, ..self }
    }

    /// Marked as bad unless it is zero: what should not have happened.
    pub(super) fn bad_unless_zero(self) -> Self {
        if self.sort == Some(0.0) { self } else { Self { look: "wrong", ..self } }
    }
}
