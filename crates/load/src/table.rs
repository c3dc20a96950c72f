//! Tables of values, and how users come by their rows.

use crate::schedule::SplitMix;
use crate::value::Value;
use std::cell::{Cell, RefCell};

/// A table of values.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<Value>>,
    take: Take,
}

/// How users come by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// A row for each user, given back when it stops.
    Unique,
    /// A row for each round; the load ends when they are gone.
    Once,
    /// One after another, and from the beginning again; for each round, or for each user.
    Circular {
        /// The row stays with the user.
        per_user: bool,
    },
    /// Any, for each round, or for each user.
    Random {
        /// The row stays with the user.
        per_user: bool,
    },
}

impl Table {
    /// A table; each row has a value for each column.
    #[must_use]
    pub fn new(rows: Vec<Vec<Value>>, take: Take) -> Self {
        Self { rows, take }
    }

    pub(crate) fn value(&self, row: u32, column: usize) -> &Value {
        &self.rows[row as usize][column]
    }

    /// Whether a user takes its row when it begins, and keeps it.
    pub(crate) fn is_per_user(&self) -> bool {
        matches!(self.take, Take::Unique | Take::Circular { per_user: true } | Take::Random { per_user: true })
    }

    fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }
}

/// The rows of one table that are to be had.
#[derive(Debug)]
pub(crate) struct Dealer {
    take: Take,
    len: u32,
    next: Cell<u32>,
    /// Rows that were given back.
    back: RefCell<Vec<u32>>,
}

impl Dealer {
    pub(crate) fn new(table: &Table) -> Self {
        Self { take: table.take, len: table.len(), next: Cell::new(0), back: RefCell::default() }
    }

    /// A row; none where none is left.
    pub(crate) fn deal(&self, random: &mut SplitMix) -> Option<u32> {
        match self.take {
            Take::Random { .. } => u32::try_from(random.below(self.len.into())).ok(),
            Take::Circular { .. } => {
                let row = self.next.get();
                self.next.set((row + 1) % self.len);
                Some(row)
            }
            Take::Unique | Take::Once => {
                let fresh = self.next.get();
                if fresh < self.len {
                    self.next.set(fresh + 1);
                    Some(fresh)
                } else {
                    self.back.borrow_mut().pop()
                }
            }
        }
    }

    /// Takes a row back from a user who has stopped.
    pub(crate) fn give_back(&self, row: u32) {
        if self.take == Take::Unique {
            self.back.borrow_mut().push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dealt_as_asked_for() {
        let rows = || vec![vec![Value::text("a")], vec![Value::text("b")]];
        let dealt = |take| {
            let dealer = Dealer::new(&Table::new(rows(), take));
            let mut random = SplitMix::new(1);
            [0; 3].map(|_| dealer.deal(&mut random))
        };
        assert_eq!(dealt(Take::Unique), [Some(0), Some(1), None]);
        assert_eq!(dealt(Take::Once), [Some(0), Some(1), None]);
        assert_eq!(dealt(Take::Circular { per_user: false }), [Some(0), Some(1), Some(0)]);
        assert!(dealt(Take::Random { per_user: false }).iter().all(Option::is_some));
        let unique = Dealer::new(&Table::new(rows(), Take::Unique));
        let mut random = SplitMix::new(1);
        let (first, _) = (unique.deal(&mut random), unique.deal(&mut random));
        unique.give_back(first.unwrap());
        assert_eq!((unique.deal(&mut random), unique.deal(&mut random)), (first, None));
    }
}
