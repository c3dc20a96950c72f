//! What happens around a load, and in a trial, for people. Secrets are masked.

use load::{Exchanged, Reply};
use plan::Secrets;
use std::time::Duration;

/// What has happened.
#[derive(Debug)]
pub enum Told<'a> {
    /// A part begins.
    Phase(&'a str),
    /// A step was sent.
    Step {
        /// What figures call it.
        name: &'a str,
        /// Each request and its answer; several where it was asked for again.
        attempts: &'a [Attempt],
        /// What was kept, by name.
        kept: &'a [(String, String)],
        /// Why it failed; absent where it did not.
        failure: Option<&'a str>,
    },
    /// A step was left out, and why.
    Skipped {
        /// What figures call it.
        name: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A command was run.
    Hook {
        /// For the shell.
        command: &'a str,
        /// What it printed, or why it failed.
        result: Result<&'a str, &'a str>,
    },
}

/// A request as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The request line: method, path, version.
    pub line: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was sent.
    pub sent: Sent,
    /// Its answer, and how long it took; or why there is none.
    pub answer: Result<(Reply, Duration), String>,
}

impl Attempt {
    /// From the bytes that were exchanged.
    pub(crate) fn new(exchanged: &Exchanged, secrets: &Secrets) -> Self {
        let why = || exchanged.failure.clone().unwrap_or_else(|| "it was not answered".to_owned());
        let answer = Reply::of(&exchanged.head, &exchanged.body).map(|reply| {
            let body = secrets.mask(&reply.text()).into_bytes();
            (Reply { status: reply.status, headers: masked(reply.headers, secrets), body }, exchanged.took)
        });
        Self { sent: sent(&exchanged.request, secrets), answer: answer.ok_or_else(why) }
    }
}

fn sent(request: &[u8], secrets: &Secrets) -> Sent {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Sent { line: secrets.mask(&stamp::mask(line)), headers: masked(headers, secrets), body: secrets.mask(body) }
}

fn masked(headers: Vec<(String, String)>, secrets: &Secrets) -> Vec<(String, String)> {
    let shown = |name: &str, value: &str| {
        if stamp::is_secret_name(name) { stamp::MASKED.to_owned() } else { secrets.mask(value) }
    };
    headers.into_iter().map(|(name, value)| (name.clone(), shown(&name, &value))).collect()
}
