//! A private `redis-server`.

use crate::process::start_on_free_port;
use crate::program::Program;
use crate::{Process, Sandbox, StackError};
use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

const REDIS: Program = Program {
    name: "redis-server",
    major: 7,
    version_flag: "--version",
    version_mark: " v=",
    home: "https://redis.io/docs/latest/operate/oss_and_stack/install/",
    packages: ["redis-server", "redis", "redis", "redis", "redis"],
};

/// A real `redis-server` on a free port of 127.0.0.1, without persistence.
#[derive(Debug)]
pub struct Redis {
    /// The server.
    pub process: Process,
    port: u16,
}

impl Redis {
    /// Starts one in a sandbox of its own.
    pub async fn start() -> Result<Self, StackError> {
        Self::start_in(&Arc::new(Sandbox::new()?)).await
    }

    /// Starts one in a sandbox that others share.
    pub async fn start_in(sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        Self::start_with(sandbox, &[]).await
    }

    /// Starts one with further variables in its environment.
    pub async fn start_with(sandbox: &Arc<Sandbox>, environment: &[(&str, &OsStr)]) -> Result<Self, StackError> {
        let executable = REDIS.find()?;
        let command = |port| {
            let mut command = command(&executable, port);
            command.envs(environment.iter().copied());
            Ok(command)
        };
        let (process, port) =
            start_on_free_port("redis-server", sandbox, command, "Ready to accept connections").await?;
        Ok(Self { process, port })
    }

    /// Starts it again on its old port, empty, after [`Process::kill`].
    pub async fn restart(&mut self) -> Result<(), StackError> {
        let sandbox = self.process.sandbox().clone();
        self.process.kill();
        self.process = Process::spawn("redis-server", command(&REDIS.find()?, self.port), &sandbox)?;
        self.process.wait_for(|line| line.contains("Ready to accept connections").then_some(())).await
    }

    /// `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn command(executable: &std::path::Path, port: u16) -> Command {
    let mut command = Command::new(executable);
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()]);
    // Stamps are much alike: compressed, they take a third of the memory. Both ends of each list stay as they are, so that
    // appending costs no more, and neither does a queue unless it is long.
    command.args(["--list-compress-depth", "1"]);
    command
}
