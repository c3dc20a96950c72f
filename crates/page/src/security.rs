//! Who may do what: the names that the page answers to, its token, and where a request comes from.

use crate::options::PageLimits;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::path::PathBuf;

/// 128 random bits, as 32 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new one.
    /// Fails when the system gives no random numbers.
    pub(crate) fn new() -> Result<Self, std::io::Error> {
        let mut bytes = [0u8; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// One that somebody has chosen; says what is wrong with it.
    pub(crate) fn given(text: &str) -> Result<Self, &'static str> {
        if text.len() < 16 {
            Err("has fewer than 16 characters: it could be guessed")
        } else if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err("may have letters, digits, and the characters - . _ ~ only, as it stands in an address")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this one, in a time that does not tell where they differ.
    pub(crate) fn is(&self, other: &str) -> bool {
        let differences = self.0.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        self.0.len() == other.len() && differences == 0
    }
}

/// It is not shown.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What a server needs to know.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) hosts: Vec<String>,
    /// Whether only this machine reaches it: whoever does may watch.
    pub(crate) is_loopback: bool,
    pub(crate) token: Token,
    /// The value of the cookie that the token is swapped for.
    pub(crate) cookie: Token,
    /// Cookies know no ports: each page has a name of its own.
    pub(crate) cookie_name: String,
    pub(crate) limits: PageLimits,
    pub(crate) out: PathBuf,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Host,
    MediaType,
    Origin,
    Site,
    Token,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Origin | Self::Site => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Host => {
                "the page is not known by this name: open the address that was printed, or allow the name with --ui-host"
            }
            Self::MediaType => "send Content-Type: application/json",
            Self::Origin => "send Origin with the address of the page itself: other pages may not act here",
            Self::Site => "Sec-Fetch-Site must be same-origin or none: other pages may not act here",
            Self::Token => {
                "open the address that was printed, with its #token; or send it: Authorization: Bearer TOKEN"
            }
        }
    }
}

impl Door {
    /// Whether the page is known by the name that it is asked by. A name of another may have been pointed here (DNS rebinding).
    pub(crate) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = text(headers.get(HOST)).ok_or(Refusal::Host)?;
        let name = name_of(host);
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(()).ok_or(Refusal::Host)
    }

    /// Whether a request may watch.
    pub(crate) fn check_watch(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.is_loopback || self.has_token(headers) { Ok(()) } else { Err(Refusal::Token) }
    }

    /// Whether a request that acts comes from the page itself, or from somebody who has its token.
    pub(crate) fn check_act(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        Self::check_origin(headers)?;
        if self.has_token(headers) { Ok(()) } else { Err(Refusal::Token) }
    }

    /// Whether it is JSON, from no other page.
    pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
        let media_type = text(headers.get(CONTENT_TYPE)).and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
            return Err(Refusal::MediaType);
        }
        // The page is served without TLS, or behind somebody who adds it.
        let host = text(headers.get(HOST)).unwrap_or_default();
        let own = |origin: &str| {
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
        };
        if !text(headers.get(ORIGIN)).is_some_and(own) {
            return Err(Refusal::Origin);
        }
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(Refusal::Site),
        }
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let bearer = text(headers.get(AUTHORIZATION)).and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|token| self.token.is(token.trim())) {
            return true;
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.cookie_name).any(|(_, value)| self.cookie.is(value))
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

/// The name in a `Host`, without its port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(is_loopback: bool) -> Door {
        Door {
            hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "[::1]".to_owned()],
            is_loopback,
            token: Token("a".repeat(32)),
            cookie: Token("b".repeat(32)),
            cookie_name: "stampede_8089".to_owned(),
            limits: PageLimits::default(),
            out: "reports".into(),
        }
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let pair = |line: &&str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<axum::http::HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        lines.iter().map(pair).collect()
    }

    const JSON: &str = "content-type: application/json";
    const OWN: &str = "origin: http://127.0.0.1:8089";
    const HOST: &str = "host: 127.0.0.1:8089";

    #[test]
    fn names() {
        let check = |host: &str| door(true).check_host(&headers(&[&format!("host: {host}")]));
        for known in ["127.0.0.1:8089", "localhost:8089", "LOCALHOST", "[::1]:8089", "127.0.0.1"] {
            assert_eq!(check(known), Ok(()), "{known}");
        }
        for other in ["evil.example:8089", "127.0.0.1.evil.example", "localhost.evil.example:8089", "[::2]:8089", ""] {
            assert_eq!(check(other), Err(Refusal::Host), "{other}");
        }
        assert_eq!(door(true).check_host(&HeaderMap::new()), Err(Refusal::Host));
    }

    #[test]
    fn who_acts() {
        let bearer = format!("authorization: Bearer {}", "a".repeat(32));
        let cookie = format!("cookie: other=1; stampede_8089={}", "b".repeat(32));
        let act = |lines: &[&str]| door(true).check_act(&headers(lines));
        assert_eq!(act(&[HOST, JSON, OWN, &bearer]), Ok(()));
        assert_eq!(act(&[HOST, JSON, OWN, &cookie, "sec-fetch-site: same-origin"]), Ok(()));
        assert_eq!(act(&[HOST, OWN, &cookie]), Err(Refusal::MediaType));
        assert_eq!(act(&[HOST, "content-type: text/plain", OWN, &cookie]), Err(Refusal::MediaType));
        assert_eq!(act(&[HOST, JSON, &cookie]), Err(Refusal::Origin));
        for other in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:8089.evil.example"] {
            assert_eq!(act(&[HOST, JSON, &format!("origin: {other}"), &cookie]), Err(Refusal::Origin), "{other}");
        }
        assert_eq!(act(&[HOST, JSON, OWN, &cookie, "sec-fetch-site: same-site"]), Err(Refusal::Site));
        assert_eq!(act(&[HOST, JSON, OWN, &cookie, "sec-fetch-site: cross-site"]), Err(Refusal::Site));
        assert_eq!(act(&[HOST, JSON, OWN]), Err(Refusal::Token));
        // The token is no cookie, and the cookie no token.
        assert_eq!(act(&[HOST, JSON, OWN, &format!("cookie: stampede_8089={}", "a".repeat(32))]), Err(Refusal::Token));
        assert_eq!(act(&[HOST, JSON, OWN, &format!("authorization: Bearer {}", "b".repeat(32))]), Err(Refusal::Token));
        assert_eq!(act(&[HOST, JSON, OWN, "authorization: Bearer aaaa"]), Err(Refusal::Token));
    }

    #[test]
    fn who_watches() {
        assert_eq!(door(true).check_watch(&HeaderMap::new()), Ok(()));
        assert_eq!(door(false).check_watch(&HeaderMap::new()), Err(Refusal::Token));
        let bearer = format!("authorization: Bearer {}", "a".repeat(32));
        assert_eq!(door(false).check_watch(&headers(&[&bearer])), Ok(()));
    }

    #[test]
    fn a_token_that_is_given_cannot_be_guessed() {
        assert!(Token::given("0123456789abcdef").is_ok_and(|token| token.is("0123456789abcdef")));
        for none in ["short", "0123456789 abcdef", ""] {
            assert!(Token::given(none).is_err(), "{none}");
        }
    }

    #[test]
    fn tokens_are_long_and_each_is_another() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_eq!(one.as_str().len(), 32);
        assert!(one.is(one.as_str()) && !one.is(other.as_str()) && !one.is(""));
        assert_eq!(format!("{one:?}"), "Token");
    }
}
