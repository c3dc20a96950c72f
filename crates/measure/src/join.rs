//! The join: brings the stamps of one message together. Pure; it knows no log store.
//!
//! A column of event times for each stage, and a row for each message: a hop's latencies are the differences of two columns.

use stamp::{MsgId, Remarks, Stamp};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A stage that a message has no stamp of.
pub(crate) const MISSING: i64 = i64::MIN;

/// Rows in which a message is looked for before all are: where several processes write a stage's stamps, each in its order, those of the others
/// lie between two of one.
const AHEAD: usize = 16;

/// The error of a stamp that tells none.
const UNKNOWN: u32 = u32::MAX;

/// The time scale of a message of which nobody has told one yet.
const NO_SCALE: u32 = u32::MAX;

/// What the log store's clock is called among others.
const LOG_STORE: &str = "log store";

/// Stamps joined by message id.
#[derive(Debug)]
pub(crate) struct Join {
    rows: HashMap<u64, u32, BuildHasherDefault<IdHasher>>,
    /// The message of each row.
    ids: Vec<u64>,
    columns: Vec<Column>,
    /// The time scale of each message's first stamp.
    scales: Vec<u32>,
    /// Whether its stamps are told in different time scales.
    torn: Vec<bool>,
    repeated: u64,
    /// The clocks that tell event times, the log store's first.
    clocks: Vec<String>,
    clock_numbers: HashMap<String, u16>,
    /// Messages that passed one stage by several clocks: nobody knows which time came first.
    mixed: HashSet<usize>,
}

/// The stamps of one stage.
#[derive(Debug, Default)]
struct Column {
    /// Event times in µs by row. Rows behind the end are missing.
    times: Vec<i64>,
    errors: Vec<u32>,
    /// The number of each time's clock. Rows behind the end are told by the log store's.
    clocks: Vec<u16>,
    /// The row that the next stamp belongs to if messages come here in the order in which they came first.
    next: usize,
}

/// Ids are laid out as `worker | connection | sequence`: a multiplication spreads them well enough, and fast.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let mixed = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Join {
    /// An empty join over this many stages.
    pub(crate) fn new(stages: usize) -> Self {
        Self {
            rows: HashMap::default(),
            ids: Vec::new(),
            columns: std::iter::repeat_with(Column::default).take(stages).collect(),
            scales: Vec::new(),
            torn: Vec::new(),
            repeated: 0,
            clocks: vec![LOG_STORE.to_owned()],
            clock_numbers: HashMap::new(),
            mixed: HashSet::new(),
        }
    }

    /// Adds the stamp that this entry is.
    pub(crate) fn take(&mut self, stage: usize, stamp: &Stamp, entry: &[u8]) {
        if stamp.foreign {
            self.add_foreign(stage, stamp, Remarks::parse(entry).clock.as_deref().unwrap_or("unknown"));
        } else {
            self.add(stage, stamp);
        }
    }

    /// Adds a stamp of the stage with this index. Of several stamps of one message at one stage the earliest counts: the
    /// first time that the message passed.
    pub(crate) fn add(&mut self, stage: usize, stamp: &Stamp) {
        let row = self.row(stage, stamp);
        if self.scales[row] == NO_SCALE {
            self.scales[row] = stamp.step;
        }
        self.torn[row] |= self.scales[row] != stamp.step;
        self.put(stage, row, stamp, 0);
    }

    /// Adds a stamp whose event time is told by the clock of this name: it is in no time scale of the log store's.
    pub(crate) fn add_foreign(&mut self, stage: usize, stamp: &Stamp, clock: &str) {
        let row = self.row(stage, stamp);
        let known = self.clock_numbers.get(clock).copied().unwrap_or_else(|| {
            // As many hosts as would not fit are no pipeline.
            let new = u16::try_from(self.clocks.len()).unwrap_or(u16::MAX);
            self.clocks.push(clock.to_owned());
            self.clock_numbers.insert(clock.to_owned(), new);
            new
        });
        self.put(stage, row, stamp, known);
    }

    fn put(&mut self, stage: usize, row: usize, stamp: &Stamp, clock: u16) {
        let column = &mut self.columns[stage];
        column.next = row + 1;
        if column.times.len() <= row {
            column.times.resize(row + 1, MISSING);
            column.errors.resize(row + 1, UNKNOWN);
        }
        let known = column.times[row];
        let known_clock = column.clocks.get(row).copied().unwrap_or(0);
        let mut counts = known == MISSING || stamp.event_us() < known;
        if known != MISSING {
            self.repeated += 1;
            if known_clock != clock {
                self.mixed.insert(row);
                // What the log store's clock says is known, and what another one says is not.
                counts = clock == 0 || known_clock != 0 && counts;
            }
        }
        if !counts {
            return;
        }
        column.times[row] = stamp.event_us();
        column.errors[row] = stamp.err_us.unwrap_or(UNKNOWN);
        if clock != known_clock {
            if column.clocks.len() <= row {
                column.clocks.resize(row + 1, 0);
            }
            column.clocks[row] = clock;
        }
    }

    fn row(&mut self, stage: usize, stamp: &Stamp) -> usize {
        // Messages mostly pass the stages in one order: looking at the next rows first spares most look-ups.
        let next = self.columns[stage].next;
        let ahead = self.ids.get(next..).unwrap_or_default().iter().take(AHEAD);
        if let Some(further) = ahead.enumerate().find_map(|(further, &id)| (id == stamp.id).then_some(further)) {
            return next + further;
        }
        let new = self.ids.len();
        // A row takes more than 100 bytes: memory ends before 2^32 of them.
        let row = *self.rows.entry(stamp.id).or_insert(u32::try_from(new).unwrap_or(u32::MAX)) as usize;
        if row == new {
            self.ids.push(stamp.id);
            self.scales.push(NO_SCALE);
            self.torn.push(false);
        }
        row
    }

    /// All messages that have any stamp.
    pub(crate) fn messages(&self) -> usize {
        self.ids.len()
    }

    /// When a message passed a stage, µs, or [`MISSING`]: also for a stage that nobody reads.
    pub(crate) fn time(&self, stage: usize, row: usize) -> i64 {
        self.columns.get(stage).and_then(|column| column.times.get(row)).copied().unwrap_or(MISSING)
    }

    /// By how much the difference between these stages may be wrong, µs; absent where a stamp does not tell.
    pub(crate) fn error(&self, from: usize, to: usize, row: usize) -> Option<i64> {
        let error = |stage: usize| self.stated_error(stage, row).map(i64::from);
        Some(error(from)? + error(to)?)
    }

    /// The names of the clocks that tell event times, the log store's first.
    pub(crate) fn clocks(&self) -> &[String] {
        &self.clocks
    }

    /// Which of them has told when a message passed a stage.
    pub(crate) fn clock(&self, stage: usize, row: usize) -> usize {
        self.columns[stage].clocks.get(row).copied().unwrap_or(0).into()
    }

    /// The time scale of the log store's clock that a message's times are told in; that of a foreign clock's stamps is none.
    pub(crate) fn scale(&self, row: usize) -> u32 {
        self.scales[row]
    }

    /// Whether several clocks tell when it passed one stage.
    pub(crate) fn is_mixed(&self, row: usize) -> bool {
        self.mixed.contains(&row)
    }

    /// By how much that may be wrong, µs; absent where the stamp does not tell.
    pub(crate) fn stated_error(&self, stage: usize, row: usize) -> Option<u32> {
        self.columns[stage].errors.get(row).copied().filter(|&error| error != UNKNOWN)
    }

    /// The id of a row's message, in whatever range.
    pub(crate) fn raw_id(&self, row: usize) -> u64 {
        self.ids[row]
    }

    /// The id of a row's message; none where it is out of range.
    pub(crate) fn id(&self, row: usize) -> Option<MsgId> {
        MsgId::new(self.ids[row]).ok()
    }

    /// Whether the message was on its way while the log store's clock was set: its stamps are told in different time
    /// scales, so that no latency is computed from them.
    pub(crate) fn is_torn(&self, row: usize) -> bool {
        self.torn[row]
    }

    /// The event times of one stage, in no order, of messages told in one time scale.
    pub(crate) fn times(&self, stage: usize) -> impl Iterator<Item = i64> {
        let column = self.columns[stage].times.iter().zip(&self.torn);
        column.filter(|&(&time, &torn)| time != MISSING && !torn).map(|(&time, _)| time)
    }

    /// Stamps beyond the first of one message at one stage.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(id: u64, time_us: i64) -> Stamp {
        Stamp { id, time_us, lag_us: None, err_us: None, step: 0, foreign: false }
    }

    fn row_of(join: &Join, id: u64) -> usize {
        join.ids.iter().position(|&known| known == id).unwrap()
    }

    #[test]
    fn the_earliest_stamp_of_a_stage_counts() {
        let mut join = Join::new(2);
        for (stage, id, time) in [(0, 1, 100), (1, 1, 150), (0, 2, 200), (0, 1, 90), (1, 3, 5), (1, 1, 170)] {
            join.add(stage, &stamp(id, time));
        }
        let times = |id| [0, 1].map(|stage| join.time(stage, row_of(&join, id)));
        assert_eq!((times(1), times(2), times(3)), ([90, 150], [200, MISSING], [MISSING, 5]));
        assert_eq!((join.messages(), join.repeated()), (3, 2));
    }

    #[test]
    fn messages_in_two_time_scales_are_torn() {
        let mut join = Join::new(2);
        for (stage, id, step) in [(0, 1, 0), (1, 1, 1), (0, 2, 1), (1, 2, 1)] {
            join.add(stage, &Stamp { step, ..stamp(id, 100) });
        }
        assert!(join.is_torn(row_of(&join, 1)) && !join.is_torn(row_of(&join, 2)));
        assert_eq!(join.times(0).count(), 1);
    }

    #[test]
    fn an_error_is_known_where_both_stamps_tell_theirs() {
        let mut join = Join::new(3);
        for (stage, err_us) in [(0, Some(7)), (1, Some(5)), (2, None)] {
            join.add(stage, &Stamp { err_us, ..stamp(1, 100) });
        }
        assert_eq!((join.error(0, 1, 0), join.error(1, 2, 0)), (Some(12), None));
    }

    #[test]
    fn the_log_stores_clock_counts_before_foreign_ones() {
        for order in [[0, 1], [1, 0]] {
            let mut join = Join::new(1);
            for which in order {
                if which == 0 {
                    join.add(0, &Stamp { err_us: Some(5), ..stamp(1, 1000) });
                } else {
                    join.add_foreign(0, &Stamp { foreign: true, ..stamp(1, 10) }, "web-1");
                }
            }
            assert_eq!(
                (join.time(0, 0), join.clock(0, 0), join.stated_error(0, 0), join.is_mixed(0)),
                (1000, 0, Some(5), true)
            );
        }
    }

    proptest! {
        /// Whatever the order in which stamps come, the join gives back the times that made them.
        #[test]
        fn order_does_not_matter(messages in prop::collection::btree_map(any::<u64>(), prop::array::uniform4(0i64..1_000_000), 1..50), seed in any::<u64>()) {
            let mut stamps: Vec<(usize, Stamp)> = messages
                .iter()
                .flat_map(|(&id, times)| times.iter().enumerate().map(move |(stage, &time)| (stage, stamp(id, time))))
                .collect();
            stamps.sort_by_key(|(stage, stamp)| (stamp.id ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7 * u32::try_from(*stage).unwrap()));
            let mut join = Join::new(4);
            for (stage, stamp) in &stamps {
                join.add(*stage, stamp);
            }
            prop_assert_eq!((join.messages(), join.repeated()), (messages.len(), 0));
            for (&id, times) in &messages {
                let row = row_of(&join, id);
                prop_assert_eq!([0, 1, 2, 3].map(|stage| join.time(stage, row)), *times);
            }
        }
    }
}
