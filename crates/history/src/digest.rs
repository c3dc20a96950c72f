//! Short names for what is too long to be shown, the same in every run: the beginning of a SHA-256.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Digits that are kept: two of a thousand texts are alike with a probability below 1 to 10⁸.
const DIGITS: usize = 12;

/// Of a plan's text without its comments.
pub(crate) fn of_text(text: &str) -> String {
    let mut digest = Sha256::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        digest.update(line.trim_end());
        digest.update(b"\n");
    }
    short(&digest.finalize())
}

/// Of several parts.
pub(crate) fn of_parts(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    short(&digest.finalize())
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(DIGITS / 2).fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_do_not_matter() {
        assert_eq!(of_text("# driver sweep\na: 1\n"), of_text("a: 1"));
        assert_ne!(of_text("a: 1\n"), of_text("a: 2\n"));
        assert_ne!(of_parts(&["a", "b"]), of_parts(&["ab", ""]));
        assert_eq!(of_text("a").len(), DIGITS);
    }
}
