//! What can go wrong between us and a broker, and what to do about it.

use super::decode::ProtocolError;
use super::encode::Unsendable;
use super::packet::Packet;
use super::url::BrokerUrl;
use super::version::Version;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long a connection may take, and how long a write may stall before the broker counts as away.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

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

/// The broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// No connection came about.
    #[error("mqtt broker at {0} cannot be reached ({1}): is it running, and is the address right?")]
    Connect(BrokerUrl, #[source] io::Error),
    /// The broker's certificate proves nothing to us.
    #[error(
        "the certificate of the mqtt broker at {0} is not trusted ({1}): {remedy} (option: --mqtt-ca FILE)",
        remedy = certificate_remedy(.1)
    )]
    Certificate(BrokerUrl, #[source] io::Error),
    /// No TLS came about.
    #[error("mqtt broker at {0} does not complete the TLS handshake ({1}): is this its port for TLS?")]
    Tls(BrokerUrl, #[source] io::Error),
    /// The broker said no.
    #[error("mqtt broker at {url} refuses the client with code {code}: {}", remedy(*version, *code))]
    Refused {
        /// The broker.
        url: BrokerUrl,
        /// What was spoken to it.
        version: Version,
        /// Its answer.
        code: u8,
    },
    /// The connection is gone.
    #[error("the connection to the mqtt broker is gone: {0}")]
    Lost(#[from] io::Error),
    /// The broker did not answer, or did not read, for too long.
    #[error("the mqtt broker has been silent for {} s", PATIENCE.as_secs())]
    Silent,
    /// The broker sent something that is no MQTT.
    #[error("the mqtt broker sent something that is no MQTT: {0}")]
    Protocol(#[from] ProtocolError),
    /// Something that cannot be sent to this broker. The connection is as good as before.
    #[error("not sent to the mqtt broker: {0}")]
    Unsendable(#[from] Unsendable),
    /// The broker sent a packet that has no place here.
    #[error("the mqtt broker sent {0:?} out of turn")]
    OutOfTurn(Box<Packet>),
    /// The broker ended the connection, and said why.
    #[error("the mqtt broker ended the connection with code {code}{}", parting(*code))]
    Disconnected {
        /// Its reason code.
        code: u8,
    },
}

impl MqttError {
    /// Whether the broker may have ended the connection because of something that it was sent.
    pub fn may_be_about_what_was_sent(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            // A normal end, busy, shut down, silence, another client, an administrator, another server, the longest time.
            Self::Disconnected { code } => {
                !matches!(code, 0 | 0x88 | 0x89 | 0x8b | 0x8d | 0x8e | 0x98 | 0x9c | 0x9d | 0xa0)
            }
            _ => false,
        }
    }
}

/// What to do about a certificate that is not trusted.
fn certificate_remedy(error: &io::Error) -> &'static str {
    let fault = error.get_ref().and_then(|cause| cause.downcast_ref());
    fault
        .and_then(stamp::certificate_remedy)
        .unwrap_or("name the authority that issued it, and write the host as the certificate does")
}

/// Codes of CONNACK: those of MQTT 3.1.1 are below 6, those of MQTT 5 above 0x7f.
fn remedy(version: Version, code: u8) -> String {
    let remedy = match code {
        1 | 0x84 => {
            let other = if version == Version::V3 { Version::V5 } else { Version::V3 };
            return format!("it does not speak MQTT {version}: try --mqtt-version {other}");
        }
        2 | 0x85 => "it does not accept the client id",
        3 | 0x88 | 0x89 => "it cannot serve clients at the moment: try again later",
        4 | 5 | 0x86 | 0x87 => {
            "user or password are missing or wrong: give STAMPEDE_MQTT_USER and STAMPEDE_MQTT_PASSWORD, or \
             --mqtt-password-file, or mqtt://user:password@host"
        }
        0x8a => "it has banned this client",
        0x97 | 0x9f => "this client has come too often: try again later",
        0x9c | 0x9d => "it has moved: ask for its new address",
        _ => "see its log",
    };
    remedy.to_owned()
}

/// Codes of DISCONNECT that a user can do something about.
fn parting(code: u8) -> &'static str {
    match code {
        0x8b => ": it shuts down",
        0x8d => ": it has heard nothing for too long",
        0x8e => " (session taken over)",
        0x93 => ": it was sent more messages at a time than it takes",
        0x95 => ": it was sent a packet larger than it takes",
        0x97 => ": a quota is exceeded",
        0x98 => ": its administrator has ended it",
        0x9b => ": it does not offer this quality of service",
        0x9e => ": it does not offer shared subscriptions",
        _ => "",
    }
}
