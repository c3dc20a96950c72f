//! Student's t distribution.

use super::binomial::incomplete_beta;

/// What |t| with so many degrees of freedom, which need not be whole, exceeds with probability 5 %.
pub fn two_sided_95(freedom: f64) -> f64 {
    student_exceeded(freedom, 0.05)
}

/// What |t| with so many degrees of freedom, which need not be whole, exceeds with this probability, above 0 and below 1.
///
/// P(|T| > t) is the incomplete beta function Iₓ(ν/2, 1/2) with x = ν / (ν + t²) (Abramowitz & Stegun 1964, 26.7.1 and 26.5.27).
pub fn student_exceeded(freedom: f64, probability: f64) -> f64 {
    let beyond = |t: f64| incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    let (mut low, mut high) = (0.0, 1.0);
    while beyond(high) > probability {
        (low, high) = (high, high * 2.0);
    }
    // Each turn halves the distance.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beyond(middle) > probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_values() {
        for (freedom, t) in [(1.0, 12.706_2), (2.0, 4.302_65), (4.0, 2.776_45), (10.0, 2.228_14), (1e6, 1.959_97)] {
            assert!((two_sided_95(freedom) - t).abs() < 1e-4 * t, "{freedom}: {}", two_sided_95(freedom));
        }
        // The tail of a tail: t of 8 degrees of freedom exceeds 5.041 31 with probability 0.1 % on both sides together.
        assert!((student_exceeded(8.0, 0.001) - 5.041_31).abs() < 1e-4);
        assert!((2.776_45..3.182_45).contains(&two_sided_95(3.5)), "between those of 3 and 4");
    }
}
