//! The sampled messages of one load, one by one: when each passed each stage.

use crate::join::{Join, MISSING};
use crate::level::{answers, read_stamps};
use crate::{Stamps, StampsError};
use stamp::{Remarks, RunId, Stage, Traceparent};
use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;

/// All sampled messages of a run.
#[derive(Debug)]
pub struct TracedMessages {
    join: Join,
    stages: usize,
    /// The stage that each answer belongs to, and the answer.
    answers: Vec<(usize, Stage)>,
    /// The traces that messages came with.
    contexts: HashMap<u64, Traceparent>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct TracedMessage<'a> {
    of: &'a TracedMessages,
    row: usize,
    /// Its id.
    pub id: u64,
}

/// When a message passed a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed<'a> {
    /// µs since 1970-01-01 UTC, by the log store's clock or the foreign one.
    pub us: i64,
    /// The bound of its error, µs; absent where nobody tells.
    pub error_us: Option<u32>,
    /// The clock, where it is none that is compared with the log store's.
    pub foreign: Option<&'a str>,
}

impl TracedMessages {
    /// Reads the stamps of a run on this path, and of the answers beside it. Boxed, so that it is compiled here, however its caller is.
    ///
    /// # Errors
    /// When the log store fails, or the file is cut off or damaged.
    pub fn read<'a>(
        stamps: &'a mut Stamps,
        run: &'a RunId,
        path: &'a [Stage],
    ) -> Pin<Box<dyn Future<Output = Result<Self, StampsError>> + Send + 'a>> {
        Box::pin(Self::read_all(stamps, run, path))
    }

    async fn read_all(stamps: &mut Stamps, run: &RunId, path: &[Stage]) -> Result<Self, StampsError> {
        let answers = answers(path);
        let stages: Vec<&Stage> = path.iter().chain(answers.iter().map(|(_, answer)| answer)).collect();
        let (mut join, mut contexts) = (Join::new(stages.len()), HashMap::new());
        let names = memchr::memmem::Finder::new(Traceparent::NAME);
        let take = |index: usize, stamp: &stamp::Stamp, entry: &[u8]| {
            join.take(index, stamp, entry);
            if names.find(entry).is_some()
                && let Some(context) = Remarks::parse(entry).traceparent
            {
                contexts.insert(stamp.id, context);
            }
        };
        read_stamps(stamps, run, &stages, take, |_| ()).await?;
        Ok(Self { join, stages: path.len(), answers, contexts })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.join.messages()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them, by their numbers in the order in which they were read.
    pub fn range(&self, rows: Range<usize>) -> impl ExactSizeIterator<Item = TracedMessage<'_>> {
        rows.map(|row| TracedMessage { of: self, row, id: self.join.raw_id(row) })
    }

    /// From the first stamp on the path to the last one, µs; zero where there is none.
    pub fn span_us(&self) -> (i64, i64) {
        let times = || (0..self.stages).flat_map(|stage| self.join.times(stage));
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }
}

impl<'a> TracedMessage<'a> {
    fn passed(self, column: usize) -> Option<Passed<'a>> {
        let join = &self.of.join;
        let us = Some(join.time(column, self.row)).filter(|&us| us != MISSING)?;
        let clock = join.clock(column, self.row);
        let foreign = (clock > 0).then(|| join.clocks()[clock].as_str());
        Some(Passed { us, error_us: join.stated_error(column, self.row), foreign })
    }

    /// When it passed the stages of the path, by their index there.
    pub fn stages(self) -> impl Iterator<Item = (usize, Passed<'a>)> {
        (0..self.of.stages).filter_map(move |stage| Some((stage, self.passed(stage)?)))
    }

    /// The answers that came for it, each with the index of the stage that is answered.
    pub fn answers(self) -> impl Iterator<Item = (usize, &'a Stage, Passed<'a>)> {
        let (of, stages) = (self.of, self.of.stages);
        let answers = of.answers.iter().enumerate();
        answers.filter_map(move |(index, (from, answer))| Some((*from, answer, self.passed(stages + index)?)))
    }

    /// Whether it was under way while the log store's clock was set: its times are of different scales.
    pub fn is_torn(self) -> bool {
        self.of.join.is_torn(self.row)
    }

    /// The trace that it came with.
    pub fn traceparent(self) -> Option<Traceparent> {
        self.of.contexts.get(&self.id).copied()
    }
}
