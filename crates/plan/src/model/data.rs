//! Tables of values.

use super::Hook;
use crate::rows::Datum;

/// A table of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// As texts name it.
    pub name: String,
    /// Its rows.
    pub rows: Rows,
    /// How users come by a row.
    pub take: Take,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// They are known.
    Known {
        /// The names of the columns.
        columns: Vec<String>,
        /// Each row has a value for each column.
        rows: Vec<Vec<Datum>>,
    },
    /// A value that set-up keeps: a JSON list of objects with these members, or of plain values.
    Kept {
        /// Which.
        kept: usize,
        /// The members that texts name; `value` is a plain value itself.
        columns: Vec<String>,
    },
    /// What a command prints: CSV with a first line of names.
    Command {
        /// The command.
        hook: Hook,
        /// The columns that texts name.
        columns: Vec<String>,
    },
}

/// How users come by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Take {
    /// A row for each user, given back when it stops.
    Unique,
    /// A row for each round; the load ends when they are gone.
    Once,
    /// One after another, and from the beginning again.
    #[default]
    Circular,
    /// Any, for each round.
    Random,
}
