//! What an answer must be, and what is kept of it. Pure.

use crate::json::JsonPath;
use crate::response::Look;
use crate::status::StatusSet;
use crate::value::Value;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The longest body that is looked into, bytes.
const LONGEST_BODY: usize = 16 << 20;

/// A place in an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Place {
    /// Its status.
    Status,
    /// A header.
    Header(String),
    /// A cookie that it sets.
    Cookie(String),
    /// A value of its JSON: as it is written, and as it is walked.
    Json(String, JsonPath),
    /// The first group of this expression, or all that matches it.
    Text(#[serde(with = "pattern")] Regex),
}

/// An expression as its text.
mod pattern {
    use regex_lite::Regex;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(regex: &Regex, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(regex.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Regex, D::Error> {
        Regex::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// What must stand at a place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Where.
    pub place: Place,
    /// Absent: anything.
    pub equals: Option<String>,
}

/// What is kept of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keep {
    /// Where it stands.
    pub place: Place,
    /// Under which number.
    pub slot: usize,
    /// The step does not fail where it is missing.
    pub optional: bool,
}

/// What the answer to a step must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expected {
    /// Its status.
    pub status: StatusSet,
    /// Its headers and its body.
    pub checks: Vec<Check>,
    /// It must come within this time.
    pub within: Option<Duration>,
    /// What is kept of it, where it is as expected.
    pub keep: Vec<Keep>,
    /// What is kept of it in any case.
    pub keep_always: Vec<Keep>,
}

/// An answer that is looked into.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// The body is longer than what was read of it.
    is_long: bool,
}

enum Found<'s> {
    Text(Cow<'s, str>),
    Json(&'s str),
}

impl Look for Seen {
    fn head(&mut self, bytes: &[u8]) {
        // The last one: an interim answer comes before the real one.
        self.head.clear();
        self.head.extend_from_slice(bytes);
    }

    fn body(&mut self, bytes: &[u8]) {
        let room = LONGEST_BODY - self.body.len();
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_long |= bytes.len() > room;
    }
}

impl Expected {
    /// Any answer with one of these statuses.
    pub fn status(status: StatusSet) -> Self {
        Self { status, checks: Vec::new(), within: None, keep: Vec::new(), keep_always: Vec::new() }
    }

    /// Whether headers or body are looked into.
    pub(crate) fn looks(&self) -> bool {
        !(self.checks.is_empty() && self.keep.is_empty() && self.keep_always.is_empty())
    }

    /// Keeps what is kept in any case; gives the first that is missing.
    pub(crate) fn keep_always(&self, status: u16, seen: &Seen, slots: &mut [Value]) -> Option<String> {
        keep(&self.keep_always, status, seen, slots)
    }

    /// The first fault of an answer, which names it. Where there is none, what it is to keep has been kept.
    pub(crate) fn fault(
        &self,
        status: u16,
        seen: Option<&Seen>,
        took: Duration,
        slots: &mut [Value],
    ) -> Option<String> {
        if !self.status.contains(status) {
            return Some(format!("status {status}"));
        }
        if let Some(seen) = seen
            && let Some(fault) = self.checks.iter().find_map(|check| check.fault(status, seen))
        {
            return Some(fault);
        }
        if let Some(within) = self.within
            && took > within
        {
            return Some(format!("took longer than {}", humantime::format_duration(within)));
        }
        seen.and_then(|seen| keep(&self.keep, status, seen, slots))
    }
}

fn keep(all: &[Keep], status: u16, seen: &Seen, slots: &mut [Value]) -> Option<String> {
    let mut missing = None;
    for one in all {
        match one.place.find(status, seen) {
            Ok(Found::Text(text)) => slots[one.slot].set_text(&text),
            Ok(Found::Json(json)) => slots[one.slot].set_json(json),
            Err(_) if one.optional => {}
            Err(why) => missing = missing.or(Some(why)),
        }
    }
    missing
}

impl Check {
    fn fault(&self, status: u16, seen: &Seen) -> Option<String> {
        let found = match self.place.find(status, seen) {
            Ok(found) => found,
            Err(why) => return Some(why),
        };
        let expected = self.equals.as_deref()?;
        let mut value = Value::default();
        match found {
            Found::Text(text) => value.set_text(&text),
            Found::Json(json) => value.set_json(json),
        }
        let is = value.get().unwrap_or_default();
        (is != expected).then(|| match &self.place {
            Place::Header(name) => format!("header {name} is {is:?}, not {expected:?}"),
            Place::Json(path, _) => format!("{path} is {is}, not {expected}"),
            _ => format!("{is:?} is not {expected:?}"),
        })
    }
}

impl Place {
    /// What stands there.
    ///
    /// # Errors
    /// What is missing, as failures are called.
    fn find<'s>(&self, status: u16, seen: &'s Seen) -> Result<Found<'s>, String> {
        match self {
            Self::Status => Ok(Found::Text(status.to_string().into())),
            Self::Header(name) => {
                let value = seen.headers().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
                let text = value.map(|(_, value)| Found::Text(String::from_utf8_lossy(value)));
                text.ok_or_else(|| format!("no header {name} in the answer"))
            }
            Self::Cookie(name) => {
                let found = seen.cookies().find(|(known, _)| known == name);
                let text = found.map(|(_, value)| Found::Text(value));
                text.ok_or_else(|| format!("no cookie {name} in the answer"))
            }
            Self::Json(path, walk) => match walk.find(&seen.body) {
                Ok(Some(json)) => Ok(Found::Json(json)),
                Ok(None) => Err(format!("no {path} in the answer")),
                Err(_) if seen.is_long => {
                    Err(format!("no {path} in the answer, which is larger than {} MiB", LONGEST_BODY >> 20))
                }
                Err(_) => Err(format!("no {path} in the answer, which is no JSON")),
            },
            Self::Text(regex) => {
                let none = || format!("the answer does not match /{}/", regex.as_str());
                // What is not UTF-8 is told apart by nothing that an expression could name.
                let body = String::from_utf8_lossy(&seen.body);
                let captures = regex.captures(&body).ok_or_else(none)?;
                let group = captures.get(1).or(captures.get(0)).ok_or_else(none)?;
                Ok(Found::Text(Cow::Owned(group.as_str().to_owned())))
            }
        }
    }
}

impl Seen {
    pub(crate) fn clear(&mut self) {
        self.head.clear();
        self.body.clear();
        self.is_long = false;
    }

    /// Names and values of its headers.
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.head.split(|&byte| byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
        })
    }

    /// Names and values of the cookies that it sets.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let fields = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"));
        fields.filter_map(|(_, value)| {
            let pair = value.split(|&byte| byte == b';').next()?;
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            let text = |bytes: &'_ [u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
            Some((Cow::Owned(text(&pair[..equals])), Cow::Owned(text(&pair[equals + 1..]))))
        })
    }

    /// Whether the body is longer than what is kept of it.
    pub(crate) fn is_long(&self) -> bool {
        self.is_long
    }

    /// Its beginning, for people.
    pub(crate) fn excerpt(&self) -> String {
        excerpt(&[&self.head[..], &self.body[..]].concat())
    }
}

/// What is kept of the first answer of a kind, bytes.
const EXCERPT: usize = 4096;

/// The beginning of an answer, for people.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(body: &str) -> Seen {
        let mut seen = Seen::default();
        seen.head(b"HTTP/1.1 100 Continue\r\n\r\n");
        seen.head(b"HTTP/1.1 201 Created\r\nX-Next: abc\r\nset-cookie: session=s1; Path=/; HttpOnly\r\n\r\n");
        seen.body(body.as_bytes());
        seen
    }

    fn json(path: &str) -> Place {
        Place::Json(path.to_owned(), JsonPath::parse(path).unwrap())
    }

    fn kept(place: Place, seen: &Seen) -> Result<(String, bool), String> {
        let mut slots = [Value::default()];
        let keep = [Keep { place, slot: 0, optional: false }];
        match super::keep(&keep, 201, seen, &mut slots) {
            Some(why) => Err(why),
            None => Ok((slots[0].get().unwrap().to_owned(), slots[0].is_json())),
        }
    }

    #[test]
    fn values_are_kept_wherever_they_stand() {
        let order = seen(r#"{"order":{"id":17,"n":"a b"}}"#);
        let text = |text: &str| Ok((text.to_owned(), false));
        assert_eq!(kept(json("$.order.id"), &order), Ok(("17".to_owned(), true)));
        assert_eq!(kept(json("$.order.n"), &order), text("a b"));
        assert_eq!(kept(Place::Header("x-next".to_owned()), &order), text("abc"));
        assert_eq!(kept(Place::Cookie("session".to_owned()), &order), text("s1"));
        assert_eq!(kept(Place::Text(Regex::new("id\":([0-9]+)").unwrap()), &order), text("17"));
        assert_eq!(kept(Place::Status, &order), text("201"));
        insta::assert_snapshot!(kept(json("$.order.x"), &order).unwrap_err(), @"no $.order.x in the answer");
        insta::assert_snapshot!(kept(json("$.a"), &seen("<html>")).unwrap_err(), @"no $.a in the answer, which is no JSON");
        insta::assert_snapshot!(kept(Place::Header("x".to_owned()), &order).unwrap_err(), @"no header x in the answer");
        let mut large = seen("{\"a\":\"");
        large.body(&vec![b'x'; 17 << 20]);
        insta::assert_snapshot!(kept(json("$.a"), &large).unwrap_err(), @"no $.a in the answer, which is larger than 16 MiB");
    }

    #[test]
    fn the_first_fault_names_what_is_wrong() {
        let answer = seen(r#"{"a":1}"#);
        let fault = |status: &str, checks: Vec<Check>, within: Option<u64>| {
            let within = within.map(Duration::from_secs);
            let expected = Expected { checks, within, ..Expected::status(status.parse().unwrap()) };
            expected.fault(201, Some(&answer), Duration::from_secs(3), &mut [])
        };
        let check = |place, equals: Option<&str>| vec![Check { place, equals: equals.map(str::to_owned) }];
        assert_eq!(fault("2xx", check(json("$.a"), Some("1")), None), None);
        assert_eq!(fault("200", Vec::new(), None), Some("status 201".to_owned()));
        assert_eq!(fault("2xx", check(json("$.a"), Some("2")), None), Some("$.a is 1, not 2".to_owned()));
        let header = || Place::Header("X-Next".to_owned());
        assert_eq!(
            fault("2xx", check(header(), Some("b")), None),
            Some("header X-Next is \"abc\", not \"b\"".to_owned())
        );
        let text = Place::Text(Regex::new("^b").unwrap());
        assert_eq!(fault("2xx", check(text, None), None), Some("the answer does not match /^b/".to_owned()));
        assert_eq!(fault("2xx", Vec::new(), Some(2)), Some("took longer than 2s".to_owned()));
    }
}
