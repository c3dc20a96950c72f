//! From the steps of a plan to those of the load generator.

use crate::error::ScenarioError;
use crate::site::{Address, Sites};
use crate::text::{Known, fixed};
use load::{Check, Escape, Expected, JsonPath, Part, Place, StatusSet, Template, USER_AGENT, Value};
use plan::{Body, Expect, KeepFrom, Plan, Span, Step, Text, UserKind};
use regex_lite::Regex;
use std::time::Duration;

/// How long an answer may take unless the plan says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// What all steps of one program have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lowering<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) sites: &'a Sites,
    pub(crate) constants: &'a [Value],
    pub(crate) users: u32,
    /// Whether steps are preceded by pauses.
    pub(crate) pauses: bool,
}

impl Lowering<'_> {
    /// A step of this kind of user, or of set-up and tear-down.
    /// Fails when what set-up has kept does not fit, or a file cannot be read.
    pub(crate) fn step(&self, step: &Step, kind: Option<&UserKind>) -> Result<load::Step, ScenarioError> {
        let address = self.sites.address(step)?;
        let wrong = |why: String| ScenarioError::Step { step: step.name.clone(), why };
        let known = Known { constants: self.constants, users: self.users, origin: address.origin };
        let (body, content_type) = match &step.body {
            None => (None, None),
            Some(body) => self::body(step, body, known).map(|(body, kind)| (Some(body), Some(kind)))?,
        };
        let head = head(step, kind, &address, content_type, known).map_err(wrong)?;
        let retry = step.retry.as_ref().or_else(|| kind.and_then(|kind| kind.retry.as_ref()));
        let think = step.think.or_else(|| kind.and_then(|kind| kind.think)).filter(|_| self.pauses);
        Ok(load::Step {
            name: step.name.clone(),
            template: Template::new(head, body, step.method == "HEAD"),
            site: address.site,
            traced: step.is_traced(),
            expected: expected(step, kind),
            timeout: self.plan.load.timeout.unwrap_or(WITHIN),
            think: think.map(|Span { least, most }| (least, most)),
            retry: retry.map(|retry| (StatusSet::of(&retry.status), retry.times)),
            always: step.always,
            repeat: step.repeat,
            when: step.when,
        })
    }

    /// What users keep: every value that is kept anywhere has a slot.
    pub(crate) fn slots(&self) -> Vec<load::Slot> {
        let slot =
            |kept: &plan::Kept| load::Slot { name: kept.name.clone(), of_round: kept.scope == plan::Scope::Round };
        self.plan.kept.iter().map(slot).collect()
    }
}

/// The body of a request, and its type.
fn body(step: &Step, body: &Body, known: Known<'_>) -> Result<(Vec<Part>, &'static str), ScenarioError> {
    let mut parts = Vec::new();
    let (written, kind) = match body {
        Body::Json(json) => (known.json(json, &mut parts), "application/json"),
        Body::Form(fields) => (known.form(fields, &mut parts), "application/x-www-form-urlencoded"),
        Body::Text(text) => (known.text(text, &mut parts, Escape::Plain, Escape::Plain), "text/plain"),
        Body::File(path) => {
            let bytes = std::fs::read(path).map_err(|source| ScenarioError::File {
                step: step.name.clone(),
                file: path.display().to_string(),
                source,
            })?;
            parts.push(Part::Bytes(bytes));
            (Ok(()), "application/octet-stream")
        }
    };
    written.map_err(|why| ScenarioError::Step { step: step.name.clone(), why })?;
    Ok((parts, kind))
}

/// The request line and the headers.
fn head(
    step: &Step,
    kind: Option<&UserKind>,
    address: &Address<'_>,
    content_type: Option<&str>,
    known: Known<'_>,
) -> Result<Vec<Part>, String> {
    let of_kind = kind.map(|kind| kind.headers.as_slice()).unwrap_or_default();
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let over = |name: &str| step.headers.iter().any(|(other, _)| is(name, other));
    let mut headers: Vec<&(String, Text)> =
        of_kind.iter().filter(|(name, _)| !over(name)).chain(&step.headers).collect();
    // A proof is of the access token, which is written before it therefore.
    headers.sort_by_key(|(_, text)| {
        text.values().any(|value| matches!(value, plan::Value::Call(plan::Function::Dpop(_))))
    });
    let mut parts = Vec::new();
    fixed(&[&step.method, " "].concat(), &mut parts);
    known.text(&address.path, &mut parts, Escape::Percent, Escape::Address)?;
    fixed(" HTTP/1.1\r\n", &mut parts);
    let authority = address.target.authority();
    let own = [
        ("Host", Some(authority.as_str())),
        ("User-Agent", Some(USER_AGENT)),
        ("Content-Type", content_type),
        ("Authorization", address.target.authorization()),
    ];
    for (name, value) in own {
        if let Some(value) = value.filter(|_| !headers.iter().any(|(given, _)| is(name, given))) {
            fixed(&[name, ": ", value, "\r\n"].concat(), &mut parts);
        }
    }
    for (name, text) in headers {
        fixed(&[name, ": "].concat(), &mut parts);
        known.text(text, &mut parts, Escape::Header, Escape::Header)?;
        fixed("\r\n", &mut parts);
    }
    if kind.is_some_and(|kind| kind.cookies) {
        parts.push(Part::Cookies);
    }
    Ok(parts)
}

fn expected(step: &Step, kind: Option<&UserKind>) -> Expected {
    let mut expected = Expected::status(StatusSet::of(&[(200, 299)]));
    for expect in &step.expect {
        let (place, equals) = match expect {
            Expect::Status(ranges) => {
                expected.status = StatusSet::of(ranges);
                continue;
            }
            Expect::Within(within) => {
                expected.within = Some(*within);
                continue;
            }
            Expect::Header(name, value) => (Some(Place::Header(name.clone())), value),
            Expect::Json(path, value) => (json(path), value),
            Expect::Text(expression) => (text(expression), &None),
        };
        // Paths and expressions have been checked by the reader of the plan.
        expected.checks.extend(place.map(|place| Check { place, equals: equals.clone() }));
    }
    let keep = |keep: &plan::Keep| {
        let place = match &keep.from {
            KeepFrom::Header(name) => Place::Header(name.clone()),
            KeepFrom::Cookie(name) => Place::Cookie(name.clone()),
            KeepFrom::Status => Place::Status,
            KeepFrom::Json(path) => json(path)?,
            KeepFrom::Text(expression) => text(expression)?,
        };
        Some(load::Keep { place, slot: keep.kept, optional: keep.optional })
    };
    expected.keep = step.keep.iter().filter_map(keep).collect();
    expected.keep_always = kind.map(|kind| kind.keep.iter().filter_map(keep).collect()).unwrap_or_default();
    expected
}

fn json(path: &str) -> Option<Place> {
    JsonPath::parse(path).map(|walk| Place::Json(path.to_owned(), walk))
}

fn text(expression: &str) -> Option<Place> {
    Regex::new(expression).ok().map(Place::Text)
}
