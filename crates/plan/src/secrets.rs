//! What is not to be shown.

use std::fmt;

/// A secret of so many bytes hardly stands in a file by chance.
const LONG: usize = 8;

/// Values that came from the environment, and parameters that go by the name of a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// The longest first: one may be a part of another.
    values: Vec<String>,
}

impl Secrets {
    pub(crate) fn add(&mut self, value: &str) {
        if !value.is_empty() && !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
            self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    /// The same for what only its name makes a secret: `true`, or a number, is none, and stands in many a text.
    pub(crate) fn add_long(&mut self, value: &str) {
        if value.len() >= LONG {
            self.add(value);
        }
    }

    /// A text without them.
    pub fn mask(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, secret| text.replace(secret, stamp::MASKED))
    }
}

impl Secrets {
    /// A line of the file without them, short ones apart: those stand there by chance.
    pub(crate) fn mask_line(&self, line: &str) -> String {
        let long = self.values.iter().filter(|value| value.len() >= LONG);
        long.fold(without_logins(line), |line, secret| line.replace(secret, stamp::MASKED))
    }
}

/// A text of a plan without users and passwords in its addresses, `http://me:secret@host`; those that stand outside, as in `${password}`, stay.
pub(crate) fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://") {
        let (before, after) = rest.split_at(begin + 3);
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'`,".contains(c)).unwrap_or(after.len());
        shown.push_str(before);
        rest = match after[..end].rfind('@') {
            Some(at) if !after[..at].contains("${") => {
                shown.push_str(stamp::MASKED);
                &after[at..]
            }
            _ => after,
        };
    }
    shown + rest
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.values.len())
    }
}
