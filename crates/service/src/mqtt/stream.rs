//! The bytes' way to the broker: TCP, TLS or a Unix socket. An enum rather than a trait object: the choice costs one
//! predictable branch for each read and write.

use super::broker::Broker;
use super::error::{MqttError, PATIENCE};
use super::tls;
use super::url::Place;
use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpStream, UnixStream, lookup_host, tcp, unix};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
pub(super) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Tls(tokio::io::ReadHalf<TlsStream<TcpStream>>),
    Unix(unix::OwnedReadHalf),
}

#[derive(Debug)]
pub(super) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<TlsStream<TcpStream>>),
    Unix(unix::OwnedWriteHalf),
}

pub(super) async fn open(broker: &Broker) -> Result<(ReadHalf, WriteHalf), MqttError> {
    let unreachable = |error| MqttError::Connect(broker.url.clone(), error);
    let (host, port) = match &broker.url.place {
        Place::Unix { path } => {
            let (reader, writer) = UnixStream::connect(path).await.map_err(unreachable)?.into_split();
            return Ok((ReadHalf::Unix(reader), WriteHalf::Unix(writer)));
        }
        Place::Tcp { host, port } | Place::Tls { host, port } => (host.as_str(), *port),
    };
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(unreachable)?.collect();
    let stream = dial(&addresses, broker.turn(addresses.len())).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let Some(settings) = &broker.tls else {
        let (reader, writer) = stream.into_split();
        return Ok((ReadHalf::Tcp(reader), WriteHalf::Tcp(writer)));
    };
    let connector = TlsConnector::from(settings.config.clone());
    let stream = connector.connect(settings.name.clone(), stream).await.map_err(|error| {
        if tls::is_about_the_certificate(&error) {
            MqttError::Certificate(broker.url.clone(), error)
        } else {
            MqttError::Tls(broker.url.clone(), error)
        }
    })?;
    let (reader, writer) = split(stream);
    Ok((ReadHalf::Tls(reader), WriteHalf::Tls(writer)))
}

/// Connects to one of the addresses of a name, from the one at `turn` on: where one does not answer, the next is asked in time.
async fn dial(addresses: &[SocketAddr], turn: usize) -> io::Result<TcpStream> {
    let within = PATIENCE / u32::try_from(addresses.len().clamp(1, 3) + 1).unwrap_or(1);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses[turn..].iter().chain(&addresses[..turn]) {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        match timeout(within, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(late())) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl ReadHalf {
    /// One read. Nothing is lost when the future is dropped.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            ReadHalf::Tcp(stream) => stream.read_buf(buffer).await,
            ReadHalf::Tls(stream) => stream.read_buf(buffer).await,
            ReadHalf::Unix(stream) => stream.read_buf(buffer).await,
        }
    }
}

impl WriteHalf {
    /// One write: takes off the buffer what the stream has taken. Nothing is written twice when the future is dropped.
    pub(super) async fn write(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            WriteHalf::Tcp(stream) => stream.write_buf(buffer).await,
            WriteHalf::Tls(stream) => stream.write_buf(buffer).await,
            WriteHalf::Unix(stream) => stream.write_buf(buffer).await,
        }
    }

    /// Sends what the stream itself has kept back: TLS does so.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            WriteHalf::Tls(stream) => stream.flush().await,
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_next_address_is_asked_where_one_does_not_answer() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = [closed, open.local_addr().unwrap()];
        for turn in 0..2 {
            assert_eq!(dial(&addresses, turn).await.unwrap().peer_addr().unwrap(), addresses[1]);
        }
        assert_eq!(dial(&addresses[..1], 0).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial(&[], 0).await.unwrap_err().to_string(), "the name has no address");
    }
}
