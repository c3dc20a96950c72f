//! The parts of a local stack, by name.

use std::fmt;

/// One process of a local stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The queue and log store.
    Redis,
    /// The broker.
    Mosquitto,
    /// HTTP to Redis.
    Apiserver,
    /// Redis to MQTT.
    Pushserver,
    /// The subscriber.
    Mqttclient,
}

impl Part {
    /// All of them.
    pub const fn all() -> [Part; 5] {
        [Part::Redis, Part::Mosquitto, Part::Apiserver, Part::Pushserver, Part::Mqttclient]
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Redis => "redis",
            Part::Mosquitto => "mosquitto",
            Part::Apiserver => "apiserver",
            Part::Pushserver => "pushserver",
            Part::Mqttclient => "mqttclient",
        })
    }
}
