//! What a hop is called, and which attributes it has, by the semantic conventions for messaging.

use crate::attribute::text;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use stamp::Stage;

/// Where messages go through.
#[derive(Debug, Clone)]
pub(crate) struct Destinations {
    /// The Redis list or stream.
    pub(crate) queue: Option<String>,
    /// The MQTT topic.
    pub(crate) topic: String,
}

/// What is the same for all spans of one hop.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) attributes: Vec<KeyValue>,
}

impl Hop {
    /// The hop from one stage to another. The one that ends where a message is about to be handed over prepares it (`create`); the one that begins
    /// there takes it out again (`receive`).
    pub(crate) fn new(from: &Stage, to: &Stage, destinations: &Destinations) -> Self {
        let redis = ("redis", destinations.queue.as_deref());
        let mqtt = ("mqtt", Some(destinations.topic.as_str()));
        let operation = match (from, to) {
            (_, to) if *to == Stage::ENQUEUE => Some(("create", SpanKind::Producer, redis)),
            (from, _) if *from == Stage::ENQUEUE => Some(("receive", SpanKind::Client, redis)),
            (_, to) if *to == Stage::PUBLISH => Some(("create", SpanKind::Producer, mqtt)),
            (from, _) if *from == Stage::PUBLISH => Some(("receive", SpanKind::Client, mqtt)),
            _ => None,
        };
        let mut attributes = vec![text("stampede.stage", to.as_str()), text("stampede.from", from.as_str())];
        let Some((operation, kind, (system, destination))) = operation else {
            return Self { name: format!("{from} to {to}"), kind: SpanKind::Internal, attributes };
        };
        attributes.extend([
            text("messaging.system", system),
            text("messaging.operation.type", operation),
            text("messaging.operation.name", operation),
        ]);
        attributes.extend(destination.map(|name| text("messaging.destination.name", name)));
        // "Messaging spans SHOULD be named {operation name} {destination}".
        let name = destination.map_or_else(|| operation.to_owned(), |name| format!("{operation} {name}"));
        Self { name, kind, attributes }
    }
}
