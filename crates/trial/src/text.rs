//! From texts to what is sent: each value escaped as its place needs it. Pure.

use load::SplitMix;
use plan::rows::Datum;
use plan::{Function, Json, Part, Text, Value};
use std::fmt::Write;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an address: what differs is percent-encoded.
    Address,
    /// In a header: one line, without control characters.
    Header,
    /// As it is.
    Plain,
}

/// What values stand for.
pub(crate) struct Values<'a> {
    pub(crate) kept: &'a [Option<Datum>],
    /// The user's row of each table.
    pub(crate) rows: &'a [Option<Vec<Datum>>],
    pub(crate) run: &'a str,
    pub(crate) id: u64,
    pub(crate) now_ms: u64,
    pub(crate) users: u32,
    pub(crate) random: &'a mut SplitMix,
    /// Makes proofs; the nonce comes with each.
    pub(crate) proof: &'a dyn Fn(Option<&str>) -> Option<String>,
}

/// Bytes that stand for payloads.
const PAYLOAD_BYTES: usize = 64;

impl Values<'_> {
    /// The text at its place.
    ///
    /// # Errors
    /// What is missing, or does not fit there.
    pub(crate) fn text(&mut self, text: &Text, place: Place) -> Result<String, String> {
        let mut whole = String::new();
        for part in &text.parts {
            match part {
                Part::Literal(literal) => whole.push_str(literal),
                Part::Value { value, or, raw } => {
                    let found = self.found(value, or.as_deref())?;
                    if place == Place::Address && !raw {
                        percent(&found.text, &mut whole);
                    } else {
                        whole.push_str(&found.text);
                    }
                }
            }
        }
        if place == Place::Header && whole.contains(char::is_control) {
            return Err("a control character in a header".to_owned());
        }
        Ok(whole)
    }

    /// A JSON document.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn json(&mut self, json: &Json) -> Result<String, String> {
        Ok(match json {
            Json::Constant(constant) => constant.clone(),
            Json::Text(text) => quoted(&self.text(text, Place::Plain)?),
            Json::Value(text) => match &text.parts[..] {
                [Part::Value { value, or, raw }] => {
                    let found = self.found(value, or.as_deref())?;
                    if *raw { found.text } else { found.as_json() }
                }
                _ => quoted(&self.text(text, Place::Plain)?),
            },
            Json::List(list) => {
                let list: Result<Vec<String>, String> = list.iter().map(|json| self.json(json)).collect();
                format!("[{}]", list?.join(","))
            }
            Json::Map(map) => {
                let pair = |(name, json): &(String, Json)| Ok(format!("{}:{}", quoted(name), self.json(json)?));
                let pairs: Result<Vec<String>, String> = map.iter().map(pair).collect();
                format!("{{{}}}", pairs?.join(","))
            }
        })
    }

    /// Fields of a form.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn form(&mut self, fields: &[(String, Text)]) -> Result<String, String> {
        let mut form = String::new();
        for (name, text) in fields {
            if !form.is_empty() {
                form.push('&');
            }
            percent(name, &mut form);
            form.push('=');
            percent(&self.text(text, Place::Plain)?, &mut form);
        }
        Ok(form)
    }

    fn found(&mut self, value: &Value, or: Option<&str>) -> Result<Datum, String> {
        let number = |number: u64| Datum::json(&number.into());
        Ok(match value {
            Value::Id => number(self.id),
            Value::Now => number(self.now_ms),
            Value::User => number(0),
            Value::Users => number(self.users.into()),
            Value::Run => Datum::text(self.run),
            Value::Payload => Datum::text(&"x".repeat(PAYLOAD_BYTES)),
            Value::Column(table, column) => {
                let row = self.rows.get(*table).and_then(Option::as_ref).and_then(|row| row.get(*column));
                row.cloned().ok_or("a row of this user has no such value")?
            }
            Value::Kept(slot) => match (self.kept.get(*slot).and_then(Option::as_ref), or) {
                (Some(found), _) => found.clone(),
                (None, Some(or)) => Datum::text(or),
                (None, None) => return Err("a value that it needs was not kept".to_owned()),
            },
            Value::Call(function) => self.made(function)?,
        })
    }

    fn made(&mut self, function: &Function) -> Result<Datum, String> {
        Ok(match function {
            Function::Uuid => Datum::text(&self.uuid()),
            Function::Hex(digits) => Datum::text(&self.hex(*digits)),
            Function::Int(least, most) => {
                let span = most.abs_diff(*least).saturating_add(1);
                let number = least.saturating_add_unsigned(self.random.below(span));
                Datum::json(&number.into())
            }
            Function::Pick(choices) => {
                let at = self.random.below(choices.len() as u64);
                Datum::text(choices.get(usize::try_from(at).unwrap_or(0)).map_or("", String::as_str))
            }
            Function::Dpop(nonce) => {
                let nonce = nonce.and_then(|slot| self.kept.get(slot)?.as_ref()).map(|found| found.text.as_str());
                Datum::text(&(self.proof)(nonce).ok_or("no proof can be made: the system has no random numbers")?)
            }
        })
    }

    fn hex(&mut self, digits: u32) -> String {
        (0..digits).filter_map(|_| char::from_digit(u32::try_from(self.random.below(16)).ok()?, 16)).collect()
    }

    /// Version 4 of RFC 9562.
    fn uuid(&mut self) -> String {
        let hex = self.hex(30);
        let variant = ["8", "9", "a", "b"][usize::try_from(self.random.below(4)).unwrap_or(0)];
        format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
    }
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn percent(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(work: impl FnOnce(&mut Values<'_>) -> T) -> T {
        let kept = [Some(Datum::text("a/b \"c\"")), None, Some(Datum::json(&5.into()))];
        let rows = [Some(vec![Datum::text("ü")])];
        let mut random = SplitMix::new(1);
        let proof = |nonce: Option<&str>| Some(format!("proof of {nonce:?}"));
        let (kept, rows) = (&kept[..], &rows[..]);
        work(&mut Values { kept, rows, run: "monday", id: 7, now_ms: 9, users: 3, random: &mut random, proof: &proof })
    }

    fn value(value: Value) -> Part {
        Part::Value { value, or: None, raw: false }
    }

    fn text(parts: &[Part]) -> Text {
        Text { parts: parts.to_vec() }
    }

    #[test]
    fn values_are_escaped_as_their_place_needs_it() {
        let mixed = text(&[Part::Literal("/x/".to_owned()), value(Value::Kept(0)), value(Value::Column(0, 0))]);
        with(|values| {
            assert_eq!(values.text(&mixed, Place::Address).unwrap(), "/x/a%2Fb%20%22c%22%C3%BC");
            assert_eq!(values.text(&mixed, Place::Header).unwrap(), "/x/a/b \"c\"ü");
            assert_eq!(
                values.form(&[("a b".to_owned(), mixed.clone())]).unwrap(),
                "a%20b=%2Fx%2Fa%2Fb%20%22c%22%C3%BC"
            );
            let json = Json::Map(vec![
                ("id".to_owned(), Json::Value(text(&[value(Value::Id)]))),
                ("kept".to_owned(), Json::Value(text(&[value(Value::Kept(0))]))),
                ("five".to_owned(), Json::Value(text(&[value(Value::Kept(2))]))),
                ("list".to_owned(), Json::List(vec![Json::Constant("null".to_owned()), Json::Text(mixed.clone())])),
            ]);
            assert_eq!(
                values.json(&json).unwrap(),
                r#"{"id":7,"kept":"a/b \"c\"","five":5,"list":[null,"/x/a/b \"c\"ü"]}"#
            );
        });
        let raw = text(&[Part::Value { value: Value::Kept(0), or: None, raw: true }]);
        assert_eq!(with(|values| values.text(&raw, Place::Address)), Ok("a/b \"c\"".to_owned()));
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_told() {
        let missing = text(&[value(Value::Kept(1))]);
        assert_eq!(
            with(|values| values.text(&missing, Place::Plain)),
            Err("a value that it needs was not kept".to_owned())
        );
        let or = text(&[Part::Value { value: Value::Kept(1), or: Some("none".to_owned()), raw: false }]);
        assert_eq!(with(|values| values.text(&or, Place::Plain)), Ok("none".to_owned()));
        let broken = text(&[Part::Literal("a\nb".to_owned())]);
        assert!(with(|values| values.text(&broken, Place::Header)).is_err());
    }

    #[test]
    fn what_is_made_anew() {
        let made = |function: Function| {
            with(|values| values.text(&text(&[value(Value::Call(function))]), Place::Plain)).unwrap()
        };
        assert_eq!((made(Function::Uuid).len(), made(Function::Hex(5)).len()), (36, 5));
        assert_eq!(made(Function::Int(4, 4)), "4");
        assert!(
            ["tea", "coffee"].contains(&made(Function::Pick(vec!["tea".to_owned(), "coffee".to_owned()])).as_str())
        );
        assert_eq!(made(Function::Dpop(Some(0))), "proof of Some(\"a/b \\\"c\\\"\")");
        assert_eq!(made(Function::Dpop(Some(1))), "proof of None");
    }
}
