//! CPU time and memory of processes on this host, as Linux tells them. Elsewhere nothing is told.

use super::spending::Reading;
use stamp::clock;
use std::fs;

/// Linux counts CPU time in hundredths of a second wherever it shows it to programs (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// A process of this host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// Its present figures, if it is there.
    pub(super) fn read(self) -> Option<Reading> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // The second field, the program's name, may hold spaces and brackets; the fields after it count from the third.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let cpu_us = (ticks(14)? + ticks(15)?) * TICK_US;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok();
        let memory_bytes = status.as_deref().and_then(resident);
        Some(Reading { at: clock::now(), cpu_us, memory_bytes })
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// What all processes of this host have spent together, and how many processors it has.
pub(super) fn host() -> Option<(Reading, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let (cpu_us, cores) = busy(&stat)?;
    Some((Reading { at: clock::now(), cpu_us, memory_bytes: None }, cores))
}

/// From `/proc/stat`: user, nice, system, interrupts and what a hypervisor took, but neither idle nor waiting for disks.
fn busy(stat: &str) -> Option<(u64, f64)> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _idle, _waiting, hard, soft, stolen, ..] = fields[..] else { return None };
    let numbered =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let cores = stat.lines().filter(numbered).count();
    Some(((user + nice + system + hard + soft + stolen) * TICK_US, cores as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells() {
        let stat =
            "cpu  100 5 50 9000 40 1 2 3 0 0\ncpu0 50 2 25 4500 20 0 1 1 0 0\ncpu1 50 3 25 4500 20 1 1 2 0 0\nintr 1\n";
        assert_eq!(busy(stat), Some((161 * TICK_US, 2.0)));
        assert_eq!(resident("Name:\tredis\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!((busy(""), resident("")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_spent_something() {
        let reading = Process { pid: std::process::id() }.read().unwrap();
        assert!(reading.memory_bytes.unwrap() > 0);
        assert!(Process { pid: u32::MAX }.read().is_none());
        assert!(host().unwrap().1 >= 1.0);
    }
}
