//! The temporary folder of a stack, and the watcher that clears up when this process is killed.

use crate::StackError;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// Reads process ids, and folders of control groups, until its input ends; an id with a minus before it has ended, and may be another's soon. `done` comes first when all went well; an end without it means that the
/// process which held the sandbox was killed, and then nobody else can end the others.
const WATCHER: &str = r#"
pids=' '
groups=' '
while read -r word; do
    case $word in
    done) exit 0 ;;
    /*) groups="$groups$word " ;;
    -*)
        pid=" ${word#-} "
        case $pids in *"$pid"*) pids="${pids%%"$pid"*} ${pids#*"$pid"}" ;; esac
        ;;
    *) pids="$pids$word " ;;
    esac
done
[ "$pids" != ' ' ] && kill -9 $pids 2>/dev/null
# A group is free only once its process is gone.
for try in 1 2 3 4 5; do
    [ "$groups" = ' ' ] && break
    rmdir $groups 2>/dev/null && break
    sleep 0.1
done
rm -rf "$0"
"#;

/// A temporary folder that is removed, with every process started in it, when its holder ends in whatever way.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    watcher: Child,
    words: Mutex<Option<ChildStdin>>,
    /// To how many processors the processes of a name are limited.
    limits: Vec<(String, f64)>,
}

impl Sandbox {
    /// Makes the folder and starts the watcher.
    pub fn new() -> Result<Self, StackError> {
        let folder = tempfile::Builder::new()
            .prefix("stampede-")
            .tempdir()
            .map_err(|source| StackError::Folder { path: std::env::temp_dir(), source })?;
        let mut watcher = Command::new("/bin/sh")
            .arg("-c")
            .arg(WATCHER)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| StackError::Spawn { program: "/bin/sh".into(), source })?;
        let words = Mutex::new(watcher.stdin.take());
        Ok(Self { folder, watcher, words, limits: Vec::new() })
    }

    /// Limits each process whose name begins so to this many processors.
    pub(crate) fn limit(&mut self, name: &str, cpus: f64) {
        self.limits.push((name.to_owned(), cpus));
    }

    /// To how many processors a process of this name is limited.
    pub(crate) fn limit_of(&self, name: &str) -> Option<f64> {
        self.limits.iter().find(|(limited, _)| name.starts_with(limited.as_str())).map(|(_, cpus)| *cpus)
    }

    /// Has the watcher remove this control group.
    pub(crate) fn watch_group(&self, folder: &Path) {
        self.say(&folder.display().to_string());
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Has the watcher end this process too.
    pub(crate) fn watch(&self, pid: u32) {
        self.say(&pid.to_string());
    }

    /// Has the watcher leave this process alone: it has ended.
    pub(crate) fn unwatch(&self, pid: u32) {
        self.say(&format!("-{pid}"));
    }

    fn say(&self, word: &str) {
        if let Some(words) = &mut *self.words.lock().unwrap_or_else(PoisonError::into_inner) {
            // The watcher is a safety net: without it the sandbox still works.
            let _ = writeln!(words, "{word}");
        }
    }
}

impl Drop for Sandbox {
    /// Runs after every [`crate::Process`] in the sandbox has ended: each holds a reference to it.
    fn drop(&mut self) {
        self.say("done");
        self.words.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.watcher.wait();
    }
}
