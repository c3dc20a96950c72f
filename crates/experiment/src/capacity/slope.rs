//! A rate from a counter that was looked at again and again. Pure.

use std::time::Duration;

/// What was counted, and when.
pub(super) type Look = (Duration, u64);

/// What is cut off at each end, where it starts and runs out.
const CUT: f64 = 0.1;

/// Messages a second over the middle 80 % of what was counted: from the moment at which a tenth was there to that at which nine tenths were, each on the
/// line between two looks. None where that took no time.
pub(super) fn of_middle(looks: &[Look]) -> Option<f64> {
    let (first, last) = (looks.first()?.1, looks.last()?.1);
    let span = last.checked_sub(first)? as f64;
    let at = |part: f64| {
        let wanted = first as f64 + part * span;
        let pair = looks.windows(2).find(|pair| pair[1].1 as f64 >= wanted)?;
        let [(before, low), (after, high)] = *pair else { return None };
        let within = if high > low { (wanted - low as f64) / (high - low) as f64 } else { 0.0 };
        Some(before.as_secs_f64() + within.max(0.0) * after.saturating_sub(before).as_secs_f64())
    };
    let took = at(1.0 - CUT)? - at(CUT)?;
    (span > 0.0 && took > 0.0).then(|| span * (1.0 - 2.0 * CUT) / took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(counts: &[u64]) -> Vec<Look> {
        counts.iter().enumerate().map(|(at, count)| (Duration::from_millis(100 * at as u64), *count)).collect()
    }

    #[test]
    fn start_and_end_are_cut_off() {
        // A slow start, 1,000 in each tenth of a second, and an end that waits.
        let counts = [0, 0, 0, 100, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 9900, 10_000, 10_000, 10_000];
        let rate = of_middle(&looks(&counts)).unwrap();
        assert!((rate - 10_000.0).abs() < 1.0, "{rate}");
    }

    #[test]
    fn what_did_not_move_has_no_rate() {
        assert_eq!(of_middle(&looks(&[5, 5, 5])), None);
        assert_eq!(of_middle(&[]), None);
    }
}
