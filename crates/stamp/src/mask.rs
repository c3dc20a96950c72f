//! Hiding secrets in text that is shown: in errors, logs and reports.

use std::borrow::Cow;

/// What stands for a secret.
pub const MASKED: &str = "***";

/// Parameters of a query, and options, whose value is a secret where their name holds one of these.
const SECRET_WORDS: &str = "token secret password passwd pwd apikey api_key api-key access_key accesskey signature \
    credential auth session";

/// Names that are secret as a whole, too short to be looked for within others.
const SECRET_NAMES: &[&str] = &["key", "sig", "pass", "code", "jwt"];

/// Whether what goes by this name, a query's parameter, a header or a field, is to be hidden.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_WORDS.split(' ').any(|word| name.contains(word))
}

/// Hides user and password in whatever looks like an address within the text, however malformed, and the values of secret parameters of its
/// query: `redis://user:secret@host` becomes `redis://***@host`, `?token=secret` becomes `?token=***`.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains('=') {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://") {
        let (before, after) = rest.split_at(begin + 3);
        masked.push_str(before);
        // A password may hold anything but white space and quotes: all of it lies before the last @.
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).unwrap_or(after.len());
        let word = &after[..end];
        if let Some(at) = word.rfind('@') {
            masked.push_str(MASKED);
            masked.push_str(&word[at..]);
        } else {
            masked.push_str(word);
        }
        rest = &after[end..];
    }
    masked.push_str(rest);
    Cow::Owned(mask_parameters(&masked))
}

/// The same for a text that is one value as a whole, and may hold white space and quotes where it should not.
#[must_use]
pub fn mask_value(value: &str) -> String {
    let login = value.find("://").map(|begin| begin + 3).zip(value.rfind('@')).filter(|(begin, at)| begin <= at);
    login.map_or_else(
        || mask(value).into_owned(),
        |(begin, at)| format!("{}{MASKED}{}", &value[..begin], mask_parameters(&value[at..])),
    )
}

/// Hides the values of secret parameters: `?token=x&a=b` becomes `?token=***&a=b`.
fn mask_parameters(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&', ';']) {
        let (before, after) = rest.split_at(at + 1);
        masked.push_str(before);
        rest = after;
        let name = after.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')));
        let Some(name_end) = name.filter(|&end| end > 0 && after[end..].starts_with('=')) else { continue };
        if is_secret_name(&after[..name_end]) {
            let value = &after[name_end + 1..];
            let end = value.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | '#' | '"' | '\'' | '`'));
            masked.push_str(&after[..=name_end]);
            masked.push_str(MASKED);
            rest = &value[end.unwrap_or(value.len())..];
        }
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_hidden() {
        for (text, shown) in [
            ("redis://:hun#ter2@127.0.0.1:6379", "redis://***@127.0.0.1:6379"),
            ("mqtt://me:pa/ss@b:1883 is away", "mqtt://***@b:1883 is away"),
            ("--mqtt 'mqtts://a:b@c' x://d:e@f?token=g", "--mqtt 'mqtts://***@c' x://***@f?token=***"),
            ("http://h/p?a=b&access_token=s&c=d#e", "http://h/p?a=b&access_token=***&c=d#e"),
            ("http://h/p?X-Amz-Signature=s;key=t", "http://h/p?X-Amz-Signature=***;key=***"),
            ("http://h/p?monkey=banana", "http://h/p?monkey=banana"),
            ("http://h:80/a@b", "http://***@b"),
            ("no address at all, a=b", "no address at all, a=b"),
            ("redis://a:b@one,redis://c:d@two", "redis://***@two"),
            ("--redis='redis://a:b@one'\nme@host", "--redis='redis://***@one'\nme@host"),
            ("a ://", "a ://"),
        ] {
            assert_eq!(mask(text), shown);
        }
        assert_eq!(mask_value("redis://:two 'words'@host:1"), "redis://***@host:1");
        assert_eq!(mask_value("@://"), "@://");
    }

    proptest! {
        #[test]
        fn no_password_shows(password in "[^\\s\"'`]{8,40}", host in "[a-z]{3,8}") {
            let text = format!("cannot reach 'redis://user:{password}@{host}:6379': away");
            let shown = mask(&text).into_owned();
            prop_assert!(!shown.contains(&password), "{}", shown);
            let end = format!("@{host}:6379': away");
            prop_assert!(shown.ends_with(&end), "{}", shown);
        }
    }
}
