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
    filled_with(&entries(), url).await
}

async fn filled_with(entries: &[Vec<u8>], url: &RedisUrl) -> (LogStore, RunId) {
    let log = LogStore::connect(url).await.unwrap();
    let run: RunId = "long".parse().unwrap();
    for part in entries.chunks(10_000) {
        log.append(&run, &Stage::SEND, part, HOUR).await.unwrap();
    }
    (log, run)
}

async fn read(log: &LogStore, run: &RunId) -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    log.entries(run, &Stage::SEND, |entry| read.push(entry.to_vec())).await.unwrap();
    read
}

/// How often the server has run a command, and been asked for it in vain.
async fn asked(log: &LogStore, command: &str) -> (u64, u64) {
    let statistics = log.info(&["commandstats"]).await.unwrap();
    let of = |name: &str| {
        let fields = statistics.get(&format!("cmdstat_{command}"))?.split(',');
        fields.filter_map(|field| field.split_once('=')).find(|field| field.0 == name)?.1.parse().ok()
    };
    (of("calls").unwrap_or(0), of("rejected_calls").unwrap_or(0))
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
        let read = read(&log, &run).await;
        assert!(read == entries(), "{url}: {} entries", read.len());
        // One line for all that is behind the first chunk: had it been refused, another would have been tried for each further one.
        assert_eq!(connections(&log).await - before, 1, "{url}");
        log.forget(&run, &[Stage::SEND]).await.unwrap();
    }
}

#[tokio::test]
async fn compressed_lists_come_in_one_piece_where_that_is_better_and_allowed() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let users = vec!["reader on >secret ~* +@all -dump".to_owned(), "blind on >secret ~* +@all -info".to_owned()];
    let options = RedisOptions { acl_users: users, ..RedisOptions::default() };
    let redis = Redis::start_as(&sandbox, options).await.unwrap();
    let url: RedisUrl = redis.url().parse().unwrap();
    let (log, run) = filled(&url).await;
    assert!(read(&log, &run).await == entries());
    assert_eq!(asked(&log, "dump").await, (1, 0));

    for (user, expected) in [("reader", (1, 1)), ("blind", (1, 1))] {
        let access = RedisAccess { user: Some(user.to_owned()), password: Some(Secret::new("secret")), trust: None };
        let theirs = LogStore::connect(&redis.url().parse::<RedisUrl>().unwrap().with(&access)).await.unwrap();
        assert!(read(&theirs, &run).await == entries(), "{user}");
        assert_eq!(asked(&log, "dump").await, expected, "{user}");
    }

    // A number is held as one, and is no stamp: from its node on, the list is read in the usual way.
    log.forget(&run, &[Stage::SEND]).await.unwrap();
    let mut odd = entries();
    odd[30_000] = b"-12345".to_vec();
    odd[40_000] = [b"much ", &b"too long ".repeat(10_000)[..]].concat();
    let (_, run) = filled_with(&odd, &url).await;
    assert!(read(&log, &run).await == odd);
    assert_eq!(asked(&log, "dump").await, (2, 1));

    // Lists that are not compressed.
    log.forget(&run, &[Stage::SEND]).await.unwrap();
    let mut other = url.connect_blocking(Duration::from_secs(10)).unwrap();
    redis::cmd("CONFIG").arg(&["SET", "list-compress-depth", "0"]).exec(&mut other).unwrap();
    filled(&url).await;
    assert!(read(&log, &run).await == entries());
    assert_eq!(asked(&log, "dump").await, (2, 1));

    // A server that has much else to do.
    log.forget(&run, &[Stage::SEND]).await.unwrap();
    redis::cmd("CONFIG").arg(&["SET", "list-compress-depth", "1"]).exec(&mut other).unwrap();
    filled(&url).await;
    let mut pings = redis::pipe();
    (0..1000).for_each(|_| _ = pings.cmd("PING").ignore());
    while log.info(&["stats"]).await.unwrap()["instantaneous_ops_per_sec"].parse::<u64>().unwrap() < 20_000 {
        pings.exec(&mut other).unwrap();
    }
    assert!(read(&log, &run).await == entries());
    assert_eq!(asked(&log, "dump").await, (2, 1));
}

#[tokio::test]
async fn whoever_is_cut_off_in_the_middle_reads_on_where_he_was() {
    let redis = Redis::start().await.unwrap();
    let url: RedisUrl = redis.url().parse().unwrap();
    let mut other = url.connect_blocking(Duration::from_secs(10)).unwrap();
    // Chunk by chunk, and in one piece, of which much may have come when the line is cut.
    for (depth, ends) in [("0", 3), ("1", 2)] {
        redis::cmd("CONFIG").arg(&["SET", "list-compress-depth", depth]).exec(&mut other).unwrap();
        let (log, run) = filled(&url).await;
        let mut read = Vec::new();
        let mut killed = 0;
        let take = |entry: &[u8]| {
            if [999, 1_000, 25_000].contains(&read.len()) {
                let mut kill = redis::cmd("CLIENT");
                killed += kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).query::<u64>(&mut other).unwrap();
            }
            read.push(entry.to_vec());
        };
        log.entries(&run, &Stage::SEND, take).await.unwrap();
        assert!(killed >= ends, "{killed} connections were ended");
        assert!(read == entries(), "{} entries", read.len());
        log.forget(&run, &[Stage::SEND]).await.unwrap();
    }
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
