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
    /// The field of this name, where it is there; empty where it is not a string.
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
            Some(id) => id.map_err(EnvelopeError::BadId)?,
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

    /// Whether the message has the field `traceparent` at all, usable or not.
    #[must_use]
    pub fn has_traceparent(&self) -> bool {
        self.traceparent.is_some()
    }
}

/// Collects the two fields of the top-level object.
struct Fields;

#[derive(Default)]
struct Seen<'a> {
    id: Option<Result<MsgId, String>>,
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
                    let before = seen.id.replace(map.next_value_seed(Any)?.id());
                    seen.twice = seen.twice.or(before.map(|_| "id"));
                }
                "run" => {
                    let before = seen.run.replace(map.next_value_seed(Text)?);
                    seen.twice = seen.twice.or(before.map(|_| "run"));
                }
                Traceparent::NAME => {
                    seen.traceparent = Some(match map.next_value_seed(Any)? {
                        Value::Text(text) => text,
                        Value::Whole(_) | Value::Other(_) => Cow::Borrowed(""),
                    });
                }
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

/// Any value, as far as it matters here. A wrong one does not end the parse, so that broken JSON further on is reported as such.
enum Value<'a> {
    Whole(u64),
    Text(Cow<'a, str>),
    /// What it is, in words.
    Other(Cow<'static, str>),
}

impl Value<'_> {
    fn id(self) -> Result<MsgId, String> {
        match self {
            Self::Whole(id) => MsgId::new(id).map_err(|_| id.to_string()),
            Self::Text(_) => Err("a string".to_owned()),
            Self::Other(what) => Err(what.into_owned()),
        }
    }
}

/// Reads any value.
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other(number.to_string().into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other(format!("the number {number}").into()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, is_true: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other(if is_true { "true" } else { "false" }.into()))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other("null".into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an array".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object".into()))
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
    fn a_field_that_is_no_context_is_there_all_the_same() {
        let has = |body: &str| Envelope::read(body.as_bytes()).unwrap().has_traceparent();
        for value in ["\"abc\"", "\"\"", "null", "7", "{\"a\":1}"] {
            assert!(has(&format!(r#"{{"id":1,"traceparent":{value}}}"#)), "{value}");
        }
        assert!(!has(r#"{"id":1,"a":{"traceparent":"x"},"b":"traceparent"}"#));
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
