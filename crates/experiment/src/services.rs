//! Whether the services that a sweep needs are there, and agree.

use stamp::{Beat, LogStore, Path, SampleEvery, Stage, StoreError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a service that has just started may take to register.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often the registry is read meanwhile.
const PERIOD: Duration = Duration::from_millis(50);

/// The services are not those that a sweep needs.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// Stages that no service stamps.
    #[error(
        "no service has registered for {0}: is it running, with this log store? (driver services shows who is there; \
         --skip-service-check starts all the same)"
    )]
    Missing(String),
    /// Services that sample differently.
    #[error("this sweep samples 1 in {every}, but {others}: give all the same --every")]
    Different {
        /// That of the sweep.
        every: SampleEvery,
        /// Theirs.
        others: String,
    },
    /// The registry cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses a pipeline where a stage is missing, or where a service samples differently.
///
/// # Errors
/// One that names the stages, or the services with their N.
pub(crate) async fn check_services(log: &LogStore, path: &Path, every: SampleEvery) -> Result<(), ServicesError> {
    let complete = timeout(PATIENCE, async {
        while !missing(&log.services().await?, path).is_empty() {
            sleep(PERIOD).await;
        }
        Ok::<_, StoreError>(())
    });
    let found = complete.await;
    let beats = log.services().await?;
    if found.is_err() {
        let missing: Vec<_> = missing(&beats, path).iter().map(ToString::to_string).collect();
        return Err(ServicesError::Missing(missing.join(", ")));
    }
    if let Ok(read) = found {
        read?;
    }
    let different: Vec<_> = beats
        .iter()
        .filter(|beat| beat.every != every.get() && beat.stages.iter().any(|stage| path.stages().contains(stage)))
        .map(|beat| format!("{} ({}) samples 1 in {}", beat.service, beat.instance, beat.every))
        .collect();
    if different.is_empty() { Ok(()) } else { Err(ServicesError::Different { every, others: different.join(", ") }) }
}

/// The stages that no service stamps. The first one is the load generator's own.
fn missing<'a>(beats: &[Beat], path: &'a Path) -> Vec<&'a Stage> {
    let stamped = |stage: &Stage| beats.iter().any(|beat| beat.stages.contains(stage));
    path.stages().iter().filter(|&stage| *stage != Stage::SEND && !stamped(stage)).collect()
}
