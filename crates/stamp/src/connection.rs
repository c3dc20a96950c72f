//! Connections to Redis: one place that knows every setting which costs latency, and words its failures.

mod access;
#[cfg(feature = "clap")]
mod arguments;
mod error;
mod line;
mod refusal;

pub use access::{AccessError, RedisAccess, RedisTrust, Secret};
#[cfg(feature = "clap")]
pub use arguments::RedisArgs;
pub use error::StoreError;
pub(crate) use error::ends_connection;
pub(crate) use line::Line;
pub use refusal::Refusal;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use rustls::crypto::CryptoProvider;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

/// Where a Redis server is: `redis://[user:password@]host:port[/db]`, the same with `rediss://` for TLS, or
/// `redis+unix:///path[?db=…&user=…&pass=…]`. Shown without its secrets.
#[derive(Clone)]
pub struct RedisUrl {
    client: Client,
    /// The authorities for `rediss://`; none means those of this machine.
    trust: Option<RedisTrust>,
    shown: String,
}

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// How long a connection waits for the answer to a command.
#[derive(Debug, Clone, Copy)]
pub enum Wait {
    /// For commands that Redis answers at once.
    AtMost(Duration),
    /// For blocking pops: redis 1.x would otherwise end them after 500 ms.
    Forever,
}

impl Wait {
    /// For commands that Redis answers at once: a stall of two seconds means that it is away.
    pub const BRIEFLY: Wait = Wait::AtMost(Duration::from_secs(2));
}

impl RedisUrl {
    /// Opens a connection of its own with `TCP_NODELAY` set. Boxed, so that it is compiled here and once.
    ///
    /// # Errors
    /// [`StoreError::Connect`] when the server does not answer within 2 s, refuses, or refuses the credentials.
    pub fn connect(
        &self,
        wait: Wait,
    ) -> Pin<Box<dyn Future<Output = Result<MultiplexedConnection, StoreError>> + Send + '_>> {
        let response_timeout = match wait {
            Wait::AtMost(limit) => Some(limit),
            Wait::Forever => None,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(response_timeout);
        let connected = async move {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // A server that wants a password says so only when it is asked something.
            let () = redis::cmd("PING").query_async(&mut connection).await?;
            Ok(connection)
        };
        let late = || redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT_WITHIN, connected).await;
            connected.unwrap_or_else(|_| Err(late())).map_err(|source| self.unreachable(source, CONNECT_WITHIN))
        })
    }

    /// Opens a blocking connection with `TCP_NODELAY` set, whose commands wait for `patience`.
    ///
    /// # Errors
    /// As [`RedisUrl::connect`].
    pub fn connect_blocking(&self, patience: Duration) -> Result<redis::Connection, StoreError> {
        let connected = self.client.get_connection_with_timeout(patience).and_then(|connection| {
            connection.set_read_timeout(Some(patience))?;
            connection.set_write_timeout(Some(patience))?;
            Ok(connection)
        });
        connected.map_err(|source| self.unreachable(source, patience))
    }

    /// Where the server is, as the client library sees it.
    fn address(&self) -> &ConnectionAddr {
        self.client.get_connection_info().addr()
    }
}

impl FromStr for RedisUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        let wrong = |source| StoreError::Url { url: without_secrets(url), source, hint: hint(url) };
        let info: ConnectionInfo = url.into_connection_info().map_err(wrong)?;
        let shown = match info.addr() {
            ConnectionAddr::Unix(path) => format!("redis+unix://{}{}", path.display(), harmless(url)),
            _ => without_secrets(url),
        };
        // Naming the library to the server is one more right that an ACL user would need.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_tcp_settings(tcp_settings()).set_redis_settings(settings);
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) && CryptoProvider::get_default().is_none() {
            // It fails when another thread was faster, which is just as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = Client::open(info).map_err(wrong)?;
        Ok(Self { client, trust: None, shown })
    }
}

/// No delay, and an end to connections whose other end has vanished: a blocking pop would otherwise wait for ever on one.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(PROBE_EVERY);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(VANISHED_AFTER);
    settings
}

/// How long a connection may be silent before the kernel asks whether the other end is still there, and how often it asks.
const IDLE: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// How long what was sent may stay unacknowledged.
#[cfg(target_os = "linux")]
const VANISHED_AFTER: Duration = Duration::from_secs(10);

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({})", self.shown)
    }
}

/// Cuts `user:password@` out of an address, and out of its query all but what is known to be harmless. Whoever mistypes an
/// address must not find the password in a log, so that this takes any text for one.
fn without_secrets(url: &str) -> String {
    // The client library passes over these, wherever they stand.
    let url: String = url.chars().filter(|c| !c.is_ascii_control()).collect();
    let url = url.trim();
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => (String::new(), url),
    };
    // A socket's password is in its query, and may hold an @; the others' is before the host, and may hold a question mark.
    let is_socket = url.split_once(':').is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().ends_with("unix"));
    let query = harmless(if is_socket { "" } else { rest.rsplit('@').next().unwrap_or_default() });
    let place = if is_socket { rest.split('?').next().unwrap_or_default() } else { rest };
    let place = place.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{}{query}", place.split('?').next().unwrap_or_default())
}

/// What may be wrong with an address that holds a login: characters that end the login where they stand as they are.
fn hint(url: &str) -> &'static str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.rfind('@').and_then(|at| rest[..at].chars().find(|c| "#/?%[]".contains(*c))) {
        Some('#') => "; write # in a password as %23",
        Some('/') => "; write / in a password as %2F",
        Some('?') => "; write ? in a password as %3F",
        Some('%') => "; write % in a password as %25",
        Some(_) => "; write [ and ] in a password as %5B and %5D",
        None => "",
    }
}

/// What of an address's query is known to be harmless, with its question mark.
fn harmless(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let known = |pair: &&str| ["db=", "protocol="].iter().any(|name| pair.starts_with(name));
    let query: Vec<&str> = query.split('&').filter(known).collect();
    if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let access = RedisAccess {
            user: Some("someone".to_owned()),
            password: Some(Secret::new("QQQ")),
            ..RedisAccess::default()
        };
        let cases = [
            ("redis://me:Q@QQ@10.0.0.1:6379/2", "redis://10.0.0.1:6379/2"),
            ("rediss://:QQQ@redis.example/?protocol=resp3", "rediss://redis.example/?protocol=resp3"),
            ("redis+unix:///run/redis.sock?db=2&user=me&pass=Q@QQ", "redis+unix:///run/redis.sock?db=2"),
            ("unix:///run/redis.sock?pass=QQQ", "redis+unix:///run/redis.sock"),
            ("redis+unix:/run/redis.sock?db=2&pass=Q://QQ", "redis+unix:///run/redis.sock?db=2"),
            ("REDIS+UNIX:///run/redis.sock?pass=Q@QQ", "redis+unix:///run/redis.sock"),
            ("redis:/\t/me:QQQ@10.0.0.1?QQ=://QQ", "redis://10.0.0.1"),
            ("redis://10.0.0.1:6379", "redis://10.0.0.1:6379"),
        ];
        for (given, shown) in cases {
            let url: RedisUrl = given.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            for text in [format!("{url:?}"), format!("{:?}", url.with(&access)), format!("{access:?}")] {
                assert!(!text.contains("QQ"), "{text}");
            }
        }
        for wrong in
            ["http://me:QQQ@x", "me:QQQ@x:6379", "redis://me:Q?QQ@x/y", "unix://x?pass=Q@QQ", "unix://me:QQ@x/y"]
        {
            let error = wrong.parse::<RedisUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("QQ"), "{error} {error:?}");
        }
    }

    #[test]
    fn what_ends_a_login_too_early_is_named() {
        for (url, told) in [
            ("redis://:hun#ter2@127.0.0.1:6379", "; write # in a password as %23"),
            ("redis://me:hun/ter2@127.0.0.1:6379", "; write / in a password as %2F"),
            ("redis://me:hun?ter2@127.0.0.1:6379", "; write ? in a password as %3F"),
        ] {
            let error = url.parse::<RedisUrl>().unwrap_err().to_string();
            assert!(error.ends_with(told) && !error.contains("ter2"), "{error}");
        }
    }

    #[test]
    fn what_the_address_says_is_stronger() {
        let access = RedisAccess {
            user: Some("other".to_owned()),
            password: Some(Secret::new("else")),
            ..RedisAccess::default()
        };
        let combined = |url: &str| {
            let url = url.parse::<RedisUrl>().unwrap().with(&access);
            let settings = url.client.get_connection_info().redis_settings().clone();
            [settings.username(), settings.password()].map(|text| text.unwrap_or_default().to_owned()).join(":")
        };
        assert_eq!(combined("redis://me:mine@x"), "me:mine");
        assert_eq!(combined("redis://me@x"), "me:else");
        assert_eq!(combined("redis://:mine@x"), "other:mine");
        assert_eq!(combined("redis+unix:///x?user=me"), "me:else");
        assert_eq!(combined("rediss://x/3"), "other:else");
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        let error = "localhost:6379".parse::<RedisUrl>().unwrap_err().to_string();
        assert!(error.starts_with(r#""localhost:6379" is no Redis address: write redis://host:port"#), "{error}");
    }

    #[test]
    fn a_host_that_nobody_knows_is_told_with_the_remedy() {
        let unknown = std::io::Error::other("Name or service not known").into();
        let error = "redis://nowhere".parse::<RedisUrl>().unwrap().unreachable(unknown, Duration::ZERO).to_string();
        assert!(error.ends_with("(Name or service not known): is it running, and is the address right?"), "{error}");
    }
}
