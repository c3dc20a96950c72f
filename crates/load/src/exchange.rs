//! One request and its answer, on a connection of its own or one that is kept: for what the driver asks of HTTP servers beside its loads.

use crate::answer::Seen;
use crate::response::Response;
use crate::stream::Stream;
use crate::{ConnectError, Endpoint, EndpointError, Target, Trust};
use std::borrow::Cow;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The method.
    pub method: &'a str,
    /// Beside Host, Content-Length and Connection.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; may be empty.
    pub body: &'a [u8],
}

/// A connection to one server that is kept from one request to the next, where the server keeps it, too.
#[derive(Debug, Default)]
pub struct Line(Option<Stream>);

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// None came in time.
    #[error("{target} did not answer within {within}: is it up, and is the address right?", within = humantime::format_duration(*.within))]
    Late {
        /// Who was asked.
        target: Target,
        /// How long was waited.
        within: Duration,
    },
    /// No connection came about.
    #[error("nothing answers at {target}: {source}; is it up, and is the address right?")]
    Refused {
        /// Who was asked.
        target: Target,
        /// Why not.
        source: ConnectError,
    },
    /// The connection broke.
    #[error("the connection to {target} broke: {source}")]
    Broken {
        /// Who was asked.
        target: Target,
        /// How.
        source: io::Error,
    },
    /// What answers does not speak HTTP.
    #[error("{0} does not answer in HTTP")]
    Foreign(Target),
    /// The answer is larger than anything that is kept of one.
    #[error("the answer of {0} is larger than 16 MiB")]
    Long(Target),
    /// Its name leads nowhere.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Exchange<'_> {
    /// GET without a body.
    pub const GET: Exchange<'static> = Exchange { method: "GET", headers: &[], body: b"" };

    /// Asks, and waits for the answer, for `within` at most.
    ///
    /// # Errors
    /// When nothing answers in time, or not in HTTP.
    pub async fn with(&self, target: &Target, within: Duration) -> Result<Reply, ExchangeError> {
        self.trusting(&Trust::System, target, within).await
    }

    /// The same with another trust in certificates.
    ///
    /// # Errors
    /// As those of [`with`](Self::with).
    pub async fn trusting(&self, trust: &Trust, target: &Target, within: Duration) -> Result<Reply, ExchangeError> {
        self.timely(target, within, self.ask(trust, target, None)).await
    }

    /// The same on a line to that server. Where the server ends it meanwhile, what is asked is sent again: only for what may come twice.
    ///
    /// # Errors
    /// As those of [`with`](Self::with).
    pub async fn on(
        &self,
        line: &mut Line,
        trust: &Trust,
        target: &Target,
        within: Duration,
    ) -> Result<Reply, ExchangeError> {
        self.timely(target, within, self.ask(trust, target, Some(line))).await
    }

    async fn timely(
        &self,
        target: &Target,
        within: Duration,
        asking: impl Future<Output = Result<Reply, ExchangeError>>,
    ) -> Result<Reply, ExchangeError> {
        let late = |_| ExchangeError::Late { target: target.clone(), within };
        timeout(within, asking).await.map_err(late)?
    }

    async fn ask(&self, trust: &Trust, target: &Target, mut line: Option<&mut Line>) -> Result<Reply, ExchangeError> {
        let request = self.bytes(target, line.is_some());
        let refused = |source| ExchangeError::Refused { target: target.clone(), source };
        loop {
            // Whoever gives up in the middle leaves no line with half of an answer on it.
            let mut kept = line.as_mut().and_then(|line| line.0.take());
            if let Some(stream) = &mut kept
                && !stream.is_idle().await
            {
                kept = None;
            }
            let is_kept = kept.is_some();
            let mut stream = match kept {
                Some(stream) => stream,
                None => Endpoint::find(target, trust).await?.connect().await.map_err(refused)?,
            };
            match self.ask_on(&mut stream, &request, target).await {
                Err(ExchangeError::Broken { .. }) if is_kept => {}
                asked => {
                    let (reply, keeps) = asked?;
                    if let Some(line) = line {
                        line.0 = keeps.then_some(stream);
                    }
                    return Ok(reply);
                }
            }
        }
    }

    /// Tells also whether the connection can be used again.
    async fn ask_on(
        &self,
        stream: &mut Stream,
        request: &[u8],
        target: &Target,
    ) -> Result<(Reply, bool), ExchangeError> {
        let broken = |source| ExchangeError::Broken { target: target.clone(), source };
        stream.write_all(request).await.map_err(broken)?;
        let (mut held, mut buffer) = (Vec::new(), vec![0; 4096]);
        let (mut response, mut seen) = (Response::new(self.method == "HEAD"), Seen::default());
        loop {
            let read = stream.read(&mut buffer).await.map_err(broken)?;
            held.extend_from_slice(&buffer[..read]);
            let foreign = |_| ExchangeError::Foreign(target.clone());
            let (used, answer) = response.read(&held, &mut seen).map_err(foreign)?;
            if answer.is_some() || read == 0 && response.end().is_some() {
                let keeps = answer.is_some_and(|answer| !answer.close) && used == held.len();
                let reply = Reply::of(&seen.head, &seen.body).ok_or_else(|| ExchangeError::Foreign(target.clone()))?;
                return Ok((reply, keeps));
            }
            if read == 0 {
                let in_http = held.starts_with(b"HTTP/") || held.is_empty() || !seen.head.is_empty();
                let ended = || broken(io::ErrorKind::UnexpectedEof.into());
                return Err(if in_http { ended() } else { ExchangeError::Foreign(target.clone()) });
            }
            if seen.is_long() {
                return Err(ExchangeError::Long(target.clone()));
            }
            held.drain(..used);
        }
    }

    fn bytes(&self, target: &Target, keeps: bool) -> Vec<u8> {
        let (path, host) = (target.path().unwrap_or("/"), target.authority());
        let close = if keeps { "" } else { "Connection: close\r\n" };
        let begin = format!("{} {path} HTTP/1.1\r\nHost: {host}\r\n{close}", self.method);
        let login = target.authorization().map_or_else(String::new, |login| format!("Authorization: {login}\r\n"));
        let headers: String = self.headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
        let end = format!("Content-Length: {}\r\n\r\n", self.body.len());
        [begin.as_bytes(), login.as_bytes(), headers.as_bytes(), end.as_bytes(), self.body].concat()
    }
}

impl Reply {
    /// An answer of this header block and this body, taken apart.
    pub fn of(head: &[u8], body: &[u8]) -> Option<Self> {
        let mut fields = vec![httparse::EMPTY_HEADER; head.len() / 4 + 1];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(_) = response.parse(head).ok()? else { return None };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = response.headers.iter().map(|field| (field.name.to_owned(), text(field.value)));
        Some(Self { status: response.code?, headers: headers.collect(), body: body.to_vec() })
    }

    /// Its body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The same as people are told it: the beginning, where it is long, and without characters that would act on a terminal.
    pub fn told(&self) -> String {
        let body = self.text();
        let body = body.trim();
        let end = (0..=body.len().min(4096)).rev().find(|&end| body.is_char_boundary(end)).unwrap_or(0);
        body[..end].replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
    }

    /// Whether it is one of 2xx.
    pub fn is_fine(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_the_wire() {
        let target: Target = "http://prometheus:9090/api/v1/write".parse().unwrap();
        let request = Exchange { method: "POST", headers: &[("Content-Encoding", "snappy")], body: b"abc" };
        insta::assert_snapshot!(String::from_utf8(request.bytes(&target, false)).unwrap().replace('\r', ""), @r"
        POST /api/v1/write HTTP/1.1
        Host: prometheus:9090
        Connection: close
        Content-Encoding: snappy
        Content-Length: 3

        abc
        ");
        let root = Exchange::GET.bytes(&"http://api".parse().unwrap(), true);
        assert_eq!(root, b"GET / HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn what_comes_back() {
        let reply = Reply::of(b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\n", b"not yet\n").unwrap();
        assert_eq!(
            (reply.status, reply.told().as_str(), &reply.headers[..]),
            (503, "not yet", &[("x".to_owned(), "y".to_owned())][..])
        );
        assert!(!reply.is_fine());
        let coloured = Reply::of(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x1b[31mno\tway\n\x07now").unwrap();
        assert_eq!(coloured.told(), "\u{fffd}[31mno\tway\n\u{fffd}now");
        assert!(Reply::of(b"HTTP/1.1 204 No Content\r\n\r\n", b"").unwrap().is_fine());
        for wrong in [&b""[..], b"HTTP/1.1 200", b"SSH-2.0-x\r\n\r\n"] {
            assert!(Reply::of(wrong, b"").is_none(), "{wrong:?}");
        }
    }
}
