//! Connections to Redis: one place that knows every setting which costs latency, and words its failures.

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Where a Redis server is: `redis://[user:password@]host:port[/db]` or `redis+unix:///path`. Shown without its secrets.
#[derive(Debug, Clone)]
pub struct RedisUrl {
    client: Client,
    url: String,
}

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The log store or the queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is no Redis address.
    #[error("{url:?} is no Redis address: write redis://host:port ({source})")]
    Url {
        /// What was given.
        url: String,
        /// What the parser says.
        source: redis::RedisError,
    },
    /// No connection came about.
    #[error("redis at {url} {what}")]
    Connect {
        /// The address without secrets.
        url: String,
        /// What happened, as the middle of a sentence.
        what: String,
        /// The cause.
        source: redis::RedisError,
    },
    /// A command failed.
    #[error("redis at {url}: {source}")]
    Command {
        /// The address without secrets.
        url: String,
        /// The cause.
        source: redis::RedisError,
    },
}

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
    /// Opens a connection of its own with `TCP_NODELAY` set.
    ///
    /// # Errors
    /// [`StoreError::Connect`] when the server does not answer within 2 s, refuses, or refuses the credentials.
    pub async fn connect(&self, wait: Wait) -> Result<MultiplexedConnection, StoreError> {
        let response_timeout = match wait {
            Wait::AtMost(limit) => Some(limit),
            Wait::Forever => None,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(response_timeout);
        let connected = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // A server that wants a password says so only when it is asked something.
            let () = redis::cmd("PING").query_async(&mut connection).await?;
            Ok(connection)
        };
        let connected = tokio::time::timeout(CONNECT_WITHIN, connected).await;
        let late = || redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        connected.unwrap_or_else(|_| Err(late())).map_err(|source| self.unreachable(source, CONNECT_WITHIN))
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

    fn unreachable(&self, source: redis::RedisError, patience: Duration) -> StoreError {
        let what = if source.is_connection_refusal() {
            "refused the connection: is it running, and is the address right?".to_owned()
        } else if source.code() == Some("NOAUTH") || source.code() == Some("WRONGPASS") {
            format!("wants other credentials ({source}): give them as redis://user:password@host:port")
        } else if source.is_timeout() {
            format!("did not answer within {} s: is it running, and not frozen?", patience.as_secs())
        } else {
            format!("cannot be used ({source})")
        };
        StoreError::Connect { url: self.to_string(), what, source }
    }

    /// Words the failure of a command on a connection of this address.
    #[must_use]
    pub fn failed(&self, source: redis::RedisError) -> StoreError {
        StoreError::Command { url: self.to_string(), source }
    }

    /// The address as it was given, secrets and all: for handing to a child process.
    #[must_use]
    pub fn with_secrets(&self) -> &str {
        &self.url
    }
}

impl FromStr for RedisUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        let wrong = |source| StoreError::Url { url: without_userinfo(url), source };
        let info: ConnectionInfo = url.into_connection_info().map_err(wrong)?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(wrong)?;
        Ok(Self { client, url: url.to_owned() })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_userinfo(&self.url))
    }
}

/// Cuts `user:password@` out of a URL.
fn without_userinfo(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let url: RedisUrl = "redis://me:p@ss@10.0.0.1:6379/2".parse().unwrap();
        assert_eq!(url.to_string(), "redis://10.0.0.1:6379/2");
        assert!(!format!("{}", "http://me:secret@x".parse::<RedisUrl>().unwrap_err()).contains("secret"));
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        let error = "localhost:6379".parse::<RedisUrl>().unwrap_err().to_string();
        assert!(error.starts_with(r#""localhost:6379" is no Redis address: write redis://host:port"#), "{error}");
    }
}
