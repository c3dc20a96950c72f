//! What it takes besides an address to reach a Redis server.

use super::RedisUrl;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::{Path, PathBuf};

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads one from a file; a line break at its end is not part of it.
    ///
    /// # Errors
    /// When the file cannot be read, or is empty.
    pub fn from_file(file: &Path) -> Result<Self, AccessError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| AccessError::Unreadable { file: file.to_owned(), source })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(AccessError::Empty { file: file.to_owned() }) } else { Ok(Self::new(text)) }
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The certificate authorities that a Redis server must be able to prove itself to.
#[derive(Clone)]
pub struct RedisTrust {
    // The client library keeps what it has read of them in an address.
    template: ConnectionAddr,
    /// The same for a line of ours.
    pub(super) roots: RootCertStore,
}

impl RedisTrust {
    /// Reads them from a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn from_file(file: &Path) -> Result<Self, AccessError> {
        let pem = std::fs::read(file).map_err(|source| AccessError::Unreadable { file: file.to_owned(), source })?;
        if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Err(AccessError::Empty { file: file.to_owned() });
        }
        let mut roots = RootCertStore::empty();
        // What cannot be used is told by the client library.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
        let client = Client::build_with_tls("rediss://localhost", certificates)
            .map_err(|source| AccessError::Certificate { file: file.to_owned(), source })?;
        Ok(Self { template: client.get_connection_info().addr().clone(), roots })
    }
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl fmt::Debug for RedisTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisTrust")
    }
}

/// Who one is to a Redis server, and whom one trusts.
#[derive(Debug, Clone, Default)]
pub struct RedisAccess {
    /// The ACL user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The certificate authorities for `rediss://`; none means those of this machine.
    pub trust: Option<RedisTrust>,
}

impl RedisUrl {
    /// The same address with what it does not say by itself.
    #[must_use]
    pub fn with(&self, access: &RedisAccess) -> Self {
        let mut info = self.client.get_connection_info().clone();
        let mut settings = info.redis_settings().clone();
        if let (None, Some(user)) = (settings.username(), &access.user) {
            settings = settings.set_username(user);
        }
        if let (None, Some(password)) = (settings.password(), &access.password) {
            settings = settings.set_password(password.reveal());
        }
        info = info.set_redis_settings(settings);
        if let (ConnectionAddr::TcpTls { host, port, insecure, .. }, Some(RedisTrust { template, .. })) =
            (info.addr(), &access.trust)
            && let ConnectionAddr::TcpTls { tls_params, .. } = template
        {
            let (host, port, insecure, tls_params) = (host.clone(), *port, *insecure, tls_params.clone());
            info = info.set_addr(ConnectionAddr::TcpTls { host, port, insecure, tls_params });
        }
        // Only text can fail to become an address.
        let client = info.into_connection_info().and_then(Client::open).unwrap_or_else(|_| self.client.clone());
        let trust = access.trust.clone().or_else(|| self.trust.clone());
        Self { client, trust, shown: self.shown.clone() }
    }
}

/// A file that was to help to reach Redis does not.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{} holds nothing of what it should: a password is one line, certificates are in PEM form", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A certificate in it is broken.
    #[error("{} holds a certificate that cannot be used: {source}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: redis::RedisError,
    },
}
