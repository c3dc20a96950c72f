//! Where a broker is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a broker is, and perhaps who we are: `mqtt://[user[:password]@]host[:port]`, `mqtts://…` for TLS, or
/// `mqtt+unix:///path/of/socket`. `tcp://` means `mqtt://`; `ssl://` and `tls://` mean `mqtts://`. In user, password and path, `%40` stands for `@` and so on. Shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// How a broker is reached.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix { path: PathBuf },
}

/// The text is no broker address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBrokerUrl {
    /// It has another form.
    #[error("{0:?} is no broker address: write mqtt://host:1883, mqtts://host:8883 or mqtt+unix:///path/of/socket")]
    Form(String),
    /// It is for browsers.
    #[error(
        "MQTT over WebSocket is not spoken here: write the broker's address for plain MQTT (mqtt://host:1883) or TLS (mqtts://host:8883)"
    )]
    WebSocket,
    /// A percent sign is followed by no two hexadecimal digits, or what they stand for is no UTF-8.
    #[error("the {0} of the broker address cannot be read: write % as %25, @ as %40, : as %3A and / as %2F")]
    Escape(&'static str),
}

impl BrokerUrl {
    /// The socket, when the broker listens on one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix { path } => Some(path),
            _ => None,
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = InvalidBrokerUrl;

    fn from_str(url: &str) -> Result<Self, InvalidBrokerUrl> {
        let invalid = || InvalidBrokerUrl::Form(url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned());
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(invalid)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => "mqtt",
            "mqtts" | "ssl" | "tls" => "mqtts",
            "mqtt+unix" => "mqtt+unix",
            "ws" | "wss" => return Err(InvalidBrokerUrl::WebSocket),
            _ => return Err(invalid()),
        };
        let (login, address) = match scheme {
            "mqtt" | "mqtts" => split_login(rest, rest.rfind('@')),
            _ => split_login(rest, if rest.starts_with('/') { None } else { rest.find("@/") }),
        };
        let place = match scheme {
            "mqtt+unix" if address.starts_with('/') && address.len() > 1 => {
                Place::Unix { path: unescape("path", address)?.into() }
            }
            "mqtt" => host_and_port(address, 1883).map(|(host, port)| Place::Tcp { host, port }).ok_or_else(invalid)?,
            "mqtts" => {
                host_and_port(address, 8883).map(|(host, port)| Place::Tls { host, port }).ok_or_else(invalid)?
            }
            _ => return Err(invalid()),
        };
        let (user, password) =
            match login.map(|login| login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)))) {
                Some((user, password)) => (Some(user), password),
                None => (None, None),
            };
        let user = user.filter(|user| !user.is_empty()).map(|user| unescape("user", user)).transpose()?;
        let password = password.map(|password| unescape("password", password)).transpose()?;
        Ok(Self { place, user, password })
    }
}

/// What stands before the `@` at a position, and what after it.
fn split_login(rest: &str, at: Option<usize>) -> (Option<&str>, &str) {
    match at.and_then(|at| rest.split_at_checked(at)) {
        Some((login, address)) => (Some(login), &address[1..]),
        None => (None, rest),
    }
}

/// An IPv6 address stands in brackets: `[::1]:1883`.
fn host_and_port(address: &str, usual: u16) -> Option<(String, u16)> {
    let address = address.trim_end_matches('/');
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|&port| port > 0)?),
        _ => (address, usual),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '[' | ']');
    (!host.is_empty() && !host.contains(strange)).then(|| (host.to_owned(), port))
}

fn unescape(what: &'static str, text: &str) -> Result<String, InvalidBrokerUrl> {
    let wrong = InvalidBrokerUrl::Escape(what);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(wrong) };
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match &self.place {
            Place::Unix { path } => return write!(f, "mqtt+unix://{}", path.display()),
            Place::Tcp { host, port } => ("mqtt", host, port),
            Place::Tls { host, port } => ("mqtts", host, port),
        };
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtt://10.0.0.1:1884/", "mqtt://10.0.0.1:1884"),
            ("mqtt://me:se:cr@et@broker:1883", "mqtt://broker:1883"),
            ("mqtt://[::1]:1883", "mqtt://[::1]:1883"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
            ("mqtts://broker", "mqtts://broker:8883"),
            ("mqtts://me@[::1]:9", "mqtts://[::1]:9"),
            ("TCP://broker", "mqtt://broker:1883"),
            ("ssl://me:pa/s?s#@broker", "mqtts://broker:8883"),
            ("tls://broker:1", "mqtts://broker:1"),
            (" Mqtt://[fe80::1%eth0]:1883", "mqtt://[fe80::1%eth0]:1883"),
            ("mqtt+unix:///run/mosquitto.sock", "mqtt+unix:///run/mosquitto.sock"),
            ("mqtt+unix://me:secret@/run/a@b%20c", "mqtt+unix:///run/a@b c"),
        ] {
            let parsed: BrokerUrl = url.parse().unwrap();
            assert_eq!((parsed.to_string(), format!("{parsed:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address() {
        for bad in [
            "",
            "localhost:1883",
            "http://localhost",
            "mqtt://",
            "mqtt://host:port",
            "mqtt://host:0",
            "mqtt://host:65536",
            "mqtt://:1883",
            "mqtt://[::1",
            "mqtt://a b",
            "mqtt://host/path",
            "mqtt+unix://run/x",
            "mqtt+unix:///",
            "mqtt+unix://",
        ] {
            assert!(matches!(bad.parse::<BrokerUrl>(), Err(InvalidBrokerUrl::Form(_))), "{bad}");
        }
    }

    #[test]
    fn brokers_for_browsers_are_told_apart() {
        let error = "wss://me:secret@broker/mqtt".parse::<BrokerUrl>().unwrap_err();
        assert_eq!(error, InvalidBrokerUrl::WebSocket);
    }

    #[test]
    fn user_and_password_are_unescaped() {
        let login = |url: &str| url.parse::<BrokerUrl>().map(|url| (url.user, url.password));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(login("mqtt://h"), Ok((None, None)));
        assert_eq!(login("mqtt://m%40e:a%3Ab%2f%25@h"), Ok((some("m@e"), some("a:b/%"))));
        assert_eq!(login("mqtt://me:se:cr@et@h"), Ok((some("me"), some("se:cr@et"))));
        assert_eq!(login("mqtt://me@h"), Ok((some("me"), None)));
        assert_eq!(login("mqtt://me:@h"), Ok((some("me"), some(""))));
        for (bad, part) in [
            ("mqtt://m%4:p@h", "user"),
            ("mqtt://m:50%@h", "password"),
            ("mqtt://m:%+1@h", "password"),
            ("mqtt://m:%ff@h", "password"),
        ] {
            assert_eq!(login(bad), Err(InvalidBrokerUrl::Escape(part)), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for url in ["http://me:secret@x", "mqtt://me:secret%@x", "mqtt://me:secret@x:port", "mqtt+unix://me:secret@run"]
        {
            let error = url.parse::<BrokerUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
