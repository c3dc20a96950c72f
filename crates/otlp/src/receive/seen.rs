//! Which spans have been taken: an exporter that got no answer sends its spans again.

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sha2::{Digest, Sha256};
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
    /// Spans that one request may have, so that all are known when it is sent again, beside those of others.
    pub(super) const MOST_OF_ONE: usize = MOST / 4;

    /// Takes a span in; false where it is known.
    pub(super) fn add(&mut self, span: &Span) -> bool {
        // Both are random, so that their bits tell them apart well enough.
        let bits = |bytes: &[u8]| bytes.iter().rev().take(8).fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let id = if span.span_id.is_empty() {
            // What has no id is known by all that it has.
            bits(&Sha256::digest(span.encode_to_vec()))
        } else {
            bits(&span.span_id) ^ bits(&span.trace_id).rotate_left(32)
        };
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

    fn span(trace: &[u8], span: &[u8], name: &str) -> Span {
        Span { trace_id: trace.to_vec(), span_id: span.to_vec(), name: name.to_owned(), ..Span::default() }
    }

    #[test]
    fn a_span_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.add(&span(&[1; 16], &[2; 8], "")));
        assert!(!seen.add(&span(&[1; 16], &[2; 8], "")));
        assert!(seen.add(&span(&[1; 16], &[3; 8], "")) && seen.add(&span(&[4; 16], &[2; 8], "")));
        assert!(seen.add(&span(&[], &[], "a")) && seen.add(&span(&[], &[], "b")));
        assert!(!seen.add(&span(&[], &[], "a")));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        for id in 0..=MOST as u64 {
            assert!(seen.add(&span(&[0; 16], &id.to_be_bytes(), "")));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (MOST, MOST));
        assert!(seen.add(&span(&[0; 16], &0u64.to_be_bytes(), "")));
    }
}
