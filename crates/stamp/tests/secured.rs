//! Tracer and log store on Redis servers that ask for a password, for rights or for TLS, and what is said when these are
//! not right.
#![allow(clippy::unwrap_used)]

use stack::{Certificates, Redis, RedisOptions, Sandbox};
use stamp::{
    LogStore, MsgId, RedisAccess, RedisTrust, RedisUrl, RunId, Secret, Stage, StoreError, Tracer, TracerOptions, Wait,
    keys,
};
use std::sync::Arc;
use std::time::Duration;

/// Long and strange enough not to be part of anything else, and to need quoting.
const PASSWORD: &str = "zx\\Qua\"gga@7#";

async fn start(options: RedisOptions) -> Redis {
    Redis::start_as(&Arc::new(Sandbox::new().unwrap()), options).await.unwrap()
}

fn url(text: &str) -> RedisUrl {
    text.parse().unwrap()
}

fn user(name: &str, password: &str) -> RedisAccess {
    let user = (!name.is_empty()).then(|| name.to_owned());
    RedisAccess { user, password: Some(Secret::new(password)), trust: None }
}

fn trusting(certificates: &Certificates) -> RedisAccess {
    let trust = Some(RedisTrust::from_file(&certificates.authority).unwrap());
    RedisAccess { trust, ..RedisAccess::default() }
}

/// Everything that a process does with a log store: clock, stamps, counts, beats, documents.
async fn works(url: &RedisUrl) {
    let mut blocking = url.connect_blocking(Duration::from_secs(2)).unwrap();
    redis::cmd("TIME").query::<(i64, i64)>(&mut blocking).unwrap();
    let options = TracerOptions { service: "apiserver".to_owned(), ..TracerOptions::default() };
    let tracer = Tracer::start(url, options);
    let id = MsgId::new(100).unwrap();
    tracer.stamp(&Stage::SEND, id);
    tracer.flush().await;
    let log = LogStore::connect(url).await.unwrap();
    let run: RunId = RunId::ADHOC.parse().unwrap();
    assert_eq!(log.counts(&run).await.unwrap().get("send"), 1);
    let mut entries = 0;
    log.entries(&run, &Stage::SEND, |_| entries += 1).await.unwrap();
    assert_eq!(entries, 1);
    assert_eq!(log.runs().await.unwrap(), [run]);
    assert_eq!(log.services().await.unwrap().len(), 1);
    log.put(keys::LATEST_SWEEP, "x", Duration::from_secs(60)).await.unwrap();
    assert_eq!(log.get(keys::LATEST_SWEEP).await.unwrap().as_deref(), Some("x"));
    tracer.close().await;
}

async fn refusal(url: &RedisUrl) -> String {
    let error = LogStore::connect(url).await.unwrap_err();
    let text = error.to_string();
    for shown in [&text, &format!("{error:?}"), &format!("{url:?} {url}")] {
        assert!(!shown.contains("Qua"), "{shown}");
    }
    text.replace(&url.to_string(), "URL")
}

#[tokio::test]
async fn a_password_opens_the_server_and_a_wrong_one_is_told() {
    let redis = start(RedisOptions { password: Some(PASSWORD.to_owned()), ..RedisOptions::default() }).await;
    let bare = url(&redis.url());
    works(&bare.with(&user("", PASSWORD))).await;
    insta::assert_snapshot!(refusal(&bare).await, @r#"redis at URL wants other credentials ("NOAUTH": Authentication required.): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD"#);
    insta::assert_snapshot!(refusal(&bare.with(&user("", "wrong Qua"))).await, @"redis at URL wants other credentials (Password authentication failed - AuthenticationFailed): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD");
    insta::assert_snapshot!(refusal(&bare.with(&user("nobody", PASSWORD))).await, @"redis at URL wants other credentials (Password authentication failed - AuthenticationFailed): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD");
}

#[tokio::test]
async fn a_password_that_nobody_asked_for_is_told() {
    let redis = start(RedisOptions::default()).await;
    insta::assert_snapshot!(refusal(&url(&redis.url()).with(&user("", PASSWORD))).await, @"redis at URL wants other credentials (Password authentication failed - AuthenticationFailed): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD");
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let certificates = Certificates::make(&sandbox).unwrap();
    let others = Certificates::make(&sandbox).unwrap();
    let options = RedisOptions {
        tls: Some(certificates.clone()),
        password: Some(PASSWORD.to_owned()),
        ..RedisOptions::default()
    };
    let redis = Redis::start_as(&sandbox, options).await.unwrap();
    let bare = url(&redis.url());
    assert!(redis.url().starts_with("rediss://"));
    let access = RedisAccess { password: Some(Secret::new(PASSWORD)), ..trusting(&certificates) };
    works(&bare.with(&access)).await;
    works(&url(&format!("{}/1", redis.url().replace("127.0.0.1", "localhost"))).with(&access)).await;
    insta::assert_snapshot!(refusal(&bare).await, @"redis at URL shows a certificate that is not trusted: nobody who is trusted has signed it: give the certificate of its authority, or of the server itself where it is self-signed; a server must also send the intermediate certificates of its chain; name what to trust with --redis-ca");
    insta::assert_snapshot!(refusal(&bare.with(&trusting(&others))).await, @"redis at URL shows a certificate that is not trusted: nobody who is trusted has signed it: give the certificate of its authority, or of the server itself where it is self-signed; a server must also send the intermediate certificates of its chain; name what to trust with --redis-ca");
    insta::assert_snapshot!(refusal(&bare.with(&trusting(&certificates))).await, @r#"redis at URL wants other credentials ("NOAUTH": Authentication required.): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD"#);
    // Whether the server's end comes as a reset or as an end of file is a matter of moments.
    let text = refusal(&url(&redis.url().replace("rediss", "redis"))).await;
    assert!(text.starts_with("redis at URL closed the connection ("), "{text}");
    assert!(text.ends_with("does this port speak TLS? Then write rediss://"), "{text}");
}

#[tokio::test]
async fn tls_on_a_plain_port_is_told() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let certificates = Certificates::make(&sandbox).unwrap();
    let redis = Redis::start_in(&sandbox).await.unwrap();
    let text = refusal(&url(&redis.url().replace("redis", "rediss")).with(&trusting(&certificates))).await;
    assert!(text.starts_with("redis at URL does not answer in TLS ("), "{text}");
    assert!(text.ends_with("does this port speak TLS? If not, write redis://"), "{text}");
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_or_password_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "\n").unwrap();
    let without_folder = |text: String| text.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(without_folder(RedisTrust::from_file(&file).unwrap_err().to_string()), @"FOLDER/file holds nothing of what it should: a password is one line, certificates are in PEM form");
    insta::assert_snapshot!(without_folder(Secret::from_file(&file).unwrap_err().to_string()), @"FOLDER/file holds nothing of what it should: a password is one line, certificates are in PEM form");
    std::fs::remove_file(&file).unwrap();
    insta::assert_snapshot!(without_folder(Secret::from_file(&file).unwrap_err().to_string()), @"cannot read FOLDER/file: No such file or directory (os error 2)");
    std::fs::write(&file, format!("{PASSWORD}\r\n")).unwrap();
    assert_eq!(Secret::from_file(&file).unwrap(), Secret::new(PASSWORD));
}

#[tokio::test]
async fn a_socket_and_a_database_number_are_kept_to() {
    let options = RedisOptions { unix_socket: true, password: Some(PASSWORD.to_owned()), ..RedisOptions::default() };
    let redis = start(options).await;
    let access = user("", PASSWORD);
    works(&url(&format!("{}?db=3", redis.unix_url())).with(&access)).await;
    works(&url(&format!("{}/5", redis.url())).with(&access)).await;
    let used = |db: u8| {
        let url = url(&format!("{}/{db}", redis.url())).with(&access);
        async move {
            let mut connection = url.connect(Wait::BRIEFLY).await.unwrap();
            redis::cmd("DBSIZE").query_async::<u64>(&mut connection).await.unwrap() > 0
        }
    };
    assert_eq!((used(0).await, used(3).await, used(5).await), (false, true, true));
}

/// The rules of docs/security.md for Redis; those for the broker have no password.
fn rules() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    let page = std::fs::read_to_string(page).unwrap();
    let users = page.lines().filter_map(|line| line.strip_prefix("    user "));
    let rules: Vec<String> = users.filter(|rule| rule.contains(" on >PASSWORD ")).map(str::to_owned).collect();
    assert_eq!(rules.len(), 7);
    rules.into_iter().chain(["default off".to_owned()]).collect()
}

async fn ruled() -> Redis {
    start(RedisOptions { acl_users: rules(), ..RedisOptions::default() }).await
}

async fn run(url: &RedisUrl, command: &str) -> Result<redis::Value, StoreError> {
    let mut words = command.split(' ');
    let mut redis = redis::cmd(words.next().unwrap());
    words.for_each(|word| _ = redis.arg(word));
    let mut connection = url.connect(Wait::BRIEFLY).await?;
    redis.query_async(&mut connection).await.map_err(|error| url.failed(error))
}

#[tokio::test]
async fn the_documented_rules_are_enough() {
    for name in ["apiserver", "pushserver", "mqttclient", "driver", "worker"] {
        let redis = ruled().await;
        works(&url(&format!("{}/1", redis.url())).with(&user(name, "PASSWORD"))).await;
    }
    let redis = ruled().await;
    let [apiserver, pushserver, driver, reporter] =
        ["apiserver", "pushserver", "driver", "reporter"].map(|name| url(&redis.url()).with(&user(name, "PASSWORD")));
    works(&driver).await;
    let log = LogStore::connect(&reporter).await.unwrap();
    assert_eq!(log.get(keys::LATEST_SWEEP).await.unwrap().as_deref(), Some("x"));
    assert_eq!(log.runs().await.unwrap().len(), 1);
    run(&apiserver, "LPUSH stampede:queue a b c d").await.unwrap();
    assert_eq!(run(&driver, "LLEN stampede:queue").await.unwrap(), redis::Value::Int(4));
    // What a queue may need, in whatever way it is kept.
    for command in [
        "BLMPOP 1 1 stampede:queue RIGHT COUNT 2",
        "BLMOVE stampede:queue stampede:taken RIGHT LEFT 1",
        "LMOVE stampede:taken stampede:queue RIGHT LEFT",
        "BRPOP stampede:queue 1",
        "LPOP stampede:queue",
        "RPUSH stampede:queue e",
        "LRANGE stampede:queue 0 -1",
        "RPOP stampede:queue",
        "ZADD stampede:leases 1 a",
        "ZSCORE stampede:leases a",
        "ZRANGEBYSCORE stampede:leases 0 2",
        "ZREM stampede:leases a",
        "SETBIT stampede:seen 7 1",
        "GETBIT stampede:seen 7",
        "XGROUP CREATE stampede:stream group 0 MKSTREAM",
        "XADD stampede:stream 1-1 field value",
        "XREADGROUP GROUP group me COUNT 1 BLOCK 10 STREAMS stampede:stream >",
        "XCLAIM stampede:stream group you 0 1-1",
        "XAUTOCLAIM stampede:stream group me 0 0",
        "XINFO STREAM stampede:stream",
        "XLEN stampede:stream",
        "XACK stampede:stream group 1-1",
        "XDEL stampede:stream 1-1",
    ] {
        run(&pushserver, command).await.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

#[tokio::test]
async fn the_documented_rules_allow_no_more_and_a_missing_right_is_told() {
    let redis = ruled().await;
    let denied = |name, command| {
        let url = url(&redis.url()).with(&user(name, "PASSWORD"));
        async move { run(&url, command).await.unwrap_err().to_string().replace(&url.to_string(), "URL") }
    };
    insta::assert_snapshot!(denied("mqttclient", "LPUSH stampede:queue a").await, @"redis at URL: NoPerm: this user has no permissions to access one of the keys used as arguments: give its ACL user the keys ~trace:* and the queue's (docs/security.md has the whole rule)");
    insta::assert_snapshot!(denied("pushserver", "FLUSHALL").await, @"redis at URL: NoPerm: this user has no permissions to run the 'flushall' command: give its ACL user that command (docs/security.md has the whole rule)");
    for (name, command) in [
        ("driver", "LPOP stampede:queue"),
        ("reporter", "SET trace:latest-sweep x"),
        ("reporter", "LLEN stampede:queue"),
        ("worker", "LLEN stampede:queue"),
        ("keda", "LPOP stampede:queue"),
        ("apiserver", "CONFIG GET requirepass"),
        ("apiserver", "KEYS *"),
        ("apiserver", "GET elsewhere"),
    ] {
        let text = denied(name, command).await;
        assert!(text.contains("docs/security.md"), "{name} {command}: {text}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_even_ping_is_told() {
    let acl_users = vec!["idle on >hidden ~* -@all".to_owned(), "default off".to_owned()];
    let redis = start(RedisOptions { acl_users, ..RedisOptions::default() }).await;
    insta::assert_snapshot!(refusal(&url(&redis.url()).with(&user("idle", "hidden"))).await, @"redis at URL lets this user connect, but not work (NoPerm: this user has no permissions to run the 'ping' command): give its ACL user that command (docs/security.md has the whole rule)");
    insta::assert_snapshot!(refusal(&url(&redis.url())).await, @r#"redis at URL wants other credentials ("NOAUTH": Authentication required.): give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD"#);
}

/// A blocking pop waits on a silent connection: only the kernel can find out that the other end has vanished.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn silent_connections_are_watched_by_the_kernel() {
    let redis = start(RedisOptions::default()).await;
    let mut connection = url(&redis.url()).connect(Wait::Forever).await.unwrap();
    let info: String = redis::cmd("CLIENT").arg("INFO").query_async(&mut connection).await.unwrap();
    let port = info.split(" addr=127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap();
    let local = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let socket = sockets.lines().find(|line| line.split_whitespace().nth(1) == Some(&local)).unwrap();
    // proc(5): the sixth field is the timer that runs, and 2 is the one of keepalive.
    let timer = socket.split_whitespace().nth(5).unwrap();
    let (kind, ticks) = timer.split_once(':').unwrap();
    assert_eq!(kind, "02", "{socket}");
    assert!(u64::from_str_radix(ticks, 16).unwrap() <= 500, "{socket}");
}
