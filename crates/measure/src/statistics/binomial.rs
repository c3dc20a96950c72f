//! The binomial distribution.

/// P(X ≥ k) for X ~ Bin(n, p), 0 < p < 1: the regularised incomplete beta function `I_p(k, n − k + 1)` (Abramowitz & Stegun 1964, 26.5.24).
pub(crate) fn at_least(k: u64, n: u64, p: f64) -> f64 {
    match k {
        0 => 1.0,
        _ if k > n => 0.0,
        _ => incomplete_beta(p, k as f64, (n - k) as f64 + 1.0),
    }
}

/// `I_x(a, b)` by its continued fraction (Abramowitz & Stegun 26.5.8), evaluated by Lentz's method as in W. H. Press et al., "Numerical Recipes",
/// 3rd edition (2007), section 6.4.
pub(crate) fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    let front = (a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    // The fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

#[allow(clippy::many_single_char_names, reason = "they are called so in the literature")]
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    // It takes some multiple of the root of the larger of a and b.
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            step = c * d;
            value *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for x > 0, by the approximation of C. Lanczos (1964) with g = 7 and 9 terms: to 15 digits.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum: f64 = TERMS[0] + TERMS[1..].iter().zip(1u8..).map(|(term, i)| term / (x + f64::from(i))).sum::<f64>();
    let t = x + G + 0.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // By exact summation of fractions.
        for (k, n, p, expected) in
            [(1, 1, 0.3, 0.3), (2, 3, 0.5, 0.5), (5, 10, 0.5, 0.623_046_875), (10, 10, 0.9, 0.348_678_440_1)]
        {
            assert!((at_least(k, n, p) - expected).abs() < 1e-12, "{k} {n} {p}: {}", at_least(k, n, p));
        }
        assert_eq!((at_least(0, 5, 0.5), at_least(6, 5, 0.5)), (1.0, 0.0));
    }

    #[test]
    fn large_numbers_keep_their_digits() {
        // The median of Bin(n, 1/2) for odd n. The logarithms before it are of the size of 10^7, and leave 8 digits.
        assert!((at_least(1_000_001, 2_000_001, 0.5) - 0.5).abs() < 1e-7);
    }

    proptest! {
        #[test]
        fn it_is_the_sum_of_its_parts(n in 1u64..200, k in 1u64..200, p in 0.001f64..0.999) {
            let ln_choose = |k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
            let mass = |k: u64| (ln_choose(k) + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp();
            let sum: f64 = (k..=n).map(mass).sum();
            prop_assert!((at_least(k, n, p) - sum).abs() < 1e-10);
        }
    }
}
