//! Values of the command line that several commands take.

use std::time::Duration;

/// Reads a duration such as `10s`, `1.5s`, `200ms` or `1m 30s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    stamp::parse_duration(text)
}

/// Reads a rate.
pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && (0.001..=10e6).contains(rate));
    rate.ok_or_else(|| "give requests a second, from 0.001 to 10000000".to_owned())
}
