//! Ends a level as soon as a threshold that says so does not hold: by what the level has measured so far, in the same way as at its end.

use crate::pipeline::Pipeline;
use analysis::{Http, Load, Report, StampQuality, StampsError, Sweep, Threshold, measure, untraced};
use hdrhistogram::Histogram;
use load::Totals;
use std::time::{Duration, Instant};

/// From one look to the next at least, and so many times what the last one took: stamps so far become more and more.
const PERIOD: Duration = Duration::from_millis(900);
const TIMES: u32 = 20;

/// Watches a level.
pub(crate) struct Watcher<'a> {
    thresholds: Vec<(&'a Threshold, Duration)>,
    /// When what is measured began.
    begun: Option<Instant>,
    next: Option<Instant>,
}

impl<'a> Watcher<'a> {
    /// For those of the thresholds that end a level; none where there are none.
    pub(crate) fn of(thresholds: &'a [Threshold]) -> Option<Self> {
        let aborting = thresholds.iter().filter_map(|one| Some((one, one.aborts_after()?)));
        let thresholds: Vec<(&Threshold, Duration)> = aborting.collect();
        (!thresholds.is_empty()).then_some(Self { thresholds, begun: None, next: None })
    }

    /// Why the level is to be ended, where it is: the threshold that does not hold, and what was measured.
    /// Fails when the log store fails.
    pub(crate) async fn look(
        &mut self,
        totals: &Totals,
        load: &Load,
        sweep: &Sweep,
        pipeline: &Pipeline,
        now: Instant,
    ) -> Result<Option<String>, StampsError> {
        if totals.is_around {
            return Ok(None);
        }
        let begun = *self.begun.get_or_insert(now);
        let lasted = now.saturating_duration_since(begun);
        let due: Vec<&Threshold> =
            self.thresholds.iter().filter(|(_, after)| lasted >= *after).map(|(one, _)| *one).collect();
        if due.is_empty() || lasted.is_zero() || self.next.is_some_and(|next| now < next) {
            return Ok(None);
        }
        let load = Load { http: Some(so_far(totals, lasted)), ..load.clone() };
        let began_to_look = stamp::clock::now();
        let level = match &pipeline.store {
            Some(store) => {
                measure(&mut store.log.clone().into(), &load, sweep, &mut StampQuality::new(&sweep.path), &|| ())
                    .await?
            }
            None => untraced(&load, sweep),
        };
        let took = stamp::clock::now().saturating_duration_since(began_to_look);
        self.next = Some(now + PERIOD.max(took * TIMES));
        let mut report = Report::new(sweep);
        report.add(level);
        let verdicts = due.into_iter().map(|threshold| threshold.judge(&report));
        // What cannot be told yet ends nothing.
        let missed = verdicts.into_iter().find(|verdict| !verdict.held && verdict.measured.is_some());
        Ok(missed.map(|verdict| format!("{} was missed: {}", verdict.threshold, verdict.told())))
    }
}

/// What the generator has measured so far.
fn so_far(totals: &Totals, lasted: Duration) -> Http {
    let mut response = Histogram::<u64>::new(3).ok();
    for (us, count) in &totals.response {
        if let Some(response) = &mut response {
            // It grows by itself.
            let _ = response.record_n(*us, *count);
        }
    }
    let response = response.filter(|response| !response.is_empty());
    let at = |quantile: f64| response.as_ref().map(|response| response.value_at_quantile(quantile));
    Http {
        duration_us: u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX),
        requests: totals.requests,
        accepted: response.as_ref().map_or(0, Histogram::len),
        errors: totals.errors.clone(),
        mean_us: response.as_ref().map(Histogram::mean),
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: response.as_ref().map(Histogram::max),
        ..Http::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_so_far() {
        let errors = [("timeout".to_owned(), 2)].into();
        let totals = Totals { requests: 12, errors, response: vec![(100, 9), (5000, 1)], ..Totals::default() };
        let http = so_far(&totals, Duration::from_secs(1));
        assert_eq!((http.requests, http.accepted, http.failed()), (12, 10, 2));
        assert_eq!((http.p50_us, http.max_us), (Some(100), Some(5003)));
    }

    #[test]
    fn only_those_that_end_a_level_are_watched() {
        let thresholds: Vec<Threshold> =
            ["errors<1%", "errors<5%,abort after 10s"].map(|text| text.parse().unwrap()).into();
        assert_eq!(Watcher::of(&thresholds).unwrap().thresholds.len(), 1);
        assert!(Watcher::of(&thresholds[..1]).is_none());
    }
}
