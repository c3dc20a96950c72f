//! The API under load.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a connection may take.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// An HTTP address: `http://host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    host: String,
    port: u16,
    path: Option<String>,
}

/// The text is no HTTP address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("{0:?} is no address of an HTTP API: write http://host:port/path")]
    Form(String),
    #[error("{0:?}: https is not supported, only http")]
    Tls(String),
}

/// No connection to the API came about.
#[derive(Debug, thiserror::Error)]
#[error("nothing answers at {target}: {source}; is the API running, and is --target right?")]
pub(crate) struct Unreachable {
    target: Target,
    source: std::io::Error,
}

impl Target {
    /// Opens a connection.
    ///
    /// # Errors
    /// When none of the host's addresses takes it within 3 s.
    pub(crate) async fn connect(&self) -> Result<TcpStream, Unreachable> {
        let silent = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 3 s");
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let connected = timeout(CONNECT_WITHIN, connecting).await.unwrap_or_else(|_| Err(silent()));
        connected.map_err(|source| Unreachable { target: self.clone(), source })
    }

    /// The host's addresses, looked up once, so that no request waits for a name server.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        found.map(Iterator::collect).map_err(|source| Unreachable { target: self.clone(), source })
    }

    /// The value of the Host header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    /// The path of requests, where the address names one.
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(url: &str) -> Result<Self, InvalidTarget> {
        let form = || InvalidTarget::Form(url.to_owned());
        if url.starts_with("https://") {
            return Err(InvalidTarget::Tls(url.to_owned()));
        }
        let rest = url.strip_prefix("http://").ok_or_else(form)?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => (&rest[..slash], Some(&rest[slash..])),
            None => (rest, None),
        };
        // An IPv6 address stands in brackets: http://[::1]:8080.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form())?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
        if host.is_empty() || !plain(host) || !plain(path.unwrap_or("")) {
            return Err(form());
        }
        // "http://host/" names no path of its own: the founding one is used then.
        let path = path.filter(|path| *path != "/").map(str::to_owned);
        Ok(Self { host: host.to_owned(), port, path })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://api/", "http://api"),
            ("http://api:81/a/b?c=d", "http://api:81/a/b?c=d"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ] {
            assert_eq!(url.parse::<Target>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "localhost:8080",
            "https://x",
            "http://",
            "http://:80",
            "http://h:port",
            "http://h/a b",
            "http://u:p@h",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
