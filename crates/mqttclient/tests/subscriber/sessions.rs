//! Sessions that outlive a connection, and clients that split a topic.

use crate::app::Servers;
use service::mqtt::QoS;
use stack::{Process, Sandbox, until};
use std::process::Command;
use std::sync::Arc;

#[tokio::test]
async fn a_persistent_session_receives_what_came_while_it_was_away() {
    for version in ["3.1.1", "5"] {
        let servers = Servers::start().await;
        let args = ["--mqtt-version", version, "--session", "persistent", "--client-id", "phone"];
        let app = servers.app(&args).await;
        let mut sender = servers.sender().await;
        sender.send_ids(QoS::AtLeastOnce, 0..10).await;
        servers.counted("r", "mqttclient", 10).await;
        app.stop().await;
        sender.send_ids(QoS::AtLeastOnce, 10..40).await;
        sender.send_ids(QoS::ExactlyOnce, 40..70).await;
        let app = servers.app(&args).await;
        servers.counted("r", "mqttclient", 70).await;
        // A crash is an absence like any other.
        app.crash().await;
        sender.send_ids(QoS::ExactlyOnce, 70..100).await;
        let app = servers.app(&args).await;
        servers.counted("r", "mqttclient", 100).await;
        assert_eq!(servers.count("r", "duplicates").await, 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_clean_session_receives_nothing_that_came_while_it_was_away() {
    let servers = Servers::start().await;
    let args = ["--client-id", "phone"];
    servers.app(&args).await.stop().await;
    let mut sender = servers.sender().await;
    sender.send_ids(QoS::AtLeastOnce, 0..10).await;
    let app = servers.app(&args).await;
    sender.send_ids(QoS::AtLeastOnce, [10]).await;
    servers.counted("r", "mqttclient", 1).await;
    app.stop().await;
}

#[tokio::test]
async fn subscribers_of_one_group_split_the_topic() {
    for version in ["3.1.1", "5"] {
        let servers = Servers::start().await;
        let args = ["--share", "phones", "--mqtt-version", version, "--arrivals", "log-store"];
        let (one, other) = (servers.app(&args).await, servers.app(&args).await);
        servers.sender().await.send_ids(QoS::AtLeastOnce, 0..200).await;
        servers.counted("r", "mqttclient", 200).await;
        one.stop().await;
        other.stop().await;
        assert_eq!((servers.count("r", "mqttclient").await, servers.count("r", "duplicates").await), (200, 0));
    }
}

#[tokio::test]
async fn the_clients_of_one_process_split_the_topic_and_are_ready_together() {
    let mut servers = Servers::start().await;
    let app = servers.app(&["--clients", "3", "--client-id", "phone"]).await;
    let log = servers.mosquitto.process.log();
    for client in ["phone-1", "phone-2", "phone-3"] {
        assert!(log.contains(&format!(" as {client} ")), "{log}");
    }
    servers.sender().await.send_ids(QoS::AtLeastOnce, 0..300).await;
    servers.counted("r", "mqttclient", 300).await;
    servers.mosquitto.process.kill();
    app.misses("mqtt").await;
    servers.mosquitto.restart().await.unwrap();
    app.readiness.ready().await;
    servers.sender().await.send_ids(QoS::AtLeastOnce, 300..400).await;
    servers.counted("r", "mqttclient", 400).await;
    app.stop().await;
    assert_eq!((servers.count("r", "mqttclient").await, servers.count("r", "duplicates").await), (400, 0));
}

#[tokio::test]
async fn two_clients_with_the_same_id_are_told_so_in_few_lines_and_the_one_left_goes_on() {
    for version in ["3.1.1", "5"] {
        let servers = Servers::start().await;
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let spawn = |name: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mqttclient"));
            command.args(["--redis", &servers.redis.url(), "--mqtt", &servers.mosquitto.url()]);
            command.args(["--client-id", "phone", "--mqtt-version", version]);
            Process::spawn(name, command, &sandbox).unwrap()
        };
        let (one, mut other) = (spawn("one"), spawn("other"));
        let told = "another client with the id \"phone\" is connected; give each its own --client-id";
        until(async || one.log().contains(told) && other.log().contains(told)).await;
        for process in [&one, &other] {
            assert!(process.log().lines().count() <= 5, "{}", process.log());
        }
        other.kill();
        until(async || one.log().contains("is there")).await;
        servers.sender().await.send_ids(QoS::AtLeastOnce, 0..10).await;
        servers.counted("r", "mqttclient", 10).await;
    }
}
