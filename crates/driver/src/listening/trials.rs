//! The trials of a search, for people, and its answer for scripts.

use analysis::{Found, Level, Over, Trial};
use serde_json::{Value, json};

/// The heading of the table of trials.
pub(super) fn trial_heading() -> String {
    format!("{:>9} {:>6} {:>9} {:>9} {:>9}  verdict", "load", "s", "req/s", "http p99", "arr p99")
}

/// One trial; it was interrupted where there is nothing that it says.
pub(super) fn trial_row(level: &Level, trial: Option<&Trial>) -> String {
    let ms = |us: Option<f64>| us.map_or_else(|| "n/a".to_owned(), |us| format!("{:.2}", us / 1e3));
    let http = level.load.http.as_ref();
    let why = trial.and_then(|trial| trial.why.as_ref()).map_or_else(String::new, |why| format!(": {why}"));
    format!(
        "{:>9} {:>6.1} {:>9} {:>9} {:>9}  {}{why}",
        level.load.position().unwrap_or_default(),
        http.map_or(0.0, |http| http.duration_us as f64 / 1e6),
        http.map_or_else(|| "n/a".to_owned(), |http| format!("{:.0}", http.requests_per_sec())),
        ms(http.and_then(|http| http.p99_us).map(|us| us as f64)),
        ms(level.arrival.p99_us.map(|us| us as f64)),
        trial.map_or("interrupted", |trial| trial.verdict.word()),
    )
}

/// The answer as JSON.
pub(super) fn answer(found: &Found) -> Value {
    let of = |over: Over, end: Option<f64>| end.filter(|_| found.over == over);
    json!({
        "low_per_sec": of(Over::Rate, found.low),
        "high_per_sec": of(Over::Rate, found.high),
        "low_users": of(Over::Users, found.low),
        "high_users": of(Over::Users, found.high),
        "ended": found.ended,
        "limited_by": found.limited_by,
        "not_monotonic": found.not_monotonic,
        "hold": found.hold,
        "within": found.within,
        "took_s": found.took_us as f64 / 1e6,
        "sentence": found.sentence(),
        "trials": found.trials,
    })
}
