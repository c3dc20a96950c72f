//! Which broker, and how it is spoken to.

use super::encode::Unsendable;
use super::tls;
use super::url::{BrokerUrl, Place};
use clap::ValueEnum;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Version {
    /// What every broker speaks.
    #[default]
    #[value(name = "3.1.1", aliases = ["3", "311"])]
    V3,
    /// The broker tells its limits, and why it refuses something.
    #[value(name = "5", alias = "5.0")]
    V5,
}

/// Everything that a connection needs to know about a broker. Shown without its secrets.
#[derive(Clone)]
pub struct Broker {
    pub(super) url: BrokerUrl,
    pub(super) version: Version,
    pub(super) login: Option<Login>,
    pub(super) tls: Option<Tls>,
}

#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<rustls::ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// The broker's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A file cannot be read.
    #[error("cannot read {option} {}: {cause}", path.display())]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file of certificate authorities is none.
    #[error("--mqtt-ca {} holds no usable certificate ({cause}): give the authorities' certificates as PEM", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The machine trusts nobody.
    #[error("this machine has no certificate authorities: name the broker's with --mqtt-ca")]
    NoAuthorities,
    /// Nobody's certificate can be checked against this host name.
    #[error("{0:?} is no host name that a certificate could be issued for: write mqtts://host:8883")]
    Host(String),
    /// The password of nobody.
    #[error("a password for the mqtt broker needs a user: give STAMPEDE_MQTT_USER, or mqtt://user@host")]
    NoUser,
    /// rustls will not have it.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// It does not fit a packet.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

impl Broker {
    /// The broker at an address, with the user and password that stand in it. For `mqtts`, the authorities in the PEM file `ca`
    /// are trusted, or those of this machine.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be set up, or there is a password and no user.
    pub fn new(url: BrokerUrl, version: Version, ca: Option<&Path>) -> Result<Self, BrokerError> {
        let tls = match &url.place {
            Place::Tls { host, .. } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| BrokerError::Host(host.clone()))?;
                Some(Tls { config: tls::client_config(ca)?, name })
            }
            Place::Tcp { .. } | Place::Unix { .. } => None,
        };
        let (user, password) = (url.user.clone(), url.password.clone());
        Self { url, version, login: None, tls }.with_login(user, password)
    }

    /// The same broker, to another user.
    pub(super) fn with_login(mut self, user: Option<String>, password: Option<String>) -> Result<Self, BrokerError> {
        self.login = match (user, password) {
            (Some(user), password) => Some(Login { user, password: password.unwrap_or_default() }),
            (None, Some(password)) if !password.is_empty() => return Err(BrokerError::NoUser),
            (None, _) => None,
        };
        Ok(self)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// What is spoken to it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V3 => "3.1.1",
            Version::V5 => "5",
        })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url, f)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("url", &self.url).field("version", &self.version).finish_non_exhaustive()
    }
}
