//! Addresses to listen on, as people write them.

use std::fmt;
use std::io;
use std::str::FromStr;
use tokio::net::{TcpListener, lookup_host};

/// `127.0.0.1:9001`, `localhost:9001`, `[::1]:0`, or `:9001` for every address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

/// The text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidListen {
    /// It is a port alone.
    #[error("{0} names no address: write 127.0.0.1:{0} for this machine alone, or :{0} for whoever reaches it")]
    Host(u16),
    /// The port is none.
    #[error("{0:?} is no port: write a number up to 65535, or 0 for a free one")]
    Port(String),
    /// It has another form.
    #[error("{0:?} is no address to listen on: write it as in 127.0.0.1:9001, localhost:9001, [::1]:9001 or :9001")]
    Form(String),
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", remedy(.option, .source))]
pub struct ListenError {
    address: ListenAddress,
    /// As people know it.
    option: &'static str,
    source: io::Error,
}

impl ListenAddress {
    /// Listens on the first of its addresses that can be had. `option` is what people set it with.
    ///
    /// # Errors
    /// When there is none.
    pub async fn bind(&self, option: &'static str) -> Result<TcpListener, ListenError> {
        let failed = |source| ListenError { address: self.clone(), option, source };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host((self.host.as_str(), self.port)).await.map_err(failed)? {
            match TcpListener::bind(address).await {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }
}

fn remedy(option: &str, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has it: end that, or choose another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a right of their own: choose a higher one",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: choose another",
        _ => "choose another address",
    };
    format!("{remedy} with {option}")
}

impl FromStr for ListenAddress {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let form = || InvalidListen::Form(text.to_owned());
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) else {
            return Err(text.parse().map_or_else(|_| form(), InvalidListen::Host));
        };
        let port = port.parse().map_err(|_| InvalidListen::Port(port.to_owned()))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let strange = |c: char| c.is_whitespace() || c.is_control() || "/?#@[]".contains(c);
        let host = match bare {
            Some(address) if address.contains(':') && !address.contains(strange) => address,
            None if host.is_empty() => "0.0.0.0",
            // An IPv6 address without brackets is one whose end would be taken for a port.
            None if !host.contains(strange) && !host.contains(':') => host,
            _ => return Err(form()),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        text.parse::<ListenAddress>().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn what_people_write() {
        for (text, shown) in [
            ("127.0.0.1:9001", "127.0.0.1:9001"),
            ("localhost:9464", "localhost:9464"),
            (":9001", "0.0.0.0:9001"),
            ("[::1]:0", "[::1]:0"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(told(text), shown);
        }
        insta::assert_snapshot!(told("9001"), @"9001 names no address: write 127.0.0.1:9001 for this machine alone, or :9001 for whoever reaches it");
        insta::assert_snapshot!(told("localhost:65536"), @r#""65536" is no port: write a number up to 65535, or 0 for a free one"#);
        insta::assert_snapshot!(told("localhost:http"), @r#""http" is no port: write a number up to 65535, or 0 for a free one"#);
        for wrong in ["", "localhost", "::1:9001", "[::1]", "http://localhost:1", "a b:1", "[localhost]:1"] {
            assert!(told(wrong).contains("is no address to listen on"), "{wrong}: {}", told(wrong));
        }
    }

    #[tokio::test]
    async fn names_are_looked_up_and_what_is_taken_is_told() {
        let address: ListenAddress = "localhost:0".parse().unwrap();
        let listener = address.bind("--listen").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken: ListenAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        let error = taken.bind("--listen").await.unwrap_err().to_string();
        assert!(error.contains(&format!(":{port}: ")), "{error}");
        assert!(error.ends_with("another program has it: end that, or choose another port with --listen"), "{error}");
        let error = "no.such.name.invalid:1".parse::<ListenAddress>().unwrap().bind("--listen").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on no.such.name.invalid:1: "), "{error}");
    }
}
