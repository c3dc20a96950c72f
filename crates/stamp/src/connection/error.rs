//! How the failures of Redis are worded: what failed, on what, and what to do.

use super::{RedisUrl, Refusal};
use redis::{ConnectionAddr, RedisError};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// The log store or the queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is no Redis address.
    #[error("{url:?} is no Redis address: write redis://host:port ({source}){hint}")]
    Url {
        /// What was given.
        url: String,
        /// What the parser says.
        source: RedisError,
        /// What may be the cause, as the end of a sentence; often empty.
        hint: &'static str,
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
        remedy: String,
    },
}

impl StoreError {
    /// What kind of refusal it is; absent where the server has not answered.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Url { .. } => None,
            Self::Connect { source, .. } | Self::Command { source, .. } => Refusal::of(source),
        }
    }
}

impl RedisUrl {
    pub(super) fn unreachable(&self, source: RedisError, patience: Duration) -> StoreError {
        let text = source.to_string();
        let tls = matches!(self.address(), ConnectionAddr::TcpTls { .. });
        let has = |part: &str| text.contains(part);
        let refusal = Refusal::of(&source);
        let what = if source.is_connection_refusal() {
            "refused the connection: is it running, and is the address right?".to_owned()
        } else if refusal == Some(Refusal::Denied) {
            format!("lets this user connect, but not work ({source}){}", rights(&source))
        } else if refusal == Some(Refusal::Credentials) {
            format!("wants other credentials ({source}): {}", Refusal::Credentials.remedy())
        } else if let Some(refusal) = refusal.filter(|refusal| *refusal != Refusal::Other) {
            format!("{}: {}", refusal.what(), refusal.remedy())
        } else if let Some(remedy) = of_certificate(&source) {
            format!("shows a certificate that is not trusted: {remedy}; name what to trust with --redis-ca")
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
        } else if source.is_io_error() {
            format!("cannot be reached ({source}): is it running, and is the address right?")
        } else {
            format!("cannot be used ({source})")
        };
        StoreError::Connect { url: self.to_string(), what, source }
    }

    /// Words the failure of a command on a connection of this address.
    #[must_use]
    pub fn failed(&self, source: RedisError) -> StoreError {
        let remedy = match Refusal::of(&source) {
            Some(Refusal::Denied) => rights(&source).to_owned(),
            Some(Refusal::Other) | None => String::new(),
            Some(refusal) => format!("; {}", refusal.remedy()),
        };
        StoreError::Command { url: self.to_string(), source, remedy }
    }
}

/// What to do about a certificate, where that is what is wrong.
fn of_certificate(error: &RedisError) -> Option<&'static str> {
    type Inner = Arc<dyn Error + Send + Sync>;
    let inner: &Inner = Error::source(error)?.downcast_ref()?;
    let io: &std::io::Error = inner.downcast_ref()?;
    crate::certificate_remedy(io.get_ref()?.downcast_ref()?)
}

/// Whether a command has failed because the connection is gone, or is of no more use: it may succeed on a new one.
pub(crate) fn ends_connection(error: &RedisError) -> bool {
    match Refusal::of(error) {
        Some(refusal) => refusal.ends_connection(),
        None => error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped(),
    }
}

fn rights(error: &RedisError) -> &'static str {
    if error.to_string().contains(" access ") {
        ": give its ACL user the keys ~trace:* and the queue's (docs/security.md has the whole rule)"
    } else {
        ": give its ACL user that command (docs/security.md has the whole rule)"
    }
}
