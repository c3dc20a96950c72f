//! Which stage a span is, of which message, by which clock. Pure.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use plan::{IdOf, RunOf, SpanMap, SpanRule, SpanTime};
use sha2::{Digest, Sha256};
use stamp::{MsgId, RunId, Stage};
use std::borrow::Cow;
use std::ops::Range;

/// A span that is a stage of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<'m> {
    pub(super) stage: &'m Stage,
    pub(super) id: MsgId,
    pub(super) run: RunId,
    /// µs since 1970-01-01 UTC, by its own clock.
    pub(super) event_us: i64,
}

/// What a resource says of all its spans.
pub(super) struct Origin<'a> {
    attributes: &'a [KeyValue],
    service: Option<Cow<'a, str>>,
    /// The name of its clock.
    pub(super) clock: String,
}

impl<'a> Origin<'a> {
    pub(super) fn new(map: &SpanMap, attributes: &'a [KeyValue]) -> Self {
        // Where none of these is there, what tells most about who it is: another host must not pass for this one.
        let names = map.clock.iter().map(String::as_str).chain(SpanMap::CLOCK);
        let named = names.into_iter().find_map(|name| text(attributes, name).filter(|value| !value.is_empty()));
        Self {
            attributes,
            service: text(attributes, "service.name"),
            clock: clock_name(named.as_deref().unwrap_or("unknown")),
        }
    }
}

/// Times that a clock may tell, from 2000 to 2100, µs: what is in other units lies elsewhere.
const TIMES_US: Range<i64> = 946_684_800_000_000..4_102_444_800_000_000;

/// How much of a text is told, characters.
const LONGEST_QUOTED: usize = 40;

/// The stages that a span is: of each, the first rule that fits counts. Or why it is none although a rule fits.
pub(super) fn find<'m>(map: &'m SpanMap, origin: &Origin<'_>, span: &Span) -> Vec<Result<Found<'m>, String>> {
    let mut fitting: Vec<&SpanRule> = Vec::new();
    for rule in &map.rules {
        if fitting.iter().all(|other| other.stage != rule.stage) && fits(rule, origin, span) {
            fitting.push(rule);
        }
    }
    fitting.into_iter().map(|rule| found(map, rule, origin, span)).collect()
}

fn found<'m>(map: &SpanMap, rule: &'m SpanRule, origin: &Origin<'_>, span: &Span) -> Result<Found<'m>, String> {
    let id = id_of(rule.id.as_ref().unwrap_or(&map.id), origin, span)?;
    let run = match &map.run {
        RunOf::Named(run) => run.clone(),
        RunOf::Attribute(name) => match of_span(origin, span, name) {
            Some(run) => run.parse().map_err(|error| format!("attribute {name}: {error}"))?,
            None => RunId::adhoc(),
        },
    };
    let nanos = match rule.at {
        SpanTime::Start => span.start_time_unix_nano,
        SpanTime::End => span.end_time_unix_nano,
    };
    let event_us = i64::try_from(nanos / 1000).unwrap_or(0);
    if !TIMES_US.contains(&event_us) {
        return Err(format!("span {} is of no time since 2000: are its times in nanoseconds?", quoted(&span.name)));
    }
    Ok(Found { stage: &rule.stage, id, run, event_us })
}

fn fits(rule: &SpanRule, origin: &Origin<'_>, span: &Span) -> bool {
    rule.span.as_ref().is_none_or(|pattern| is_like(pattern, &span.name))
        && rule.service.as_ref().is_none_or(|service| origin.service.as_deref() == Some(service))
        && rule
            .attributes
            .iter()
            .all(|(name, value)| of_span(origin, span, name).is_some_and(|has| is_like(value, &has)))
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

fn id_of(id: &IdOf, origin: &Origin<'_>, span: &Span) -> Result<MsgId, String> {
    match id {
        IdOf::TraceId if span.trace_id.len() == 16 => Ok(hashed(&span.trace_id)),
        IdOf::TraceId => Err("the span has no trace id".to_owned()),
        IdOf::Hash(name) => {
            let value = of_span(origin, span, name).ok_or_else(|| missing(origin, span, name))?;
            Ok(hashed(value.as_bytes()))
        }
        IdOf::Attribute(name) => {
            let value = of_span(origin, span, name).ok_or_else(|| missing(origin, span, name))?;
            let id = value.parse().ok().and_then(|id| MsgId::new(id).ok());
            id.ok_or_else(|| {
                format!(
                    "attribute {name} is {}, and no id from 0 to 2^53 - 1: `id: {{ hash: {name} }}` takes any text",
                    quoted(&value)
                )
            })
        }
    }
}

/// Why an attribute has no value that could be used.
fn missing(origin: &Origin<'_>, span: &Span, name: &str) -> String {
    if span.attributes.iter().chain(origin.attributes).any(|attribute| attribute.key == name) {
        format!("attribute {name} is neither text nor a number")
    } else {
        format!("no attribute {name}")
    }
}

/// What somebody sent, as people are told it: the beginning, where it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The first 53 bits of its SHA-256: alike for one in 10¹⁶ pairs.
fn hashed(bytes: &[u8]) -> MsgId {
    let digest = Sha256::digest(bytes);
    let first = digest.iter().take(8).fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    MsgId::new(first >> 11).unwrap_or_else(|_| unreachable!("53 bits are in range"))
}

/// An attribute of the span, or else of its resource.
fn of_span<'a>(origin: &Origin<'a>, span: &'a Span, name: &str) -> Option<Cow<'a, str>> {
    text(&span.attributes, name).or_else(|| text(origin.attributes, name))
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<Cow<'a, str>> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    let AnyValue { value } = found.value.as_ref()?;
    Some(match value.as_ref()? {
        Value::StringValue(text) => Cow::Borrowed(text),
        Value::IntValue(number) => Cow::Owned(number.to_string()),
        Value::BoolValue(truth) => Cow::Owned(truth.to_string()),
        Value::DoubleValue(number) => Cow::Owned(number.to_string()),
        _ => return None,
    })
}

/// A name as stamps may have it: 1 to 64 of `[A-Za-z0-9._-]`.
fn clock_name(text: &str) -> String {
    let name: String =
        text.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{number, text as text_attribute};
    use plan::Input;

    fn map(text: &str) -> SpanMap {
        SpanMap::read(&Input::new("map.yaml", text)).unwrap()
    }

    fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
        Span {
            name: name.to_owned(),
            trace_id: vec![7; 16],
            start_time_unix_nano: 1_763_000_000_000_001_999,
            end_time_unix_nano: 1_763_000_001_000_000_000,
            attributes,
            ..Span::default()
        }
    }

    #[test]
    fn of_each_stage_the_first_rule_that_fits_counts() {
        let map = map("run: { attribute: run }\nid: order.id\nstages:\n  a: { span: POST *, service: api }\n  \
             b: [{ span: work, at: end }, { where: { kind: w* }, id: trace_id }]\n");
        let resource = [text_attribute("service.name", "api"), text_attribute("host.name", "web 1")];
        let origin = Origin::new(&map, &resource);
        assert_eq!(origin.clock, "web-1");
        let found = |span: &Span| {
            find(&map, &origin, span)
                .pop()
                .map(|found| found.map(|found| (found.stage.to_string(), found.id.get(), found.event_us)))
        };
        assert_eq!(
            found(&span("POST /x", vec![number("order.id", 12)])),
            Some(Ok(("a".into(), 12, 1_763_000_000_000_001)))
        );
        assert_eq!(
            found(&span("work", vec![text_attribute("order.id", "13")])),
            Some(Ok(("b".into(), 13, 1_763_000_001_000_000)))
        );
        let hashed = found(&span("other", vec![text_attribute("kind", "worker")])).unwrap().unwrap();
        assert_eq!((hashed.0.as_str(), hashed.1 < 1 << 53, hashed.2), ("b", true, 1_763_000_000_000_001));
        assert_eq!(found(&span("GET /x", Vec::new())), None);
    }

    #[test]
    fn one_span_may_be_two_stages() {
        let map = map("id: n\nstages: { taken: { span: x }, done: { span: x, at: end } }\n");
        let span = span("x", vec![number("n", 1)]);
        let found: Vec<_> = find(&map, &Origin::new(&map, &[]), &span).into_iter().map(Result::unwrap).collect();
        let times: Vec<_> = found.iter().map(|found| (found.stage.as_str(), found.event_us)).collect();
        assert_eq!(times, [("taken", 1_763_000_000_000_001), ("done", 1_763_000_001_000_000)]);
    }

    #[test]
    fn a_span_without_an_id_is_told() {
        let map = map("id: order.id\nstages: { a: { span: x } }\n");
        let origin = Origin::new(&map, &[]);
        let told = |attributes| find(&map, &origin, &span("x", attributes)).remove(0).unwrap_err();
        insta::assert_snapshot!(told(Vec::new()), @"no attribute order.id");
        insta::assert_snapshot!(told(vec![text_attribute("order.id", "7f-a")]), @r#"attribute order.id is "7f-a", and no id from 0 to 2^53 - 1: `id: { hash: order.id }` takes any text"#);
        let long = told(vec![text_attribute("order.id", "é".repeat(100_000))]);
        assert!(long.contains(&format!("{}\"…", "é".repeat(40))) && long.len() < 200, "{long:.300}");
        let bytes = AnyValue { value: Some(Value::BytesValue(vec![5])) };
        let bytes = KeyValue { key: "order.id".to_owned(), value: Some(bytes), ..KeyValue::default() };
        insta::assert_snapshot!(told(vec![bytes]), @"attribute order.id is neither text nor a number");
        insta::assert_snapshot!(told(vec![number("order.id", -1)]), @r#"attribute order.id is "-1", and no id from 0 to 2^53 - 1: `id: { hash: order.id }` takes any text"#);
    }

    #[test]
    fn a_span_in_other_units_is_told() {
        let map = map("id: n\nstages: { a: { span: x } }\n");
        let span = Span { start_time_unix_nano: 1_763_000_000_000, ..span("x", vec![number("n", 1)]) };
        assert!(find(&map, &Origin::new(&map, &[]), &span)[0].as_ref().unwrap_err().contains("nanoseconds"));
    }

    #[test]
    fn who_names_no_host_has_a_clock_of_his_own() {
        let map = map("clock: k8s.node.name\nid: n\nstages: { a: { span: x } }\n");
        let clock = |attributes: &[KeyValue]| Origin::new(&map, attributes).clock;
        assert_eq!(clock(&[text_attribute("service.name", "api")]), "api");
        assert_eq!(clock(&[text_attribute("service.name", "api"), text_attribute("host.name", "h1")]), "h1");
        assert_eq!(clock(&[text_attribute("k8s.node.name", "n1"), text_attribute("host.name", "h1")]), "n1");
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("POST *", "POST /x", true),
            ("POST *", "GET /x", false),
            ("*/orders", "POST /orders", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
        }
    }
}
