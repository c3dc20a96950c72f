//! The real services come back after each part of the stack was killed, and messages pass again.
#![allow(clippy::unwrap_used)]

use stack::{Cpus, Part, Replicas, Stack, StackOptions};
use stamp::{LogStore, RunId};
use std::time::Duration;

/// Polls until something has come about.
async fn until(what: &str, mut come: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !come().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), polling).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn messages_pass_again_after_each_part_was_killed() {
    let options = StackOptions {
        executable: env!("CARGO_BIN_EXE_driver").into(),
        every: "1".parse().unwrap(),
        persistent: true,
        apiserver_args: Vec::new(),
        pushserver_args: Vec::new(),
        mqttclient_args: Vec::new(),
        replicas: Replicas::default(),
        cpus: Cpus::default(),
    };
    let mut stack = Stack::start(&options).await.unwrap();
    let client = reqwest::Client::new();
    let api = stack.endpoints().api.clone();
    let url = stack.endpoints().redis.parse().unwrap();
    for part in Part::all() {
        stack.kill(part);
        stack.restart(part).await.unwrap();
        let run: RunId = format!("after-{part}").parse().unwrap();
        let mut id = 0;
        until(&format!("no message passed after the kill of the {part}"), async || {
            id += 1;
            let sent = client.post(&api).body(format!(r#"{{"id":{id},"run":"{run}"}}"#)).send().await;
            let log = LogStore::connect(&url).await.unwrap();
            sent.is_ok_and(|answer| answer.status() == 202) && log.counts(&run).await.unwrap().get("mqttclient") > 0
        })
        .await;
        stack.ended().unwrap();
    }
    stack.stop().await;
}
