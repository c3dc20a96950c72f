//! A limit on the processor time of one child process, by a control group of its own: version 2 where the kernel offers the cpu controller there, else
//! version 1.
//!
//! The process is put into it right after it has been started: what it has done until then is some microseconds of loading itself.

use crate::{Sandbox, StackError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The kernel hands out time once in this period: a process that has spent its share waits for the rest of it. It is short, so that this adds little to
/// latencies; the kernel's own default is 100 ms.
const PERIOD_US: f64 = 10_000.0;

/// The kernel takes no smaller share of a period, and no longer period.
const LEAST_QUOTA_US: f64 = 1000.0;
const LONGEST_PERIOD_US: f64 = 1_000_000.0;

/// How often a group is removed that still holds a process which has just ended, and how long lies between.
const TRIES: u32 = 50;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Groups that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A control group, which is removed when this value is dropped: after its process has ended.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes one for a process with this name, which may use so many processors: 0.5 for half of one.
    /// Fails when no place for it is writable: with what to do.
    pub(crate) fn new(name: &str, cpus: f64, sandbox: &Arc<Sandbox>) -> Result<Self, StackError> {
        let (period_us, quota_us) = shares(cpus);
        let label = sandbox.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Its successor is there before it is gone.
        let label = format!("{label}-{name}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let mut why = None;
        for parent in parents() {
            let folder = parent.folder().join(&label);
            let made = parent.enable().and_then(|()| std::fs::create_dir(&folder));
            let limited = made.and_then(|()| parent.limit(&folder, period_us, quota_us));
            match limited {
                Ok(()) => {
                    sandbox.watch_group(&folder);
                    return Ok(Self { folder });
                }
                Err(error) => {
                    let _ = std::fs::remove_dir(&folder);
                    // The nearest place tells most.
                    why.get_or_insert(format!("{}: {error}", folder.display()));
                }
            }
        }
        let why = why.unwrap_or_else(|| "this machine offers no cpu controller".to_owned());
        Err(StackError::Limit { name: name.to_owned(), cpus, why })
    }

    /// Puts a process into it.
    pub(crate) fn add(&self, pid: u32) -> io::Result<()> {
        std::fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match std::fs::remove_dir(&self.folder) {
                // It still counts a process that has just been waited for.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(TRY_AGAIN_AFTER),
                _ => break,
            }
        }
    }
}

/// The period, and how much of it may be used, µs.
fn shares(cpus: f64) -> (u64, u64) {
    let period = (LEAST_QUOTA_US / cpus).clamp(PERIOD_US, LONGEST_PERIOD_US);
    // Both are at most a second times the number of processors.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let shares = (period.round() as u64, (period * cpus).max(LEAST_QUOTA_US).round() as u64);
    shares
}

/// A group in which others can be made.
#[derive(Debug, PartialEq, Eq)]
enum Parent {
    V2(PathBuf),
    V1(PathBuf),
}

/// Where groups may be made, the nearest first.
fn parents() -> Vec<Parent> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    places(&own, &mounts)
}

/// The same from what the kernel tells: lines such as `0::/user.slice` (version 2) or `4:cpu,cpuacct:/` (version 1), and the mounts.
fn places(own: &str, mounts: &str) -> Vec<Parent> {
    let mount = |kind: &str, controller: Option<&str>| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, place, found, options, ..] = fields[..] else { return None };
            let has = controller.is_none_or(|controller| options.split(',').any(|option| option == controller));
            (found == kind && has).then(|| PathBuf::from(place))
        })
    };
    let mut parents = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let relative = path.trim_start_matches('/');
        if controllers.is_empty() {
            // A group that has processes can have none below it: then those above it are tried.
            let mount = mount("cgroup2", None);
            let above = Path::new(relative).ancestors().map(Path::to_path_buf);
            parents.extend(mount.iter().flat_map(|mount| above.clone().map(|path| Parent::V2(mount.join(path)))));
        } else if controllers.split(',').any(|one| one == "cpu") {
            parents.extend(mount("cgroup", Some("cpu")).map(|mount| Parent::V1(mount.join(relative))));
        }
    }
    parents
}

impl Parent {
    fn folder(&self) -> &Path {
        match self {
            Self::V1(folder) | Self::V2(folder) => folder,
        }
    }

    /// Has the groups below it limit processor time.
    fn enable(&self) -> io::Result<()> {
        let Self::V2(folder) = self else { return Ok(()) };
        let control = folder.join("cgroup.subtree_control");
        let is_on = std::fs::read_to_string(&control)?.split_whitespace().any(|controller| controller == "cpu");
        if is_on { Ok(()) } else { std::fs::write(&control, "+cpu") }
    }

    fn limit(&self, group: &Path, period_us: u64, quota_us: u64) -> io::Result<()> {
        match self {
            Self::V2(_) => std::fs::write(group.join("cpu.max"), format!("{quota_us} {period_us}")),
            Self::V1(_) => {
                std::fs::write(group.join("cpu.cfs_period_us"), period_us.to_string())?;
                std::fs::write(group.join("cpu.cfs_quota_us"), quota_us.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Process;
    use std::process::Command;

    #[test]
    fn a_period_is_short_unless_the_share_is_small() {
        assert_eq!(shares(0.5), (10_000, 5000));
        assert_eq!(shares(2.0), (10_000, 20_000));
        assert_eq!(shares(0.1), (10_000, 1000));
        assert_eq!(shares(0.01), (100_000, 1000));
        assert_eq!(shares(0.0001), (1_000_000, 1000));
    }

    #[test]
    fn places_of_both_versions() {
        let v2 = places("0::/user.slice/a.scope\n", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
        let at = |path: &str| Parent::V2(path.into());
        assert_eq!(v2, ["/sys/fs/cgroup/user.slice/a.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup/"].map(at));
        let mounts = "cgroup /c/memory cgroup rw,memory 0 0\ncgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\n";
        assert_eq!(places("4:memory:/m\n2:cpu,cpuacct:/x\n", mounts), [Parent::V1("/c/cpu/x".into())]);
        assert!(places("", "").is_empty());
    }

    #[test]
    fn a_process_is_limited_and_its_group_ends_with_it() {
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let group = match Group::new("busy", 0.3, &sandbox) {
            Ok(group) => group,
            Err(error) => {
                assert!(error.to_string().contains("systemd-run"), "{error}");
                eprintln!("SKIPPED: {error}");
                return;
            }
        };
        let folder = group.folder.clone();
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        let mut process = Process::spawn("busy", command, &sandbox).unwrap();
        group.add(process.pid()).unwrap();
        let within = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
        assert!(within.contains(folder.file_name().unwrap().to_str().unwrap()), "{within}");
        let quota = ["cpu.max", "cpu.cfs_quota_us"]
            .into_iter()
            .find_map(|name| std::fs::read_to_string(folder.join(name)).ok());
        assert_eq!(quota.unwrap().split_whitespace().next(), Some("3000"));
        process.kill();
        drop(group);
        assert!(!folder.exists());
    }
}
