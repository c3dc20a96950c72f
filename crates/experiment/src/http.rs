//! What a load was, as the report shows it.

use analysis::Http;
use load::{Tally, WrkResult};
use std::time::Duration;

/// What a load of this program measured.
pub fn of_tally(tally: &Tally) -> Http {
    // An empty histogram tells zeros.
    let measured = |us: u64| (!tally.response.is_empty()).then_some(us);
    Http {
        duration_us: microseconds(tally.duration),
        requests: tally.requests,
        accepted: tally.accepted(),
        errors: tally.errors.clone(),
        mean_us: (!tally.response.is_empty()).then(|| tally.response.mean()),
        p50_us: measured(tally.response.value_at_quantile(0.5)),
        p99_us: measured(tally.response.value_at_quantile(0.99)),
        max_us: measured(tally.response.max()),
        service_p50_us: measured(tally.service.value_at_quantile(0.5)),
        generator_cpu_share: tally.cpu_share(),
    }
}

/// A load of wrk, as far as wrk tells.
pub(crate) fn of_wrk(result: WrkResult) -> Http {
    // wrk prints times far below the 2^53 µs up to which an f64 is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = |us: f64| us.round() as u64;
    let [mean_us, p50, p99, max] = result.latency_us;
    Http {
        duration_us: microseconds(result.duration),
        requests: result.requests,
        accepted: result.requests,
        errors: result.errors,
        mean_us: Some(mean_us),
        p50_us: Some(whole(p50)),
        p99_us: Some(whole(p99)),
        max_us: Some(whole(max)),
        ..Http::default()
    }
}

/// Corrects a load of another program by what the pipeline has taken in.
pub(crate) fn accept(http: &mut Http, accepted: u64) {
    http.accepted = accepted;
    http.requests = http.requests.max(accepted);
    if accepted == 0 {
        // Its times are of all answers, whatever they said.
        (http.mean_us, http.p50_us, http.p99_us, http.max_us) = (None, None, None, None);
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
