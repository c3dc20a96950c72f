//! Whatever lies in the queue, and whatever comes from the broker, goes through the real services and ends none of them.
#![allow(clippy::unwrap_used)]

mod driving;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use service::mqtt::{self, Broker, Connection, Packet, QoS, Session, Version};
use stack::Stack;
use stamp::keys::DEFAULT_QUEUE;
use stamp::{Envelope, LogStore, RedisUrl, RunId, Wait};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of any kind, and messages of the run `r` with a byte or a piece of them exchanged.
fn payloads(count: usize, runner: &mut TestRunner) -> Vec<Vec<u8>> {
    let message = || any::<u32>().prop_map(|id| format!(r#"{{"id":{id},"data":[{id},"\u00e9"],"run":"r"}}"#));
    let put = prop::collection::vec(any::<u8>(), 0..4);
    let mutated = (message(), any::<prop::sample::Index>(), 0..4_usize, put).prop_map(|(message, at, taken, put)| {
        let mut payload = message.into_bytes();
        let begin = at.index(payload.len());
        payload.splice(begin..payload.len().min(begin + taken), put);
        payload
    });
    let random = prop::collection::vec(any::<u8>(), 0..600);
    let payload = prop_oneof![random, message().prop_map(String::into_bytes), mutated];
    (0..count).map(|_| payload.new_tree(runner).unwrap().current()).collect()
}

/// How often each counter is to be raised: `garbage`, or the stage's in a run.
fn expected<'a>(payloads: impl IntoIterator<Item = &'a Vec<u8>>, stage: &str) -> BTreeMap<(RunId, String), u64> {
    let mut counts = BTreeMap::new();
    for payload in payloads {
        let (run, name) = match Envelope::read(payload) {
            Ok(envelope) => (envelope.run().parse().unwrap(), stage),
            Err(_) => (RunId::adhoc(), "garbage"),
        };
        *counts.entry((run, name.to_owned())).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn any_bytes_pass_the_queue_and_the_broker_and_are_counted() {
    let options = driving::options("10");
    let mut stack = Stack::start(&options).await.unwrap();
    let redis: RedisUrl = stack.endpoints().redis.parse().unwrap();
    let broker = Broker::new(stack.endpoints().mqtt.parse().unwrap(), Version::V3, None).unwrap();
    let session = Session { client_id: mqtt::client_id("test"), persistent: false };
    let Connection { mut reader, mut writer, .. } = mqtt::connect(&broker, &session).await.unwrap();
    writer.subscribe(1, "/channel", QoS::AtMostOnce).unwrap();
    writer.flush().await.unwrap();
    assert!(matches!(reader.packet().await.unwrap(), Packet::SubAck { .. }));

    let mut runner = TestRunner::deterministic();
    let (queued, published) = (payloads(2000, &mut runner), payloads(2000, &mut runner));
    let mut connection = redis.connect(Wait::BRIEFLY).await.unwrap();
    let mut received = Vec::new();
    for (queued, published) in queued.chunks(100).zip(published.chunks(100)) {
        let push = redis::cmd("LPUSH").arg(DEFAULT_QUEUE).arg(queued).exec_async(&mut connection).await;
        push.unwrap();
        for payload in published {
            writer.publish("/channel", QoS::AtMostOnce, 0, false, payload).unwrap();
        }
        writer.flush().await.unwrap();
        for _ in 0..200 {
            match timeout(PATIENCE, reader.packet()).await.unwrap().unwrap() {
                Packet::Publish(publish) => received.push(publish.payload.to_vec()),
                packet => panic!("{packet:?}"),
            }
        }
    }
    let mut sent = [queued.clone(), published.clone()].concat();
    sent.sort();
    received.sort();
    assert!(received == sent, "what was received differs from the {} that were sent", sent.len());

    let mut counts = expected(&queued, "pushserver");
    for (counter, count) in expected(&sent, "mqttclient") {
        *counts.entry(counter).or_default() += count;
    }
    let garbage = counts[&(RunId::adhoc(), "garbage".to_owned())];
    let good = counts[&("r".parse().unwrap(), "mqttclient".to_owned())];
    assert!(garbage > 1000 && good > 1000, "{garbage} are garbage, {good} are not");
    let log = LogStore::connect(&redis).await.unwrap();
    for ((run, name), count) in counts {
        let counted = async || log.counts(&run).await.unwrap().get(&name) >= count;
        driving::until_so(counted, &format!("{name} of {run} does not come to {count}")).await;
        assert_eq!(log.counts(&run).await.unwrap().get(&name), count, "{name} of {run}");
    }
    stack.ended().unwrap();
    stack.stop().await;
}
