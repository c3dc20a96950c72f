//! What a process tells about itself once a second.

use super::TracerOptions;
use super::books::Name;
use crate::clock::{self, ClockState};
use crate::process;
use crate::registry::{Beat, BeatClock};

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
        cpu_us: process::cpu_time().and_then(|time| u64::try_from(time.as_micros()).ok()),
        memory_bytes: process::memory_bytes(),
        cores: std::thread::available_parallelism().ok().and_then(|cores| u32::try_from(cores.get()).ok()),
        loads: options.loads.clone(),
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
