//! The connection to an MQTT broker: MQTT 3.1.1 and 5 over TCP, TLS or a Unix socket.
//!
//! rumqttc's event loop makes one write call for every message and hands events out one at a time; on the hot path a
//! forwarder wants many messages in one write, and the moment at which that write was done. So the socket is our own. So are
//! the packets that messages travel in: rumqttc makes a string of the topic of each. What is sent once for each connection
//! (CONNECT, SUBSCRIBE …) is left to rumqttc.

mod arguments;
mod broker;
mod connection;
mod decode;
mod encode;
mod error;
mod packet;
mod stream;
mod tls;
mod url;
mod version;

pub use arguments::{MqttArgs, parse_client_id, parse_filter, parse_qos, parse_topic};
pub use broker::Broker;
pub use connection::{Connection, MqttReader, MqttWriter, PING_PERIOD, Session, client_id, connect};
pub use decode::{ProtocolError, decode};
pub use encode::Unsendable;
pub use error::{BrokerError, MqttError};
pub use packet::{ConnAck, Packet, Publish};
pub use rumqttc::QoS;
pub use url::{BrokerUrl, InvalidBrokerUrl};
pub use version::Version;

#[cfg(test)]
mod tests;
