//! Whether latencies that are neighbours in time are alike: a queue makes them so, and then they tell less than as many independent ones.

/// Batches of equal size that the values are divided into, at most.
const BATCHES: usize = 32;

/// Values beyond the quantile that a batch should have, or below it, whichever are fewer: for fewer the test would find too much.
const LEAST_IN_BATCH: f64 = 5.0;

/// With fewer batches nothing can be told.
const LEAST_BATCHES: usize = 8;

/// By how much the variance of the share of values beyond `us` is larger than that of independent values, for values in the order of time. It
/// is 1 unless the batches differ more than chance lets them in 99 of 100 independent samples. `None` where too few lie beyond it to tell.
///
/// That is the method of batch means for a quantile: P. Heidelberger & P. A. W. Lewis (1984), "Quantile estimation in dependent sequences",
/// Operations Research 32, 185-209, applied to the indicator of exceeding it.
pub(crate) fn design_effect(values: &[i64], us: i64, quantile: f64) -> Option<f64> {
    let rarer = quantile.min(1.0 - quantile);
    // A small number of batches.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let batches = BATCHES.min((values.len() as f64 * rarer / LEAST_IN_BATCH) as usize);
    if batches < LEAST_BATCHES {
        return None;
    }
    let size = values.len() / batches;
    let beyond: Vec<f64> = values
        .chunks_exact(size)
        .take(batches)
        .map(|batch| batch.iter().filter(|&&value| value > us).count() as f64)
        .collect();
    let mean = beyond.iter().sum::<f64>() / batches as f64;
    let share = mean / size as f64;
    let variance = size as f64 * share * (1.0 - share);
    if variance <= 0.0 {
        return None;
    }
    let freedom = (batches - 1) as f64;
    let chi_square = beyond.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / variance;
    let alike = chi_square > upper_percent_of_chi_square(freedom);
    Some(if alike { (chi_square / freedom).max(1.0) } else { 1.0 })
}

/// What χ² with so many degrees of freedom exceeds with probability 1 %, by the approximation of E. B. Wilson & M. M. Hilferty (1931).
fn upper_percent_of_chi_square(freedom: f64) -> f64 {
    const NORMAL_99: f64 = 2.326_347_9;
    let part = 2.0 / (9.0 * freedom);
    freedom * (1.0 - part + NORMAL_99 * part.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chi_square_distribution() {
        // From tables: 18.475 for 7, 52.191 for 31 degrees of freedom.
        assert!((upper_percent_of_chi_square(7.0) - 18.475).abs() < 0.1);
        assert!((upper_percent_of_chi_square(31.0) - 52.191).abs() < 0.1);
    }

    #[test]
    fn a_burst_of_slow_messages_tells_little() {
        // One in ten is slow: spread evenly, or all of them one after another.
        let spread: Vec<i64> = (0..3200).map(|i| if i % 10 == 0 { 100 } else { 1 }).collect();
        let burst: Vec<i64> = (0..3200).map(|i| if (1600..1920).contains(&i) { 100 } else { 1 }).collect();
        assert_eq!(design_effect(&spread, 50, 0.9), Some(1.0));
        assert!(design_effect(&burst, 50, 0.9).unwrap() > 20.0);
    }

    #[test]
    fn too_few_values_tell_nothing() {
        assert_eq!(design_effect(&[1, 1, 1, 100, 100], 50, 0.5), None);
        assert_eq!(design_effect(&[], 50, 0.5), None);
    }
}
