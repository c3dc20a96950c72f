//! A broker that asks for passwords, rights and TLS, for the tests of those who connect to one.
#![allow(clippy::unwrap_used)]

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use stack::{Certificates, Mosquitto, MosquittoOptions, Sandbox};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// The broker's answers to a CONNECT, MQTT 3.1.1: welcome, and wrong user or password.
const WELCOME: u8 = 0;
const REFUSED: u8 = 5;

const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

/// MQTT 3.1.1 by hand: a packet of a type, with a body of less than 128 bytes.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(body.len()).unwrap()], body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// Connects with a client id, and with a user's name and password where there is one.
fn connect(stream: &mut (impl Read + Write), user: Option<(&str, &str)>) -> u8 {
    let flags = if user.is_some() { 0b1100_0010 } else { 0b10 };
    let mut body = [b"\0\x04MQTT\x04".as_slice(), &[flags, 0, 60], &text("client")].concat();
    if let Some((user, password)) = user {
        body.extend([text(user), text(password)].concat());
    }
    stream.write_all(&packet(0x10, &body)).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    answer[3]
}

fn tcp(mosquitto: &Mosquitto) -> TcpStream {
    let url = mosquitto.url();
    let stream = TcpStream::connect(url.split_once("://").unwrap().1).unwrap();
    stream.set_read_timeout(LIMIT).unwrap();
    stream
}

fn tls(mosquitto: &Mosquitto, certificates: &Certificates) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificates.authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let connection = ClientConnection::new(config, ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    StreamOwned::new(connection, tcp(mosquitto))
}

fn options() -> MosquittoOptions {
    MosquittoOptions {
        users: vec![("pushserver".to_owned(), "push it".to_owned()), ("mqttclient".to_owned(), "se#e".to_owned())],
        acl: Some("user pushserver\ntopic write /channel\nuser mqttclient\ntopic read /channel\n".to_owned()),
        ..MosquittoOptions::default()
    }
}

async fn start(sandbox: &Arc<Sandbox>, options: MosquittoOptions) -> Mosquitto {
    Mosquitto::start_as(sandbox, options).await.unwrap()
}

#[tokio::test]
async fn a_broker_lets_in_who_has_a_password() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let mut mosquitto = start(&sandbox, options()).await;
    assert_eq!(connect(&mut tcp(&mosquitto), Some(("pushserver", "push it"))), WELCOME);
    assert_eq!(connect(&mut tcp(&mosquitto), Some(("mqttclient", "se#e"))), WELCOME);
    assert_eq!(connect(&mut tcp(&mosquitto), Some(("mqttclient", "push it"))), REFUSED);
    assert_eq!(connect(&mut tcp(&mosquitto), None), REFUSED);
    mosquitto.restart().await.unwrap();
    assert_eq!(connect(&mut tcp(&mosquitto), Some(("pushserver", "push it"))), WELCOME);
    assert_eq!(connect(&mut tcp(&mosquitto), None), REFUSED);
    let passwords = std::fs::read_to_string(sandbox.path().join("mosquitto.passwords")).unwrap();
    assert!(passwords.contains("pushserver:") && !passwords.contains("push it"), "{passwords}");
}

#[tokio::test]
async fn a_broker_keeps_to_its_topics() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let mosquitto = start(&sandbox, options()).await;
    let publish = |user, password, topic: &str| {
        let mut stream = tcp(&mosquitto);
        assert_eq!(connect(&mut stream, Some((user, password))), WELCOME);
        stream.write_all(&packet(0x33, &[&text(topic), b"\0\x01kept".as_slice()].concat())).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
    };
    publish("mqttclient", "se#e", "/channel");
    publish("pushserver", "push it", "/elsewhere");
    let retained = || {
        let mut stream = tcp(&mosquitto);
        assert_eq!(connect(&mut stream, Some(("mqttclient", "se#e"))), WELCOME);
        stream.write_all(&packet(0x82, &[b"\0\x01".as_slice(), &text("#"), b"\0"].concat())).unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        // The answers come in order: what is retained comes between the SUBACK and the PINGRESP.
        stream.write_all(&packet(0xc0, &[])).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(&[0xd0, 0]) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        answer.windows(4).filter(|part| part == b"kept").count()
    };
    assert_eq!(retained(), 0);
    publish("pushserver", "push it", "/channel");
    assert_eq!(retained(), 1);
}

#[tokio::test]
async fn a_broker_speaks_tls() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let certificates = Certificates::make(&sandbox).unwrap();
    let others = Certificates::make(&sandbox).unwrap();
    let mosquitto = start(&sandbox, MosquittoOptions { tls: Some(certificates.clone()), ..options() }).await;
    assert!(mosquitto.url().starts_with("mqtts://127.0.0.1:"));
    assert_eq!(connect(&mut tls(&mosquitto, &certificates), Some(("pushserver", "push it"))), WELCOME);
    assert_eq!(connect(&mut tls(&mosquitto, &certificates), None), REFUSED);
    let error = tls(&mosquitto, &others).flush().unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_broker_listens_on_a_socket() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let mosquitto = start(&sandbox, MosquittoOptions { unix_socket: true, ..MosquittoOptions::default() }).await;
    let mut stream = UnixStream::connect(mosquitto.socket()).unwrap();
    stream.set_read_timeout(LIMIT).unwrap();
    assert_eq!(connect(&mut stream, None), WELCOME);
    assert_eq!(connect(&mut tcp(&mosquitto), None), WELCOME);
}
