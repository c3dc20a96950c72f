//! Who is told, and when.

use history::{CAPACITIES, Figure, Row, Verdict};
use load::Target;
use plan::NotifyWhen;
use std::fmt;
use std::str::FromStr;

/// Without an interval, a capacity that differs by less than this part is the same.
const ALIKE: f64 = 0.05;

/// Who is told, and when.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// An incoming webhook of Slack.
    pub slack: Option<Address>,
    /// Whoever takes JSON.
    pub url: Option<Address>,
    /// When: any of these is enough.
    pub when: Vec<NotifyWhen>,
}

/// An address that is a secret.
#[derive(Clone)]
pub struct Address(pub(crate) Target);

/// What was given is no address; it is not quoted.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this is no address to send messages to: set it to https://host/path")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        text.trim().parse().map(Self).map_err(|_| InvalidAddress)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }
}

impl Targets {
    /// Whether there is nobody to tell.
    pub fn is_empty(&self) -> bool {
        self.slack.is_none() && self.url.is_none()
    }

    /// Whether this run is to be told, after that one.
    pub(crate) fn wants(&self, row: &Row, before: Option<&Row>) -> bool {
        self.when.iter().any(|when| match when {
            NotifyWhen::Always => true,
            NotifyWhen::Failed => matches!(row.verdict, Verdict::Missed | Verdict::Failed),
            NotifyWhen::Changed => {
                before.is_none_or(|before| before.verdict != row.verdict || capacity_differs(row, before))
            }
        })
    }
}

/// Whether each of two capacities lies beyond the interval of the other, or one is not known.
fn capacity_differs(row: &Row, before: &Row) -> bool {
    CAPACITIES.iter().any(|name| match (row.figures.get(*name), before.figures.get(*name)) {
        (None, None) => false,
        (Some(now), Some(then)) => now.is_comparable(then) && is_beyond(now, then),
        _ => true,
    })
}

/// Whether each lies beyond the interval of the other.
fn is_beyond(now: &Figure, then: &Figure) -> bool {
    let beyond = |value: f64, of: &Figure| {
        let (low, high) = (of.low.unwrap_or(of.value * (1.0 - ALIKE)), of.high.unwrap_or(of.value * (1.0 + ALIKE)));
        !(low..=high).contains(&value)
    };
    beyond(now.value, then) && beyond(then.value, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::row;

    #[test]
    fn who_wants_what() {
        let wants = |when: NotifyWhen, row: &Row, before: Option<&Row>| {
            Targets { when: vec![when], ..Targets::default() }.wants(row, before)
        };
        let (held, missed) = (row(38_000.0, Verdict::Held), row(38_000.0, Verdict::Missed));
        assert!(wants(NotifyWhen::Always, &held, Some(&held)));
        assert!(wants(NotifyWhen::Failed, &missed, None) && !wants(NotifyWhen::Failed, &held, None));
        assert!(wants(NotifyWhen::Changed, &held, None), "the first run");
        assert!(!wants(NotifyWhen::Changed, &held, Some(&row(38_300.0, Verdict::Held))));
        assert!(wants(NotifyWhen::Changed, &held, Some(&missed)));
        assert!(wants(NotifyWhen::Changed, &held, Some(&row(48_000.0, Verdict::Held))));
        let mut open = [row(200.0, Verdict::Held), row(40.0, Verdict::Held)];
        for capacity in open.iter_mut().filter_map(|row| row.figures.get_mut("capacity")) {
            (capacity.low, capacity.high) = (Some(capacity.value), None);
        }
        assert!(!wants(NotifyWhen::Changed, &open[1], Some(&open[0])), "at least so much, both times");
        assert!(!Targets::default().wants(&missed, None));
    }

    #[test]
    fn an_address_is_not_shown() {
        let address: Address = "https://hooks.slack.com/services/hush".parse().unwrap();
        let told = format!("{:?}", Targets { slack: Some(address), ..Targets::default() });
        assert!(!told.contains("hush") && !told.contains("hooks"), "{told}");
        let error = "hooks.slack.com/hush".parse::<Address>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}
