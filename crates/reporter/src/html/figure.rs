//! Figures as texts: in ms unless they say otherwise, in about four digits.

use analysis::Interval;
use analysis::number::NOT_AVAILABLE;
use analysis::number::grouped;

/// A time in µs as ms, without the unit.
pub(super) fn ms(us: f64) -> String {
    let ms = us / 1e3;
    let decimals = match ms.abs() {
        ..9.9995 => 3,
        ..99.995 => 2,
        ..999.95 => 1,
        _ => 0,
    };
    grouped(ms, decimals)
}

/// A confidence interval as ms: `1.200–1.450`, or `≥ 1.200` where it has no upper end. A dash between negative numbers would be taken for a minus.
pub(super) fn interval(interval: &Interval) -> String {
    let low = ms(interval.low_us as f64);
    match interval.high_us {
        Some(high) if interval.low_us < 0 => format!("{low} to {}", ms(high as f64)),
        Some(high) => format!("{low}–{}", ms(high as f64)),
        None => format!("≥ {low}"),
    }
}

/// The same in a sentence.
pub(super) fn interval_explained(interval: &Interval) -> String {
    let low = ms(interval.low_us as f64);
    let range = match interval.high_us {
        Some(high) => format!("{low} to {} ms", ms(high as f64)),
        None => format!("at least {low} ms"),
    };
    let independent = grouped(interval.effective_count as f64, 0);
    format!("with 95 % confidence {range}; tells as much as {independent} independent messages")
}

/// A part of a whole, 0 to 1, as percent in about two digits; what is there does not become 0. No line breaks before the sign.
pub(super) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    match percent.abs() {
        0.0 => "0\u{a0}%".to_owned(),
        ..0.1 => "<\u{a0}0.1\u{a0}%".to_owned(),
        ..9.95 => format!("{}\u{a0}%", grouped(percent, 1).trim_end_matches(".0")),
        _ => format!("{}\u{a0}%", grouped(percent, 0)),
    }
}

/// A number with this many significant digits, small ones in powers of ten: `0.0412`, `1.2 × 10⁻⁵`.
pub(super) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { NOT_AVAILABLE.to_owned() };
    }
    // Of a finite f64, the exponent lies between -324 and 308.
    #[allow(clippy::cast_possible_truncation)]
    let exponent = value.abs().log10().floor() as i32;
    if exponent < -4 {
        let decimals = usize::try_from(digits - 1).unwrap_or(0);
        return format!("{:.decimals$} × 10{}", value / 10f64.powi(exponent), superscript(exponent));
    }
    grouped(value, usize::try_from(digits - 1 - exponent).unwrap_or(0))
}

fn superscript(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |sign: char| sign.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    exponent.to_string().chars().map(raised).collect()
}

/// Bytes as MiB.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", grouped(bytes as f64 / f64::from(1 << 20), 1))
}

/// `1 level`, `2,000 levels`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    stamp::counted(grouped(count as f64, 0), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_about_four_digits() {
        let cases = [(115.0, "0.115"), (-40.0, "−0.040"), (9_999.6, "10.00"), (123_456.0, "123.5"), (14.2e6, "14,200")];
        for (us, expected) in cases {
            assert_eq!(ms(us), expected);
        }
    }

    #[test]
    fn an_interval_may_have_no_upper_end() {
        let mut one = Interval { low_us: 1200, high_us: Some(1450), effective_count: 2000 };
        assert_eq!(interval(&one), "1.200–1.450");
        assert_eq!(interval(&Interval { low_us: -383, high_us: Some(-295), ..one }), "−0.383 to −0.295");
        one.high_us = None;
        assert_eq!(interval(&one), "≥ 1.200");
        let sentence = "with 95 % confidence at least 1.200 ms; tells as much as 2,000 independent messages";
        assert_eq!(interval_explained(&one), sentence);
    }

    #[test]
    fn small_parts_and_small_numbers_do_not_become_zero() {
        let percents =
            [(0.0, "0 %"), (0.0004, "< 0.1 %"), (0.0123, "1.2 %"), (0.01, "1 %"), (0.784, "78 %"), (1.0, "100 %")];
        for (part, expected) in percents {
            assert_eq!(percent(part).replace('\u{a0}', " "), expected);
        }
        let numbers =
            [(0.0, "0"), (0.041_23, "0.0412"), (0.000_012_3, "1.23 × 10⁻⁵"), (8615.8, "8,616"), (-2.0, "−2.00")];
        for (value, expected) in numbers {
            assert_eq!(significant(value, 3), expected);
        }
        assert_eq!(significant(f64::NAN, 3), "n/a");
    }
}
