//! A private `redis-server`.

use crate::process::{start_on_free_port, start_when_free};
use crate::program::Program;
use crate::{Certificates, Process, Sandbox, StackError};
use ::redis::FromRedisValue;
use stamp::{RedisUrl, StoreError, Wait};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
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

/// What it logs once it has loaded its data and listens.
const READY: &str = "Ready to accept connections";

/// What can be set about a private Redis.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Whether every write is on disk, in the sandbox, before it is answered.
    pub persistent: bool,
    /// Further variables in its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The password of the default user.
    pub password: Option<String>,
    /// ACL users, each as it would follow `user ` in redis.conf: `stampede on >password ~trace:* +ping`. The default user
    /// stays, unless `default off` is one of them.
    pub acl_users: Vec<String>,
    /// Whether its port speaks TLS, and nothing else.
    pub tls: Option<Certificates>,
    /// Whether it also listens on a socket in the sandbox.
    pub unix_socket: bool,
}

/// A real `redis-server` on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Redis {
    /// The server.
    pub process: Process,
    port: u16,
    executable: PathBuf,
    options: RedisOptions,
}

impl Redis {
    /// Starts one in a sandbox of its own, without persistence.
    pub async fn start() -> Result<Self, StackError> {
        Self::start_in(&Arc::new(Sandbox::new()?)).await
    }

    /// Starts one in a sandbox that others share, without persistence.
    pub async fn start_in(sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        Self::start_as(sandbox, RedisOptions::default()).await
    }

    /// Starts one with further variables in its environment.
    pub async fn start_with(sandbox: &Arc<Sandbox>, environment: &[(&str, &OsStr)]) -> Result<Self, StackError> {
        let environment = environment.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Self::start_as(sandbox, RedisOptions { environment, ..RedisOptions::default() }).await
    }

    /// Starts one as the options say.
    pub async fn start_as(sandbox: &Arc<Sandbox>, options: RedisOptions) -> Result<Self, StackError> {
        let executable = REDIS.find()?;
        let command = |port| options.command(&executable, port, sandbox);
        let (process, port) = start_on_free_port(REDIS.name, sandbox, command, READY).await?;
        Ok(Self { process, port, executable, options })
    }

    /// Runs a command whose words stand in one text, with spaces between.
    ///
    /// # Errors
    /// When it cannot be reached, refuses the command, or answers something else.
    pub async fn query<T: FromRedisValue>(&self, command: &str) -> Result<T, StoreError> {
        let url: RedisUrl = self.url().parse()?;
        let mut words = command.split(' ');
        let mut query = ::redis::cmd(words.next().unwrap_or_default());
        words.for_each(|word| _ = query.arg(word));
        query.query_async(&mut url.connect(Wait::BRIEFLY).await?).await.map_err(|error| url.failed(error))
    }

    /// Kills it, where it still runs, and starts it again on its old port: with all it had acknowledged where it is
    /// persistent, else empty.
    pub async fn restart(&mut self) -> Result<(), StackError> {
        let sandbox = self.process.sandbox().clone();
        self.process.kill();
        let command = || self.options.command(&self.executable, self.port, &sandbox);
        let ready = |line: &str| line.contains(READY).then_some(());
        (self.process, ()) = start_when_free(REDIS.name, &sandbox, command, ready).await?;
        Ok(())
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:<port>`, with TLS `rediss://`; without any password.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// `redis+unix://<sandbox>/redis.sock`, where [`RedisOptions::unix_socket`] was asked for.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", socket(self.process.sandbox()).display())
    }
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("redis.sock")
}

impl RedisOptions {
    fn command(&self, executable: &Path, port: u16, sandbox: &Sandbox) -> Result<Command, StackError> {
        let mut command = Command::new(executable);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Secrets are in a file, because others can read the command line.
        command.arg(self.configuration(port, sandbox)?);
        command.args(["--bind", "127.0.0.1", "--save", ""]);
        if let Some(certificates) = &self.tls {
            command.args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-ca-cert-file").arg(&certificates.authority);
            command.arg("--tls-cert-file").arg(&certificates.certificate);
            command.arg("--tls-key-file").arg(&certificates.key);
        } else {
            command.args(["--port", &port.to_string()]);
        }
        if self.unix_socket {
            command.arg("--unixsocket").arg(socket(sandbox)).args(["--unixsocketperm", "700"]);
        }
        command.arg("--dir").arg(sandbox.path());
        if self.persistent {
            // A kill can leave half a command at the end of the file, which nobody was told was written.
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes"]);
        } else {
            command.args(["--appendonly", "no"]);
        }
        // Stamps are much alike: compressed, they take a third of the memory. Both ends of each list stay as they are, so
        // that appending costs no more, and neither does a queue unless it is long.
        command.args(["--list-compress-depth", "1"]);
        // A replica gets its copy at once.
        command.args(["--repl-diskless-sync-delay", "0"]);
        Ok(command)
    }

    fn configuration(&self, port: u16, sandbox: &Sandbox) -> Result<PathBuf, StackError> {
        let mut lines: Vec<String> = self.acl_users.iter().map(|user| format!("user {user}\n")).collect();
        if let Some(password) = &self.password {
            lines.push(format!("requirepass \"{}\"\n", password.replace('\\', "\\\\").replace('"', "\\\"")));
        }
        let file = sandbox.path().join(format!("redis-{port}.conf"));
        std::fs::write(&file, lines.concat()).map_err(|source| StackError::Folder { path: file.clone(), source })?;
        Ok(file)
    }
}
