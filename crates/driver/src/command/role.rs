//! `driver role …`: the services, so that this one executable is the whole local stack.

use apiserver::ApiserverArgs;
use clap::Subcommand;
use mqttclient::MqttclientArgs;
use pushserver::PushserverArgs;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Role {
    /// HTTP to Redis
    #[command(args_override_self = true)]
    Apiserver(ApiserverArgs),
    /// Redis to MQTT
    #[command(args_override_self = true)]
    Pushserver(PushserverArgs),
    /// The subscriber
    #[command(args_override_self = true)]
    Mqttclient(MqttclientArgs),
}

impl Role {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Role::Apiserver(args) => apiserver::start(args),
            Role::Pushserver(args) => pushserver::start(args),
            Role::Mqttclient(args) => mqttclient::start(args),
        }
    }
}
