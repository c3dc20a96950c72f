//! Numbers as labels.

/// What stands where there was nothing to measure.
pub const NOT_AVAILABLE: &str = "n/a";

/// A number with commas between thousands.
pub fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut label = String::new();
    if value < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        label.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            label.push(',');
        }
        label.push(digit);
    }
    if let Some(fraction) = fraction {
        label.push('.');
        label.push_str(fraction);
    }
    label
}

/// A round number of µs, such as a tick's, as ms: no digit more than it takes.
pub fn round_ms(us: f64) -> String {
    let label = grouped(us / 1e3, 4);
    format!("{} ms", label.trim_end_matches('0').trim_end_matches('.'))
}

/// A measured time in µs as ms, without the unit, in about three digits.
pub fn measured_ms(us: f64) -> String {
    let ms = us / 1e3;
    let decimals = match ms.abs() {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    grouped(ms, decimals)
}

/// The same with the unit, as sentences have it.
pub fn ms(us: f64) -> String {
    format!("{} ms", measured_ms(us))
}

/// A measured time in µs as ms, to the µs, without the unit.
pub fn exact_ms(us: i64) -> String {
    grouped(us as f64 / 1e3, 3)
}

/// A part of 1 as percent, with its digits: `99.9 %`.
pub fn percent(share: f64) -> String {
    let label = format!("{:.6}", share * 100.0);
    format!("{} %", label.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases = [
            (0.0, "0"),
            (999.4, "999"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1500.0, "−1,500"),
            (-0.2, "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(grouped(value, 0), expected);
        }
        assert_eq!(grouped(12_345.678, 1), "12,345.7");
    }

    #[test]
    fn ticks_show_no_needless_digits() {
        let cases = [
            (0.1, "0.0001 ms"),
            (20.0, "0.02 ms"),
            (500.0, "0.5 ms"),
            (1e3, "1 ms"),
            (1e5, "100 ms"),
            (2e7, "20,000 ms"),
        ];
        for (us, expected) in cases {
            assert_eq!(round_ms(us), expected);
        }
    }

    #[test]
    fn measured_times_have_three_digits() {
        let cases = [(4.0, "0.00"), (462.0, "0.46"), (9_996.0, "10.0"), (99_960.0, "100"), (14_200_000.0, "14,200")];
        for (us, expected) in cases {
            assert_eq!(measured_ms(us), expected);
        }
    }

    #[test]
    fn shares_are_shown_whole() {
        let cases = [(0.0, "0 %"), (0.5, "50 %"), (0.999, "99.9 %"), (0.999_999, "99.9999 %"), (1.0, "100 %")];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected);
        }
        assert_eq!(exact_ms(1_234_567), "1,234.567");
    }
}
