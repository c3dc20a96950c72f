//! What is told to whoever watches, each with a number; as many as a short absence needs. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept. Whoever was away for longer gets the whole state.
const KEPT: usize = 120;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) kind: &'static str,
    pub(crate) data: Arc<str>,
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    last: u64,
    kept: VecDeque<Told>,
}

/// What somebody is to be told.
#[derive(Debug)]
pub(crate) enum Due {
    Nothing,
    /// What has come since.
    Events(Vec<Told>),
    /// Too much has come since.
    Snapshot,
}

impl Events {
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn push(&mut self, kind: &'static str, data: String) {
        self.last += 1;
        self.kept.push_back(Told { id: self.last, kind, data: data.into() });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// What was told does not add up to what is: all get the whole state.
    pub(crate) fn renew(&mut self) {
        self.last += 1;
        self.kept.clear();
    }

    /// What has come after this event; the whole state to whoever has seen none.
    pub(crate) fn after(&self, seen: Option<u64>) -> Due {
        match seen {
            Some(seen) if seen == self.last => Due::Nothing,
            Some(seen) if seen < self.last && self.kept.front().is_some_and(|first| first.id <= seen + 1) => {
                Due::Events(self.kept.iter().filter(|told| told.id > seen).cloned().collect())
            }
            _ => Due::Snapshot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(events: &Events, seen: Option<u64>) -> String {
        match events.after(seen) {
            Due::Nothing => "nothing".to_owned(),
            Due::Snapshot => "snapshot".to_owned(),
            Due::Events(all) => all.iter().map(|told| told.id.to_string()).collect::<Vec<_>>().join(","),
        }
    }

    #[test]
    fn a_short_absence_is_made_up_for_and_a_long_one_begins_anew() {
        let mut events = Events::default();
        assert_eq!((due(&events, None), due(&events, Some(0))), ("snapshot".to_owned(), "nothing".to_owned()));
        for _ in 0..3 {
            events.push("tick", String::new());
        }
        assert_eq!((due(&events, Some(1)), due(&events, Some(3))), ("2,3".to_owned(), "nothing".to_owned()));
        for _ in 0..KEPT {
            events.push("tick", String::new());
        }
        assert_eq!((due(&events, Some(2)), due(&events, Some(3)).split(',').count()), ("snapshot".to_owned(), KEPT));
        // What nobody here has told.
        assert_eq!(due(&events, Some(1_000)), "snapshot");
        events.renew();
        assert_eq!(due(&events, Some(123)), "snapshot");
        assert_eq!(due(&events, Some(124)), "nothing");
    }
}
