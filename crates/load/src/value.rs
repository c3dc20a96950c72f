//! Values that differ from user to user: kept from answers, or columns of tables.

use serde::{Deserialize, Serialize};

/// A text, or JSON of another type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    text: String,
    kind: Kind,
}

/// A value that users keep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slot {
    /// What it is called.
    pub name: String,
    /// It ends with its round; else with its user.
    pub of_round: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Absent,
    Text,
    /// The text is JSON: a number, true, false, null, a list or an object.
    Json,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Text }
    }

    /// JSON that is no string.
    pub fn json(json: impl Into<String>) -> Self {
        Self { text: json.into(), kind: Kind::Json }
    }

    /// As it stands in texts; absent where nothing was kept.
    pub fn get(&self) -> Option<&str> {
        (self.kind != Kind::Absent).then_some(&self.text)
    }

    /// Whether it is JSON of another type than a string.
    pub fn is_json(&self) -> bool {
        self.kind == Kind::Json
    }

    /// Keeps a text in the memory of what was there before.
    pub(crate) fn set_text(&mut self, text: &str) {
        self.set(Kind::Text, text);
    }

    /// Keeps JSON as it stands in an answer: a string loses its quotes.
    pub(crate) fn set_json(&mut self, json: &str) {
        // A string without escapes is what stands between its quotes.
        match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => self.set(Kind::Text, plain),
            Some(_) => self.set(Kind::Text, &serde_json::from_str::<String>(json).unwrap_or_default()),
            None => self.set(Kind::Json, json),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.kind = Kind::Absent;
    }

    fn set(&mut self, kind: Kind, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.kind = kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_become_texts() {
        let mut value = Value::default();
        for (json, text, is_json) in
            [(r#""a b""#, "a b", false), (r#""\u00e9\n\"""#, "é\n\"", false), ("17", "17", true), ("[1]", "[1]", true)]
        {
            value.set_json(json);
            assert_eq!((value.get(), value.is_json()), (Some(text), is_json));
        }
        value.clear();
        assert_eq!(value.get(), None);
    }
}
