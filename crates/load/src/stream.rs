//! A connection to the API, plain or with TLS.

use crate::TrustError;
use crate::target::{CONNECT_WITHIN, InvalidTarget, Target, Unreachable};
use crate::tls::{Trust, client_config};
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where connections go, and how. Told to another generator, it is the targets and whom they must prove themselves to: that one looks them up
/// [again](Self::found).
#[derive(Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// `scheme://host:port` of each.
    targets: Vec<String>,
    trust: Trust,
    #[serde(skip)]
    addresses: Arc<[Address]>,
    #[serde(skip)]
    /// Connections that have been opened, over which the addresses take turns.
    opened: Arc<AtomicUsize>,
    #[serde(skip)]
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// One of the addresses of a name.
#[derive(Debug)]
struct Address {
    at: SocketAddr,
    /// When it did not take the last connection that it was asked for, counted in connections: it is asked last for a while. 0 where it did.
    failed_at: AtomicUsize,
}

impl Address {
    fn new(at: SocketAddr) -> Self {
        Self { at, failed_at: AtomicUsize::new(0) }
    }

    /// Whether it is asked last for the connection of this number: one that was only busy for a moment gets its turns again.
    fn has_failed(&self, number: usize, count: usize) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        failed_at > 0 && number < failed_at + PASSED_OVER * count
    }
}

/// Turns that an address is passed over after it did not take a connection.
const PASSED_OVER: usize = 4;

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No address took it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There was one, but no TLS over it.
    #[error("TLS: {0}{remedy}", remedy = remedy(.0))]
    Tls(io::Error),
}

impl ConnectError {
    /// Whether the server's certificate is what is wrong.
    #[must_use]
    pub fn is_of_certificate(&self) -> bool {
        let Self::Tls(error) = self else { return false };
        matches!(tls_fault(error), Some(rustls::Error::InvalidCertificate(_)))
    }
}

/// The target cannot be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The name cannot be resolved.
    #[error(transparent)]
    Unresolved(#[from] Unreachable),
    /// What stands for it is none.
    #[error(transparent)]
    Invalid(#[from] InvalidTarget),
    /// The host is no name that a certificate could be for.
    #[error("{0} has no host name that a certificate could be for")]
    NoName(Target),
    /// The certificates to trust are not to be had.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The target as a whole does not answer.
    #[error("nothing answers at {target}: {source}; is the API running, and is the address right?")]
    Refused {
        /// The target.
        target: Target,
        /// Why not.
        source: ConnectError,
    },
}

/// What to do about a certificate that is not trusted; empty where that is not what was wrong.
fn remedy(error: &io::Error) -> String {
    tls_fault(error)
        .and_then(stamp::certificate_remedy)
        .map_or_else(String::new, |remedy| format!(" ({remedy}; options: --cacert FILE, or --insecure for tests)"))
}

fn tls_fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl Endpoint {
    /// Looks the target's name up, once, so that no request waits for a name server.
    ///
    /// # Errors
    /// When the name is unknown, or no name that a certificate could be for, or the certificates are not to be had.
    pub async fn find(target: &Target, trust: &Trust) -> Result<Self, EndpointError> {
        let tls = if target.is_tls() {
            let name = ServerName::try_from(target.host().to_owned());
            let name = name.map_err(|_| EndpointError::NoName(target.clone()))?;
            Some((TlsConnector::from(client_config(trust)?), name))
        } else {
            None
        };
        let addresses = target.addresses().await?.into_iter().map(Address::new).collect();
        Ok(Self { targets: vec![target.origin()], trust: trust.clone(), addresses, opened: Arc::default(), tls })
    }

    /// Looks several targets up that serve the same, and sees that each answers: connections take turns over them.
    ///
    /// # Errors
    /// As those of [`open`](Self::open); where there is none, that nothing answers.
    pub async fn among(targets: &[Target], trust: &Trust) -> Result<Option<Self>, EndpointError> {
        let mut all: Option<Self> = None;
        let mut addresses = Vec::new();
        let names = targets.iter().map(Target::origin).collect();
        for target in targets {
            let endpoint = Self::open(target, trust).await?;
            addresses.extend(endpoint.addresses.iter().map(|address| Address::new(address.at)));
            all.get_or_insert(endpoint);
        }
        Ok(all.map(|first| Self { targets: names, addresses: addresses.into(), opened: Arc::default(), ..first }))
    }

    /// Where it goes: `scheme://host:port` of each.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The same, looked up from here.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub async fn found(&self) -> Result<Self, EndpointError> {
        let targets = self.targets.iter().map(|target| target.parse()).collect::<Result<Vec<Target>, _>>()?;
        match Self::among(&targets, &self.trust).await? {
            Some(endpoint) => Ok(endpoint),
            None => Ok(self.clone()),
        }
    }

    /// The same, with what lies in files of this machine in it, so that another one can be told of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn portable(&self) -> Result<Self, EndpointError> {
        Ok(Self { trust: self.trust.portable()?, ..self.clone() })
    }

    /// Looks the target up, and sees that it answers.
    ///
    /// # Errors
    /// When the name is unknown, nothing answers, or the certificates are not to be had.
    pub async fn open(target: &Target, trust: &Trust) -> Result<Self, EndpointError> {
        let endpoint = Self::find(target, trust).await?;
        endpoint.check(target).await?;
        Ok(endpoint)
    }

    /// Opens a connection. The addresses of a name take turns; where one does not take it, the next is asked.
    pub(crate) async fn connect(&self) -> Result<Stream, ConnectError> {
        let count = self.addresses.len().max(1);
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let turn = (number - 1) % count;
        // An address that does not answer leaves time for the next one.
        let within = CONNECT_WITHIN / u32::try_from(count.min(3)).unwrap_or(1);
        let in_turn = || (0..count).filter_map(|index| self.addresses.get((turn + index) % count));
        let failed = |address: &&Address| address.has_failed(number, count);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address").into();
        for address in in_turn().filter(|address| !failed(address)).chain(in_turn().filter(failed)) {
            let late = || io::Error::from(io::ErrorKind::TimedOut);
            let opened = timeout(within, self.dial(address.at)).await.unwrap_or_else(|_| Err(late().into()));
            address.failed_at.store(if opened.is_err() { number } else { 0 }, Ordering::Relaxed);
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn dial(&self, address: SocketAddr) -> Result<Stream, ConnectError> {
        let stream = TcpStream::connect(address).await?;
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
    pub async fn check(&self, target: &Target) -> Result<(), EndpointError> {
        let refused = |source| EndpointError::Refused { target: target.clone(), source };
        self.connect().await.map(|_| ()).map_err(refused)
    }
}

impl Stream {
    /// Whether it is still there and silent, as a connection between two requests should be: what comes before a request is its end, or no
    /// answer to anything.
    pub(crate) async fn is_idle(&mut self) -> bool {
        let mut buffer = [0; 1];
        let mut buffer = ReadBuf::new(&mut buffer);
        // Where nothing has come since the last read, this asks no system call.
        poll_fn(|context| Poll::Ready(self.poll_read(context, &mut buffer).is_pending())).await
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            // Many servers end a connection without the closing message of TLS: that is an end like any other.
            Stream::Tls(stream) => match Pin::new(stream).poll_read(context, buffer) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                polled => polled,
            },
        }
    }

    /// Writes what the socket takes, and hands it on.
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) if bytes.is_empty() => Pin::new(stream).poll_flush(context).map_ok(|()| 0),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        poll_fn(|context| self.poll_read(context, &mut buffer)).await?;
        Ok(buffer.filled().len())
    }
}

/// A request on its way, while whatever comes back is read: a server may answer before it has taken all of it.
pub(crate) struct Sending<'a> {
    rest: &'a [u8],
    /// The end of the request has been handed to the socket.
    flushed: bool,
    /// Nothing more can be sent.
    broken: Option<io::Error>,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(request: &'a [u8]) -> Self {
        Self { rest: request, flushed: false, broken: None }
    }

    /// Whether the whole request has been sent.
    pub(crate) fn is_done(&self) -> bool {
        self.flushed
    }

    /// Sends on, and reads bytes of the answer; none at its end. Where only sending fails, what the server had answered before is still read.
    pub(crate) fn poll_read(
        &mut self,
        stream: &mut Stream,
        buffer: &mut ReadBuf<'_>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_send(stream, context);
        match stream.poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(self.broken.take().map_or(Ok(()), Err)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken.take().unwrap_or(error))),
            polled => polled,
        }
    }

    fn poll_send(&mut self, stream: &mut Stream, context: &mut Context<'_>) {
        while !self.flushed && self.broken.is_none() {
            match stream.poll_write(context, self.rest) {
                Poll::Ready(Ok(_)) if self.rest.is_empty() => self.flushed = true,
                Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(sent)) => {
                    self.rest = &self.rest[sent..];
                    // A plain socket has nothing to flush.
                    self.flushed = self.rest.is_empty() && matches!(stream, Stream::Plain(_));
                }
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending => return,
            }
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("addresses", &self.addresses)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn connections_take_turns_over_all_targets() {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let targets: Vec<Target> =
            listeners.iter().map(|one| format!("http://{}", one.local_addr().unwrap()).parse().unwrap()).collect();
        let endpoint = Endpoint::among(&targets, &Trust::System).await.unwrap().unwrap();
        for _ in 0..6 {
            endpoint.clone().connect().await.unwrap();
        }
        for listener in listeners {
            // One by which it was seen that it answers, and two of the six.
            for _ in 0..3 {
                listener.accept().await.unwrap();
            }
            assert!(timeout(std::time::Duration::from_millis(50), listener.accept()).await.is_err());
        }
        assert!(Endpoint::among(&[], &Trust::System).await.unwrap().is_none());
    }

    #[test]
    fn an_address_that_failed_gets_its_turns_again() {
        let address = Address::new("127.0.0.1:9".parse().unwrap());
        assert!(!address.has_failed(1, 3));
        address.failed_at.store(5, Ordering::Relaxed);
        assert!(address.has_failed(6, 3) && address.has_failed(16, 3) && !address.has_failed(17, 3));
    }
}
