//! Which MQTT is spoken.

use clap::ValueEnum;
use std::fmt;

/// The version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Version {
    /// What every broker speaks.
    #[default]
    #[value(name = "3.1.1", aliases = ["3", "311"])]
    V3,
    /// The broker tells its limits, and why it refuses something.
    #[value(name = "5", alias = "5.0")]
    V5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V3 => "3.1.1",
            Version::V5 => "5",
        })
    }
}
