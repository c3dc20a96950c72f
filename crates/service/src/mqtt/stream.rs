//! The bytes' way to the broker: TCP, TLS or a Unix socket. An enum rather than a trait object: the choice costs one
//! predictable branch for each read and write.

use super::broker::Broker;
use super::error::MqttError;
use super::tls;
use super::url::Place;
use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
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
    let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
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
