//! What a user can say about a single request, and the template that it means.

use crate::Target;
use crate::template::{Escape, Part, Source, Template, address};
use stamp::RunId;
use std::str::FromStr;

/// How the generator calls itself.
pub const USER_AGENT: &str = concat!("stampede/", env!("CARGO_PKG_VERSION"));

/// The path of requests where nothing else names one.
const FOUNDING_PATH: &str = "/adapter2/poweron/44300";

/// The body of requests where nothing else gives one: an envelope.
const ENVELOPE: &str = r#"{"id":{id},"run":"{run}","data":"{payload}"}"#;

/// What a user can say about the requests. Path and body may hold the placeholders `{id}` (a fresh message id), `{run}`, `{payload}`
/// (`payload_bytes` times `x`) and `{now}` (this host's clock when the request is written, µs since 1970-01-01 UTC).
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// The method.
    pub method: Method,
    /// Overrides the target's path.
    pub path: Option<String>,
    /// Headers beside those that the generator sets.
    pub headers: Vec<Header>,
    /// None: an envelope, where the method has a body.
    pub body: Option<Vec<u8>>,
    /// Bytes that `{payload}` stands for.
    pub payload_bytes: usize,
}

impl RequestOptions {
    /// Envelopes with so many bytes of user data.
    pub fn envelope(payload_bytes: usize) -> Self {
        let method = Method("POST".to_owned());
        Self { method, path: None, headers: Vec::new(), body: None, payload_bytes }
    }
}

/// An HTTP method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(String);

/// An HTTP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

impl Header {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, which may be secret.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl Template {
    /// Requests to `target` of the given run.
    pub fn single(target: &Target, run: &RunId, options: &RequestOptions) -> Self {
        let method = &options.method.0;
        let bodyless = matches!(method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS");
        let body = options.body.clone().or_else(|| (!bodyless).then(|| ENVELOPE.as_bytes().to_vec()));
        let path = address(options.path.as_deref().or(target.path()).unwrap_or(FOUNDING_PATH));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let given = |name: &str| options.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        let mut line = |name: &str, value: &str| {
            if !given(name) {
                head.push_str(&[name, ": ", value, "\r\n"].concat());
            }
        };
        line("Host", &target.authority());
        line("User-Agent", USER_AGENT);
        if body.is_some() {
            line("Content-Type", "application/json");
        }
        if let Some(login) = target.authorization() {
            line("Authorization", login);
        }
        for header in &options.headers {
            head.push_str(&[&header.name, ": ", &header.value, "\r\n"].concat());
        }
        let parts = |text: &[u8]| parts(text, run, options.payload_bytes);
        Self::new(parts(head.as_bytes()), body.map(|body| parts(&body)), method == "HEAD")
    }
}

/// Cuts a text at its placeholders. Those that are the same in every request of a run are filled in at once.
fn parts(text: &[u8], run: &RunId, payload_bytes: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fixed = Vec::new();
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let placeholders: [(&[u8], Option<Source>); 4] =
            [(b"{id}", Some(Source::Id)), (b"{now}", Some(Source::NowUs)), (b"{run}", None), (b"{payload}", None)];
        let Some((name, source)) = placeholders.into_iter().find(|(name, _)| rest.starts_with(name)) else {
            fixed.push(first);
            rest = &rest[1..];
            continue;
        };
        match source {
            Some(source) => {
                parts.push(Part::Bytes(std::mem::take(&mut fixed)));
                parts.push(Part::Value { source, escape: Escape::Plain, or: None });
            }
            None if name == b"{run}" => fixed.extend_from_slice(run.as_str().as_bytes()),
            None => fixed.resize(fixed.len() + payload_bytes, b'x'),
        }
        rest = &rest[name.len()..];
    }
    parts.push(Part::Bytes(fixed));
    parts
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_token = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        if is_token { Ok(Self(text.to_ascii_uppercase())) } else { Err("a method is a word such as POST".to_owned()) }
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as Name: value".to_owned();
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let (name, value) = (name.trim(), value.trim());
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) || value.bytes().any(|b| b < b' ' && b != b'\t') {
            return Err(wrong());
        }
        if ["content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "{name} is the load generator's own: it follows from the body, and connections are kept"
            ));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::with;
    use stamp::clock;

    fn options() -> RequestOptions {
        RequestOptions::envelope(4)
    }

    fn written(target: &str, options: &RequestOptions) -> String {
        let template = Template::single(&target.parse().unwrap(), &"r.c05".parse().unwrap(), options);
        let mut buffer = b"what was there before".to_vec();
        with(&[], |values| template.write(values, &mut buffer, &mut Vec::new())).unwrap();
        String::from_utf8(buffer).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn the_founding_request() {
        insta::assert_snapshot!(written("http://localhost:8080", &options()), @r#"
        POST /adapter2/poweron/44300 HTTP/1.1
        Host: localhost:8080
        User-Agent: stampede/0.1.0
        Content-Type: application/json
        Content-Length: 40

        {"id":12000,"run":"r.c05","data":"xxxx"}
        "#);
    }

    #[test]
    fn any_request() {
        let options = RequestOptions {
            method: "put".parse().unwrap(),
            path: Some("/orders/{id}?run={run}".to_owned()),
            headers: vec!["Authorization: Bearer x".parse().unwrap(), "content-type:text/plain".parse().unwrap()],
            body: Some(b"{{id}} {payload}{unknown}".to_vec()),
            payload_bytes: 2,
        };
        insta::assert_snapshot!(written("http://[::1]/ignored", &options), @r"
        PUT /orders/12000?run=r.c05 HTTP/1.1
        Host: [::1]
        User-Agent: stampede/0.1.0
        Authorization: Bearer x
        content-type: text/plain
        Content-Length: 19

        {12000} xx{unknown}
        ");
    }

    #[test]
    fn a_request_without_a_body() {
        let options = RequestOptions { method: "GET".parse().unwrap(), ..options() };
        insta::assert_snapshot!(written("http://api/status", &options), @r"
        GET /status HTTP/1.1
        Host: api
        User-Agent: stampede/0.1.0
        ");
    }

    #[test]
    fn the_time_is_that_of_each_request() {
        let options = RequestOptions { body: Some(b"{now}".to_vec()), ..options() };
        let before = clock::unix_now().as_micros();
        let written = written("http://api", &options);
        let now: u128 = written.rsplit('\n').next().unwrap().parse().unwrap();
        assert!((before..=clock::unix_now().as_micros()).contains(&now));
    }

    #[test]
    fn headers_that_are_none() {
        for bad in ["no colon", ": value", "bad name: x", "Content-Length: 5", "a: b\r\nc: d"] {
            assert!(bad.parse::<Header>().is_err(), "{bad:?}");
        }
    }
}
