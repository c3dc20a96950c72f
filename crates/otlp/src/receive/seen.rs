//! Which spans have been taken: an exporter that got no answer sends its spans again.

use std::collections::{HashSet, VecDeque};

/// Spans that are remembered: minutes of them at tens of thousands a second.
const MOST: usize = 1 << 20;

/// The newest spans, by their id.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Takes a span in; false where it is known.
    pub(super) fn add(&mut self, trace: &[u8], span: &[u8]) -> bool {
        // Both are random, so that their bits tell them apart well enough.
        let bits = |bytes: &[u8]| bytes.iter().rev().take(8).fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let id = bits(span) ^ bits(trace).rotate_left(32);
        if span.is_empty() {
            return true;
        }
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.add(&[1; 16], &[2; 8]));
        assert!(!seen.add(&[1; 16], &[2; 8]));
        assert!(seen.add(&[1; 16], &[3; 8]) && seen.add(&[4; 16], &[2; 8]));
        // What has no id cannot be told from others.
        assert!(seen.add(&[], &[]) && seen.add(&[], &[]));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        for id in 0..=MOST as u64 {
            assert!(seen.add(&[0; 16], &id.to_be_bytes()));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (MOST, MOST));
        assert!(seen.add(&[0; 16], &0u64.to_be_bytes()));
    }
}
