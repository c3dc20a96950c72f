//! One child process: its log, its readiness, its end.

use crate::cgroup::Group;
use crate::{Sandbox, StackError};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a process may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked whether a process is still there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A child process that is killed and waited for when this value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    // Where this process's own lines begin: those of its predecessor stay.
    log_from: usize,
    // A process id that has been waited for may soon be another process's.
    waited_for: bool,
    // Limits its processor time; removed after the process has ended.
    _group: Option<Group>,
    // Last, so that the folder outlives the process.
    sandbox: Arc<Sandbox>,
}

impl Process {
    /// Starts a command with its output at the end of `<sandbox>/<name>.log`, in a process group of its own: Ctrl-C in
    /// the terminal then reaches this process alone, which ends the others in the right order.
    pub fn spawn(name: &str, mut command: Command, sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        let group = sandbox.limit_of(name).map(|cpus| Group::new(name, cpus, sandbox)).transpose()?;
        let log = sandbox.path().join(format!("{name}.log"));
        let unusable = |source| StackError::Folder { path: log.clone(), source };
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(unusable)?;
        let copy = file.try_clone().map_err(unusable)?;
        let log_from = usize::try_from(file.metadata().map_err(unusable)?.len()).unwrap_or(usize::MAX);
        let mut child = command
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .process_group(0)
            .spawn()
            .map_err(|source| StackError::Spawn { program: command.get_program().into(), source })?;
        sandbox.watch(child.id());
        if let (Some(group), Some(cpus)) = (&group, sandbox.limit_of(name))
            && let Err(error) = group.add(child.id())
            // One that has ended already is told of by whoever waits for it.
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            let _ = child.kill();
            let _ = child.wait();
            sandbox.unwatch(child.id());
            return Err(StackError::Limit { name: name.to_owned(), cpus, why: error.to_string() });
        }
        Ok(Self {
            _group: group,
            name: name.to_owned(),
            child,
            log,
            log_from,
            waited_for: false,
            sandbox: sandbox.clone(),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sandbox that it runs in.
    pub(crate) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// What the process has written so far, after what its predecessors of the same name wrote.
    pub fn log(&self) -> String {
        self.log_after(0)
    }

    fn own_log(&self) -> String {
        self.log_after(self.log_from)
    }

    fn log_after(&self, start: usize) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// Waits until `find` finds what it looks for in a line of this process's own log.
    ///
    /// # Errors
    /// When the process ends first, or takes longer than 20 s.
    pub async fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T, StackError> {
        let found = timeout(READY_WITHIN, async {
            loop {
                // Asked first: a process that has ended has written all its lines.
                let ended = self.ended();
                if let Some(found) = self.own_log().lines().find_map(&find) {
                    return Ok(found);
                }
                ended?;
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        found.unwrap_or_else(|_| {
            Err(StackError::NotReady { name: self.name.clone(), seconds: READY_WITHIN.as_secs(), log: self.log_tail() })
        })
    }

    /// An error when the process is no longer there.
    pub fn ended(&mut self) -> Result<(), StackError> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                self.forget();
                Err(StackError::Ended { name: self.name.clone(), status: status.to_string(), log: self.log_tail() })
            }
            _ => Ok(()),
        }
    }

    /// Waits until the process is no longer there, and leaves its end for [`ended`](Self::ended) to tell.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).filter(|_| !self.waited_for);
        async move {
            let Some(pid) = pid else { return };
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Ok(None)) {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Sends a signal, for example SIGSTOP; nothing happens when the process is gone.
    pub fn signal(&self, signal: Signal) {
        if !self.waited_for
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks the process to end (SIGTERM) and waits for it; kills it when it takes longer than `limit`.
    pub async fn stop(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        // A stopped process takes the signal only once it goes on.
        self.signal(Signal::CONT);
        let ended = timeout(limit, async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return status;
                }
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        match ended {
            Ok(_) => self.forget(),
            Err(_) => self.kill(),
        }
        ended.ok()
    }

    /// Kills the process (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.forget();
    }

    /// Once the process has been waited for, its id may be given to another, which nobody here may signal.
    fn forget(&mut self) {
        if !std::mem::replace(&mut self.waited_for, true) {
            self.sandbox.unwatch(self.child.id());
        }
    }

    fn log_tail(&self) -> String {
        let log = self.own_log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(10)..];
        if tail.is_empty() { "  (nothing)".to_owned() } else { format!("  {}", tail.join("\n  ")) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, StackError> {
    let bound = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|source| StackError::Spawn { program: "127.0.0.1:0".into(), source })
}

/// How often a process is started that finds its port taken, and how long lies between.
const TRIES: u32 = 20;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Starts a process that is to have the port it had before. Somebody may have it for a moment: a client that connected
/// from it while nobody listened there.
pub(crate) async fn start_when_free<T>(
    name: &str,
    sandbox: &Arc<Sandbox>,
    command: impl Fn() -> Result<Command, StackError>,
    ready: impl Fn(&str) -> Option<T>,
) -> Result<(Process, T), StackError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut process = Process::spawn(name, command()?, sandbox)?;
        match process.wait_for(&ready).await {
            Ok(found) => return Ok((process, found)),
            Err(StackError::Ended { log, .. }) if tries < TRIES && log.contains(TAKEN) => sleep(TRY_AGAIN_AFTER).await,
            Err(error) => return Err(error),
        }
    }
}

/// How every server words that its port is taken.
const TAKEN: &str = "Address already in use";

/// Starts a server that cannot choose a free port by itself: the port may be taken by another process in between,
/// and is then chosen anew.
pub(crate) async fn start_on_free_port<F>(
    name: &str,
    sandbox: &Arc<Sandbox>,
    command: F,
    ready: &str,
) -> Result<(Process, u16), StackError>
where
    F: Fn(u16) -> Result<Command, StackError>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        let mut process = Process::spawn(name, command(port)?, sandbox)?;
        match process.wait_for(|line| line.contains(ready).then_some(())).await {
            Ok(()) => return Ok((process, port)),
            Err(StackError::Ended { log, .. }) if tries < 5 && log.contains(TAKEN) => {}
            Err(error) => return Err(error),
        }
    }
}
