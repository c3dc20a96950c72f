//! A command beside a local pipeline.

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use stack::{Part, Stack};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Heard, SignalKind, signal};
use tokio::time::timeout;

/// How long the command may take to end by itself, once the pipeline ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// What shells add to the number of a signal that has ended a command.
const BY_SIGNAL: i32 = 128;

/// The command, which ends with its holder.
pub(super) struct Beside {
    child: Child,
    /// It reaches this process alone, unlike Ctrl-C.
    terminate: Heard,
}

impl Beside {
    /// Starts a command that finds the pipeline in its environment.
    /// Fails when it cannot be run.
    pub(super) fn start(stack: &Stack, program: &OsStr, rest: &[OsString]) -> anyhow::Result<Self> {
        let at = stack.endpoints();
        let mut command = Command::new(program);
        command.args(rest).env("DRIVER", std::env::current_exe()?);
        command.envs([("API", &at.api), ("REDIS", &at.redis), ("MQTT", &at.mqtt), ("QUEUE", &at.queue)]);
        let pid = |part: Part| (format!("PID_{}", part.to_string().to_uppercase()), stack.pid(part).to_string());
        command.envs(Part::all().map(pid));
        let terminate = signal(SignalKind::terminate())?;
        let child = command.kill_on_drop(true).spawn();
        Ok(Self { child: child.with_context(|| format!("cannot run {}", program.display()))?, terminate })
    }

    /// Waits for its end; SIGTERM is handed on to it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitCode> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status.map(code),
                _ = self.terminate.recv() => self.tell(Signal::TERM),
            }
        }
    }

    /// Waits for its end, but not for long.
    pub(super) async fn finish(&mut self) -> io::Result<ExitCode> {
        // What has come meanwhile.
        if timeout(Duration::ZERO, self.terminate.recv()).await.is_ok() {
            self.tell(Signal::TERM);
        }
        if let Ok(ended) = timeout(PATIENCE, self.wait()).await {
            return ended;
        }
        self.child.start_kill()?;
        self.child.wait().await.map(code)
    }

    fn tell(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // Whoever has ended already is not harmed.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The exit code of a command, as shells tell it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| BY_SIGNAL + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
