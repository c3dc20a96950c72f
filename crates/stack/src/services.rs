//! The whole pipeline: Redis, Mosquitto and the three services.

use crate::{Mosquitto, Process, Redis, Sandbox, StackError};
use serde::{Deserialize, Serialize};
use stamp::SampleEvery;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long each process may take to finish what it has accepted.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// One of the three services, as `driver role <name>` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// HTTP to Redis.
    Apiserver,
    /// Redis to MQTT.
    Pushserver,
    /// The subscriber.
    Mqttclient,
}

impl Role {
    /// The role's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Apiserver => "apiserver",
            Role::Pushserver => "pushserver",
            Role::Mqttclient => "mqttclient",
        }
    }
}

/// What can be set about a local stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The executable that knows `role apiserver`, `role pushserver` and `role mqttclient`.
    pub executable: PathBuf,
    /// All services sample 1 message in N.
    pub every: SampleEvery,
    /// Further arguments for the apiserver.
    pub apiserver_args: Vec<String>,
    /// Further arguments for the pushserver.
    pub pushserver_args: Vec<String>,
    /// Further arguments for the mqttclient.
    pub mqttclient_args: Vec<String>,
}

/// Where a local stack's parts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// The API server, `http://host:port`.
    pub api: String,
    /// The Redis server that is both queue and log store.
    pub redis: String,
    /// The broker, `mqtt://host:port`.
    pub mqtt: String,
    /// The Redis list that the messages wait in.
    pub queue: String,
    /// The process ids.
    pub pids: Pids,
}

/// The process ids of a local stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Pids {
    pub redis: u32,
    pub mosquitto: u32,
    pub apiserver: u32,
    pub pushserver: u32,
    pub mqttclient: u32,
}

/// The line that a service prints once it is ready.
#[derive(Deserialize)]
struct ReadyLine {
    ready: String,
    listen: String,
}

/// A running local pipeline.
#[derive(Debug)]
pub struct Stack {
    endpoints: Endpoints,
    // Dropped in this order, with the stream of messages.
    apiserver: Process,
    pushserver: Process,
    mqttclient: Process,
    mosquitto: Mosquitto,
    redis: Redis,
}

impl Stack {
    /// Starts every part and waits until each has answered.
    pub async fn start(options: &StackOptions) -> Result<Self, StackError> {
        let sandbox = Arc::new(Sandbox::new()?);
        let (redis, mosquitto) = tokio::try_join!(Redis::start_in(&sandbox), Mosquitto::start_in(&sandbox))?;
        let (redis_url, mqtt_url, queue) = (redis.url(), mosquitto.url(), stamp::keys::DEFAULT_QUEUE);
        let every = options.every.to_string();
        let role = |role: Role, own: &[&str], more: &[String]| {
            let mut command = Command::new(&options.executable);
            command.args(["role", role.name(), "--listen", "127.0.0.1:0", "--redis", &redis_url, "--every", &every]);
            command.args(own).args(more);
            start_service(role, command, sandbox.clone())
        };
        let ((apiserver, listen), (pushserver, _), (mqttclient, _)) = tokio::try_join!(
            role(Role::Apiserver, &["--queue", queue], &options.apiserver_args),
            role(Role::Pushserver, &["--queue", queue, "--mqtt", &mqtt_url], &options.pushserver_args),
            role(Role::Mqttclient, &["--mqtt", &mqtt_url], &options.mqttclient_args),
        )?;
        let endpoints = Endpoints {
            api: format!("http://{listen}"),
            redis: redis_url,
            mqtt: mqtt_url,
            queue: queue.to_owned(),
            pids: Pids {
                redis: redis.process.pid(),
                mosquitto: mosquitto.process.pid(),
                apiserver: apiserver.pid(),
                pushserver: pushserver.pid(),
                mqttclient: mqttclient.pid(),
            },
        };
        Ok(Self { endpoints, apiserver, pushserver, mqttclient, mosquitto, redis })
    }

    /// Where the parts are.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// An error that names the first part which is no longer there, with the end of its log.
    pub fn ended(&mut self) -> Result<(), StackError> {
        self.processes().into_iter().try_for_each(Process::ended)
    }

    /// Ends every part in the order of the stream, so that each can finish what it has accepted.
    pub async fn stop(mut self) {
        for process in self.processes() {
            process.stop(STOP_WITHIN).await;
        }
    }

    fn processes(&mut self) -> [&mut Process; 5] {
        let Self { apiserver, pushserver, mqttclient, mosquitto, redis, .. } = self;
        [apiserver, pushserver, mqttclient, &mut mosquitto.process, &mut redis.process]
    }
}

async fn start_service(role: Role, command: Command, sandbox: Arc<Sandbox>) -> Result<(Process, String), StackError> {
    let mut process = Process::spawn(role.name(), command, &sandbox)?;
    let listen = process
        .wait_for(|line| {
            serde_json::from_str::<ReadyLine>(line)
                .ok()
                .filter(|line| line.ready == role.name())
                .map(|line| line.listen)
        })
        .await?;
    Ok((process, listen))
}
