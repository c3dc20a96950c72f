//! The envelope: the two fields of a message that tracing needs. Everything else in it belongs to the user.

use crate::{InvalidRunId, MsgId, RunId, Traceparent};
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The id and the run of one message, read in place: no JSON tree is built and the bytes stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// From `id`, `MsgID`, `msgid` or `msg_id`.
    pub id: MsgId,
    run: Option<Cow<'a, str>>,
    /// The field of this name, where it is a text.
    traceparent: Option<Cow<'a, str>>,
}

/// A message is no envelope. The text is fit to be sent to the client that posted it.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not an object.
    #[error("the body is no JSON object: {0}")]
    Json(serde_json::Error),
    /// JSON is UTF-8.
    #[error("the body is no JSON object: it is not UTF-8")]
    NotUtf8,
    /// `id` or `run` is there more than once: nobody can tell which one counts.
    #[error("the body has more than one {0}")]
    Twice(&'static str),
    /// None of the id's names is there.
    #[error("the body has no id: give an unsigned integer as \"id\" (or MsgID, msgid, msg_id)")]
    NoId,
    /// The id has the wrong type, sign or size.
    #[error("the id is {0}: it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)")]
    BadId(String),
    /// The run is no run id.
    #[error("{0}")]
    BadRun(#[from] InvalidRunId),
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a message.
    pub fn read(message: &'a [u8]) -> Result<Self, EnvelopeError> {
        // serde_json does not look at the bytes of strings that it passes over.
        let message = std::str::from_utf8(message).map_err(|_| EnvelopeError::NotUtf8)?;
        let mut json = serde_json::Deserializer::from_str(message);
        let fields = json.deserialize_map(Fields).map_err(EnvelopeError::Json)?;
        json.end().map_err(EnvelopeError::Json)?;
        if let Some(twice) = fields.twice {
            return Err(EnvelopeError::Twice(twice));
        }
        let id = match fields.id {
            None => return Err(EnvelopeError::NoId),
            Some(Found::Good(id)) => id,
            Some(Found::Bad(what)) => return Err(EnvelopeError::BadId(what)),
        };
        if let Some(run) = &fields.run {
            RunId::check(run)?;
        }
        Ok(Self { id, run: fields.run, traceparent: fields.traceparent })
    }

    /// The run that the message belongs to: `adhoc` where it names none.
    #[must_use]
    pub fn run(&self) -> &str {
        self.run.as_deref().unwrap_or(RunId::ADHOC)
    }

    /// The context of the trace that the message belongs to; absent where it brings none, or what is none.
    #[must_use]
    pub fn traceparent(&self) -> Option<Traceparent> {
        self.traceparent.as_ref()?.parse().ok()
    }
}

/// Collects the two fields of the top-level object.
struct Fields;

#[derive(Default)]
struct Seen<'a> {
    id: Option<Found>,
    run: Option<Cow<'a, str>>,
    traceparent: Option<Cow<'a, str>>,
    twice: Option<&'static str>,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen<'de>, A::Error> {
        let mut seen = Seen::default();
        while let Some(key) = map.next_key_seed(Text)? {
            match &*key {
                "id" | "MsgID" | "msgid" | "msg_id" => {
                    let before = seen.id.replace(map.next_value_seed(Id)?);
                    seen.twice = seen.twice.or(before.map(|_| "id"));
                }
                "run" => {
                    let before = seen.run.replace(map.next_value_seed(Text)?);
                    seen.twice = seen.twice.or(before.map(|_| "run"));
                }
                Traceparent::NAME => seen.traceparent = map.next_value_seed(Perhaps)?.or(seen.traceparent),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(seen)
    }
}

/// Reads a string, borrowed from the input wherever it holds no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Reads a string, and passes over anything else: what it stands for is the sender's business.
struct Perhaps;

impl<'de> DeserializeSeed<'de> for Perhaps {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Perhaps {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Reads the id's value. A wrong one does not end the parse, so that broken JSON further on is reported as such.
struct Id;

#[derive(Debug)]
enum Found {
    Good(MsgId),
    Bad(String),
}

impl<'de> DeserializeSeed<'de> for Id {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Id {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsigned integer")
    }

    fn visit_u64<E>(self, id: u64) -> Result<Found, E> {
        Ok(MsgId::new(id).map_or_else(|_| Found::Bad(id.to_string()), Found::Good))
    }

    fn visit_i64<E>(self, id: i64) -> Result<Found, E> {
        Ok(Found::Bad(id.to_string()))
    }

    fn visit_f64<E>(self, id: f64) -> Result<Found, E> {
        Ok(Found::Bad(format!("the number {id}")))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Bad("a string".to_owned()))
    }

    fn visit_bool<E>(self, id: bool) -> Result<Found, E> {
        Ok(Found::Bad(id.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Bad("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Bad("an array".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Bad("an object".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, id: u64, run: &str) {
        let envelope = Envelope::read(body.as_bytes()).unwrap();
        assert_eq!((envelope.id.get(), envelope.run()), (id, run), "{body}");
    }

    #[test]
    fn where_the_id_is_found() {
        check(r#"{"data":"news","id":12000}"#, 12000, "adhoc");
        check(r#"{"MsgID":1}"#, 1, "adhoc");
        check(r#"{"msgid":2,"run":"r.c05"}"#, 2, "r.c05");
        check(r#" {"run":"r","a":{"id":"inner"},"msg_id" : 9007199254740991 } "#, 9_007_199_254_740_991, "r");
        check(r#"{"\u0069d":3,"run":"\u0061"}"#, 3, "a");
    }

    #[test]
    fn what_the_client_is_told() {
        let told = |body: &str| Envelope::read(body.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(told(""), @"the body is no JSON object: EOF while parsing a value at line 1 column 0");
        insta::assert_snapshot!(told("[12000]"), @"the body is no JSON object: invalid type: sequence, expected a JSON object at line 1 column 0");
        insta::assert_snapshot!(told("{\"id\":1} x"), @"the body is no JSON object: trailing characters at line 1 column 10");
        insta::assert_snapshot!(told("{\"id\":1,"), @"the body is no JSON object: EOF while parsing a value at line 1 column 8");
        insta::assert_snapshot!(told("{\"id\":1,\"MsgID\":1}"), @"the body has more than one id");
        insta::assert_snapshot!(told("{\"data\":\"news\"}"), @r#"the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)"#);
        insta::assert_snapshot!(told("{\"id\":-1}"), @"the id is -1: it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)");
        insta::assert_snapshot!(told("{\"id\":\"12000\"}"), @"the id is a string: it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)");
        insta::assert_snapshot!(told("{\"id\":9007199254740992}"), @"the id is 9007199254740992: it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)");
        insta::assert_snapshot!(told("{\"id\":1,\"run\":\"a b\"}"), @r#"run "a b" is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -"#);
    }

    #[test]
    fn a_trace_context_is_read_where_there_is_one() {
        let traceparent = |value: &str| {
            let body = format!(r#"{{"id":1,"traceparent":{value},"x":[1]}}"#);
            Envelope::read(body.as_bytes()).unwrap().traceparent().map(|context| context.to_string())
        };
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&format!("\"{text}\"")).as_deref(), Some(text));
        for other in ["\"x\"", "1", "-1", "1.5", "true", "null", "[[1],{}]", "{\"a\":[]}"] {
            assert_eq!(traceparent(other), None, "{other}");
        }
    }

    #[test]
    fn json_is_utf_8() {
        assert!(matches!(Envelope::read(b"{\"id\":1,\"data\":\"\xff\"}"), Err(EnvelopeError::NotUtf8)));
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = format!("{{\"data\":{}{},\"id\":7}}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, 7, "adhoc");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::read(&bytes);
        }

        #[test]
        fn what_serde_json_writes_is_read(id in 0..=MsgId::MAX, run in "[A-Za-z0-9._-]{1,64}", data in any::<String>()) {
            prop_assume!(RunId::check(&run).is_ok());
            let body = serde_json::json!({"data": data, "id": id, "run": run}).to_string();
            let envelope = Envelope::read(body.as_bytes()).unwrap();
            prop_assert_eq!(envelope.id.get(), id);
            prop_assert_eq!(envelope.run(), run);
        }

        #[test]
        fn what_is_read_is_valid_and_reads_alike_again(id in 0..=MsgId::MAX, run in "[A-Za-z0-9._-]{1,64}", name in "id|MsgID|msgid|msg_id", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut body = format!(r#"{{"{name}":{id},"a":[{{"id":2}},"\\u0041"],"run":"{run}"}}"#).into_bytes();
            let at = at.index(body.len());
            body[at] = byte;
            match Envelope::read(&body) {
                Ok(envelope) => {
                    prop_assert!(envelope.id.get() <= MsgId::MAX);
                    prop_assert!(RunId::check(envelope.run()).is_ok());
                    prop_assert_eq!(Envelope::read(&body).unwrap(), envelope);
                }
                Err(error) => prop_assert_eq!(Envelope::read(&body).unwrap_err().to_string(), error.to_string()),
            }
        }
    }
}
