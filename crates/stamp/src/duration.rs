//! Durations as people write them.

use std::time::Duration;

/// Nothing here lasts longer; and what is longer would be written in months again.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Months and years, which humantime takes for so many seconds.
const CALENDAR: [&str; 8] = ["M", "month", "months", "y", "yr", "yrs", "year", "years"];

/// Reads a duration such as `10s`, `1.5s`, `200ms` or `1m 30s`.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace();
    if let Some(unit) = text.split(is_number).find(|unit| CALENDAR.contains(unit)) {
        return Err(match unit {
            "M" => format!("M stands for months: did you mean {}?", text.replace('M', "m")),
            _ => format!("{unit} is too long a unit: give 30d at most"),
        });
    }
    let duration = humantime::parse_duration(text)
        .or_else(|error| decimal(text.trim()).ok_or(error))
        .map_err(|error| format!("{error}: write it with its unit, as in 10s, 1.5s or 200ms"))?;
    if duration > LONGEST { Err("that is too long: give 30d at most".to_owned()) } else { Ok(duration) }
}

/// One number with decimals and its unit, which humantime does not know.
fn decimal(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text[..text.len() - unit.len()].parse::<f64>().ok()?;
    // A unit with a whole number is what humantime knows.
    let one = humantime::parse_duration(&format!("1{}", unit.trim_start())).ok()?;
    Duration::try_from_secs_f64(number * one.as_secs_f64()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (text, ms) in [
            ("1.5s", 1500),
            ("0.5 s", 500),
            (".25s", 250),
            ("2.5ms", 2),
            ("1.5m", 90_000),
            ("10s", 10_000),
            ("1m 30s", 90_000),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "1.5", "1.2.3s", "-1s", "1e400s", "1.5 parsecs", "s", "."] {
            assert!(parse_duration(text).unwrap_err().contains("10s"), "{text}");
        }
        for (text, remedy) in
            [("1M", "did you mean 1m?"), ("1M 30s", "1m 30s?"), ("2y", "30d"), ("1 month", "30d"), ("31d", "30d")]
        {
            assert!(parse_duration(text).unwrap_err().contains(remedy), "{text}");
        }
    }
}
