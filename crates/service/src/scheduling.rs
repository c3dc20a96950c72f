//! How the operating system schedules a service's thread.

/// Asks for `SCHED_BATCH`: the thread gets the processor as soon as one is idle, as before, but does not take it from another
/// thread in the middle of its work. Under load, what wakes it then brings several messages instead of one, and fewer switches
/// between processes are paid for. Threads that are started later inherit it.
pub(crate) fn prefer_batches() {
    #[cfg(target_os = "linux")]
    linux::prefer_batches();
}

#[cfg(target_os = "linux")]
mod linux {
    use thread_priority::unix::{NormalThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id};
    use thread_priority::{ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy};

    pub(super) fn prefer_batches() {
        let nice = rustix::process::getpriority_process(None).unwrap_or(0);
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        let set = priority(nice).map(|priority| set_thread_priority_and_policy(thread_native_id(), priority, policy));
        if !matches!(set, Some(Ok(()))) {
            tracing::debug!("the scheduling policy stays as it is: {set:?}");
        }
    }

    /// The crate sets the niceness too, and maps its own scale of 0 to 99 on it. This is the value that leaves it as it is: 40
    /// steps of niceness from 19 down to -20 lie on that scale, and the middle of a step is not rounded to its neighbour.
    fn priority(nice: i32) -> Option<ThreadPriority> {
        let tenths = 10 * (nice + 20) + 5;
        let value = (99 * (390 - tenths) + 195) / 390;
        let value = ThreadPriorityValue::try_from(u8::try_from(value.clamp(0, 99)).ok()?).ok()?;
        Some(ThreadPriority::Crossplatform(value))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_niceness_stays_what_it_is() {
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
            for nice in -19..=19 {
                assert_eq!(priority(nice).unwrap().to_posix(policy).unwrap(), nice);
            }
        }
    }
}
