//! Listens to an experiment, and sends each level when it has been measured.

use crate::export::{Exporter, InvalidCollector, Note, OtlpOptions};
use crate::services::Services;
use analysis::{Level, Stamps};
use experiment::{Event, Listener, Telling};
use stamp::{LogStore, Stage};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long sending may go on when a signal has ended the experiment.
const GRACE: Duration = Duration::from_secs(5);

/// Sends an experiment's traces.
pub struct Otlp {
    exporter: Exporter,
    note: Note,
    stop: CancellationToken,
    /// What is run: the log store, and the path.
    of: Option<(LogStore, Vec<Stage>)>,
}

impl Otlp {
    /// Sends to this collector; with `stop`, not for long any more.
    ///
    /// # Errors
    /// When the address is none that paths can be added to.
    pub fn open(options: OtlpOptions, stop: &CancellationToken, note: Note) -> Result<Self, InvalidCollector> {
        Ok(Self { exporter: Exporter::new(options, note)?, note, stop: stop.clone(), of: None })
    }

    async fn level(&mut self, level: &Level) {
        let Some((log, path)) = self.of.as_ref().filter(|_| !level.load.untraced) else { return };
        let services = Services::of(&log.services().await.unwrap_or_default());
        let mut stamps = Stamps::from(log.clone());
        let sent = tokio::select! {
            sent = self.exporter.level(&mut stamps, level, path, &services) => sent,
            () = late(&self.stop) => {
                (self.note)("--otlp: stopped while the traces of the last level were being sent: not all were");
                self.exporter.abandon();
                Ok(())
            }
        };
        if let Err(error) = sent {
            (self.note)(&format!("--otlp: no traces of {}: {error}", level.load.run));
        }
    }
}

async fn late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

impl Listener for Otlp {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            match event {
                Event::Begun { plan, pipeline, .. } => {
                    let store = pipeline.store.as_ref();
                    self.of = store.map(|store| (store.log.clone(), plan.path.stages().to_vec()));
                }
                Event::LevelEnded { level, .. } => self.level(level).await,
                Event::Ended => (self.note)(&self.exporter.sent().to_string()),
                _ => {}
            }
        })
    }
}
