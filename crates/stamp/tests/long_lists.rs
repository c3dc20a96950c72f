//! Lists of stamps that are longer than a chunk: read whole and in order, whichever way leads to the server, and whatever happens meanwhile.
#![allow(clippy::unwrap_used)]

use stack::{Certificates, Redis, RedisOptions, Sandbox};
use stamp::{LogStore, RedisAccess, RedisTrust, RedisUrl, RunId, Secret, Stage};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Several chunks, and part of one.
const ENTRIES: usize = 43_210;

const HOUR: Duration = Duration::from_secs(3600);

/// Entries of all lengths, and among them some that look like what stands between two of them.
fn entries() -> Vec<Vec<u8>> {
    let odd: [&[u8]; 4] = [b"", b"\r\n", b"$3\r\nabc\r\n", &[0, 255, 13, 10]];
    let entry = |n: usize| match n % 1000 {
        part @ 0..4 => odd[part].to_vec(),
        length => format!("{n} {}", "x".repeat(length)).into_bytes(),
    };
    (0..ENTRIES).map(entry).collect()
}

async fn filled(url: &RedisUrl) -> (LogStore, RunId) {
    let log = LogStore::connect(url).await.unwrap();
    let run: RunId = "long".parse().unwrap();
    for part in entries().chunks(10_000) {
        log.append(&run, &Stage::SEND, part, HOUR).await.unwrap();
    }
    (log, run)
}

async fn connections(log: &LogStore) -> u64 {
    log.info(&["stats"]).await.unwrap()["total_connections_received"].parse().unwrap()
}

#[tokio::test]
async fn every_way_to_the_server_gives_all_entries_in_order() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let certificates = Certificates::make(&sandbox).unwrap();
    let (password, trust) = (Some(Secret::new("Qua?#")), Some(RedisTrust::from_file(&certificates.authority).unwrap()));
    let access = RedisAccess { password, trust, user: None };
    let options = RedisOptions { password: Some("Qua?#".to_owned()), unix_socket: true, ..RedisOptions::default() };
    let plain = Redis::start_as(&sandbox, options.clone()).await.unwrap();
    let users = vec!["reader on >Qua?# ~trace:* +@all".to_owned()];
    let options = RedisOptions { tls: Some(certificates), acl_users: users, unix_socket: false, ..options };
    let secured = Redis::start_as(&Arc::new(Sandbox::new().unwrap()), options).await.unwrap();
    let reader = RedisAccess { user: Some("reader".to_owned()), ..access.clone() };
    let ways = [
        (plain.url(), &access),
        (format!("{}/3", plain.url()), &access),
        (format!("{}?protocol=resp3", plain.unix_url()), &access),
        (secured.url(), &access),
        (format!("{}/1", secured.url().replace("127.0.0.1", "localhost")), &reader),
    ];
    for (url, access) in ways {
        let url = url.parse::<RedisUrl>().unwrap().with(access);
        let (log, run) = filled(&url).await;
        let before = connections(&log).await;
        let mut read = Vec::new();
        log.entries(&run, &Stage::SEND, |entry| read.push(entry.to_vec())).await.unwrap();
        assert!(read == entries(), "{url}: {} entries", read.len());
        // One line for all that is behind the first chunk: had it been refused, another would have been tried for each further one.
        assert_eq!(connections(&log).await - before, 1, "{url}");
        log.forget(&run, &[Stage::SEND]).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_is_cut_off_in_the_middle_reads_on_where_he_was() {
    let redis = Redis::start().await.unwrap();
    let url: RedisUrl = redis.url().parse().unwrap();
    let (log, run) = filled(&url).await;
    let mut killer = url.connect_blocking(Duration::from_secs(10)).unwrap();
    let mut read = Vec::new();
    let mut killed = 0;
    let take = |entry: &[u8]| {
        if [999, 1_000, 25_000].contains(&read.len()) {
            let mut kill = redis::cmd("CLIENT");
            killed += kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).query::<u64>(&mut killer).unwrap();
        }
        read.push(entry.to_vec());
    };
    log.entries(&run, &Stage::SEND, take).await.unwrap();
    assert!(killed >= 3, "{killed} connections were ended");
    assert!(read == entries(), "{} entries", read.len());
}

#[tokio::test]
async fn whoever_stops_reading_leaves_no_line_open() {
    let redis = Redis::start().await.unwrap();
    let (log, run) = filled(&redis.url().parse().unwrap()).await;
    let read = AtomicUsize::new(0);
    let reading = log.entries(&run, &Stage::SEND, |_| {
        read.fetch_add(1, Ordering::Relaxed);
    });
    let behind_the_first_chunk = async {
        while read.load(Ordering::Relaxed) <= 1_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = reading => panic!("it came to the end"),
        () = behind_the_first_chunk => {}
    }
    let clients = async || log.info(&["clients"]).await.unwrap()["connected_clients"].parse::<u64>().unwrap();
    let alone = async {
        while clients().await > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), alone).await.unwrap();
}
