//! How the failures of Redis are worded: what failed, on what, and what to do.

use super::RedisUrl;
use redis::{ConnectionAddr, ErrorKind, RedisError};
use std::time::Duration;

/// The log store or the queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is no Redis address.
    #[error("{url:?} is no Redis address: write redis://host:port ({source})")]
    Url {
        /// What was given.
        url: String,
        /// What the parser says.
        source: RedisError,
    },
    /// No connection came about.
    #[error("redis at {url} {what}")]
    Connect {
        /// The address without secrets.
        url: String,
        /// What happened, as the middle of a sentence.
        what: String,
        /// The cause.
        source: RedisError,
    },
    /// A command failed.
    #[error("redis at {url}: {source}{remedy}")]
    Command {
        /// The address without secrets.
        url: String,
        /// The cause.
        source: RedisError,
        /// What to do, as the end of a sentence; empty where that is not known.
        remedy: &'static str,
    },
}

impl RedisUrl {
    pub(super) fn unreachable(&self, source: RedisError, patience: Duration) -> StoreError {
        let text = source.to_string();
        let tls = matches!(self.address(), ConnectionAddr::TcpTls { .. });
        let has = |part: &str| text.contains(part);
        let what = if source.is_connection_refusal() {
            "refused the connection: is it running, and is the address right?".to_owned()
        } else if source.kind() == ErrorKind::AuthenticationFailed
            || matches!(source.code(), Some("NOAUTH" | "WRONGPASS"))
        {
            format!(
                "wants other credentials ({source}): give them as redis://user:password@host:port, or in \
                 STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD"
            )
        } else if is_denied(&source) {
            format!("lets this user connect, but not work ({source}){}", rights(&source))
        } else if has("UnknownIssuer") || has("CaUsedAsEndEntity") {
            "shows a certificate that no known authority has signed: name the file of the one that did with --redis-ca"
                .to_owned()
        } else if has("not valid for name") || has("NotValidForName") {
            format!("shows a certificate for another name ({source}): use the host name that it was made for")
        } else if has("invalid peer certificate") {
            format!(
                "shows a certificate that is not valid ({source}): is --redis-ca the file of the authority that has signed it?"
            )
        } else if has("CertificateRequired") || has("HandshakeFailure") {
            format!("refused the TLS handshake ({source}): a certificate of the client's is not supported")
        } else if tls && (has("corrupt message") || source.is_timeout() || source.is_connection_dropped()) {
            format!(
                "does not answer in TLS ({source}): is it running, and does this port speak TLS? If not, write redis://"
            )
        } else if source.is_timeout() {
            format!("did not answer within {} s: is it running, and not frozen?", patience.as_secs())
        } else if source.is_connection_dropped() {
            format!("closed the connection ({source}): does this port speak TLS? Then write rediss://")
        } else {
            format!("cannot be used ({source})")
        };
        StoreError::Connect { url: self.to_string(), what, source }
    }

    /// Words the failure of a command on a connection of this address.
    #[must_use]
    pub fn failed(&self, source: RedisError) -> StoreError {
        let remedy = if is_denied(&source) { rights(&source) } else { "" };
        StoreError::Command { url: self.to_string(), source, remedy }
    }
}

/// A right is missing: Redis says so with a code of its own, or inside of a script's error.
fn is_denied(error: &RedisError) -> bool {
    error.code() == Some("NOPERM") || ["NOPERM", "ACL failure"].iter().any(|mark| error.to_string().contains(mark))
}

fn rights(error: &RedisError) -> &'static str {
    if error.to_string().contains(" access ") {
        ": give its ACL user the keys ~trace:* and the queue's (docs/security.md has the whole rule)"
    } else {
        ": give its ACL user that command (docs/security.md has the whole rule)"
    }
}
