//! Sends a body to an address, once more where that is worth it. What is told of a failure names no address.

use crate::Address;
use load::{Exchange, ExchangeError, Reply};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// How long a request may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);

/// The longest that is waited before the second attempt.
const LONGEST: Duration = Duration::from_secs(5);

/// The usual wait before it.
const USUAL: Duration = Duration::from_secs(1);

const HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("User-Agent", concat!("stampede/", env!("CARGO_PKG_VERSION"))),
];

/// Why a message was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum PostError {
    #[error("it did not answer within {0}")]
    Late(String),
    #[error("no connection came about: is its host up, and its certificate one that this machine trusts?")]
    Unreachable,
    #[error("it does not answer in HTTP")]
    Foreign,
    #[error("it answers {0}, a redirect, which is not followed: set the address to where it leads")]
    Redirect(u16),
    #[error("it answers {0}: is the address still valid?")]
    Refused(u16),
    #[error("it answers {0}, but not `ok`")]
    NotOk(u16),
}

/// Posts JSON; `wants_ok` is whether the answer must be `ok`, as Slack's is.
pub(crate) async fn post(address: &Address, body: &Value, wants_ok: bool, within: Duration) -> Result<(), PostError> {
    let body = body.to_string();
    let exchange = Exchange { method: "POST", headers: &HEADERS, body: body.as_bytes() };
    let ask = || async { Box::pin(exchange.with(&address.0, within)).await.map_err(|error| reason(&error, within)) };
    let mut reply = ask().await?;
    if reply.status == 429 || reply.status >= 500 {
        sleep(wait(&reply)).await;
        reply = ask().await?;
    }
    match reply.status {
        200..=299 if wants_ok && reply.text().trim() != "ok" => Err(PostError::NotOk(reply.status)),
        200..=299 => Ok(()),
        300..=399 => Err(PostError::Redirect(reply.status)),
        status => Err(PostError::Refused(status)),
    }
}

/// What a failure is, in words that hold nothing of the address.
fn reason(error: &ExchangeError, within: Duration) -> PostError {
    match error {
        ExchangeError::Late { .. } => PostError::Late(format!("{} s", within.as_secs_f64())),
        ExchangeError::Foreign(_) | ExchangeError::Long(_) => PostError::Foreign,
        ExchangeError::Refused { .. } | ExchangeError::Broken { .. } | ExchangeError::Endpoint(_) => {
            PostError::Unreachable
        }
    }
}

/// How long the answer asks to wait, within reason.
fn wait(reply: &Reply) -> Duration {
    let header = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let asked = header.and_then(|(_, seconds)| seconds.trim().parse().ok()).map(Duration::from_secs);
    asked.unwrap_or(USUAL).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_longer_than_is_asked_and_never_long() {
        let wait = |value: &str| {
            wait(&Reply { status: 429, headers: vec![("Retry-After".to_owned(), value.to_owned())], body: Vec::new() })
        };
        assert_eq!([wait("0"), wait("2"), wait("3600"), wait("Fri")].map(|wait| wait.as_secs()), [0, 2, 5, 1]);
    }
}
