//! Which broker, and how it is spoken to.

use super::encode::{self, Login};
use super::error::BrokerError;
use super::tls;
use super::url::{BrokerUrl, Place};
use super::version::Version;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Everything that a connection needs to know about a broker. Shown without its secrets.
#[derive(Clone)]
pub struct Broker {
    pub(super) url: BrokerUrl,
    pub(super) version: Version,
    pub(super) login: Option<Login>,
    pub(super) tls: Option<Tls>,
    /// Which of the addresses of its name is asked first.
    turn: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<rustls::ClientConfig>,
    pub(super) name: ServerName<'static>,
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
        Self { url, version, login: None, tls, turn: Arc::default() }.with_login(user, password)
    }

    /// The same broker, to another user.
    pub(super) fn with_login(mut self, user: Option<String>, password: Option<String>) -> Result<Self, BrokerError> {
        self.login = match (user, password) {
            (Some(user), password) => {
                let password = password.unwrap_or_default();
                encode::short("user name", &user)?;
                encode::short("password", &password)?;
                Some(Login { user, password })
            }
            (None, Some(password)) if !password.is_empty() => return Err(BrokerError::NoUser),
            (None, _) => None,
        };
        Ok(self)
    }

    /// Which of so many addresses is asked first.
    pub(super) fn turn(&self, addresses: usize) -> usize {
        self.turn.load(Ordering::Relaxed) % addresses.max(1)
    }

    /// The address asked first did not serve: the next connection begins with the one behind it.
    pub(super) fn give_turn_on(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Where it is.
    pub fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// What is spoken to it.
    pub fn version(&self) -> Version {
        self.version
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
