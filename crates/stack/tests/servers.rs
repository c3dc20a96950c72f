//! The fixtures themselves: they start real servers, and leave nothing behind.
#![allow(clippy::unwrap_used)]

use stack::{Mosquitto, Redis, Sandbox, until};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn exists(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

#[tokio::test]
async fn dropping_ends_the_servers_and_removes_the_folder() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let folder = sandbox.path().to_owned();
    let redis = Redis::start_in(&sandbox).await.unwrap();
    let mosquitto = Mosquitto::start_in(&sandbox).await.unwrap();
    let pids = [redis.process.pid(), mosquitto.process.pid()];
    assert!(pids.iter().all(|&pid| exists(pid)) && folder.exists());
    drop((redis, mosquitto, sandbox));
    assert!(!pids.iter().any(|&pid| exists(pid)) && !folder.exists());
}

#[tokio::test]
async fn two_stacks_do_not_meet() {
    let (one, two) = tokio::try_join!(Redis::start(), Redis::start()).unwrap();
    assert_ne!(one.url(), two.url());
    let store = |redis: &Redis| redis.url().parse::<stamp::RedisUrl>().unwrap();
    let (first, second) = (stamp::LogStore::connect(&store(&one)).await, stamp::LogStore::connect(&store(&two)).await);
    first.unwrap().put("key", "value", Duration::from_secs(9)).await.unwrap();
    assert_eq!(second.unwrap().get("key").await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_ends_is_reported_with_its_log() {
    let mut redis = Redis::start().await.unwrap();
    redis.process.kill();
    let error = redis.process.ended().unwrap_err().to_string();
    assert!(error.starts_with("redis-server ended unexpectedly (signal: 9"), "{error}");
    assert!(error.contains("Ready to accept connections"), "{error}");
}

/// Runs itself again as a process that starts a server and is then killed with SIGKILL.
#[tokio::test]
async fn a_killed_holder_leaves_nothing() {
    if let Ok(report) = std::env::var("STAMPEDE_TEST_HOLDER") {
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let mut redis = Redis::start_in(&sandbox).await.unwrap();
        // The watcher must know the process of now, and no longer the one before.
        redis.restart().await.unwrap();
        let unfinished = format!("{report}.part");
        std::fs::write(&unfinished, format!("{} {}", redis.process.pid(), sandbox.path().display())).unwrap();
        std::fs::rename(unfinished, report).unwrap();
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_holder_leaves_nothing"])
        .env("STAMPEDE_TEST_HOLDER", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until(async || report.exists()).await;
    let text = std::fs::read_to_string(&report).unwrap();
    let (pid, sandbox) = text.split_once(' ').unwrap();
    let pid = pid.parse().unwrap();
    assert!(exists(pid) && Path::new(sandbox).exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    until(async || !exists(pid) && !Path::new(sandbox).exists()).await;
}
