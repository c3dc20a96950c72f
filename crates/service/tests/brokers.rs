//! Connections to a real Mosquitto in every way that it can be reached.
#![allow(clippy::unwrap_used)]

use service::mqtt::{self, Broker, Connection, MqttArgs, MqttError, Packet, QoS, Session, Version};
use stack::{Process, Sandbox};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A password that has to be written otherwise in an address.
const PASSWORD: &str = "p@ss:w/rd%";

/// A Mosquitto that wants a login, and listens on TCP, TLS and a socket.
struct Mosquitto {
    plain: u16,
    tls: u16,
    sandbox: Arc<Sandbox>,
    _process: Process,
}

impl Mosquitto {
    async fn start() -> Self {
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let [plain, tls] = free_ports();
        let path = |name: &str| sandbox.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let passwords =
            Command::new("mosquitto_passwd").args(["-c", "-b", &path("passwords"), "me", PASSWORD]).output();
        assert!(passwords.unwrap().status.success());
        let configuration = format!(
            "allow_anonymous false\npassword_file {}\nlog_dest stderr\n\
             listener {plain} 127.0.0.1\nlistener 0 {}\n\
             listener {tls} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
            path("passwords"),
            path("socket"),
            path("ca.pem"),
            path("key.pem")
        );
        // Started as root, mosquitto would change to a user that cannot read the sandbox.
        let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        std::fs::write(path("mosquitto.conf"), format!("{user}{configuration}")).unwrap();
        let mut command = Command::new("mosquitto");
        command.args(["-c", &path("mosquitto.conf")]);
        let mut process = Process::spawn("mosquitto", command, &sandbox).unwrap();
        process.wait_for(|line| line.contains(" running").then_some(())).await.unwrap();
        Self { plain, tls, sandbox, _process: process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    fn broker(&self, url: &str, version: Version) -> Broker {
        Broker::new(url.parse().unwrap(), version, Some(&self.path("ca.pem"))).unwrap()
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

async fn connect(broker: &Broker) -> Result<Connection, MqttError> {
    mqtt::connect(broker, &Session { client_id: mqtt::client_id("test"), persistent: false }).await
}

/// Sends a message to itself and back.
async fn echo(broker: &Broker, payload: &[u8]) -> Vec<u8> {
    let Connection { mut reader, mut writer, .. } = connect(broker).await.unwrap();
    writer.subscribe(1, "/channel", QoS::AtMostOnce).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(reader.packet().await.unwrap(), Packet::SubAck { packet_id: 1, granted: vec![Ok(QoS::AtMostOnce)] });
    writer.publish("/channel", QoS::AtMostOnce, 0, false, payload).unwrap();
    writer.ping();
    writer.flush().await.unwrap();
    loop {
        match timeout(Duration::from_secs(20), reader.packet()).await.unwrap().unwrap() {
            Packet::PingResp => {}
            Packet::Publish(publish) => return publish.payload.to_vec(),
            packet => panic!("{packet:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_comes_back_over_every_kind_of_stream_in_both_versions() {
    let mosquitto = Mosquitto::start().await;
    let login = "me:p%40ss%3Aw%2Frd%25";
    for url in [
        format!("mqtt://{login}@127.0.0.1:{}", mosquitto.plain),
        format!("mqtts://{login}@localhost:{}", mosquitto.tls),
        format!("mqtt+unix://{login}@{}", mosquitto.path("socket").display()),
    ] {
        for version in [Version::V3, Version::V5] {
            let broker = mosquitto.broker(&url, version);
            // More than one TLS record, and more than one read.
            let large = vec![b'x'; 3_000_000];
            assert_eq!(echo(&broker, b"").await, b"");
            assert!(echo(&broker, &large).await == large, "{url} {version}");
        }
    }
}

#[tokio::test]
async fn the_password_may_stand_in_a_file() {
    let mosquitto = Mosquitto::start().await;
    let file = mosquitto.path("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.plain);
    let args = ["--mqtt", &url, "--mqtt-user", "me", "--mqtt-password-file", file.to_str().unwrap()];
    let args: MqttArgs = service::parse(args).unwrap();
    assert_eq!(echo(&args.broker().unwrap(), b"x").await, b"x");
}

#[tokio::test]
async fn errors_name_the_remedy_and_no_secret() {
    let mosquitto = Mosquitto::start().await;
    let error = async |url: &str, version, ca: &str| {
        let broker = Broker::new(url.parse().unwrap(), version, Some(&mosquitto.path(ca))).unwrap();
        let error = connect(&broker).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        error.to_string()
    };
    let (plain, tls) = (mosquitto.plain, mosquitto.tls);
    for version in [Version::V3, Version::V5] {
        for login in ["", "me:secret@"] {
            let wrong = error(&format!("mqtt://{login}127.0.0.1:{plain}"), version, "ca.pem").await;
            assert!(
                wrong.starts_with(&format!("mqtt broker at mqtt://127.0.0.1:{plain} refuses the client")),
                "{wrong}"
            );
            assert!(wrong.contains("give STAMPEDE_MQTT_USER and STAMPEDE_MQTT_PASSWORD"), "{wrong}");
        }
    }
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(mosquitto.path("other.pem"), other.cert.pem()).unwrap();
    let unknown = error(&format!("mqtts://me:secret@localhost:{tls}"), Version::V3, "other.pem").await;
    assert!(unknown.contains("is not trusted") && unknown.contains("--mqtt-ca"), "{unknown}");
    let name = error(&format!("mqtts://me:secret@127.0.0.1:{tls}"), Version::V3, "ca.pem").await;
    assert!(name.contains("is not trusted") && name.contains("use the name that it has"), "{name}");
    let no_tls = error(&format!("mqtts://me:secret@localhost:{plain}"), Version::V3, "ca.pem").await;
    assert!(no_tls.contains("is this its port for TLS?"), "{no_tls}");
    let [nobody, _] = free_ports();
    let nobody = error(&format!("mqtt://me:secret@127.0.0.1:{nobody}"), Version::V3, "ca.pem").await;
    assert!(nobody.contains("cannot be reached"), "{nobody}");
}

#[tokio::test]
async fn a_persistent_session_is_known_again() {
    let mosquitto = Mosquitto::start().await;
    for version in [Version::V3, Version::V5] {
        let broker = mosquitto.broker(&format!("mqtt://me:p%40ss%3Aw%2Frd%25@127.0.0.1:{}", mosquitto.plain), version);
        let session = Session { client_id: format!("phone-{version}"), persistent: true };
        for present in [false, true] {
            let mut connection = mqtt::connect(&broker, &session).await.unwrap();
            assert_eq!(connection.session_present, present, "{version}");
            connection.writer.disconnect();
            connection.writer.flush().await.unwrap();
        }
        // A clean one is forgotten, and so is what was known before.
        for persistent in [false, true] {
            let connection = mqtt::connect(&broker, &Session { persistent, ..session.clone() }).await.unwrap();
            assert!(!connection.session_present);
        }
    }
}

/// Answers each connection with some bytes, and then closes it or holds it without reading.
async fn faulty(answer: &'static [u8], closes: bool) -> Broker {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // CONNECT is read, so that the end of the connection is no reset.
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if !closes {
                held.push(stream);
            }
        }
    });
    Broker::new(url.parse().unwrap(), Version::V3, None).unwrap()
}

#[tokio::test]
async fn a_broker_that_stops_half_way_is_told_and_given_up() {
    const CONNACK: &[u8] = &[0x20, 2, 0, 0];
    let refused = async |answer, closes| connect(&faulty(answer, closes).await).await.unwrap_err().to_string();
    let stops_reading = async {
        let Connection { mut writer, .. } = connect(&faulty(CONNACK, false).await).await.unwrap();
        // More than the sockets between them hold.
        for _ in 0..64 {
            writer.publish("t", QoS::AtMostOnce, 0, false, &vec![0; 1 << 20]).unwrap();
        }
        writer.flush().await.unwrap_err().to_string()
    };
    let (nothing, half, half_and_end, end, garbage, stalled) = tokio::join!(
        refused(b"", false),
        refused(&CONNACK[..2], false),
        refused(&CONNACK[..2], true),
        refused(b"", true),
        refused(b"\xff\xff\xff\xff\xff", false),
        stops_reading
    );
    for silent in [nothing, half, stalled] {
        assert_eq!(silent, "the mqtt broker has been silent for 10 s");
    }
    for lost in [half_and_end, end] {
        assert!(lost.starts_with("the connection to the mqtt broker is gone: "), "{lost}");
    }
    assert!(garbage.starts_with("the mqtt broker sent something that is no MQTT: "), "{garbage}");
}
