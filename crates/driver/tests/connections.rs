//! The load generator and whatever ends a connection, at whatever instant; and every form of an address.
#![allow(clippy::unwrap_used)]

mod driving;
mod server;

use driving::{Running, driver};
use rustix::process::Signal;
use serde_json::{Value, json};
use server::{ACCEPTED, answering, load, load_at, number, request, server};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn a_connection_that_ended_while_it_was_idle_is_no_error() {
    let address = server(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        while request(&mut stream).is_some() && stream.write_all(ACCEPTED).is_ok() {}
    });
    let (result, code) = load(address, "--think-time 300ms --requests 5 --connections 2");
    assert_eq!((number(&result["accepted"]), code, &result["errors"]), (5, Some(0), &json!({})), "{result}");
    assert!(number(&result["reconnected"]) >= 3, "{result}");
}

/// It takes the second request of each connection and hangs up before a byte of an answer.
#[test]
fn a_connection_that_ends_in_the_moment_of_use_is_opened_anew_once() {
    let address = server(|mut stream| {
        if request(&mut stream).is_some() && stream.write_all(ACCEPTED).is_ok() {
            request(&mut stream);
        }
    });
    let (result, code) = load(address, "--requests 20");
    assert_eq!((number(&result["accepted"]), code, &result["errors"]), (20, Some(0), &json!({})), "{result}");
    assert_eq!(number(&result["reconnected"]), 19, "{result}");
    // A new connection that ends so, or within an answer, is an error.
    for (answer, kind) in [("", "closed before the answer"), ("HTTP/1.1 200 OK\r\nCon", "closed within the answer")] {
        let address = server(move |mut stream| {
            request(&mut stream);
            let _ = stream.write_all(answer.as_bytes());
        });
        // A first look at whether anybody answers at all takes a connection without a request.
        let (result, _) = load(address, "--requests 2");
        assert_eq!(result["errors"], json!({ kind: 2 }), "{result}");
        assert_eq!(number(&result["reconnected"]), 0, "{result}");
    }
}

#[test]
fn what_nobody_asked_for_is_no_answer_to_the_next_request() {
    let twice = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n";
    let (result, _) = load(answering(twice), "--requests 20");
    assert_eq!((number(&result["accepted"]), &result["errors"]), (20, &json!({})), "{result}");
}

/// The answer comes before the body has been read, and the rest of the body meets a closed socket.
#[test]
fn an_early_answer_is_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 32 << 20]).unwrap();
    for closes in [true, false] {
        let address = server(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) && !line.ends_with("\r\n\r\n") {}
            let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
            if closes {
                let _ = stream.shutdown(Shutdown::Write);
            }
            // Until the client goes away; what it sends is not read.
            std::thread::park_timeout(Duration::from_secs(2));
        });
        let (result, _) = load(address, &format!("--requests 2 --body-file {} --timeout 20s", body.display()));
        assert_eq!(result["errors"], json!({ "status 413": 2 }), "{result}");
    }
}

#[test]
fn any_number_of_header_lines_and_any_list_of_tokens() {
    let lines: Vec<String> = (0..300).map(|i| format!("Set-Cookie: c{i}=1\r\n")).collect();
    let cookies = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{}\r\nok", lines.concat());
    let cookies: &'static [u8] = cookies.leak().as_bytes();
    let (result, _) = load(answering(cookies), "--requests 10");
    assert_eq!((number(&result["accepted"]), &result["errors"]), (10, &json!({})), "{result}");
    let closing = server(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: X-Foo, Close\r\nContent-Length: 2\r\n\r\nok");
    });
    let (result, _) = load(closing, "--requests 10");
    assert_eq!((number(&result["accepted"]), &result["errors"]), (10, &json!({})), "{result}");
    assert_eq!(number(&result["reconnected"]), 0, "what was announced is no surprise: {result}");
}

#[test]
fn faults_of_framing_have_names_of_their_own_and_are_seen_at_once() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300 << 10)).leak().as_bytes();
    for (answer, kind) in [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".as_slice(),
            "contradictory or invalid Content-Length",
        ),
        (huge, "header block larger than 256 KiB"),
    ] {
        let (result, _) = load(answering(answer), "--requests 3 --timeout 60s");
        assert_eq!(result["errors"], json!({ kind: 3 }), "{result}");
    }
}

/// The request lines that a server sees for this address.
fn asked(after_host: &str) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    let address = server(move |mut stream| {
        while let Some(request) = request(&mut stream) {
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            if stream.write_all(ACCEPTED).is_err() {
                return;
            }
        }
    });
    load_at(&format!("http://{address}{after_host}"), "-X GET -n 1");
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn the_path_on_the_wire_is_that_of_the_address() {
    for (after_host, line) in [
        ("/", "GET / HTTP/1.1\r\n"),
        ("?x=1", "GET /?x=1 HTTP/1.1\r\n"),
        ("/a/b?c=d#part", "GET /a/b?c=d HTTP/1.1\r\n"),
        ("#part", "GET /adapter2/poweron/44300 HTTP/1.1\r\n"),
        ("", "GET /adapter2/poweron/44300 HTTP/1.1\r\n"),
    ] {
        let asked = asked(after_host);
        assert!(asked.len() == 1 && asked[0].starts_with(line), "{after_host}: {asked:?}");
    }
}

#[test]
fn a_request_that_hangs_does_not_change_the_rate() {
    let count = AtomicUsize::new(0);
    let address = server(move |mut stream| {
        while request(&mut stream).is_some() {
            if count.fetch_add(1, Ordering::Relaxed) == 50 {
                std::thread::park();
            }
            if stream.write_all(ACCEPTED).is_err() {
                return;
            }
        }
    });
    let (result, _) = load(address, "--connections 4 --duration 500ms --timeout 2s");
    assert_eq!(result["errors"], json!({ "timeout": 1 }));
    let seconds = |name: &str| result[name].as_f64().unwrap();
    assert!((seconds("duration_s") - 0.5).abs() < 1e-6 && seconds("waited_s") > 1.0, "{result}");
    let rate = seconds("accepted") / 0.5;
    assert!((seconds("requests_per_sec") - rate).abs() < 1e-6 * rate, "{result}");
}

#[test]
fn more_connections_than_open_files_are_told_so() {
    let address = answering(ACCEPTED);
    let limited = |limit: &str| -> Value {
        let driver = env!("CARGO_BIN_EXE_driver");
        let script = format!("{limit}; exec {driver} load http://{address} -c 200 -d 500ms --json");
        serde_json::from_slice(&Command::new("sh").args(["-c", &script]).output().unwrap().stdout).unwrap()
    };
    let result = limited("ulimit -n 60");
    assert!(number(&result["errors"]["too many open files: raise `ulimit -n`"]) > 0, "{result}");
    // A soft limit is no limit.
    let result = limited("ulimit -S -n 60");
    assert_eq!(result["errors"], json!({}), "{result}");
}

/// Loads until a signal after the first answers.
fn interrupted(signal: Signal, options: &str) -> (Value, Option<i32>) {
    let (told, seen) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        while request(&mut stream).is_some() && stream.write_all(ACCEPTED).is_ok() {
            let _ = told.send(());
        }
    });
    let load = Running::start(&mut driver(format!("load http://{address} -d 60s --json {options}")));
    for _ in 0..20 {
        seen.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    load.signal(signal);
    let output = load.output();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

#[test]
fn an_interrupted_load_tells_what_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.hgrm");
    std::fs::write(&file, "older").unwrap();
    for (signal, load) in [(Signal::INT, "-c 3"), (Signal::TERM, "--rate 200")] {
        let (result, code) = interrupted(signal, &format!("{load} --hgrm {}", file.display()));
        assert_eq!((code, &result["interrupted"]), (Some(130), &json!(true)), "{result}");
        assert!(number(&result["accepted"]) >= 20 && result["duration_s"].as_f64().unwrap() < 60.0, "{result}");
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.contains("#[Mean"), "{written}");
    }
}

/// A name with two addresses, of which only one is listened at, shares the load with those that answer.
#[test]
fn the_next_address_is_asked_where_one_does_not_answer() {
    // localhost is ::1 and 127.0.0.1 on most machines; where it is 127.0.0.1 alone this shows that it works.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || while request(&mut stream).is_some() && stream.write_all(ACCEPTED).is_ok() {});
        }
    });
    let (result, code) = load_at(&format!("http://localhost:{port}/"), "--connections 8 --requests 100");
    assert_eq!((number(&result["accepted"]), code, &result["errors"]), (100, Some(0), &json!({})), "{result}");
}
