//! `driver role …`: the services, so that this one executable is the whole local stack.

use apiserver::ApiserverArgs;
use clap::Subcommand;
use mqttclient::MqttclientArgs;
use pushserver::PushserverArgs;
use service::Shell;
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
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Role::Apiserver(args) => {
                let shell = Shell::open("apiserver", &args.service).await?;
                apiserver::run(args, shell).await?;
            }
            Role::Pushserver(args) => {
                let shell = Shell::open("pushserver", &args.service).await?;
                pushserver::run(args, shell).await?;
            }
            Role::Mqttclient(args) => {
                let shell = Shell::open("mqttclient", &args.service).await?;
                mqttclient::run(args, shell).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
