//! Tables of values, and how users come by their rows.

use crate::schedule::SplitMix;
use crate::segment::Segment;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};

/// A table of values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    rows: Vec<Vec<Value>>,
    take: Take,
}

/// How users come by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Whether the load ends when its rows are gone.
    pub(crate) fn is_used_up(&self) -> bool {
        self.take == Take::Once
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
    /// Rows that each user takes alone: before this one.
    end: u32,
    /// Rows that go round: from one to the next.
    stride: u32,
    /// Rows that were given back.
    back: RefCell<Vec<u32>>,
}

impl Dealer {
    /// The rows for one of several generators, whose users take rows so many at a time: what one user takes alone comes from a range of its own.
    pub(crate) fn new(table: &Table, segment: Segment, takers: &[u32]) -> Self {
        let len = table.len();
        let (first, end) = match table.take {
            Take::Unique | Take::Once => {
                let index = segment.index as usize;
                let sum = |some: &[u32]| some.iter().map(|&takers| u64::from(takers)).sum::<u64>();
                let before = |index: usize| u64::from(len) * sum(&takers[..index]) / sum(takers).max(1);
                let row = |row: u64| u32::try_from(row).unwrap_or(len);
                (row(before(index)), row(before(index + 1)))
            }
            Take::Circular { .. } => (segment.index % len.max(1), len),
            Take::Random { .. } => (0, len),
        };
        Self { take: table.take, len, next: Cell::new(first), end, stride: segment.of, back: RefCell::default() }
    }

    /// A row; none where none is left.
    pub(crate) fn deal(&self, random: &mut SplitMix) -> Option<u32> {
        match self.take {
            Take::Random { .. } => u32::try_from(random.below(self.len.into())).ok(),
            Take::Circular { .. } => {
                let row = self.next.get();
                self.next.set((row + self.stride % self.len) % self.len);
                Some(row)
            }
            Take::Unique | Take::Once => {
                let fresh = self.next.get();
                if fresh < self.end {
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
            let dealer = Dealer::new(&Table::new(rows(), take), Segment::default(), &[1]);
            let mut random = SplitMix::new(1);
            [0; 3].map(|_| dealer.deal(&mut random))
        };
        assert_eq!(dealt(Take::Unique), [Some(0), Some(1), None]);
        assert_eq!(dealt(Take::Once), [Some(0), Some(1), None]);
        assert_eq!(dealt(Take::Circular { per_user: false }), [Some(0), Some(1), Some(0)]);
        assert!(dealt(Take::Random { per_user: false }).iter().all(Option::is_some));
        let unique = Dealer::new(&Table::new(rows(), Take::Unique), Segment::default(), &[1]);
        let mut random = SplitMix::new(1);
        let (first, _) = (unique.deal(&mut random), unique.deal(&mut random));
        unique.give_back(first.unwrap());
        assert_eq!((unique.deal(&mut random), unique.deal(&mut random)), (first, None));
    }

    #[test]
    fn generators_share_rows_out() {
        let table = |take| Table::new((0..7).map(|number| vec![Value::text(number.to_string())]).collect(), take);
        let dealt = |take, takers: &[u32]| {
            let of = u32::try_from(takers.len()).unwrap();
            let segments = (Segment { of, ..Segment::default() }).all();
            let rows = segments.map(|segment| {
                let dealer = Dealer::new(&table(take), segment, takers);
                std::iter::from_fn(|| dealer.deal(&mut SplitMix::new(1))).take(4).collect::<Vec<u32>>()
            });
            rows.collect::<Vec<_>>()
        };
        assert_eq!(dealt(Take::Unique, &[3, 2, 2]), [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
        // More rows than users: none is lost, and each user has one.
        assert_eq!(dealt(Take::Once, &[1, 0, 2]), [vec![0, 1], vec![], vec![2, 3, 4, 5]]);
        assert_eq!(dealt(Take::Circular { per_user: false }, &[1, 1]), [[0, 2, 4, 6], [1, 3, 5, 0]]);
    }
}
