//! The API under load.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use tokio::net::lookup_host;

/// How long a connection may take.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// An HTTP address: `http://[user:password@]host[:port][/path][?query]`, or https.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    tls: bool,
    host: String,
    port: u16,
    /// Path and query as they go over the wire; absent where the address names neither.
    path: Option<String>,
    /// The value of the Authorization header that user and password stand for.
    authorization: Option<String>,
}

/// The text is no HTTP address. It is told without what may be secret in it.
#[derive(Debug, thiserror::Error)]
#[error("{:?} is no address of an HTTP API: {fault}", stamp::mask_value(.url))]
pub struct InvalidTarget {
    url: String,
    fault: &'static str,
}

/// The API's name cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("nothing answers at {target}: {source}; is the API running, and is the address right?")]
pub struct Unreachable {
    target: Target,
    source: std::io::Error,
}

impl Target {
    /// The host's addresses.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        found.map(Iterator::collect).map_err(|source| Unreachable { target: self.clone(), source })
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name or address of the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The value of the Host header.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// `http://host:port`, as the address of a request begins.
    pub fn origin(&self) -> String {
        [if self.tls { "https://" } else { "http://" }, &self.authority()].concat()
    }

    /// The path of requests, where the address names one.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The address of a path beneath this one: `/api` and `/v1` make `/api/v1`. Nothing where this one has a query.
    pub fn beneath(&self, path: &str) -> Option<Self> {
        let base = self.path().unwrap_or("");
        let base = base.strip_suffix('/').unwrap_or(base);
        (!base.contains('?')).then(|| Self { path: Some([base, path].concat()), ..self.clone() })
    }

    /// The value of the Authorization header, where the address names a user.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(url: &str) -> Result<Self, InvalidTarget> {
        parse(url).map_err(|fault| InvalidTarget { url: url.to_owned(), fault })
    }
}

/// What is wrong is told without quoting anything.
fn parse(url: &str) -> Result<Target, &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("write http://host:port/path, or https")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err("write http://host:port/path, or https"),
    };
    // The fragment is the client's own and never sent.
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if path.contains('@') && !authority.contains('@') && authority.contains(':') && port_of(authority).is_err() {
        return Err("a / or ? in a password must be written as %2F or %3F");
    }
    if url.contains('#') && !authority.contains('@') && url.rsplit('#').next().is_some_and(|end| end.contains('@')) {
        return Err("a # in a password must be written as %23");
    }
    let (login, address) =
        authority.rsplit_once('@').map_or((None, authority), |(login, address)| (Some(login), address));
    let (host, port) = port_of(address)?;
    let host = match host.strip_prefix('[') {
        Some(host) => {
            let host = host.strip_suffix(']').ok_or("an IPv6 address stands in brackets: http://[::1]:8080")?;
            host.parse::<Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
            host
        }
        None if host.contains(':') => return Err("an IPv6 address stands in brackets: http://[::1]:8080"),
        None => host,
    };
    if host.is_empty() {
        return Err("it names no host: write http://host:port/path, or https");
    }
    if !host.is_ascii() {
        return Err("write a host name that is not ASCII in its encoded form, xn--…");
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b)) {
        return Err("a host name has letters, digits, hyphens and points only");
    }
    if path.contains(char::is_control) {
        return Err("its path holds a control character: leave it out, or percent-encode it, as in %0A");
    }
    let path = crate::template::address(path);
    // "?x=1" is asked of the root, as every client does.
    let path = match path.as_bytes().first() {
        None => None,
        Some(b'?') => Some(format!("/{path}")),
        Some(_) => Some(path),
    };
    let port = port.unwrap_or(default_port(tls));
    let authorization = login.map(basic).transpose()?;
    Ok(Target { tls, host: host.to_ascii_lowercase(), port, path, authorization })
}

/// Parts `host:port`; the port may be left out, or empty.
fn port_of(address: &str) -> Result<(&str, Option<u16>), &'static str> {
    match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let known = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok().filter(|&port| port > 0));
            match known {
                _ if port.is_empty() => Ok((host, None)),
                Some(Some(port)) => Ok((host, Some(port))),
                _ => Err("the port is no number from 1 to 65535"),
            }
        }
        _ => Ok((address, None)),
    }
}

/// `user:password`, percent-encoded, as the value of an Authorization header (RFC 7617).
fn basic(login: &str) -> Result<String, &'static str> {
    use base64::Engine;
    let decoded = percent_decoded(login).ok_or("a % in user or password must be written as %25")?;
    let with_colon = if decoded.contains(&b':') { decoded } else { [decoded, b":".to_vec()].concat() };
    Ok(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(with_colon)))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(if byte == b'%' { digit()? << 4 | digit()? } else { byte });
    }
    Some(decoded)
}

/// Without user, password and the secrets of its query.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path().unwrap_or("");
        // Only its query may hold secrets.
        write!(f, "{scheme}://{}", self.authority())?;
        f.write_str(
            &path.find('?').map_or(path.to_owned(), |at| format!("{}{}", &path[..at], stamp::mask(&path[at..]))),
        )
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown, path) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", None),
            ("http://api/", "http://api/", Some("/")),
            ("HTTP://Api:80/A", "http://api/A", Some("/A")),
            ("http://api:9?x=1", "http://api:9/?x=1", Some("/?x=1")),
            ("http://api:9/?x=1", "http://api:9/?x=1", Some("/?x=1")),
            ("http://api:/x", "http://api/x", Some("/x")),
            ("http://api/ü b%20", "http://api/%C3%BC%20b%20", Some("/%C3%BC%20b%20")),
            ("http://api.example.:81/a/b?c=d#part", "http://api.example.:81/a/b?c=d", Some("/a/b?c=d")),
            ("http://api#part", "http://api", None),
            ("http://[::1]:8080/x", "http://[::1]:8080/x", Some("/x")),
            ("http://[::1]", "http://[::1]", None),
            ("https://api/x", "https://api/x", Some("/x")),
            ("https://api:80/x", "https://api:80/x", Some("/x")),
            ("http://api/a@b:c", "http://api/a@b:c", Some("/a@b:c")),
            ("http://me:s3cret@api/x", "http://api/x", Some("/x")),
            ("http://api/x?token=s3cret&y=z", "http://api/x?token=***&y=z", Some("/x?token=s3cret&y=z")),
        ] {
            let target: Target = url.parse().unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!((target.to_string().as_str(), target.path()), (shown, path), "{url}");
            assert!(!format!("{target:?}").contains("s3cret"));
        }
        let login = |url: &str| url.parse::<Target>().unwrap().authorization().map(str::to_owned);
        assert_eq!(login("http://Aladdin:open%20sesame@api").as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(login("http://me@api").as_deref(), Some("Basic bWU6"));
        assert_eq!(login("http://api"), None);
    }

    #[test]
    fn paths_beneath_an_address() {
        let beneath = |url: &str| url.parse::<Target>().unwrap().beneath("/v1").map(|target| target.to_string());
        assert_eq!(beneath("http://h:1").as_deref(), Some("http://h:1/v1"));
        assert_eq!(beneath("http://h:1/").as_deref(), Some("http://h:1/v1"));
        assert_eq!(beneath("http://h:1/otlp").as_deref(), Some("http://h:1/otlp/v1"));
        assert_eq!(beneath("http://h:1/otlp?x=1"), None);
    }

    #[test]
    fn what_is_no_address() {
        let told = |url: &str| url.parse::<Target>().unwrap_err().to_string();
        insta::assert_snapshot!(told("localhost:8080"), @r#""localhost:8080" is no address of an HTTP API: write http://host:port/path, or https"#);
        insta::assert_snapshot!(told("http://h:port"), @r#""http://h:port" is no address of an HTTP API: the port is no number from 1 to 65535"#);
        insta::assert_snapshot!(told("http://h/a\tb"), @r#""http://h/a\tb" is no address of an HTTP API: its path holds a control character: leave it out, or percent-encode it, as in %0A"#);
        insta::assert_snapshot!(told("http://::1:8080"), @r#""http://::1:8080" is no address of an HTTP API: an IPv6 address stands in brackets: http://[::1]:8080"#);
        for secret in ["http://me:s3#cret@h:1/x", "http://me:s3/cret@h:1", "http://me:s3%zzcret@h", "redis://:s3cret@h"]
        {
            let told = told(secret);
            assert!(!told.contains("cret") && !told.contains("s3"), "{told}");
        }
        for bad in [
            "",
            "http://",
            "http://:80",
            "http://h:0",
            "http://h:70000",
            "http://h:+1",
            "http://[::1",
            "http://[x]",
            "http://a_b c",
            "http://bücher.example",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
