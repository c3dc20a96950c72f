//! Each part of a stack can be killed, paused and started again in place, and persistent servers keep their data.
#![allow(clippy::unwrap_used)]

use stack::{
    Mosquitto, MosquittoOptions, Part, Redis, RedisOptions, Replicas, Sandbox, Signal, Stack, StackOptions, until,
};
use stamp::{LogStore, SampleEvery};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn log_store(url: &str) -> LogStore {
    LogStore::connect(&url.parse().unwrap()).await.unwrap()
}

async fn key_after_kill_and_restart(persistent: bool) -> Option<String> {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let options = RedisOptions { persistent, ..RedisOptions::default() };
    let mut redis = Redis::start_as(&sandbox, options).await.unwrap();
    let (url, pid) = (redis.url(), redis.process.pid());
    log_store(&url).await.put("key", "value", HOUR).await.unwrap();
    redis.process.kill();
    redis.restart().await.unwrap();
    assert_eq!(redis.url(), url);
    assert_ne!(redis.process.pid(), pid);
    log_store(&url).await.get("key").await.unwrap()
}

#[tokio::test]
async fn a_key_survives_the_kill_of_a_persistent_redis() {
    assert_eq!(key_after_kill_and_restart(true).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_key_is_gone_with_a_redis_that_is_not_persistent() {
    assert_eq!(key_after_kill_and_restart(false).await, None);
}

/// MQTT 3.1.1 by hand: a packet of a type, with a body of less than 128 bytes.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(body.len()).unwrap()], body].concat()
}

fn mqtt(url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("mqtt://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\0")).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    stream
}

/// Publishes a retained message at QoS 1, and subscribes to it after the broker was killed and started again.
async fn retained_after_kill_and_restart(persistent: bool) -> bool {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let options = MosquittoOptions { persistent, ..MosquittoOptions::default() };
    let mut mosquitto = Mosquitto::start_as(&sandbox, options).await.unwrap();
    let mut stream = mqtt(&mosquitto.url());
    stream.write_all(&packet(0x33, b"\0\x05topic\0\x01kept")).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    if persistent {
        // The broker acknowledges first and saves then.
        let file = sandbox.path().join("mosquitto.db");
        until(async || std::fs::read(&file).is_ok_and(|bytes| bytes.windows(4).any(|part| part == b"kept"))).await;
    }
    mosquitto.process.kill();
    mosquitto.restart().await.unwrap();
    let mut stream = mqtt(&mosquitto.url());
    stream.write_all(&packet(0x82, b"\0\x01\0\x05topic\0")).unwrap();
    // The answers come in order: what is retained comes between the SUBACK and the PINGRESP.
    stream.read_exact(&mut [0; 5]).unwrap();
    stream.write_all(&packet(0xc0, &[])).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(&[0xd0, 0]) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    answer.windows(4).any(|part| part == b"kept")
}

#[tokio::test]
async fn a_message_survives_the_kill_of_a_persistent_mosquitto() {
    assert!(retained_after_kill_and_restart(true).await);
}

#[tokio::test]
async fn a_message_is_gone_with_a_mosquitto_that_is_not_persistent() {
    assert!(!retained_after_kill_and_restart(false).await);
}

/// Stands in for the services: says with which arguments it runs, and that it is ready at the last address it was given.
const SERVICE: &str = r#"#!/bin/sh
role=$2
echo "started: $*"
while [ $# -gt 1 ]; do
    [ "$1" = --listen ] && listen=$2
    shift
done
[ "$listen" = 127.0.0.1:0 ] && listen=127.0.0.1:4711
echo "{\"ready\":\"$role\",\"listen\":\"$listen\"}"
exec sleep 1000
"#;

async fn stack(folder: &std::path::Path) -> Stack {
    Stack::start(&options(folder)).await.unwrap()
}

fn options(folder: &std::path::Path) -> StackOptions {
    let executable = folder.join("services");
    std::fs::write(&executable, SERVICE).unwrap();
    std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
    StackOptions {
        persistent: true,
        apiserver_args: vec!["--max-body".to_owned(), "4096".to_owned()],
        mqttclient_args: vec!["--listen".to_owned(), "127.0.0.1:4712".to_owned()],
        ..StackOptions::new(executable, SampleEvery::default())
    }
}

#[tokio::test]
async fn several_processes_of_a_service_stop_and_start_together() {
    let folder = tempfile::tempdir().unwrap();
    let replicas = Replicas { pushserver: 3, mqttclient: 2, ..Replicas::default() };
    let refused = Stack::start(&StackOptions { replicas, ..options(folder.path()) }).await.unwrap_err().to_string();
    assert!(refused.contains("2 processes of mqttclient cannot all have the --listen"), "{refused}");
    let mqttclient_args = Vec::new();
    let mut stack = Stack::start(&StackOptions { replicas, mqttclient_args, ..options(folder.path()) }).await.unwrap();
    let of = |stack: &Stack| {
        [Part::Redis, Part::Apiserver, Part::Pushserver, Part::Mqttclient].map(|part| stack.pids(part).len())
    };
    assert_eq!(of(&stack), [1, 1, 3, 2]);
    // They split the topic, and the broker takes none for another.
    let log = stack.log(Part::Mqttclient);
    assert!(log.contains("--share stampede") && log.contains("--client-id stampede-mqttclient-1"), "{log}");
    let before = stack.pids(Part::Pushserver);
    stack.stop_service(Part::Pushserver).await;
    stack.ended().unwrap();
    stack.start_again(Part::Pushserver).await.unwrap();
    assert!(stack.pids(Part::Pushserver).iter().all(|pid| !before.contains(pid)));
    stack.kill(Part::Pushserver);
    assert!(stack.ended().is_err());
    stack.stop().await;
}

#[tokio::test]
async fn each_part_is_killed_and_started_again_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = stack(folder.path()).await;
    assert_eq!(stack.endpoints().api, "http://127.0.0.1:4711");
    log_store(&stack.endpoints().redis).await.put("key", "value", HOUR).await.unwrap();
    let urls = format!("{:?}", (&stack.endpoints().api, &stack.endpoints().redis, &stack.endpoints().mqtt));
    for part in Part::all() {
        let pid = stack.pid(part);
        stack.kill(part);
        let error = stack.ended().unwrap_err().to_string();
        assert!(error.contains(&part.to_string().replace("redis", "redis-server")), "{part}: {error}");
        stack.restart(part).await.unwrap();
        stack.ended().unwrap();
        assert_ne!(stack.pid(part), pid, "{part}");
    }
    let at = stack.endpoints();
    assert_eq!(format!("{:?}", (&at.api, &at.redis, &at.mqtt)), urls);
    assert_eq!(at.pids.apiserver, stack.pid(Part::Apiserver));
    assert_eq!(log_store(&at.redis).await.get("key").await.unwrap().as_deref(), Some("value"));
    let starts = |part| -> Vec<String> {
        let log = stack.log(part);
        log.lines().filter_map(|line| line.strip_prefix("started: ")).map(str::to_owned).collect()
    };
    let apiserver = starts(Part::Apiserver);
    assert_eq!(apiserver.len(), 2, "{apiserver:?}");
    assert!(apiserver.iter().all(|args| args.contains("--max-body 4096")), "{apiserver:?}");
    assert!(apiserver[0].ends_with("--listen 127.0.0.1:0") && apiserver[1].ends_with("--listen 127.0.0.1:4711"));
    let mqttclient = starts(Part::Mqttclient);
    assert!(mqttclient.iter().all(|args| args.ends_with("--listen 127.0.0.1:4712")), "{mqttclient:?}");
    stack.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_part_is_paused_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(folder.path()).await;
    let state = |part| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", stack.pid(part))).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    for part in Part::all() {
        stack.signal(part, Signal::STOP);
        until(async || state(part) == 'T').await;
        stack.signal(part, Signal::CONT);
        until(async || state(part) != 'T').await;
    }
    // A part that is paused when the stack ends is ended, too, and not waited for.
    stack.signal(Part::Pushserver, Signal::STOP);
    stack.stop().await;
}
