//! Publishes straight at the broker, as fast as somebody takes it: a push server that is never the limit.

use crate::error::ExperimentError;
use service::mqtt::{self, Broker, MqttError, MqttWriter, QoS, Session};
use stamp::{LogStore, RunId, clock};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Messages in one write.
const BATCH: u64 = 200;

/// How often arrivals are looked at. Subscribers write their counts every tenth of a second.
const PERIOD: Duration = Duration::from_millis(50);

/// Ids of a worker that no generator is: bits of `worker (10) | connection (11) | sequence (32)`.
const FIRST_ID: u64 = 1023 << 43;

/// The text of each message beside its id and run, as long as that of a load.
const PAYLOAD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A publisher that keeps so many messages on their way.
pub(super) struct Window<'a> {
    pub(super) broker: &'a Broker,
    pub(super) topic: &'a str,
    pub(super) log: &'a LogStore,
    /// Messages on their way at the most.
    pub(super) size: u64,
}

/// What became of it.
pub(super) struct Published {
    pub(super) sent: u64,
    /// How many had arrived, from the first message on.
    pub(super) arrived: Vec<super::slope::Look>,
}

impl Window<'_> {
    /// Publishes messages of this run for so long, and waits for those on their way.
    /// Fails when the broker or the log store is away.
    pub(super) async fn publish(&self, run: &RunId, lasts: Duration) -> Result<Published, ExperimentError> {
        let session = Session { client_id: mqtt::client_id("driver"), persistent: false };
        let mut connection = mqtt::connect(self.broker, &session).await?;
        let begin = clock::now();
        let (mut sent, mut arrived) = (0, vec![(Duration::ZERO, 0)]);
        let mut looked = begin;
        while clock::now() < begin + lasts {
            let on_their_way = sent - arrived.last().map_or(0, |(_, count): &super::slope::Look| (*count).min(sent));
            if on_their_way + BATCH <= self.size {
                write(&mut connection.writer, self.topic, run, sent).await?;
                sent += BATCH;
                if clock::now().duration_since(looked) < PERIOD {
                    continue;
                }
            } else {
                sleep(Duration::from_millis(2)).await;
            }
            looked = self.look(run, begin, &mut arrived).await?;
        }
        self.settle(run, begin, sent, &mut arrived).await?;
        Ok(Published { sent, arrived })
    }

    async fn look(
        &self,
        run: &RunId,
        begin: Instant,
        arrived: &mut Vec<super::slope::Look>,
    ) -> Result<Instant, ExperimentError> {
        let counts = self.log.counts(run).await?;
        let now = clock::now();
        arrived.push((now.duration_since(begin), counts.get("mqttclient")));
        Ok(now)
    }

    /// Until all has arrived, or nothing more does.
    async fn settle(
        &self,
        run: &RunId,
        begin: Instant,
        sent: u64,
        arrived: &mut Vec<super::slope::Look>,
    ) -> Result<(), ExperimentError> {
        let mut moved = clock::now();
        while arrived.last().is_some_and(|(_, count)| *count < sent) && clock::now() < moved + super::STILL {
            sleep(PERIOD).await;
            let before = arrived.last().map_or(0, |(_, count)| *count);
            self.look(run, begin, arrived).await?;
            if arrived.last().is_some_and(|(_, count)| *count > before) {
                moved = clock::now();
            }
        }
        Ok(())
    }
}

async fn write(writer: &mut MqttWriter, topic: &str, run: &RunId, first: u64) -> Result<(), MqttError> {
    for number in first..first + BATCH {
        let message = format!("{{\"id\":{},\"run\":\"{run}\",\"payload\":\"{PAYLOAD}\"}}", FIRST_ID + number);
        writer.publish(topic, QoS::AtMostOnce, 0, false, message.as_bytes())?;
    }
    writer.flush().await
}
