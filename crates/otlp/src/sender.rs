//! One request to a collector: compressed, tried again where that is worth it, and what was answered.

use crate::budget::Budget;
use flate2::Compression;
use flate2::write::GzEncoder;
use load::{ConnectError, Exchange, ExchangeError, Reply, Target, Trust};
use stamp::MASKED;
use std::io::Write;
use std::time::Duration;

/// Where requests go, and what they bring beside their body.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) trust: Trust,
    pub(crate) headers: Vec<(String, String)>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was taken; the answer may say that parts were not.
    Taken(Vec<u8>),
    /// It is larger than the collector takes.
    TooLarge,
    /// It was refused, and would be again.
    Refused(String),
    /// Nobody has taken it in the time that there was.
    Away(String),
}

impl Collector {
    /// Sends a body, again and again while that is worth it and there is time.
    pub(crate) async fn send(&self, target: &Target, body: &[u8], budget: &mut Budget) -> Outcome {
        let Ok(body) = compressed(body) else { return Outcome::Refused("the body cannot be compressed".to_owned()) };
        let mut headers =
            vec![("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip"), ("User-Agent", USER_AGENT)];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        loop {
            let exchange = Exchange { method: "POST", headers: &headers, body: &body };
            let within = budget.attempt();
            let (why, asked) = match exchange.trusting(&self.trust, target, within).await {
                Ok(reply) if reply.is_fine() => {
                    budget.is_well();
                    return Outcome::Taken(reply.body);
                }
                Ok(reply) => match reply.status {
                    413 => return Outcome::TooLarge,
                    // These, and no others, are to be tried again (OTLP/HTTP, "Retryable Response Codes").
                    429 | 502 | 503 | 504 => (self.told(target, &reply), retry_after(&reply)),
                    _ => return Outcome::Refused(self.told(target, &reply)),
                },
                // What is not trusted, or speaks another language, does so the next time, too.
                Err(ExchangeError::Refused { source: ConnectError::Tls(error), .. }) => {
                    return Outcome::Refused(format!(
                        "no TLS with {target}: {error}; --otlp-ca FILE has the certificate of the authority to trust"
                    ));
                }
                Err(error @ (ExchangeError::Foreign(_) | ExchangeError::Long(_) | ExchangeError::Endpoint(_))) => {
                    return Outcome::Refused(error.to_string());
                }
                Err(ExchangeError::Late { .. }) if budget.is_over() => {
                    return Outcome::Away("the time of --otlp-within is over".to_owned());
                }
                Err(error) => (error.to_string(), None),
            };
            match budget.wait(asked) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Outcome::Away(why),
            }
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

const USER_AGENT: &str = concat!("stampede/", env!("CARGO_PKG_VERSION"));

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// How long the collector asks to be left alone: seconds; a date is not understood, and the usual wait is kept then.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let header = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    header.and_then(|(_, value)| value.trim().parse().ok()).map(Duration::from_secs)
}
