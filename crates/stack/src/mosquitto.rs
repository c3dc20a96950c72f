//! A private `mosquitto`.

use crate::process::{start_on_free_port, start_when_free};
use crate::program::Program;
use crate::{Process, Sandbox, StackError};
use std::path::{Path, PathBuf};
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

/// What it logs once it listens.
const READY: &str = " running";

/// What can be set about a private Mosquitto.
#[derive(Debug, Clone, Default)]
pub struct MosquittoOptions {
    /// Whether it keeps sessions and messages on disk, in the sandbox. It saves after each change, but acknowledges
    /// before it saves.
    pub persistent: bool,
}

/// A real `mosquitto` on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Mosquitto {
    /// The broker.
    pub process: Process,
    port: u16,
    executable: PathBuf,
    options: MosquittoOptions,
}

impl Mosquitto {
    /// Starts one in a sandbox of its own, without persistence.
    pub async fn start() -> Result<Self, StackError> {
        Self::start_in(&Arc::new(Sandbox::new()?)).await
    }

    /// Starts one in a sandbox that others share, without persistence.
    pub async fn start_in(sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        Self::start_as(sandbox, MosquittoOptions::default()).await
    }

    /// Starts one as the options say.
    pub async fn start_as(sandbox: &Arc<Sandbox>, options: MosquittoOptions) -> Result<Self, StackError> {
        let executable = MOSQUITTO.find()?;
        let command = |port| options.command(&executable, port, sandbox);
        let (process, port) = start_on_free_port(MOSQUITTO.name, sandbox, command, READY).await?;
        Ok(Self { process, port, executable, options })
    }

    /// Kills it, where it still runs, and starts it again on its old port: with what it had saved where it is
    /// persistent, else empty.
    pub async fn restart(&mut self) -> Result<(), StackError> {
        let sandbox = self.process.sandbox().clone();
        self.process.kill();
        let command = || self.options.command(&self.executable, self.port, &sandbox);
        let ready = |line: &str| line.contains(READY).then_some(());
        (self.process, ()) = start_when_free(MOSQUITTO.name, &sandbox, command, ready).await?;
        Ok(())
    }

    /// `mqtt://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

impl MosquittoOptions {
    fn command(&self, executable: &Path, port: u16, sandbox: &Sandbox) -> Result<Command, StackError> {
        let file = sandbox.path().join("mosquitto.conf");
        std::fs::write(&file, self.configuration(port, sandbox.path()))
            .map_err(|source| StackError::Folder { path: file.clone(), source })?;
        let mut command = Command::new(executable);
        command.arg("-c").arg(file);
        Ok(command)
    }

    /// Every setting that costs latency or messages is explicit.
    fn configuration(&self, port: u16, folder: &Path) -> String {
        // Started as root, mosquitto would change to a user that cannot read the sandbox.
        let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let persistence = if self.persistent {
            // Saving after each change makes the time between acknowledging and saving as short as it can be.
            format!(
                "persistence true\n\
                 persistence_location {}/\n\
                 autosave_on_changes true\n\
                 autosave_interval 1\n",
                folder.display()
            )
        } else {
            "persistence false\n".to_owned()
        };
        format!(
            "listener {port} 127.0.0.1\n\
             allow_anonymous true\n\
             {user}\
             # Nagle's algorithm would hold small packets back for up to 40 ms.\n\
             set_tcp_nodelay true\n\
             # The defaults, 20 in flight and 1000 queued, hold back or drop QoS 1 and 2 under load.\n\
             max_inflight_messages 0\n\
             max_queued_messages 0\n\
             {persistence}\
             log_dest stderr\n"
        )
    }
}
