//! One request to a collector: compressed, tried again where that is worth it, and what was answered.

use crate::budget::Budget;
use flate2::Compression;
use flate2::write::GzEncoder;
use load::{ConnectError, Exchange, ExchangeError, Line, Reply, Target, Trust};
use stamp::{MASKED, mask};
use std::io::Write;
use std::time::Duration;

/// Where requests go, and what they bring beside their body.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) trust: Trust,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) line: Line,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was taken; the answer may say that parts were not.
    Taken(Reply),
    /// It is larger than the collector takes.
    TooLarge,
    /// It was refused, and would be again.
    Refused(String),
    /// Nobody has taken it in the time that there was.
    Away(String),
}

impl Collector {
    /// Sends a body, again and again while that is worth it and there is time.
    pub(crate) async fn send(&mut self, target: &Target, body: &[u8], budget: &mut Budget) -> Outcome {
        let Ok(body) = compressed(body) else { return Outcome::Refused("the body cannot be compressed".to_owned()) };
        let mut headers =
            vec![("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip"), ("User-Agent", USER_AGENT)];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let hint = if target.authority().ends_with(GRPC_PORT) { GRPC } else { "" };
        loop {
            let exchange = Exchange { method: "POST", headers: &headers, body: &body };
            let within = budget.attempt();
            let (why, asked) = match exchange.on(&mut self.line, &self.trust, target, within).await {
                Ok(reply) if reply.is_fine() => {
                    budget.is_well();
                    return Outcome::Taken(reply);
                }
                Ok(reply) => match reply.status {
                    413 => return Outcome::TooLarge,
                    // These, and no others, are to be tried again (OTLP/HTTP, "Retryable Response Codes").
                    429 | 502 | 503 | 504 => (self.told(target, &reply), retry_after(&reply)),
                    300..400 => return Outcome::Refused(self.moved(target, &reply)),
                    _ => return Outcome::Refused(self.told(target, &reply)),
                },
                // What is not trusted, or speaks another language, does so the next time, too.
                Err(ExchangeError::Refused { source: source @ ConnectError::Tls(_), .. }) => {
                    let remedy = if source.is_of_certificate() {
                        "--otlp-ca FILE has the certificate of the authority to trust"
                    } else {
                        "where this port speaks no TLS, its address begins with http://"
                    };
                    let (ConnectError::Io(error) | ConnectError::Tls(error)) = source;
                    return Outcome::Refused(format!("no TLS with {target}: {error}; {remedy}"));
                }
                Err(error @ (ExchangeError::Foreign(_) | ExchangeError::Long(_) | ExchangeError::Endpoint(_))) => {
                    return Outcome::Refused(format!("{error}{hint}"));
                }
                Err(ExchangeError::Late { .. }) if budget.is_over() => {
                    return Outcome::Away("the time of --otlp-within is over".to_owned());
                }
                Err(error) => (format!("{error}{hint}"), None),
            };
            match budget.wait(asked) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Outcome::Away(why),
            }
        }
    }

    /// Where a collector says that it is: whoever is sent elsewhere does not follow, as its headers are not for everybody.
    fn moved(&self, target: &Target, reply: &Reply) -> String {
        let Some(location) = header(reply, "location") else { return self.told(target, reply) };
        let begin = if location.starts_with('/') { target.origin() } else { String::new() };
        let location = mask(&self.masked(target, &[&begin, location].concat())).into_owned();
        let signal = SIGNALS.into_iter().find(|signal| target.path().is_some_and(|path| path.ends_with(signal)));
        match signal.and_then(|signal| location.strip_suffix(signal)) {
            Some(base) => format!("{target} answers {}: it has moved: give --otlp {base} instead", reply.status),
            None => format!(
                "{target} answers {} and leads to {location}: give --otlp the address that takes OTLP itself",
                reply.status
            ),
        }
    }

    /// A protobuf `Status` holds its text among other bytes: only what is a text is told.
    fn told(&self, target: &Target, reply: &Reply) -> String {
        let text = reply.told();
        let is_text = !text.is_empty() && !text.contains('\u{fffd}');
        let detail = if is_text { format!(": {}", self.masked(target, &text)) } else { String::new() };
        format!("{target} answers {}{detail}", reply.status)
    }

    /// What a collector says, without the values of the headers that it was sent: some repeat them.
    pub(crate) fn masked(&self, target: &Target, text: &str) -> String {
        let values = self.headers.iter().map(|(_, value)| value.as_str()).chain(target.authorization());
        // A token may be repeated without its scheme, as in `Bearer TOKEN`.
        let secrets = values.flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)]);
        let secrets = secrets.filter(|secret| secret.len() >= SHORTEST_SECRET);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, MASKED))
    }
}

/// The shortest value that is hidden in an answer: shorter ones are in any text, bytes.
const SHORTEST_SECRET: usize = 4;

/// What is added to the address that is given.
pub(crate) const TRACES: &str = "/v1/traces";
pub(crate) const METRICS: &str = "/v1/metrics";
const SIGNALS: [&str; 2] = [TRACES, METRICS];

/// Where collectors take OTLP over gRPC, which ends a connection that speaks HTTP/1.1.
const GRPC_PORT: &str = ":4317";
const GRPC: &str = "; port 4317 is usually that of OTLP over gRPC: give the one of OTLP/HTTP, usually 4318";

const USER_AGENT: &str = concat!("stampede/", env!("CARGO_PKG_VERSION"));

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// How long the collector asks to be left alone: seconds; a date is not understood, and the usual wait is kept then.
fn retry_after(reply: &Reply) -> Option<Duration> {
    header(reply, "retry-after")?.parse().ok().map(Duration::from_secs)
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let found = reply.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
