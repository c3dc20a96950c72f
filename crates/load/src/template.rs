//! Requests, prepared once: bytes, and between them what differs from request to request, each escaped as its place needs it.

use crate::proof::{Claims, ProofKey};
use crate::schedule::SplitMix;
use crate::table::Table;
use crate::value::{Slot, Value};
use serde::{Deserialize, Serialize};
use stamp::{MsgId, clock};
use std::io::Write;

/// A request, ready but for what changes with each of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Template {
    /// The request line and the headers, up to the value of Content-Length; without a body up to the empty line.
    pub(crate) head: Vec<Part>,
    /// None: the request has no body, and no Content-Length.
    pub(crate) body: Option<Vec<Part>>,
    /// The answer to it has no body, whatever its headers say.
    pub(crate) is_head: bool,
}

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// It is the same each time.
    Bytes(Vec<u8>),
    /// It differs.
    Value {
        /// Where it comes from.
        source: Source,
        /// How it is written.
        escape: Escape,
        /// What stands for it where it is missing.
        or: Option<String>,
    },
    /// The header with the user's cookies, where it has any.
    Cookies,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The message's id.
    Id,
    /// The run.
    Run,
    /// This machine's clock, µs since 1970-01-01 UTC.
    NowUs,
    /// The same in ms.
    NowMs,
    /// The number of the user, from 0.
    User,
    /// A value that the user keeps, by its number.
    Slot(usize),
    /// The user's row of a table: numbers of the table and of the column.
    Column(usize, usize),
    /// A random UUID (version 4 of RFC 9562).
    Uuid,
    /// A whole number between these, both included.
    Int(i64, i64),
    /// One of these.
    Pick(Vec<String>),
    /// So many hexadecimal digits.
    Hex(u32),
    /// A proof of possession (RFC 9449) for the request, with the nonce that is kept under this number.
    Proof {
        /// The slot of the nonce.
        nonce: Option<usize>,
        /// `http://host:port`, before the path of the request.
        origin: String,
    },
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Escape {
    /// As it is.
    Plain,
    /// Percent-encoded, but for what RFC 3986 calls unreserved.
    Percent,
    /// In the target of a request: what may not stand there is percent-encoded, what is encoded stays so.
    Address,
    /// Within the quotes of a JSON string.
    JsonString,
    /// As a JSON value: a string with its quotes, or what keeps another type.
    JsonValue,
    /// In a header: a control character is an error.
    Header,
}

/// What values stand for.
pub(crate) struct Values<'a> {
    pub(crate) id: MsgId,
    pub(crate) run: &'a str,
    pub(crate) user: u32,
    pub(crate) slots: &'a [Value],
    /// Their names, for errors.
    pub(crate) names: &'a [Slot],
    /// The user's row of each table.
    pub(crate) rows: &'a [Option<u32>],
    pub(crate) tables: &'a [Table],
    pub(crate) cookies: &'a [(String, String)],
    pub(crate) key: Option<&'a ProofKey>,
    pub(crate) random: &'a mut SplitMix,
}

impl Template {
    /// A request of these parts: `head` ends behind the last header's line. The Content-Length follows from the body.
    pub fn new(mut head: Vec<Part>, body: Option<Vec<Part>>, is_head: bool) -> Self {
        head.push(Part::Bytes(if body.is_some() { b"Content-Length: ".to_vec() } else { b"\r\n".to_vec() }));
        Self { head: joined(head), body: body.map(joined), is_head }
    }

    /// Writes the request over what `buffer` held; `scratch` is room for its body.
    ///
    /// # Errors
    /// A value is missing, or does not fit its place.
    pub(crate) fn write(
        &self,
        values: &mut Values<'_>,
        buffer: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), String> {
        buffer.clear();
        write(&self.head, values, buffer)?;
        if let Some(body) = &self.body {
            scratch.clear();
            write(body, values, scratch)?;
            buffer.extend_from_slice(itoa::Buffer::new().format(scratch.len()).as_bytes());
            buffer.extend_from_slice(b"\r\n\r\n");
            buffer.extend_from_slice(scratch);
        }
        Ok(())
    }

    /// Whether all is there that it needs.
    pub(crate) fn is_complete(&self, slots: &[Value]) -> bool {
        self.parts().all(|part| match part {
            Part::Value { source: Source::Slot(slot), or: None, .. } => slots[*slot].get().is_some(),
            _ => true,
        })
    }

    /// All its parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.head.iter().chain(self.body.iter().flatten())
    }
}

/// The same with neighbouring bytes as one part.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (all.last_mut(), part) {
            (Some(Part::Bytes(before)), Part::Bytes(bytes)) => before.extend(bytes),
            (_, part) => all.push(part),
        }
    }
    all
}

fn write(parts: &[Part], values: &mut Values<'_>, into: &mut Vec<u8>) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Bytes(bytes) => into.extend_from_slice(bytes),
            Part::Value { source: Source::Id, .. } => {
                into.extend_from_slice(itoa::Buffer::new().format(values.id.get()).as_bytes());
            }
            Part::Value { source, escape, or } => values.write(source, *escape, or.as_deref(), into)?,
            Part::Cookies if values.cookies.is_empty() => {}
            Part::Cookies => {
                for (at, (name, value)) in values.cookies.iter().enumerate() {
                    let before = if at == 0 { "Cookie: " } else { "; " };
                    into.extend([before, name, "=", value].concat().bytes());
                }
                into.extend_from_slice(b"\r\n");
            }
        }
    }
    Ok(())
}

impl Values<'_> {
    fn write(&mut self, source: &Source, escape: Escape, or: Option<&str>, into: &mut Vec<u8>) -> Result<(), String> {
        let number =
            |number: u64, into: &mut Vec<u8>| into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        match source {
            Source::Id => number(self.id.get(), into),
            Source::User => number(self.user.into(), into),
            Source::NowUs => number(micros(), into),
            Source::NowMs => number(micros() / 1000, into),
            Source::Run => put(self.run, false, escape, into)?,
            Source::Int(least, most) => {
                let span = most.abs_diff(*least).saturating_add(1);
                let drawn = least.saturating_add_unsigned(self.random.below(span));
                into.extend_from_slice(itoa::Buffer::new().format(drawn).as_bytes());
            }
            Source::Pick(choices) => {
                let at = usize::try_from(self.random.below(choices.len() as u64)).unwrap_or(0);
                put(choices.get(at).map_or("", String::as_str), false, escape, into)?;
            }
            Source::Hex(digits) => quoted(escape, into, |into| self.hex(*digits, into)),
            Source::Uuid => quoted(escape, into, |into| self.uuid(into)),
            Source::Slot(slot) => match (&self.slots[*slot], or) {
                (Value { .. }, _) if self.slots[*slot].get().is_some() => {
                    let value = &self.slots[*slot];
                    put(value.get().unwrap_or_default(), value.is_json(), escape, into)?;
                }
                (_, Some(or)) => put(or, false, escape, into)?,
                (_, None) => return Err(format!("`{}` was not kept", self.names[*slot].name)),
            },
            Source::Column(table, column) => {
                let row = self.rows[*table].ok_or("this user has no row")?;
                let value = self.tables[*table].value(row, *column);
                put(value.get().unwrap_or_default(), value.is_json(), escape, into)?;
            }
            Source::Proof { nonce, origin } => {
                let proof = self.proof(nonce.and_then(|slot| self.slots[slot].get()), origin, into);
                put(&proof.ok_or("no proof can be made: the system has no random numbers")?, false, escape, into)?;
            }
        }
        Ok(())
    }

    /// A proof for the request whose first lines have been written: the method and the path stand in its first line, the access token in its
    /// Authorization.
    fn proof(&self, nonce: Option<&str>, origin: &str, written: &[u8]) -> Option<String> {
        let written = std::str::from_utf8(written).ok()?;
        let mut words = written.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let token = written.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            if name.eq_ignore_ascii_case("authorization") { value.strip_prefix("DPoP ") } else { None }
        });
        let url = [origin, path].concat();
        self.key?.proof(&Claims { method, url: &url, issued_at: micros() / 1_000_000, nonce, token })
    }

    fn hex(&mut self, digits: u32, into: &mut Vec<u8>) {
        for _ in 0..digits {
            let digit = u32::try_from(self.random.below(16)).ok().and_then(|digit| char::from_digit(digit, 16));
            into.push(digit.map_or(b'0', |digit| u8::try_from(digit).unwrap_or(b'0')));
        }
    }

    fn uuid(&mut self, into: &mut Vec<u8>) {
        for (at, digits) in [8, 4, 3, 3, 12].into_iter().enumerate() {
            match at {
                0 => {}
                2 => into.extend_from_slice(b"-4"),
                3 => {
                    into.push(b'-');
                    into.push(b"89ab"[usize::try_from(self.random.below(4)).unwrap_or(0)]);
                }
                _ => into.push(b'-'),
            }
            self.hex(digits, into);
        }
    }
}

fn micros() -> u64 {
    u64::try_from(clock::unix_now().as_micros()).unwrap_or(u64::MAX)
}

impl Escape {
    /// Writes a value that is the same in every request.
    ///
    /// # Errors
    /// When it does not fit its place.
    pub fn write(self, value: &Value, into: &mut Vec<u8>) -> Result<(), String> {
        put(value.get().unwrap_or_default(), value.is_json(), self, into)
    }
}

/// What needs no escape, in quotes where it stands for a JSON value.
fn quoted(escape: Escape, into: &mut Vec<u8>, mut write: impl FnMut(&mut Vec<u8>)) {
    let quote: &[u8] = if escape == Escape::JsonValue { b"\"" } else { b"" };
    into.extend_from_slice(quote);
    write(into);
    into.extend_from_slice(quote);
}

/// Writes a text as its place needs it.
fn put(text: &str, is_json: bool, escape: Escape, into: &mut Vec<u8>) -> Result<(), String> {
    match escape {
        Escape::Header if text.bytes().any(|byte| byte.is_ascii_control()) => {
            return Err("a control character in a header".to_owned());
        }
        Escape::Plain | Escape::Header => into.extend_from_slice(text.as_bytes()),
        Escape::JsonValue if is_json => into.extend_from_slice(text.as_bytes()),
        Escape::JsonValue => {
            into.push(b'"');
            json_string(text, into);
            into.push(b'"');
        }
        Escape::JsonString => json_string(text, into),
        Escape::Percent => percent(text, into),
        Escape::Address => into.extend_from_slice(address(text).as_bytes()),
    }
    Ok(())
}

/// A text within the quotes of a JSON string (RFC 8259, section 7).
fn json_string(text: &str, into: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            // Writing to a Vec cannot fail.
            0..0x20 => drop(write!(into, "\\u{byte:04x}")),
            _ => into.push(byte),
        }
    }
}

/// Percent-encodes what may not stand in the target of a request (RFC 3986); what is encoded stays so. Brackets and braces stay, too: browsers send them in
/// queries, and placeholders are written with them.
pub(crate) fn address(text: &str) -> String {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`|".contains(&byte) {
            encoded.push(byte);
        } else {
            // Writing to a Vec cannot fail.
            drop(write!(encoded, "%{byte:02X}"));
        }
    }
    String::from_utf8(encoded).unwrap_or_default()
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn percent(text: &str, into: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(byte);
        } else {
            // Writing to a Vec cannot fail.
            drop(write!(into, "%{byte:02X}"));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Works with values of a user who has some.
    pub(crate) fn with<T>(slots: &[Value], work: impl FnOnce(&mut Values<'_>) -> T) -> T {
        let mut random = SplitMix::new(1);
        let key = ProofKey::new();
        let slot = |slot| Slot { name: format!("slot{slot}"), of_round: true };
        let names: Vec<Slot> = (0..slots.len()).map(slot).collect();
        let table = Table::new(vec![vec![Value::text("ü")]], crate::Take::Unique);
        work(&mut Values {
            id: MsgId::new(12000).unwrap(),
            run: "r.c05",
            user: 3,
            slots,
            names: &names,
            rows: &[Some(0)],
            tables: &[table],
            cookies: &[("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())],
            key: key.as_ref(),
            random: &mut random,
        })
    }

    fn written(source: Source, escape: Escape, slots: &[Value]) -> Result<String, String> {
        let part = Part::Value { source, escape, or: None };
        with(slots, |values| {
            let mut into = Vec::new();
            write(&[part], values, &mut into)?;
            Ok(String::from_utf8(into).unwrap())
        })
    }

    #[test]
    fn values_are_escaped_as_their_place_needs_it() {
        let slots = [Value::text("a/b \"c\"\n"), Value::json("5"), Value::default()];
        let slot = |slot, escape| written(Source::Slot(slot), escape, &slots);
        assert_eq!(slot(0, Escape::Percent).unwrap(), "a%2Fb%20%22c%22%0A");
        assert_eq!(slot(0, Escape::Address).unwrap(), "a/b%20%22c%22%0A");
        assert_eq!(address("/ü/%2f?a[]=100%&b='#'"), "/%C3%BC/%2f?a[]=100%&b='%23'");
        assert_eq!(slot(0, Escape::JsonString).unwrap(), r#"a/b \"c\"\n"#);
        assert_eq!(slot(0, Escape::JsonValue).unwrap(), r#""a/b \"c\"\n""#);
        assert_eq!(slot(0, Escape::Plain).unwrap(), "a/b \"c\"\n");
        assert_eq!(slot(0, Escape::Header), Err("a control character in a header".to_owned()));
        assert_eq!(
            (slot(1, Escape::JsonValue).unwrap(), slot(1, Escape::JsonString).unwrap()),
            ("5".to_owned(), "5".to_owned())
        );
        assert_eq!(slot(2, Escape::Plain), Err("`slot2` was not kept".to_owned()));
        assert_eq!(written(Source::Column(0, 0), Escape::Percent, &[]).unwrap(), "%C3%BC");
        assert_eq!(written(Source::Run, Escape::JsonValue, &[]).unwrap(), "\"r.c05\"");
        let or = Part::Value { source: Source::Slot(2), escape: Escape::JsonValue, or: Some("none".to_owned()) };
        let mut into = Vec::new();
        with(&slots, |values| write(&[or, Part::Cookies], values, &mut into)).unwrap();
        assert_eq!(String::from_utf8(into).unwrap(), "\"none\"Cookie: a=1; b=2\r\n");
    }

    #[test]
    fn what_is_made_anew() {
        let made = |source| written(source, Escape::Plain, &[]).unwrap();
        let uuid = made(Source::Uuid);
        assert_eq!((uuid.len(), uuid.as_bytes()[14], uuid.matches('-').count()), (36, b'4', 4));
        assert_eq!((made(Source::Hex(5)).len(), made(Source::Int(4, 4))), (5, "4".to_owned()));
        let choices = ["tea", "coffee"].map(str::to_owned).to_vec();
        assert!(["tea", "coffee"].contains(&made(Source::Pick(choices)).as_str()));
        assert_eq!(written(Source::Hex(3), Escape::JsonValue, &[]).unwrap().len(), 5);
    }

    #[test]
    fn a_proof_is_for_the_request_that_it_stands_in() {
        let bytes = |text: &str| Part::Bytes(text.as_bytes().to_vec());
        let origin = "https://api".to_owned();
        let proof = Part::Value { source: Source::Proof { nonce: Some(0), origin }, escape: Escape::Header, or: None };
        let head = vec![bytes("PUT /a%20b?x=1 HTTP/1.1\r\nHost: api\r\nAuthorization: DPoP tok\r\nDPoP: "), proof];
        let mut into = Vec::new();
        with(&[Value::text("n-1")], |values| write(&head, values, &mut into)).unwrap();
        let written = String::from_utf8(into).unwrap();
        let payload = crate::proof::tests::payload(written.rsplit(' ').next().unwrap());
        assert_eq!((&payload["htm"], &payload["htu"]), (&"PUT".into(), &"https://api/a%20b".into()));
        assert_eq!(payload["nonce"], "n-1");
        assert!(payload["ath"].is_string());
    }

    proptest! {
        /// What is escaped for JSON is read back as it was.
        #[test]
        fn any_text_survives_json(text in any::<String>()) {
            let mut json = b"\"".to_vec();
            json_string(&text, &mut json);
            json.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }
    }
}
