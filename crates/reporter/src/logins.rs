//! Addresses as they may be shown.

/// A text with the logins left out that stand in its addresses: what is made to be shown must not tell passwords.
#[must_use]
pub fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        rest = after;
        let authority = &rest[..rest.find(|end: char| end == '/' || end.is_whitespace()).unwrap_or(rest.len())];
        // A password may hold an @ of its own.
        if let Some(login) = authority.rfind('@') {
            shown.push('…');
            rest = &rest[login..];
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::without_logins;

    #[test]
    fn logins_are_not_shown() {
        let cases = [
            (
                "--mqtt mqtt://me:p@w@broker:1883/x --qos 1 --redis redis://host/2",
                "--mqtt mqtt://…@broker:1883/x --qos 1 --redis redis://host/2",
            ),
            ("redis://a:b@one,redis://c:d@two", "redis://…@one,redis://…@two"),
            ("--redis='redis://a:b@one'\nme@host", "--redis='redis://…@one'\nme@host"),
            ("a ://", "a ://"),
            ("plain", "plain"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_logins(text), expected);
        }
    }
}
