//! One value of a JSON document, without reading the rest into memory. Pure.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// A place in a JSON document: `$.a[0].b`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Segment {
    Member(String),
    Index(usize),
}

/// The bytes are no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoJson;

impl JsonPath {
    /// Reads `$.a[0].b`; nothing where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            if let Some(member) = rest.strip_prefix('.') {
                let end = member.find(['.', '[']).unwrap_or(member.len());
                segments.push(Segment::Member(member[..end].to_owned()));
                rest = &member[end..];
            } else {
                let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
                segments.push(Segment::Index(index.parse().ok()?));
                rest = after;
            }
        }
        let is_whole = segments.iter().all(|segment| !matches!(segment, Segment::Member(name) if name.is_empty()));
        is_whole.then_some(Self(segments))
    }

    /// The JSON text at this place; the last one, where members are there twice.
    ///
    /// # Errors
    /// When the whole is no JSON.
    pub fn find<'j>(&self, json: &'j [u8]) -> Result<Option<&'j str>, NoJson> {
        let mut document = serde_json::Deserializer::from_slice(json);
        let found = Walk(&self.0).deserialize(&mut document).map_err(|_| NoJson)?;
        document.end().map_err(|_| NoJson)?;
        Ok(found.map(RawValue::get))
    }
}

/// What is left of the way to a value.
struct Walk<'p>(&'p [Segment]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            serde::Deserialize::deserialize(document).map(Some)
        } else {
            document.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let wanted = match self.0.first() {
            Some(Segment::Member(name)) => Some(name.as_str()),
            _ => None,
        };
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Is(wanted))? {
            if is_wanted {
                found = map.next_value_seed(Walk(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some(&Segment::Index(wanted)) = self.0.first() {
            for _ in 0..wanted {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = list.next_element_seed(Walk(&self.0[1..]))?.flatten();
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this one.
struct Is<'n>(Option<&'n str>);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(self.0 == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn found<'j>(path: &str, json: &'j str) -> Result<Option<&'j str>, NoJson> {
        JsonPath::parse(path).unwrap().find(json.as_bytes())
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let order = r#"{"x": [1, {"id": 3}], "order": {"id": 17, "items": [{"n": "a b"}, [1, 2]]}, "y": null}"#;
        for (path, value) in [
            ("$.order.id", Some("17")),
            ("$.order.items[0].n", Some("\"a b\"")),
            ("$.order.items[1][1]", Some("2")),
            ("$.y", Some("null")),
            ("$.order.items[2]", None),
            ("$.order.none", None),
            ("$.order.id.deeper", None),
            ("$[0]", None),
        ] {
            assert_eq!(found(path, order), Ok(value), "{path}");
        }
        assert_eq!(found("$", " [1] "), Ok(Some("[1]")));
        for wrong in ["", "no json", "{\"a\":1", "{\"a\":1}}", "{\"a\":1} x"] {
            assert_eq!(found("$.a", wrong), Err(NoJson), "{wrong:?}");
        }
        // Deep nesting takes no stack.
        let deep = ["{\"a\":1,\"b\":", &"[".repeat(100_000), &"]".repeat(100_000), "}"].concat();
        assert_eq!(found("$.a", &deep), Ok(Some("1")));
        for none in ["a", "$a", "$.", "$..a", "$[x]", "$[1"] {
            assert_eq!(JsonPath::parse(none), None, "{none}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 64, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// The walk finds what a whole document in memory holds.
        #[test]
        fn the_walk_agrees_with_the_whole_document(json in any_json(), path in prop::collection::vec(prop_oneof![Just(".a"), Just(".b"), Just("[0]"), Just("[1]")], 0..4)) {
            let pointer: String = path.iter().map(|part| ["/", part.trim_matches(['.', '[', ']'])].concat()).collect();
            // A pointer's digits also mean members, which are none here.
            let expected = json.pointer(&pointer);
            let text = json.to_string();
            let path = JsonPath::parse(&["$", &path.concat()].concat()).unwrap();
            let found = path.find(text.as_bytes()).unwrap().map(|found| serde_json::from_str::<Value>(found).unwrap());
            prop_assert_eq!(found.as_ref(), expected);
        }
    }
}
