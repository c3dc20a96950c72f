//! Programs that a plan runs beside its requests.

use plan::Hook;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

/// What is kept of a program's output, bytes: the rest is read and forgotten.
const KEPT: usize = 1 << 20;

/// Runs a command of the shell, and gives what it printed.
///
/// # Errors
/// When it cannot be started, does not end in time, or ends with another code than 0.
pub async fn run(hook: &Hook) -> Result<String, String> {
    let mut command = Command::new("sh");
    command.args(["-c", &hook.command]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("the shell cannot be started: {error}"))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let mut output = child.stdout.take();
    let ended = async {
        let (mut kept, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        if let Some(output) = &mut output {
            while let Ok(read @ 1..) = output.read(&mut buffer).await {
                let room = KEPT.saturating_sub(kept.len()).min(read);
                kept.extend_from_slice(&buffer[..room]);
            }
        }
        (child.wait().await, kept)
    };
    let ended = timeout(hook.within, ended).await;
    drop(group);
    match ended {
        Err(_) => Err(format!("it has not ended within {}", humantime::format_duration(hook.within))),
        Ok((Err(error), _)) => Err(error.to_string()),
        Ok((Ok(status), kept)) if status.success() => Ok(String::from_utf8_lossy(&kept).into_owned()),
        Ok((Ok(status), _)) => Err(format!("it ended with {status}")),
    }
}

/// The processes of a command, which end with it: also those that the shell has started, and where nobody waits any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Where all of them have ended, there is none to be killed.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn told(command: &str, within: Duration) -> Result<String, String> {
        run(&Hook { command: command.to_owned(), within }).await
    }

    #[tokio::test]
    async fn programs_that_end_hang_fail_and_never_stop_talking() {
        let long = Duration::from_secs(60);
        assert_eq!(told("echo a; echo b", long).await, Ok("a\nb\n".to_owned()));
        assert_eq!(told("exit 3", long).await, Err("it ended with exit status: 3".to_owned()));
        assert_eq!(told("sleep 600", Duration::from_millis(50)).await, Err("it has not ended within 50ms".to_owned()));
        assert_eq!(told("head -c 30000000 /dev/zero", long).await.map(|kept| kept.len()), Ok(KEPT));
    }
}
