//! Whether the services that a sweep needs are there, and agree.

use anyhow::bail;
use stamp::{Beat, LogStore, Path, SampleEvery, Stage};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a service that has just started may take to register.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often the registry is read meanwhile.
const PERIOD: Duration = Duration::from_millis(50);

/// Refuses a pipeline where a stage is missing, or where a service samples differently.
///
/// # Errors
/// One that names the stages, or the services with their N.
pub(crate) async fn check_services(log: &LogStore, path: &Path, every: SampleEvery) -> anyhow::Result<()> {
    let complete = timeout(PATIENCE, async {
        while !missing(&log.services().await?, path).is_empty() {
            sleep(PERIOD).await;
        }
        anyhow::Ok(())
    });
    let found = complete.await;
    let beats = log.services().await?;
    if found.is_err() {
        let missing: Vec<_> = missing(&beats, path).iter().map(ToString::to_string).collect();
        bail!(
            "no service has registered for {}: is it running, with this log store? (driver services shows who is there; \
             --skip-service-check starts all the same)",
            missing.join(", ")
        );
    }
    found??;
    let different: Vec<_> = beats
        .iter()
        .filter(|beat| beat.every != every.get() && beat.stages.iter().any(|stage| path.stages().contains(stage)))
        .map(|beat| format!("{} ({}) samples 1 in {}", beat.service, beat.instance, beat.every))
        .collect();
    if !different.is_empty() {
        bail!("this sweep samples 1 in {every}, but {}: give all the same --every", different.join(", "));
    }
    Ok(())
}

/// The stages that no service stamps. The first one is the load generator's own.
fn missing<'a>(beats: &[Beat], path: &'a Path) -> Vec<&'a Stage> {
    let stamped = |stage: &Stage| beats.iter().any(|beat| beat.stages.contains(stage));
    path.stages().iter().filter(|&stage| *stage != Stage::SEND && !stamped(stage)).collect()
}
