//! What a process tells about itself once a second.

use super::TracerOptions;
use super::books::Name;
use crate::clock::{self, ClockState};
use crate::registry::{Beat, BeatClock};
use std::fs;

/// Linux counts CPU time in hundredths of a second wherever it shows it to programs (`USER_HZ`).
const US_PER_TICK: u64 = 10_000;

/// The present beat of this process.
pub(super) fn beat(options: &TracerOptions, names: &[Name], clock: Option<&ClockState>) -> Beat {
    let stages = names.iter().filter(|name| name.is_stage).filter_map(|name| name.text.parse().ok());
    Beat {
        service: options.service.clone(),
        instance: options.instance.clone(),
        version: options.version.clone(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        every: options.every.get(),
        stages: stages.collect(),
        clock: clock.map(beat_clock),
        cpu_us: cpu_us(),
        memory_bytes: memory_bytes(),
        age_ms: 0,
    }
}

fn beat_clock(state: &ClockState) -> BeatClock {
    let redis = state.at(clock::now());
    let host_us = i64::try_from(clock::unix_now().as_micros()).unwrap_or(i64::MAX);
    BeatClock {
        error_us: redis.error_us,
        host_offset_us: host_us - redis.us,
        drift_ppm: state.line.drift * 1e6,
        steps: state.steps,
    }
}

/// CPU time of all threads of this process, µs.
fn cpu_us() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name, may hold spaces and brackets; the fields after it count from the third.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * US_PER_TICK)
}

/// Resident memory of this process, bytes.
fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
