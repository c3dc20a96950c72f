//! The connection to an MQTT broker: rumqttc's codec on a socket of our own.
//!
//! rumqttc's event loop makes one write call for every message and hands events out one at a time; on the hot path a
//! forwarder wants many messages in one write, and the moment at which that write was done.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The largest packet that MQTT allows: what fits through the API server fits through here.
const LARGEST_PACKET: usize = 268_435_455;

/// How long a connection may take, and how long a write may stall before the broker counts as away.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a silent connection is pinged. The broker is told twice this.
pub const PING_PERIOD: Duration = Duration::from_secs(10);

/// Where a broker is: `mqtt://[user:password@]host[:port]`. Shown without its secrets.
#[derive(Clone)]
pub struct BrokerUrl {
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

/// The text is no broker address.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no broker address: write mqtt://host:1883")]
pub struct InvalidBrokerUrl(String);

/// The broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// No connection came about.
    #[error("mqtt broker at {0} refused the connection ({1}): is it running, and is the address right?")]
    Connect(BrokerUrl, #[source] std::io::Error),
    /// The broker said no.
    #[error("mqtt broker at {0} answered {1:?}: check user and password")]
    Refused(BrokerUrl, ConnectReturnCode),
    /// The connection is gone.
    #[error("the connection to the mqtt broker is gone: {0}")]
    Lost(#[from] std::io::Error),
    /// The broker did not answer, or did not read, for too long.
    #[error("the mqtt broker has been silent for {} s", PATIENCE.as_secs())]
    Silent,
    /// The broker sent, or was to be sent, something that is no MQTT.
    #[error("mqtt protocol error: {0}")]
    Protocol(#[from] Error),
    /// The broker sent a packet that has no place here.
    #[error("the mqtt broker sent {0:?} out of turn")]
    OutOfTurn(Box<Packet>),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct MqttReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

/// The sending half of a connection: packets gather until [`MqttWriter::flush`].
#[derive(Debug)]
pub struct MqttWriter {
    stream: OwnedWriteHalf,
    buffer: BytesMut,
}

/// Connects with a clean session.
///
/// # Errors
/// When the broker is away, refuses, or does not answer within 10 s.
pub async fn connect(broker: &BrokerUrl, client_id: &str) -> Result<(MqttReader, MqttWriter), MqttError> {
    timeout(PATIENCE, handshake(broker, client_id)).await.map_err(|_| MqttError::Silent)?
}

async fn handshake(broker: &BrokerUrl, client_id: &str) -> Result<(MqttReader, MqttWriter), MqttError> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port))
        .await
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|error| MqttError::Connect(broker.clone(), error))?;
    let (reader, writer) = stream.into_split();
    let mut reader = MqttReader { stream: reader, buffer: BytesMut::new() };
    let mut writer = MqttWriter { stream: writer, buffer: BytesMut::new() };
    let mut connect = Connect::new(client_id);
    connect.keep_alive = u16::try_from(2 * PING_PERIOD.as_secs()).unwrap_or(u16::MAX);
    connect.clean_session = true;
    if let Some((user, password)) = &broker.login {
        connect.set_login(user, password);
    }
    writer.queue(&Packet::Connect(connect))?;
    writer.flush().await?;
    match reader.packet().await? {
        Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => Ok((reader, writer)),
        Packet::ConnAck(answer) => Err(MqttError::Refused(broker.clone(), answer.code)),
        packet => Err(MqttError::OutOfTurn(Box::new(packet))),
    }
}

impl MqttReader {
    /// Waits until more bytes have come. Nothing is lost when the future is dropped.
    pub async fn fill(&mut self) -> Result<(), MqttError> {
        self.buffer.reserve(16 * 1024);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(MqttError::Lost(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// The next packet that has come whole, if there is one.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, MqttError> {
        match Packet::read(&mut self.buffer, LARGEST_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the next packet.
    pub async fn packet(&mut self) -> Result<Packet, MqttError> {
        loop {
            if let Some(packet) = self.next_packet()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }
}

impl MqttWriter {
    /// Adds a packet to what the next flush sends.
    pub fn queue(&mut self, packet: &Packet) -> Result<(), MqttError> {
        packet.write(&mut self.buffer, LARGEST_PACKET)?;
        Ok(())
    }

    /// Adds a PUBLISH packet.
    pub fn queue_publish(&mut self, publish: &Publish) -> Result<(), MqttError> {
        publish.write(&mut self.buffer)?;
        Ok(())
    }

    /// Hands everything that has gathered to the socket, in as few writes as it takes.
    pub async fn flush(&mut self) -> Result<(), MqttError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        timeout(PATIENCE, self.stream.write_all(&self.buffer)).await.map_err(|_| MqttError::Silent)??;
        self.buffer.clear();
        Ok(())
    }
}

/// Reads a quality of service from the command line.
///
/// # Errors
/// A text that says what is allowed.
pub fn parse_qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("give 0 (at most once), 1 (at least once) or 2 (exactly once)".to_owned()),
    }
}

/// A client id that no other process uses: a broker ends the older of two connections with the same one.
#[must_use]
pub fn client_id(service: &str) -> String {
    format!("{service}-{}-{:x}", std::process::id(), stamp::clock::unix_now().as_micros())
}

impl FromStr for BrokerUrl {
    type Err = InvalidBrokerUrl;

    fn from_str(url: &str) -> Result<Self, InvalidBrokerUrl> {
        let invalid = || InvalidBrokerUrl(url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned());
        let rest = url.strip_prefix("mqtt://").ok_or_else(invalid)?.trim_end_matches('/');
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((user.to_owned(), password.to_owned())), address)
            }
            None => (None, rest),
        };
        // An IPv6 address stands in brackets: mqtt://[::1]:1883.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| invalid())?),
            _ => (address, 1883),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains(['/', ' ']) {
            return Err(invalid());
        }
        Ok(Self { host, port, login })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        if host.contains(':') {
            write!(f, "mqtt://[{host}]:{}", self.port)
        } else {
            write!(f, "mqtt://{host}:{}", self.port)
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtt://10.0.0.1:1884/", "mqtt://10.0.0.1:1884"),
            ("mqtt://me:se:cr@et@broker:1883", "mqtt://broker:1883"),
            ("mqtt://[::1]:1883", "mqtt://[::1]:1883"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
        ] {
            assert_eq!(url.parse::<BrokerUrl>().unwrap().to_string(), shown);
        }
        for bad in ["", "localhost:1883", "http://localhost", "mqtt://", "mqtt://host:port", "mqtt://:1883"] {
            assert!(bad.parse::<BrokerUrl>().is_err(), "{bad}");
        }
        assert!(!"tcp://me:secret@x".parse::<BrokerUrl>().unwrap_err().to_string().contains("secret"));
    }
}
