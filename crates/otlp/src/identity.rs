//! The ids of traces and spans: whoever knows run and message knows them.
//!
//! A trace's id is the first 16 bytes of SHA-256 of `stampede:<run>:<id>`, a span's the first 8 of that of `stampede:<run>:<id>:<stage>`; of the
//! whole message's span, the text ends in `::message`. So `printf 'stampede:%s:%s' RUN ID | sha256sum | cut -c1-32` finds the trace.

use sha2::{Digest, Sha256};

/// What stands for the whole message in place of a stage: none begins with a colon.
const WHOLE: &str = ":message";

/// What a message's spans are called.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    base: String,
}

impl Identity {
    pub(crate) fn new(run: &str, id: u64) -> Self {
        Self { base: format!("stampede:{run}:{id}") }
    }

    /// The trace.
    pub(crate) fn trace(&self) -> Vec<u8> {
        beginning(&self.base, 16)
    }

    /// The span of the whole message.
    pub(crate) fn root(&self) -> Vec<u8> {
        self.span(WHOLE)
    }

    /// The span of the hop that ends at a stage.
    pub(crate) fn span(&self, stage: &str) -> Vec<u8> {
        beginning(&format!("{}:{stage}", self.base), 8)
    }
}

fn beginning(text: &str, bytes: usize) -> Vec<u8> {
    Sha256::digest(text.as_bytes())[..bytes].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_can_work_them_out() {
        // printf 'stampede:%s:%s' sweep.c05 12000 | sha256sum
        let identity = Identity::new("sweep.c05", 12000);
        let first = identity.trace()[..8].iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        insta::assert_snapshot!(format!("{first:016x}"), @"2c1196d135c3f53e");
        assert_ne!(identity.root(), identity.span("message"));
    }
}
