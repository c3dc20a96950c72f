//! What the operating system tells about this process. Each figure is absent where the system does not tell it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::time::Duration;

/// Linux counts CPU time in hundredths of a second wherever it shows it to programs (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of all threads since the process started.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    ticks(14)?.checked_add(ticks(15)?)
}

/// Resident memory, bytes.
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// When the process started, as time since 1970-01-01 UTC.
#[must_use]
pub fn started() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot_s: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Duration::from_secs(boot_s).checked_add(ticks(22)?)
}

/// How many file descriptors are open.
#[must_use]
pub fn open_files() -> Option<usize> {
    // The listing itself holds one open.
    fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)
}

/// Lets this process open as many files as it may: the soft limit becomes the hard one.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it stays as it was, that is told when a file cannot be opened.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A time from `/proc/self/stat`, by the number that proc(5) gives the field.
fn ticks(field: usize) -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name, may hold spaces and brackets; the fields after it count from the third.
    let after_name = stat.rsplit_once(')')?.1;
    let ticks = after_name.split_ascii_whitespace().nth(field - 3)?.parse().ok()?;
    TICK.checked_mul(ticks)
}
