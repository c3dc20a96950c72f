//! Which message makes a broker close the connection? MQTT 3.1.1 has no other way to refuse one.
//!
//! What is sent together is suspect together, so that after a closed connection messages go out as carefully as they have to: first one
//! alone, then more and more at a time. A message is guilty when the broker has closed at it several times while nothing else was in
//! flight, and a witness, an idle connection to the same broker, lived on: a broker that ends or is restarted takes that along.

use crate::message::Message;
use service::mqtt::{self, Broker, Connection, Packet, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// How often the broker must have closed at a message. All closings but the first have a witness.
pub(crate) const CLOSINGS: u8 = 3;

/// How long the witness may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The smallest message that is known to be guilty: of those as large as this one closing is enough. Shared by the publishers.
#[derive(Debug, Clone)]
pub(crate) struct Guilty(Arc<AtomicUsize>);

impl Default for Guilty {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Guilty {
    /// How often the broker must close at this message.
    pub(crate) fn closings(&self, message: &Message) -> u8 {
        if message.body.len() >= self.0.load(Ordering::Relaxed) { 1 } else { CLOSINGS }
    }

    /// Whether the next closing at this message counts only with a witness.
    pub(crate) fn needs_witness(&self, message: &Message) -> bool {
        message.closings > 0 || self.closings(message) == 1
    }

    pub(crate) fn found(&self, message: &Message) {
        self.0.fetch_min(message.body.len(), Ordering::Relaxed);
    }

    /// The broker has taken a message of this size: its limit is another by now.
    pub(crate) fn taken(&self, size: usize) {
        if size >= self.0.load(Ordering::Relaxed) {
            self.0.store(usize::MAX, Ordering::Relaxed);
        }
    }
}

/// How much may be in flight on a connection.
#[derive(Debug)]
pub(crate) struct Care {
    /// Messages: one after a loss, and one more for each that is acknowledged.
    window: usize,
    /// The largest message that the broker has taken on this connection. Whatever is larger goes out alone.
    proven: usize,
}

impl Default for Care {
    fn default() -> Self {
        Self { window: usize::MAX, proven: 0 }
    }
}

impl Care {
    /// The connection is gone, and with it perhaps what was in flight. At quality of service 0 nothing is.
    pub(crate) fn connection_lost(&mut self, in_flight: bool) {
        self.proven = 0;
        if in_flight {
            self.window = 1;
        }
    }

    /// Whether nothing else may be in flight with this message.
    pub(crate) fn is_alone(&self, message: &Message) -> bool {
        message.closings > 0 || message.body.len() > self.proven
    }

    /// Whether a message may be sent while others are in flight.
    pub(crate) fn lets(&self, message: &Message, in_flight: usize) -> bool {
        in_flight == 0 || (in_flight < self.window && !self.is_alone(message))
    }

    /// The broker has taken a message of this size.
    pub(crate) fn taken(&mut self, size: usize) {
        self.window = self.window.saturating_add(1);
        self.proven = self.proven.max(size);
    }
}

/// Opens a witness; none where the broker takes no connection.
pub(crate) async fn witness(broker: &Broker) -> Option<Connection> {
    let session = Session { client_id: mqtt::client_id("pushserver-witness"), persistent: false };
    mqtt::connect(broker, &session).await.ok()
}

/// Whether the broker that the witness has been connected to all the time is still there.
pub(crate) async fn lives(witness: Option<Connection>) -> bool {
    let Some(mut witness) = witness else { return false };
    let answer = async {
        witness.writer.ping();
        witness.writer.flush().await.is_ok() && matches!(witness.reader.packet().await, Ok(Packet::PingResp))
    };
    timeout(ANSWER_WITHIN, answer).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize, closings: u8) -> Message {
        Message { closings, ..Message::untraced(vec![b'x'; size].into()) }
    }

    #[test]
    fn after_a_loss_one_goes_alone_and_then_more_at_a_time() {
        let mut care = Care::default();
        care.connection_lost(true);
        let small = message(10, 0);
        assert!(care.lets(&small, 0) && !care.lets(&small, 1));
        care.taken(10);
        assert!(care.lets(&small, 1) && !care.lets(&small, 2));
        care.taken(10);
        assert!(care.lets(&small, 2));
    }

    #[test]
    fn what_is_larger_than_all_before_or_suspect_goes_alone() {
        let mut care = Care::default();
        care.taken(10);
        assert!(care.lets(&message(10, 0), 4000));
        assert!(!care.lets(&message(11, 0), 1) && care.lets(&message(11, 0), 0));
        assert!(!care.lets(&message(10, 1), 1));
    }

    #[test]
    fn one_closing_is_enough_for_what_is_as_large_as_the_guilty() {
        let guilty = Guilty::default();
        assert!(guilty.closings(&message(30, 0)) == CLOSINGS && !guilty.needs_witness(&message(30, 0)));
        guilty.found(&message(30, 0));
        assert!(guilty.closings(&message(30, 0)) == 1 && guilty.needs_witness(&message(30, 0)));
        assert!(guilty.closings(&message(29, 0)) == CLOSINGS);
        guilty.taken(31);
        assert!(guilty.closings(&message(30, 0)) == CLOSINGS);
    }
}
