//! A private `mosquitto`.

use crate::process::{start_on_free_port, start_when_free};
use crate::program::Program;
use crate::{Certificates, Process, Sandbox, StackError};
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

const MOSQUITTO_PASSWD: Program = Program {
    name: "mosquitto_passwd",
    major: 2,
    version_flag: "-h",
    version_mark: "mosquitto_passwd version ",
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
    /// User names with their passwords, neither with a colon in it; with any, nobody else may connect.
    pub users: Vec<(String, String)>,
    /// Who may read and write which topics, as the lines of a mosquitto ACL file.
    pub acl: Option<String>,
    /// Whether its port speaks TLS, and nothing else.
    pub tls: Option<Certificates>,
    /// Whether it also listens on a socket in the sandbox.
    pub unix_socket: bool,
    /// Further lines of its configuration, such as `max_packet_size 20000`.
    pub lines: Vec<String>,
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

    /// `mqtt://127.0.0.1:<port>`, with TLS `mqtts://`; without any password.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "mqtts" } else { "mqtt" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its settings that cost latency or messages, as they stand in its configuration.
    pub fn settings(&self) -> Vec<String> {
        let configuration = self.options.configuration(self.port, self.process.sandbox().path());
        let matters = |line: &&str| {
            ["set_tcp_nodelay", "max_", "persistence ", "autosave"].iter().any(|name| line.starts_with(name))
        };
        configuration.lines().filter(matters).map(str::to_owned).collect()
    }

    /// `<sandbox>/mosquitto.sock`, where [`MosquittoOptions::unix_socket`] was asked for.
    pub fn socket(&self) -> PathBuf {
        socket(self.process.sandbox().path())
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("mosquitto.sock")
}

impl MosquittoOptions {
    fn command(&self, executable: &Path, port: u16, sandbox: &Sandbox) -> Result<Command, StackError> {
        let folder = sandbox.path();
        if !self.users.is_empty() {
            self.write_passwords(folder)?;
        }
        if let Some(acl) = &self.acl {
            write(folder.join(ACL), acl)?;
        }
        let file = folder.join("mosquitto.conf");
        write(file.clone(), &self.configuration(port, folder))?;
        let mut command = Command::new(executable);
        command.arg("-c").arg(file);
        Ok(command)
    }

    /// Every setting that costs latency or messages is explicit.
    fn configuration(&self, port: u16, folder: &Path) -> String {
        let folder_text = folder.display();
        let mut lines = vec![format!("listener {port} 127.0.0.1")];
        if let Some(Certificates { authority, certificate, key }) = &self.tls {
            for (name, file) in [("cafile", authority), ("certfile", certificate), ("keyfile", key)] {
                lines.push(format!("{name} {}", file.display()));
            }
        }
        if self.unix_socket {
            lines.push(format!("listener 0 {}", socket(folder).display()));
        }
        lines.push(format!("allow_anonymous {}", self.users.is_empty()));
        if !self.users.is_empty() {
            lines.push(format!("password_file {folder_text}/{PASSWORDS}"));
        }
        if self.acl.is_some() {
            lines.push(format!("acl_file {folder_text}/{ACL}"));
        }
        if rustix::process::geteuid().is_root() {
            // It would otherwise change to a user that cannot read the sandbox.
            lines.push("user root".to_owned());
        }
        if self.persistent {
            // Saving after each change makes the time between acknowledging and saving as short as it can be.
            lines.push(format!("persistence true\npersistence_location {folder_text}/"));
            lines.push("autosave_on_changes true\nautosave_interval 1".to_owned());
        } else {
            lines.push("persistence false".to_owned());
        }
        // Nagle's algorithm would hold small packets back for up to 40 ms.
        lines.push("set_tcp_nodelay true".to_owned());
        // The defaults, 20 in flight and 1000 queued, hold back or drop QoS 1 and 2 under load.
        lines.push("max_inflight_messages 0\nmax_queued_messages 0".to_owned());
        lines.extend(self.lines.iter().cloned());
        lines.push("log_dest stderr\n".to_owned());
        lines.join("\n")
    }

    /// Writes the passwords in plain text, and has mosquitto's own tool hash them where they are: none is on a command line.
    fn write_passwords(&self, folder: &Path) -> Result<(), StackError> {
        let file = folder.join(PASSWORDS);
        let lines: Vec<String> = self.users.iter().map(|(user, password)| format!("{user}:{password}\n")).collect();
        write(file.clone(), &lines.concat())?;
        let tool = MOSQUITTO_PASSWD.find()?;
        let failed = |source| StackError::Spawn { program: tool.clone(), source };
        let done = Command::new(&tool).arg("-U").arg(&file).output().map_err(failed)?;
        if done.status.success() {
            return Ok(());
        }
        let log = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        Err(StackError::Ended { name: MOSQUITTO_PASSWD.name.to_owned(), status: done.status.to_string(), log })
    }
}

const PASSWORDS: &str = "mosquitto.passwords";
const ACL: &str = "mosquitto.acl";

fn write(path: PathBuf, text: &str) -> Result<(), StackError> {
    std::fs::write(&path, text).map_err(|source| StackError::Folder { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Settings without those that say where it listens and as whom it runs.
    fn settings(text: &str) -> BTreeSet<&str> {
        let is_setting =
            |line: &&str| !line.is_empty() && !["#", "listener", "user"].iter().any(|no| line.starts_with(no));
        text.lines().filter(is_setting).collect()
    }

    #[test]
    fn the_broker_in_containers_has_the_same_settings() {
        let ours = MosquittoOptions::default().configuration(1883, Path::new("/"));
        let of_containers = include_str!("../../../mosquitto/mosquitto.conf");
        assert_eq!(settings(of_containers), settings(&ours));
        assert!(settings(&ours).contains("set_tcp_nodelay true"), "{ours}");
    }
}
