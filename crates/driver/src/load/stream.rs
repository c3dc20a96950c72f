//! A connection to the API, plain or with TLS.

use crate::load::Target;
use crate::load::target::CONNECT_WITHIN;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where connections go, and how.
#[derive(Clone)]
pub(crate) struct Endpoint {
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
}

impl Endpoint {
    /// Looks the target's name up, once, so that no request waits for a name server.
    ///
    /// # Errors
    /// When the name is unknown, or no name that a certificate could be for.
    pub(crate) async fn resolve(target: &Target, tls: Option<Arc<ClientConfig>>) -> anyhow::Result<Self> {
        let addresses = target.addresses().await?;
        let tls = match tls {
            Some(config) => Some((TlsConnector::from(config), ServerName::try_from(target.host().to_owned())?)),
            None => None,
        };
        Ok(Self { addresses, tls })
    }

    /// Opens a connection to the first of the addresses that takes it.
    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        timeout(CONNECT_WITHIN, self.open()).await.unwrap_or_else(|_| Err(late().into()))
    }

    async fn open(&self) -> Result<Stream, ConnectError> {
        let stream = TcpStream::connect(self.addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }

    /// Opens a connection and closes it again.
    ///
    /// # Errors
    /// When nothing answers, or not in TLS where that is asked for.
    pub(crate) async fn check(&self, target: &Target) -> anyhow::Result<()> {
        match self.connect().await {
            Ok(_) => Ok(()),
            Err(error) => Err(anyhow::anyhow!(
                "nothing answers at {target}: {error}; is the API running, and is the address right?"
            )),
        }
    }
}

impl Stream {
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer).await,
            // Many servers end a connection without the closing message of TLS: that is an end like any other.
            Stream::Tls(stream) => match stream.read(buffer).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("addresses", &self.addresses).field("tls", &self.tls.is_some()).finish()
    }
}
