//! A private `mosquitto`.

use crate::process::start_on_free_port;
use crate::program::Program;
use crate::{Process, Sandbox, StackError};
use std::process::Command;
use std::sync::Arc;

const MOSQUITTO: Program = Program {
    name: "mosquitto",
    major: 2,
    version_flag: "-h",
    version_mark: "mosquitto version ",
    home: "https://mosquitto.org/download/",
    packages: ["mosquitto"; 5],
};

/// A real `mosquitto` on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Mosquitto {
    /// The broker.
    pub process: Process,
    port: u16,
}

impl Mosquitto {
    /// Starts one in a sandbox of its own.
    pub async fn start() -> Result<Self, StackError> {
        Self::start_in(&Arc::new(Sandbox::new()?)).await
    }

    /// Starts one in a sandbox that others share.
    pub async fn start_in(sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        let executable = MOSQUITTO.find()?;
        let command = |port| command(&executable, port, sandbox);
        let (process, port) = start_on_free_port("mosquitto", sandbox, command, " running").await?;
        Ok(Self { process, port })
    }

    /// Starts it again on its old port after [`Process::kill`].
    pub async fn restart(&mut self) -> Result<(), StackError> {
        let sandbox = self.process.sandbox().clone();
        self.process.kill();
        self.process = Process::spawn("mosquitto", command(&MOSQUITTO.find()?, self.port, &sandbox)?, &sandbox)?;
        self.process.wait_for(|line| line.contains(" running").then_some(())).await
    }

    /// `mqtt://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

fn command(executable: &std::path::Path, port: u16, sandbox: &Sandbox) -> Result<Command, StackError> {
    let file = sandbox.path().join("mosquitto.conf");
    std::fs::write(&file, configuration(port)).map_err(|source| StackError::Folder { path: file.clone(), source })?;
    let mut command = Command::new(executable);
    command.arg("-c").arg(file);
    Ok(command)
}

/// Every setting that costs latency or messages is explicit.
fn configuration(port: u16) -> String {
    // Started as root, mosquitto would change to a user that cannot read the sandbox.
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    format!(
        "listener {port} 127.0.0.1\n\
         allow_anonymous true\n\
         {user}\
         # Nagle's algorithm would hold small packets back for up to 40 ms.\n\
         set_tcp_nodelay true\n\
         # The defaults, 20 in flight and 1000 queued, hold back or drop QoS 1 and 2 under load.\n\
         max_inflight_messages 0\n\
         max_queued_messages 0\n\
         persistence false\n\
         log_dest stderr\n"
    )
}
