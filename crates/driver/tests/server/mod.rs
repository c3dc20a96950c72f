//! Servers that answer as a test wants them to, and a load on them.
#![allow(dead_code, reason = "not every test uses all of it")]

use crate::driving::{run, told};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

pub(crate) const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// Runs `driver load` and returns its JSON and its exit code.
pub(crate) fn load(address: SocketAddr, options: &str) -> (Value, Option<i32>) {
    load_at(&format!("http://{address}"), options)
}

pub(crate) fn load_at(url: &str, options: &str) -> (Value, Option<i32>) {
    let output = run(format!("load {url} --json {options}"));
    let result = serde_json::from_slice(&output.stdout);
    (result.unwrap_or_else(|_| panic!("{}", told(&output))), output.status.code())
}

/// Reads one request; none at the end of the connection.
pub(crate) fn request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |text| text.parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return Some(bytes);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A server with a thread for each connection, which does `serve` with it.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers every request with the same bytes.
pub(crate) fn answering(answer: &'static [u8]) -> SocketAddr {
    server(move |mut stream| while request(&mut stream).is_some() && stream.write_all(answer).is_ok() {})
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}
