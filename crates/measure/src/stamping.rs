//! How good the stamps are: how late they were written, and how large their error may be.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use stamp::{Stage, Stamp};

/// The stamps of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamping {
    /// The stage.
    pub stage: Stage,
    /// Stamps read.
    pub stamps: u64,
    /// Those of them that are plain readings, whose error nobody knows.
    pub plain: u64,
    /// Those of them that are told by clocks which nobody has compared with the log store's.
    #[serde(default, skip_serializing_if = "is_none")]
    pub foreign: u64,
    /// From the event to the moment when the log store took the stamp.
    pub lag: Margin,
    /// The bound of the event time's error.
    pub err: Margin,
    /// Stamps that did not fit their writers' buffers, or whose writing failed.
    pub dropped: u64,
}

/// How large something is, µs, to three digits; absent where nobody told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub struct Margin {
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub max_us: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none(stamps: &u64) -> bool {
    *stamps == 0
}

/// Gathers [`Stamping`] over the levels of a report.
#[derive(Debug)]
pub struct StampQuality {
    stages: Vec<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    stage: Stage,
    stamps: u64,
    foreign: u64,
    lags: Histogram<u64>,
    errors: Histogram<u64>,
    dropped: u64,
}

impl StampQuality {
    /// Over these stages.
    pub fn new(path: &[Stage]) -> Self {
        let gathered = |stage: &Stage| Gathered {
            stage: stage.clone(),
            stamps: 0,
            foreign: 0,
            lags: histogram(),
            errors: histogram(),
            dropped: 0,
        };
        Self { stages: path.iter().map(gathered).collect() }
    }

    /// Takes in a stamp of the stage with this index.
    pub fn add(&mut self, stage: usize, stamp: &Stamp) {
        let gathered = &mut self.stages[stage];
        gathered.stamps += 1;
        if stamp.foreign {
            gathered.foreign += 1;
            return;
        }
        // What lies beyond the bounds stands at them: a lag below zero is a clock's error, one above an hour a clock that was set.
        if let Some(lag) = stamp.lag_us {
            gathered.lags.saturating_record(u64::try_from(lag).unwrap_or(0));
        }
        if let Some(error) = stamp.err_us {
            gathered.errors.saturating_record(error.into());
        }
    }

    /// Takes in stamps of the stage with this index that were dropped.
    pub fn add_dropped(&mut self, stage: usize, dropped: u64) {
        self.stages[stage].dropped += dropped;
    }

    /// What has been gathered so far.
    pub fn summary(&self) -> Vec<Stamping> {
        let summary = |gathered: &Gathered| Stamping {
            stage: gathered.stage.clone(),
            stamps: gathered.stamps,
            plain: gathered.stamps - gathered.foreign - gathered.lags.len(),
            foreign: gathered.foreign,
            lag: Margin::of(&gathered.lags),
            err: Margin::of(&gathered.errors),
            dropped: gathered.dropped,
        };
        self.stages.iter().map(summary).collect()
    }
}

impl Margin {
    fn of(values: &Histogram<u64>) -> Self {
        let at = |quantile| (!values.is_empty()).then(|| values.value_at_quantile(quantile));
        Self { p50_us: at(0.5), p99_us: at(0.99), max_us: (!values.is_empty()).then(|| values.max()) }
    }
}

/// For up to an hour in µs.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(3_600_000_000, 3).unwrap_or_else(|_| unreachable!("these bounds are valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_stamps_have_neither_lag_nor_error() {
        let mut quality = StampQuality::new(&[Stage::SEND]);
        let plain = Stamp { id: 1, time_us: 5, lag_us: None, err_us: None, step: 0, foreign: false };
        quality.add(0, &plain);
        quality.add(0, &Stamp { lag_us: Some(40), err_us: Some(7), ..plain });
        quality.add_dropped(0, 3);
        let summary = &quality.summary()[0];
        assert_eq!((summary.stamps, summary.plain, summary.dropped), (2, 1, 3));
        assert_eq!((summary.lag.p50_us, summary.err.p99_us), (Some(40), Some(7)));
    }
}
