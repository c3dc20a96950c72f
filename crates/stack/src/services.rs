//! The three services as processes: each started from an executable with a role.

use crate::process::start_when_free;
use crate::{Process, Sandbox, StackError};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

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
    pub fn name(self) -> &'static str {
        match self {
            Role::Apiserver => "apiserver",
            Role::Pushserver => "pushserver",
            Role::Mqttclient => "mqttclient",
        }
    }
}

/// The environment's servers and passwords are those of another pipeline: the arguments say where this one is.
const ELSEWHERE: [&str; 3] = ["STAMPEDE_REDIS", "STAMPEDE_LOG_STORE", "STAMPEDE_MQTT"];

/// Takes the servers and passwords that the environment names from a command.
pub fn without_servers(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if ELSEWHERE.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
            command.env_remove(variable);
        }
    }
}

/// The line that a service prints once it is ready.
#[derive(Deserialize)]
struct ReadyLine {
    ready: String,
    listen: String,
}

/// How a service is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) role: Role,
    /// Which of its kind, counted from 1.
    pub(crate) replica: u16,
    pub(crate) executable: PathBuf,
    pub(crate) args: Vec<String>,
}

impl Launch {
    async fn start(&self, listen: &str, sandbox: &Arc<Sandbox>) -> Result<(Process, String), StackError> {
        let role = self.role.name();
        // The first one has the name of its role.
        let name = &if self.replica == 1 { role.to_owned() } else { format!("{role}-{}", self.replica) };
        let command = || {
            let mut command = Command::new(&self.executable);
            without_servers(&mut command);
            // Last, because the last of two counts.
            command.args(["role", role]).args(&self.args).args(["--listen", listen]);
            Ok(command)
        };
        let ready = |line: &str| {
            let line = serde_json::from_str::<ReadyLine>(line).ok()?;
            (line.ready == role).then_some(line.listen)
        };
        start_when_free(name, sandbox, command, ready).await
    }
}

/// A service that has said that it is ready.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) process: Process,
    launch: Launch,
    listen: String,
}

impl Service {
    /// Starts one on a free port, unless its arguments say which.
    pub(crate) async fn start(launch: Launch, sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        let asked = launch.args.iter().rposition(|arg| arg == "--listen").and_then(|at| launch.args.get(at + 1));
        let listen = asked.map_or("127.0.0.1:0", String::as_str);
        let (process, listen) = launch.start(listen, sandbox).await?;
        Ok(Self { process, launch, listen })
    }

    /// Starts several with the same arguments, each on a port of its own.
    /// Fails where the arguments name a port for several, or one does not become ready.
    pub(crate) async fn start_several(
        launch: Launch,
        count: u16,
        sandbox: &Arc<Sandbox>,
    ) -> Result<Vec<Self>, StackError> {
        let own = |option: &str| {
            let with_value = format!("{option}=");
            launch.args.iter().any(|arg| arg == option || arg.starts_with(&with_value))
        };
        if let Some(option) = ["--listen", "--client-id"].into_iter().find(|option| count > 1 && own(option)) {
            let name = launch.role.name();
            return Err(StackError::Replicas(format!(
                "{count} processes of {name} cannot all have the {option} of its arguments: leave it out"
            )));
        }
        let mut services = Vec::new();
        for replica in 1..=count.max(1) {
            let mut args = launch.args.clone();
            if count > 1 && launch.role == Role::Mqttclient {
                // A broker ends the older one's connection where two have the same, as those of one host with persistent sessions would.
                args.extend(["--client-id".to_owned(), format!("stampede-mqttclient-{replica}")]);
            }
            services.push(Self::start(Launch { replica, args, ..launch.clone() }, sandbox).await?);
        }
        Ok(services)
    }

    /// Where it answers HTTP.
    pub(crate) fn listen(&self) -> &str {
        &self.listen
    }

    /// Kills it, where it still runs, and starts it again with the same arguments at the same address.
    pub(crate) async fn restart(&mut self) -> Result<(), StackError> {
        let sandbox = self.process.sandbox().clone();
        self.process.kill();
        (self.process, _) = self.launch.start(&self.listen, &sandbox).await?;
        Ok(())
    }
}
