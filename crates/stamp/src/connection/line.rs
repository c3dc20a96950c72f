//! A plain line to a Redis server: bytes there and back. For the one reader for whom taking an answer apart into values costs more than the answer.

use super::{CONNECT_WITHIN, RedisUrl};
use redis::ConnectionAddr;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Read once: there are more than a hundred of them.
static OF_THE_MACHINE: OnceLock<RootCertStore> = OnceLock::new();

/// A connection that is logged in.
pub(crate) enum Line {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl RedisUrl {
    /// Opens a line whose reads and writes wait for `patience`. It words no failure: whoever cannot get one asks on a usual connection, which does.
    /// Fails when the server does not answer, refuses, or wants other credentials.
    pub(crate) fn line(&self, patience: Duration) -> io::Result<Line> {
        let mut line = match self.address() {
            ConnectionAddr::Tcp(host, port) => Line::Tcp(dial(host, *port, patience)?),
            ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
                let name = host.clone().try_into().map_err(io::Error::other)?;
                let config = ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth();
                let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
                Line::Tls(Box::new(StreamOwned::new(session, dial(host, *port, patience)?)))
            }
            ConnectionAddr::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Line::Unix(stream)
            }
            _ => return Err(ErrorKind::Unsupported.into()),
        };
        let settings = self.client.get_connection_info().redis_settings();
        if let Some(password) = settings.password() {
            let login = settings.username().into_iter().chain([password]);
            line.order(redis::cmd("AUTH").arg(login.collect::<Vec<_>>()))?;
        }
        if settings.db() != 0 {
            line.order(redis::cmd("SELECT").arg(settings.db()))?;
        }
        Ok(line)
    }

    /// The authorities that a certificate may come from.
    fn roots(&self) -> RootCertStore {
        if let Some(trust) = &self.trust {
            return trust.roots.clone();
        }
        OF_THE_MACHINE
            .get_or_init(|| {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            })
            .clone()
    }
}

impl Line {
    /// Sends a command that is answered by OK.
    fn order(&mut self, command: &redis::Cmd) -> io::Result<()> {
        self.write_all(&command.get_packed_command())?;
        self.flush()?;
        let mut answer = [0; 5];
        self.read_exact(&mut answer)?;
        if answer == *b"+OK\r\n" { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

/// Asks each address of the host.
fn dial(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}
