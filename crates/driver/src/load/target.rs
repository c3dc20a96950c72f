//! The API under load.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::lookup_host;

/// How long a connection may take.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// An HTTP address: `http://host[:port][/path]`, or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    tls: bool,
    host: String,
    port: u16,
    path: Option<String>,
}

/// The text is no HTTP address.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no address of an HTTP API: write http://host:port/path, or https")]
pub(crate) struct InvalidTarget(String);

/// The API's name cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("nothing answers at {target}: {source}; is the API running, and is the address right?")]
pub(crate) struct Unreachable {
    target: Target,
    source: std::io::Error,
}

impl Target {
    /// The host's addresses.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        found.map(Iterator::collect).map_err(|source| Unreachable { target: self.clone(), source })
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name or address of the host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The value of the Host header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// The path of requests, where the address names one.
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(url: &str) -> Result<Self, InvalidTarget> {
        let form = || InvalidTarget(url.to_owned());
        let (tls, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://").ok_or_else(form)?),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => (&rest[..slash], Some(&rest[slash..])),
            None => (rest, None),
        };
        // An IPv6 address stands in brackets: http://[::1]:8080.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form())?),
            _ => (authority, default_port(tls)),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
        if host.is_empty() || !plain(host) || !plain(path.unwrap_or("")) {
            return Err(form());
        }
        // "http://host/" names no path of its own: the founding one is used then.
        let path = path.filter(|path| *path != "/").map(str::to_owned);
        Ok(Self { tls, host: host.to_owned(), port, path })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path().unwrap_or(""))
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
            ("https://api/x", "https://api/x"),
            ("https://api:80/x", "https://api:80/x"),
        ] {
            assert_eq!(url.parse::<Target>().unwrap().to_string(), shown);
        }
        for bad in ["", "localhost:8080", "http://", "http://:80", "http://h:port", "http://h/a b", "http://u:p@h"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
