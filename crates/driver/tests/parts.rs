//! The real services come back after each part of the stack was killed, and messages pass again.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::until_so;
use stack::{Part, Stack, StackOptions};
use stamp::{LogStore, RunId};

#[tokio::test]
async fn messages_pass_again_after_each_part_was_killed() {
    let options = StackOptions { persistent: true, ..driving::options("1") };
    let mut stack = Stack::start(&options).await.unwrap();
    let client = reqwest::Client::new();
    let api = stack.endpoints().api.clone();
    let url = stack.endpoints().redis.parse().unwrap();
    for part in Part::all() {
        stack.kill(part);
        stack.restart(part).await.unwrap();
        let run: RunId = format!("after-{part}").parse().unwrap();
        let mut id = 0;
        let passes = async || {
            id += 1;
            let sent = client.post(&api).body(format!(r#"{{"id":{id},"run":"{run}"}}"#)).send().await;
            let log = LogStore::connect(&url).await.unwrap();
            sent.is_ok_and(|answer| answer.status() == 202) && log.counts(&run).await.unwrap().get("mqttclient") > 0
        };
        until_so(passes, &format!("no message passed after the kill of the {part}")).await;
        stack.ended().unwrap();
    }
    stack.stop().await;
}
