//! The whole pipeline: Redis, Mosquitto and the three services.

use crate::services::{Launch, Service};
use crate::{
    Failover, Mosquitto, MosquittoOptions, Part, Process, Redis, RedisOptions, ReplicatedRedis, Role, Sandbox, Signal,
    StackError,
};
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
    /// How many processes of each service there are.
    pub replicas: Replicas,
    /// To how many processors each process is limited.
    pub cpus: Cpus,
}

impl StackOptions {
    /// One process of each service, without limits and further arguments, and nothing on disk.
    pub fn new(executable: PathBuf, every: SampleEvery) -> Self {
        Self {
            executable,
            every,
            persistent: false,
            apiserver_args: Vec::new(),
            pushserver_args: Vec::new(),
            mqttclient_args: Vec::new(),
            replicas: Replicas::default(),
            cpus: Cpus::default(),
        }
    }
}

/// How many processes of each service a stack has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Replicas {
    pub apiserver: u16,
    pub pushserver: u16,
    pub mqttclient: u16,
}

impl Default for Replicas {
    fn default() -> Self {
        Self { apiserver: 1, pushserver: 1, mqttclient: 1 }
    }
}

/// To how many processors each process of a part is limited: 0.5 for half of one; absent where it is not. Of several processes, each has as much.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Cpus {
    pub redis: Option<f64>,
    pub mosquitto: Option<f64>,
    pub apiserver: Option<f64>,
    pub pushserver: Option<f64>,
    pub mqttclient: Option<f64>,
}

impl Replicas {
    /// Of one part: of the servers there is one.
    pub fn of(&self, part: Part) -> u16 {
        match part {
            Part::Redis | Part::Mosquitto => 1,
            Part::Apiserver => self.apiserver,
            Part::Pushserver => self.pushserver,
            Part::Mqttclient => self.mqttclient,
        }
    }
}

impl Cpus {
    /// Of one part.
    pub fn of(&self, part: Part) -> Option<f64> {
        match part {
            Part::Redis => self.redis,
            Part::Mosquitto => self.mosquitto,
            Part::Apiserver => self.apiserver,
            Part::Pushserver => self.pushserver,
            Part::Mqttclient => self.mqttclient,
        }
    }
}

/// Where a local stack's parts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// The first API server, `http://host:port`.
    pub api: String,
    /// All API servers.
    #[serde(default)]
    pub apis: Vec<String>,
    /// The Redis server that is the log store, and holds the queue unless that has one of its own.
    pub redis: String,
    /// The broker, `mqtt://host:port`.
    pub mqtt: String,
    /// The Redis list that the messages wait in.
    pub queue: String,
    /// The process ids; of several of one kind, that of the first.
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
    cpus: Cpus,
    /// Services that have been stopped on purpose.
    stopped: Vec<Part>,
    // Dropped in this order, with the stream of messages.
    apiserver: Vec<Service>,
    pushserver: Vec<Service>,
    mqttclient: Vec<Service>,
    mosquitto: Mosquitto,
    redis: Redis,
    /// Holds the queue, where that is not on the log store.
    queue: Option<ReplicatedRedis>,
}

impl Stack {
    /// Starts every part and waits until each has answered.
    pub async fn start(options: &StackOptions) -> Result<Self, StackError> {
        Self::start_beside(options, None).await
    }

    /// Starts one whose queue is in a Redis of its own, with a replica that gets what is written so much later. The part named Redis is the log store
    /// alone.
    pub async fn start_replicated(options: &StackOptions, lag: Duration) -> Result<Self, StackError> {
        let server = || RedisOptions { persistent: options.persistent, ..RedisOptions::default() };
        Self::start_beside(options, Some(ReplicatedRedis::start(server(), server(), lag).await?)).await
    }

    async fn start_beside(options: &StackOptions, replicated: Option<ReplicatedRedis>) -> Result<Self, StackError> {
        let mut sandbox = Sandbox::new()?;
        for part in Part::all() {
            if let Some(cpus) = options.cpus.of(part) {
                sandbox.limit(&part.to_string(), cpus);
            }
        }
        let sandbox = Arc::new(sandbox);
        let persistent = options.persistent;
        let (redis, mosquitto) = tokio::try_join!(
            Redis::start_as(&sandbox, RedisOptions { persistent, ..RedisOptions::default() }),
            Mosquitto::start_as(&sandbox, MosquittoOptions { persistent, ..MosquittoOptions::default() }),
        )?;
        let (redis_url, mqtt_url, queue) = (redis.url(), mosquitto.url(), stamp::keys::DEFAULT_QUEUE);
        let every = options.every.to_string();
        let replicas = options.replicas;
        let services = |role: Role, count: u16, own: &[&str], more: &[String]| {
            let held_at = replicated.as_ref().map_or_else(|| redis_url.clone(), ReplicatedRedis::url);
            let all = ["--redis", &held_at, "--log-store", &redis_url, "--every", &every];
            let args = all.iter().chain(own).map(ToString::to_string).chain(more.iter().cloned());
            let launch = Launch { role, replica: 1, executable: options.executable.clone(), args: args.collect() };
            let sandbox = sandbox.clone();
            async move { Service::start_several(launch, count, &sandbox).await }
        };
        // Each of several that subscribe to the bare topic would get every message.
        let is_shared = options.mqttclient_args.iter().any(|arg| arg == "--share" || arg.starts_with("--share="));
        let share: &[&str] = if replicas.mqttclient > 1 && !is_shared { &["--share", "stampede"] } else { &[] };
        let (apiserver, pushserver, mqttclient) = tokio::try_join!(
            services(Role::Apiserver, replicas.apiserver, &["--queue-key", queue], &options.apiserver_args),
            services(
                Role::Pushserver,
                replicas.pushserver,
                &["--queue-key", queue, "--mqtt", &mqtt_url],
                &options.pushserver_args
            ),
            services(
                Role::Mqttclient,
                replicas.mqttclient,
                &[&["--mqtt", &mqtt_url], share].concat(),
                &options.mqttclient_args
            ),
        )?;
        let apis: Vec<String> = apiserver.iter().map(|service| format!("http://{}", service.listen())).collect();
        let first = |services: &[Service]| services.first().map_or(0, |service| service.process.pid());
        let endpoints = Endpoints {
            api: apis.first().cloned().unwrap_or_default(),
            apis,
            redis: redis_url,
            mqtt: mqtt_url,
            queue: queue.to_owned(),
            pids: Pids {
                redis: redis.process.pid(),
                mosquitto: mosquitto.process.pid(),
                apiserver: first(&apiserver),
                pushserver: first(&pushserver),
                mqttclient: first(&mqttclient),
            },
        };
        let (cpus, stopped) = (options.cpus, Vec::new());
        let queue = replicated;
        Ok(Self { endpoints, cpus, stopped, apiserver, pushserver, mqttclient, mosquitto, redis, queue })
    }

    /// Where the parts are. The addresses stay over a restart; the process ids are those of now.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The process id of a part; of several of one kind, that of the first.
    pub fn pid(&self, part: Part) -> u32 {
        self.process(part).pid()
    }

    /// The process ids of all processes of a part.
    pub fn pids(&self, part: Part) -> Vec<u32> {
        self.processes(part).into_iter().map(Process::pid).collect()
    }

    /// To how many processors each process of a part is limited.
    pub fn cpus(&self, part: Part) -> Option<f64> {
        self.cpus.of(part)
    }

    /// Ends all processes of a service, each with what it has accepted finished, until it is [started again](Self::start_again).
    pub async fn stop_service(&mut self, part: Part) {
        for process in self.processes_mut(part) {
            process.stop(STOP_WITHIN).await;
        }
        self.stopped.push(part);
    }

    /// Starts the processes of a service again.
    ///
    /// # Errors
    /// As those of [`restart`](Self::restart).
    pub async fn start_again(&mut self, part: Part) -> Result<(), StackError> {
        self.restart(part).await
    }

    /// The broker's settings that cost latency or messages, as they stand in its configuration.
    pub fn broker_settings(&self) -> Vec<String> {
        self.mosquitto.settings()
    }

    /// What a part has written so far, over all its restarts.
    pub fn log(&self, part: Part) -> String {
        self.process(part).log()
    }

    /// Kills a part (SIGKILL), all its processes, and waits for their end.
    pub fn kill(&mut self, part: Part) {
        self.processes_mut(part).into_iter().for_each(Process::kill);
    }

    /// Sends a part a signal, for example [`Signal::STOP`] or [`Signal::CONT`]; nothing happens when it is gone.
    pub fn signal(&self, part: Part, signal: Signal) {
        self.processes(part).into_iter().for_each(|process| process.signal(signal));
    }

    /// Starts a part again, all its processes, after killing it where it still runs, with the same arguments at the same address, and
    /// waits until it is ready. Its log goes on.
    ///
    /// # Errors
    /// When it ends at once or does not become ready. A service becomes ready only once Redis and the broker answer it.
    pub async fn restart(&mut self, part: Part) -> Result<(), StackError> {
        match part {
            Part::Redis => self.redis.restart().await,
            Part::Mosquitto => self.mosquitto.restart().await,
            Part::Apiserver => restart_all(&mut self.apiserver).await,
            Part::Pushserver => restart_all(&mut self.pushserver).await,
            Part::Mqttclient => restart_all(&mut self.mqttclient).await,
        }?;
        self.stopped.retain(|stopped| *stopped != part);
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

    /// Lets the replica of the queue's Redis lead, and then the old primary follow it. Nothing happens where there is none.
    ///
    /// # Errors
    /// When the two do not come to lead and follow.
    pub async fn fail_over(&mut self, how: Failover) -> Result<(), StackError> {
        let Some(queue) = &mut self.queue else { return Ok(()) };
        queue.fail_over(how).await?;
        queue.rejoin().await
    }

    /// An error that names the first part which is no longer there, with the end of its log.
    pub fn ended(&mut self) -> Result<(), StackError> {
        self.parts().try_for_each(|part| self.processes_mut(part).into_iter().try_for_each(Process::ended))
    }

    /// Those that have not been stopped on purpose, in the order of the stream.
    fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let stopped = self.stopped.clone();
        PATH.into_iter().filter(move |part| !stopped.contains(part))
    }

    /// Waits until the Redis that is the log store is no longer there.
    pub fn log_store_gone(&self) -> impl Future<Output = ()> + use<> {
        self.redis.process.gone()
    }

    /// Whether a part has no process any more, so that nothing passes it.
    pub fn is_cut(&mut self) -> bool {
        let ended = |process: &mut Process| process.ended().is_err();
        self.parts().any(|part| self.processes_mut(part).into_iter().all(ended))
    }

    /// Ends every part in the order of the stream, so that each can finish what it has accepted.
    pub async fn stop(mut self) {
        for part in PATH {
            for process in self.processes_mut(part) {
                process.stop(STOP_WITHIN).await;
            }
        }
    }

    /// Of several of one kind the first.
    fn process(&self, part: Part) -> &Process {
        match part {
            Part::Redis => &self.redis.process,
            Part::Mosquitto => &self.mosquitto.process,
            Part::Apiserver => &self.apiserver[0].process,
            Part::Pushserver => &self.pushserver[0].process,
            Part::Mqttclient => &self.mqttclient[0].process,
        }
    }

    fn services(&self, part: Part) -> &[Service] {
        match part {
            Part::Redis | Part::Mosquitto => &[],
            Part::Apiserver => &self.apiserver,
            Part::Pushserver => &self.pushserver,
            Part::Mqttclient => &self.mqttclient,
        }
    }

    fn processes(&self, part: Part) -> Vec<&Process> {
        let services = self.services(part);
        if services.is_empty() {
            vec![self.process(part)]
        } else {
            services.iter().map(|service| &service.process).collect()
        }
    }

    fn processes_mut(&mut self, part: Part) -> Vec<&mut Process> {
        let services = match part {
            Part::Redis => return vec![&mut self.redis.process],
            Part::Mosquitto => return vec![&mut self.mosquitto.process],
            Part::Apiserver => &mut self.apiserver,
            Part::Pushserver => &mut self.pushserver,
            Part::Mqttclient => &mut self.mqttclient,
        };
        services.iter_mut().map(|service| &mut service.process).collect()
    }
}

async fn restart_all(services: &mut [Service]) -> Result<(), StackError> {
    for service in services {
        service.restart().await?;
    }
    Ok(())
}

/// The parts in the order of the stream.
const PATH: [Part; 5] = [Part::Apiserver, Part::Pushserver, Part::Mqttclient, Part::Mosquitto, Part::Redis];
