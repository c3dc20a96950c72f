//! One request and its answer, on a connection of its own: for what the driver asks of HTTP servers beside its loads.

use crate::tls::client_config;
use crate::{ConnectError, Endpoint, EndpointError, Target, Trust};
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// The longest answer that is read, bytes.
const LONGEST_REPLY: usize = 64 * 1024;

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

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Its beginning where it is long.
    pub body: String,
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
        let late = |_| ExchangeError::Late { target: target.clone(), within };
        timeout(within, self.ask(target)).await.map_err(late)?
    }

    async fn ask(&self, target: &Target) -> Result<Reply, ExchangeError> {
        let tls =
            if target.is_tls() { Some(client_config(&Trust::System).map_err(EndpointError::from)?) } else { None };
        let refused = |source| ExchangeError::Refused { target: target.clone(), source };
        let broken = |source| ExchangeError::Broken { target: target.clone(), source };
        let endpoint = Endpoint::resolve(target, tls).await?;
        let mut stream = endpoint.connect().await.map_err(refused)?;
        stream.write_all(&self.bytes(target)).await.map_err(broken)?;
        let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
        while reply.len() < LONGEST_REPLY {
            match stream.read(&mut buffer).await.map_err(broken)? {
                0 => break,
                read => reply.extend_from_slice(&buffer[..read]),
            }
        }
        parse(&reply).ok_or_else(|| ExchangeError::Foreign(target.clone()))
    }

    fn bytes(&self, target: &Target) -> Vec<u8> {
        let (path, host) = (target.path().unwrap_or("/"), target.authority());
        let begin = format!("{} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.method);
        let login = target.authorization().map_or_else(String::new, |login| format!("Authorization: {login}\r\n"));
        let headers: String = self.headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
        let end = format!("Content-Length: {}\r\n\r\n", self.body.len());
        [begin.as_bytes(), login.as_bytes(), headers.as_bytes(), end.as_bytes(), self.body].concat()
    }
}

fn parse(reply: &[u8]) -> Option<Reply> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(reply).ok()? else { return None };
    let body = String::from_utf8_lossy(&reply[head..]).trim().to_owned();
    Some(Reply { status: response.code?, body })
}

impl Reply {
    /// Whether it is one of 2xx.
    #[must_use]
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
        insta::assert_snapshot!(String::from_utf8(request.bytes(&target)).unwrap().replace('\r', ""), @r"
        POST /api/v1/write HTTP/1.1
        Host: prometheus:9090
        Connection: close
        Content-Encoding: snappy
        Content-Length: 3

        abc
        ");
        let root = Exchange::GET.bytes(&"http://api".parse().unwrap());
        assert!(root.starts_with(b"GET / HTTP/1.1\r\nHost: api\r\n"));
    }

    #[test]
    fn what_comes_back() {
        let reply = parse(b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nnot yet\n").unwrap();
        assert_eq!(reply, Reply { status: 503, body: "not yet".to_owned() });
        assert!(!reply.is_fine());
        assert!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().is_fine());
        for wrong in [&b""[..], b"HTTP/1.1 200", b"SSH-2.0-x\r\n\r\n"] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
