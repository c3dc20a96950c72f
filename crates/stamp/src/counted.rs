//! Counts with what is counted.

use std::fmt::Display;

/// `1 user`, `20 users`: the noun, whose plural takes an s, stands in the singular behind one alone. The number may be written in any way, as in `20,000`.
#[must_use]
pub fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let told = [counted(0, "user"), counted(1, "user"), counted(1.0, "user"), counted("1,000", "user")];
        assert_eq!(told, ["0 users", "1 user", "1 user", "1,000 users"]);
    }
}
