//! Which HTTP statuses count as accepted.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A set of HTTP statuses such as `2xx`, `200,202` or `200-204,304`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusSet {
    ranges: Vec<(u16, u16)>,
    text: String,
}

/// The text is no set of statuses.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no set of HTTP statuses: write 2xx, 200,202 or 200-204")]
pub struct InvalidStatusSet(String);

impl StatusSet {
    /// These ranges, both ends included.
    pub fn of(ranges: &[(u16, u16)]) -> Self {
        let text: Vec<String> = ranges
            .iter()
            .map(|(least, most)| if least == most { least.to_string() } else { format!("{least}-{most}") })
            .collect();
        Self { ranges: ranges.to_vec(), text: text.join(",") }
    }

    /// Whether the status is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|&(least, most)| (least..=most).contains(&status))
    }
}

impl FromStr for StatusSet {
    type Err = InvalidStatusSet;

    fn from_str(text: &str) -> Result<Self, InvalidStatusSet> {
        let status = |text: &str| text.parse().ok().filter(|status| (100..=999).contains(status));
        let range = |part: &str| match (part.strip_suffix("xx"), part.split_once('-')) {
            (Some(class), _) => {
                class.parse::<u16>().ok().filter(|class| (1..=9).contains(class)).map(|c| (c * 100, c * 100 + 99))
            }
            (None, Some((least, most))) => Some((status(least)?, status(most)?)).filter(|(least, most)| least <= most),
            (None, None) => status(part).map(|status| (status, status)),
        };
        let ranges = text.split(',').map(|part| range(part.trim())).collect::<Option<Vec<_>>>();
        let ranges = ranges.ok_or_else(|| InvalidStatusSet(text.to_owned()))?;
        Ok(Self { ranges, text: text.to_owned() })
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        for (text, inside, outside) in [("2xx", 299, 300), ("200,202", 202, 201), ("200-204,304", 304, 205)] {
            let set: StatusSet = text.parse().unwrap();
            assert!(set.contains(inside) && !set.contains(outside), "{text}");
        }
        for bad in ["", "xx", "0xx", "20", "204-200", "200,", "ok"] {
            assert!(bad.parse::<StatusSet>().is_err(), "{bad}");
        }
    }
}
