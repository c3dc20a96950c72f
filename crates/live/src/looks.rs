//! Follows the stamps of a run while it grows.

use stamp::{LogStore, Path, RunId, Stage, Stamp};

/// How far the stamps of a run have been read.
#[derive(Debug)]
pub struct Looks {
    log: LogStore,
    run: RunId,
    /// Each stage with the number of entries that have been read of its list.
    stages: Vec<(Stage, usize)>,
}

impl Looks {
    /// From the beginning of the run on.
    pub fn new(log: &LogStore, run: &RunId, path: &Path) -> Self {
        let stages = path.stages().iter().map(|stage| (stage.clone(), 0)).collect();
        Self { log: log.clone(), run: run.clone(), stages }
    }

    /// Reads what has come since, as much as one round trip for each stage brings: where 1 in 1 is stamped it falls behind rather than
    /// take the load's processor. `take` gets the stage, counted along the path. A log store that is away is told of by the load itself.
    pub async fn look(&mut self, mut take: impl FnMut(usize, &[Stamp])) {
        let mut stamps = Vec::new();
        for (index, (stage, read)) in self.stages.iter_mut().enumerate() {
            stamps.clear();
            let parse = |entry: &[u8]| stamps.extend(Stamp::parse(entry));
            if let Ok(taken) = self.log.entries_from(&self.run, stage, *read, parse).await {
                *read += taken;
                take(index, &stamps);
            }
        }
    }
}
