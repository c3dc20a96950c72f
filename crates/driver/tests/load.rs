//! The load generator against servers that misbehave in known ways.
#![allow(clippy::unwrap_used)]

mod driving;
mod server;

use driving::{assert_valid, run, told};
use serde_json::Value;
use server::{ACCEPTED, answering, load, load_at, number, request, server};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// A server that answers at once, but stops for a second in the middle. The model: of the requests that are due while it
/// stands, each waits for the rest of the stop, so that a tenth of a second's worth of them wait 0.9 s or more; but no more
/// than one on each connection has been sent. Delays of the machine only add to the first and not to the second.
#[test]
fn a_stop_shows_in_the_response_time_of_all_who_waited() {
    let gate = Arc::new(RwLock::new(()));
    let seen = Arc::new(AtomicUsize::new(0));
    let (doors, count) = (gate.clone(), seen.clone());
    let address = server(move |mut stream| {
        while request(&mut stream).is_some() {
            count.fetch_add(1, Ordering::Relaxed);
            let _open = doors.read().unwrap();
            if stream.write_all(ACCEPTED).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        while seen.load(Ordering::Relaxed) < 1000 {
            std::thread::yield_now();
        }
        let closed = gate.write().unwrap();
        std::thread::park_timeout(Duration::from_secs(1));
        drop(closed);
    });
    let (result, code) = load(address, "--rate 1000 --duration 4s --connections 8 --max-connections 8");
    assert_eq!(code, Some(0));
    assert_eq!((number(&result["accepted"]), number(&result["missed"])), (4000, 0), "{result}");
    let (response, service) = (&result["response_time_us"], &result["service_time_us"]);
    // 1 in 100 is 40 requests; 100 of them waited 0.9 s or more.
    assert!(number(&response["p99"]) >= 900_000, "{response}");
    assert!(number(&service["p99"]) < 900_000, "{service}");
    assert!(number(&service["max"]) >= 900_000 && response["mean"].as_f64().unwrap() >= 100_000.0, "{result}");
}

#[test]
fn an_open_loop_sends_what_its_schedule_says() {
    let address = answering(ACCEPTED);
    let (result, _) = load(address, "--rate 500 --duration 2s --connections 4");
    // On a machine that is busy with other things, what is due last comes too late to be sent: it counts as missed.
    let due = |result: &Value| number(&result["requests"]) + number(&result["missed"]);
    assert_eq!((due(&result), result["loop"].as_str()), (1000, Some("open")));
    let (result, _) = load(address, "--rate 100 --duration 2s --ramp 1s");
    assert_eq!(due(&result), 150);
    let (result, _) = load(address, "--rate 500 --duration 2s --arrivals poisson --seed 7");
    let again = load(address, "--rate 500 --duration 2s --arrivals poisson --seed 7").0;
    assert_eq!(due(&result), due(&again), "the same seed makes the same schedule");
    assert!((800..1200).contains(&due(&result)), "{result}");
}

#[test]
fn connections_grow_where_all_are_busy_and_what_cannot_be_sent_is_missed() {
    // It never answers: each connection takes one request.
    let address = server(|mut stream| {
        request(&mut stream);
        std::thread::park();
    });
    let (result, code) = load(address, "--rate 100 --duration 1s --max-connections 10 --timeout 200ms");
    assert_eq!((number(&result["connections"]), code), (10, Some(1)), "{result}");
    assert_eq!(number(&result["requests"]) + number(&result["missed"]), 100, "{result}");
    assert_eq!(result["errors"]["timeout"], result["requests"]);
    assert!(result["generator"]["limited_by"].as_str().unwrap().contains("raise --max-connections"), "{result}");
}

#[test]
fn the_number_of_requests_ends_a_load() {
    let address = answering(ACCEPTED);
    for of in ["--connections 3", "--rate 5000"] {
        let (result, _) = load(address, &format!("{of} --requests 200 --duration 30s"));
        assert_eq!((number(&result["requests"]), number(&result["accepted"])), (200, 200), "{of}");
    }
}

#[test]
fn think_time_is_kept() {
    let (result, _) = load(answering(ACCEPTED), "--connections 2 --duration 1s --think-time 0.2s..0.3s");
    // Each connection thinks at least 0.2 s before each of its requests.
    assert!((2..=10).contains(&number(&result["requests"])), "{result}");
}

#[test]
fn any_request_can_be_made() {
    let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = bodies.clone();
    let address = server(move |mut stream| {
        while let Some(request) = request(&mut stream) {
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n").unwrap();
        }
    });
    let options = "-X PUT --path /orders/{id} -H 'X-Key: a b' --body {run}/{id} --run r -n 3 --accept 304";
    let (result, code) = load(address, options);
    assert_eq!((number(&result["accepted"]), code), (3, Some(0)), "{result}");
    let bodies = bodies.lock().unwrap();
    for (id, request) in bodies.iter().enumerate() {
        assert!(
            request.starts_with(&format!("PUT /orders/{id} HTTP/1.1\r\n"))
                && request.ends_with(&format!("\r\n\r\nr/{id}")),
            "{request}"
        );
        assert!(request.contains("\r\nX-Key: a b\r\n"), "{request}");
    }
}

#[test]
fn faults_are_counted_by_kind_and_no_load_hangs() {
    for (answer, kind) in [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".as_slice(), "status 503"),
        (b"what is this\r\n\r\n", "not HTTP"),
    ] {
        let (result, code) = load(answering(answer), "--connections 2 --duration 300ms");
        assert_eq!((number(&result["accepted"]), code), (0, Some(1)), "{kind}");
        assert_eq!(result["errors"].as_object().unwrap().keys().collect::<Vec<_>>(), [kind]);
        assert_eq!(result["errors"][kind], result["requests"], "{result}");
        assert!(result["service_time_us"]["p50"].is_null() && result["failed_time_us"]["p50"].is_u64(), "{result}");
    }
    let (result, _) = load(server(drop), "--duration 300ms");
    let failed: u64 = result["errors"].as_object().unwrap().values().map(number).sum();
    assert!(failed > 0 && number(&result["accepted"]) == 0, "{result}");
}

#[test]
fn a_server_that_closes_after_each_answer_is_connected_to_anew() {
    let close = b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let until_end = b"HTTP/1.1 202 Accepted\r\n\r\nas long as it takes";
    for answer in [close.as_slice(), until_end] {
        let address = server(move |mut stream| {
            request(&mut stream);
            let _ = stream.write_all(answer);
        });
        let (result, _) = load(address, "--connections 2 --requests 50");
        assert_eq!((number(&result["accepted"]), &result["errors"]), (50, &serde_json::json!({})), "{result}");
    }
}

#[test]
fn huge_bodies_are_passed_over() {
    let address = server(|mut stream| {
        let piece = vec![b'x'; 1 << 20];
        while request(&mut stream).is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n").unwrap();
            if (0..64).any(|_| stream.write_all(&piece).is_err()) {
                return;
            }
        }
    });
    let (result, _) = load(address, "--requests 3");
    assert_eq!((number(&result["accepted"]), &result["errors"]), (3, &serde_json::json!({})), "{result}");
}

#[test]
fn a_server_that_goes_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (served, back) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let serve = |listener: TcpListener, most: usize, served: Arc<AtomicUsize>| {
        let connections = std::thread::spawn(move || {
            while served.load(Ordering::Relaxed) < most {
                let Ok((mut stream, _)) = listener.accept() else { return };
                while served.load(Ordering::Relaxed) < most
                    && request(&mut stream).is_some()
                    && stream.write_all(ACCEPTED).is_ok()
                {
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        connections.join().unwrap();
    };
    let (again, count) = (back.clone(), served.clone());
    std::thread::spawn(move || {
        // One connection to see that it is there, and then 100 requests; then nobody listens for a while.
        serve(listener, 100, count.clone());
        std::thread::park_timeout(Duration::from_millis(500));
        again.store(true, Ordering::Relaxed);
        serve(TcpListener::bind(address).unwrap(), usize::MAX, count);
    });
    let (result, _) = load(address, "--connections 1 --duration 4s");
    assert!(back.load(Ordering::Relaxed) && number(&result["accepted"]) > 100, "{result}");
    assert!(number(&result["errors"]["connection refused"]) > 0, "{result}");
    // With pauses between the attempts, half a second has room for few of them.
    assert!(number(&result["errors"]["connection refused"]) < 50, "{result}");
}

#[test]
fn the_json_is_what_its_schema_says() {
    for of in ["--connections 2", "--rate 50"] {
        let (result, _) = load(answering(ACCEPTED), &format!("{of} --duration 1200ms"));
        assert_valid("load.schema.json", &result);
        assert_eq!(result["series"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn the_percentile_file_ends_with_all_requests() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.hgrm");
    let (result, _) = load(answering(ACCEPTED), &format!("--requests 100 --hgrm {}", file.display()));
    let written = std::fs::read_to_string(file).unwrap();
    let last = written.lines().rfind(|line| !line.starts_with('#')).unwrap();
    let fields: Vec<_> = last.split_whitespace().collect();
    assert_eq!(fields[1..], ["1.000000000000", &number(&result["accepted"]).to_string()]);
}

/// An HTTPS server with a certificate of its own making; it gives its address and the certificate as PEM.
fn https_server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap());
    let address = server(move |mut stream| {
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut tls = rustls::Stream::new(&mut tls, &mut stream);
        while request(&mut tls).is_some() && tls.write_all(ACCEPTED).is_ok() {}
    });
    (address, made.cert.pem())
}

#[test]
fn https_is_spoken_with_those_who_are_trusted() {
    let (address, pem) = https_server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    for trust in [&format!("--cacert {}", file.display()), "--insecure"] {
        let options = format!("{trust} --connections 2 --requests 100");
        let (result, _) = load_at(&format!("https://{address}/x"), &options);
        assert_eq!((number(&result["accepted"]), &result["errors"]), (100, &serde_json::json!({})), "{result}");
    }
    let output = run(format!("load https://{address}/x"));
    let told = told(&output);
    assert!(output.status.code() == Some(1) && told.contains("TLS: invalid peer certificate"), "{told}");
    assert!(told.contains("give the certificate of its authority") && told.contains("--cacert"), "{told}");
}
