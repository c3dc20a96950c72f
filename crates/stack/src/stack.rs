//! The whole pipeline: Redis, Mosquitto and the three services.

use crate::services::{Launch, Service};
use crate::{Mosquitto, MosquittoOptions, Part, Process, Redis, RedisOptions, Role, Sandbox, Signal, StackError};
use serde::{Deserialize, Serialize};
use stamp::SampleEvery;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long each process may take to finish what it has accepted.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// What can be set about a local stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The executable that knows `role apiserver`, `role pushserver` and `role mqttclient`.
    pub executable: PathBuf,
    /// All services sample 1 message in N.
    pub every: SampleEvery,
    /// Whether Redis and Mosquitto keep their data on disk, in the sandbox, so that it outlives a kill.
    pub persistent: bool,
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

/// A running local pipeline.
#[derive(Debug)]
pub struct Stack {
    endpoints: Endpoints,
    // Dropped in this order, with the stream of messages.
    apiserver: Service,
    pushserver: Service,
    mqttclient: Service,
    mosquitto: Mosquitto,
    redis: Redis,
}

impl Stack {
    /// Starts every part and waits until each has answered.
    pub async fn start(options: &StackOptions) -> Result<Self, StackError> {
        let sandbox = Arc::new(Sandbox::new()?);
        let persistent = options.persistent;
        let (redis, mosquitto) = tokio::try_join!(
            Redis::start_as(&sandbox, RedisOptions { persistent, ..RedisOptions::default() }),
            Mosquitto::start_as(&sandbox, MosquittoOptions { persistent, ..MosquittoOptions::default() }),
        )?;
        let (redis_url, mqtt_url, queue) = (redis.url(), mosquitto.url(), stamp::keys::DEFAULT_QUEUE);
        let every = options.every.to_string();
        let service = |role: Role, own: &[&str], more: &[String]| {
            let all = ["--redis", &redis_url, "--every", &every];
            let args = all.iter().chain(own).map(ToString::to_string).chain(more.iter().cloned()).collect();
            let launch = Launch { role, executable: options.executable.clone(), args };
            let sandbox = sandbox.clone();
            async move { Service::start(launch, &sandbox).await }
        };
        let (apiserver, pushserver, mqttclient) = tokio::try_join!(
            service(Role::Apiserver, &["--queue-key", queue], &options.apiserver_args),
            service(Role::Pushserver, &["--queue-key", queue, "--mqtt", &mqtt_url], &options.pushserver_args),
            service(Role::Mqttclient, &["--mqtt", &mqtt_url], &options.mqttclient_args),
        )?;
        let endpoints = Endpoints {
            api: format!("http://{}", apiserver.listen()),
            redis: redis_url,
            mqtt: mqtt_url,
            queue: queue.to_owned(),
            pids: Pids {
                redis: redis.process.pid(),
                mosquitto: mosquitto.process.pid(),
                apiserver: apiserver.process.pid(),
                pushserver: pushserver.process.pid(),
                mqttclient: mqttclient.process.pid(),
            },
        };
        Ok(Self { endpoints, apiserver, pushserver, mqttclient, mosquitto, redis })
    }

    /// Where the parts are. The addresses stay over a restart; the process ids are those of now.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The process id of a part.
    #[must_use]
    pub fn pid(&self, part: Part) -> u32 {
        self.process(part).pid()
    }

    /// The broker's settings that cost latency or messages, as they stand in its configuration.
    #[must_use]
    pub fn broker_settings(&self) -> Vec<String> {
        self.mosquitto.settings()
    }

    /// What a part has written so far, over all its restarts.
    #[must_use]
    pub fn log(&self, part: Part) -> String {
        self.process(part).log()
    }

    /// Kills a part (SIGKILL) and waits for its end.
    pub fn kill(&mut self, part: Part) {
        self.process_mut(part).kill();
    }

    /// Sends a part a signal, for example [`Signal::STOP`] or [`Signal::CONT`]; nothing happens when it is gone.
    pub fn signal(&self, part: Part, signal: Signal) {
        self.process(part).signal(signal);
    }

    /// Starts a part again, after killing it where it still runs, with the same arguments at the same address, and
    /// waits until it is ready. Its log goes on.
    ///
    /// # Errors
    /// When it ends at once or does not become ready. A service becomes ready only once Redis and the broker answer it.
    pub async fn restart(&mut self, part: Part) -> Result<(), StackError> {
        match part {
            Part::Redis => self.redis.restart().await,
            Part::Mosquitto => self.mosquitto.restart().await,
            Part::Apiserver => self.apiserver.restart().await,
            Part::Pushserver => self.pushserver.restart().await,
            Part::Mqttclient => self.mqttclient.restart().await,
        }?;
        let pid = self.pid(part);
        let pids = &mut self.endpoints.pids;
        match part {
            Part::Redis => pids.redis = pid,
            Part::Mosquitto => pids.mosquitto = pid,
            Part::Apiserver => pids.apiserver = pid,
            Part::Pushserver => pids.pushserver = pid,
            Part::Mqttclient => pids.mqttclient = pid,
        }
        Ok(())
    }

    /// An error that names the first part which is no longer there, with the end of its log.
    pub fn ended(&mut self) -> Result<(), StackError> {
        PATH.into_iter().try_for_each(|part| self.process_mut(part).ended())
    }

    /// Ends every part in the order of the stream, so that each can finish what it has accepted.
    pub async fn stop(mut self) {
        for part in PATH {
            self.process_mut(part).stop(STOP_WITHIN).await;
        }
    }

    fn process(&self, part: Part) -> &Process {
        match part {
            Part::Redis => &self.redis.process,
            Part::Mosquitto => &self.mosquitto.process,
            Part::Apiserver => &self.apiserver.process,
            Part::Pushserver => &self.pushserver.process,
            Part::Mqttclient => &self.mqttclient.process,
        }
    }

    fn process_mut(&mut self, part: Part) -> &mut Process {
        match part {
            Part::Redis => &mut self.redis.process,
            Part::Mosquitto => &mut self.mosquitto.process,
            Part::Apiserver => &mut self.apiserver.process,
            Part::Pushserver => &mut self.pushserver.process,
            Part::Mqttclient => &mut self.mqttclient.process,
        }
    }
}

/// The parts in the order of the stream.
const PATH: [Part; 5] = [Part::Apiserver, Part::Pushserver, Part::Mqttclient, Part::Mosquitto, Part::Redis];
