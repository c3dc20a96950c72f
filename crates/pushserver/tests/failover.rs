//! A Redis whose name moves to another server while the old one says nothing any more.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, enqueue, messages};
use pushserver::PushserverArgs;
use rumqttc::QoS;
use service::Shell;
use stack::{Mosquitto, Proxy, Redis, Signal};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A name that moves leaves connections where they were, and those of a machine that hangs are never reset.
#[tokio::test]
async fn a_server_that_hangs_is_left_for_the_one_to_which_the_name_has_moved() {
    for (kind, delivery) in [("list", "at-most-once"), ("list", "at-least-once"), ("stream", "at-least-once")] {
        let (old, new) = tokio::try_join!(Redis::start(), Redis::start()).unwrap();
        let (mosquitto, name, log_store) =
            tokio::try_join!(Mosquitto::start(), Proxy::start(), Redis::start()).unwrap();
        name.lead_to(Some(old.port()));
        let (url, own) = (format!("redis://127.0.0.1:{}", name.port()), ["--queue", kind, "--delivery", delivery]);
        let at = ["--redis", &url, "--log-store", &log_store.url(), "--mqtt", &mosquitto.url()];
        let mut args: PushserverArgs = service::parse(at.iter().chain(&own)).unwrap();
        args.answered_within = Duration::from_secs(2);
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("pushserver", &args.service, shutdown.clone()).await.unwrap();
        let readiness = shell.readiness.clone();
        let running = tokio::spawn(pushserver::run(args, shell));
        timeout(PATIENCE, readiness.ready()).await.unwrap();
        let mut subscriber = app::Subscriber::at(&mosquitto, QoS::AtLeastOnce).await;
        enqueue(&old, kind, &messages(0..10)).await;
        subscriber.receive_all(&messages(0..10)).await;

        old.process.signal(Signal::STOP);
        name.lead_new_to(new.port());
        enqueue(&new, kind, &messages(10..20)).await;
        subscriber.receive_all(&messages(10..20)).await;
        shutdown.cancel();
        timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    }
}
