//! Looks at the pipeline once a second while a level is under way.

use crate::board::{Board, LEAST, Part};
use crate::level::Look;
use experiment::{Pipeline, Seen, Watch};
use live::Looks;
use stamp::{LogStore, Path, RunId, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// From one look to the next, where the generator tells nothing.
const PERIOD: Duration = Duration::from_secs(1);

/// Where it does, it tells once a second: a look follows at once, so that each has one second of it. Where a worker is late, so are all.
const WAITS: Duration = Duration::from_millis(1_500);

/// What does not answer within this is passed over.
const ANSWERS_WITHIN: Duration = Duration::from_millis(700);

/// A service whose last beat is older has fallen silent.
const SILENT: Duration = Duration::from_secs(3);

/// What is looked at; absent where nothing is traced.
#[derive(Debug, Default)]
pub(crate) struct Source {
    log: Option<LogStore>,
    watch: Option<Watch>,
    /// CPU time and moment of each part at the look before.
    before: BTreeMap<(String, String), (u64, Instant)>,
    instances: BTreeSet<String>,
    /// Those of them that have fallen silent.
    silent: BTreeSet<String>,
    /// Times that the log store's clock was set, so far.
    steps: Option<usize>,
}

/// Looks on until it is told to stop.
#[derive(Debug)]
pub(crate) struct Following {
    ended: CancellationToken,
    task: JoinHandle<Source>,
    /// The generator has told.
    pub(crate) told: Arc<Notify>,
}

impl Source {
    pub(crate) async fn of(pipeline: &Pipeline) -> Self {
        let log = pipeline.store.as_ref().map(|store| store.log.clone());
        let steps = match &log {
            Some(log) => log.clock_steps(0).await.ok().map(|steps| steps.len()),
            None => None,
        };
        Self { log, watch: Some(Watch::of(pipeline).await), steps, ..Self::default() }
    }

    /// Of a log store where nothing else is known.
    pub(crate) fn of_log(log: LogStore) -> Self {
        Self { log: Some(log), ..Self::default() }
    }

    async fn look(&mut self, run: &RunId, looks: Option<&mut Looks>, board: &Board) {
        let mut look = Look::default();
        if let Some(log) = &self.log {
            look.counts = timeout(ANSWERS_WITHIN, log.counts(run)).await.ok().and_then(Result::ok);
        }
        if let Some(watch) = &self.watch {
            look.backlog = timeout(ANSWERS_WITHIN, watch.queue()).await.ok().flatten();
        }
        if let Some(looks) = looks {
            let take = |stage, stamps: &[stamp::Stamp]| board.change(|inner| inner.stamps(stage, stamps));
            let _ = timeout(ANSWERS_WITHIN, looks.look(take)).await;
        }
        let parts = self.parts(board).await;
        self.clock(board).await;
        board.change(|inner| inner.second(&look, parts, clock::now()));
    }

    /// What the parts spend; notices those that have come and gone.
    async fn parts(&mut self, board: &Board) -> Option<Vec<Part>> {
        let watch = self.watch.as_mut()?;
        timeout(ANSWERS_WITHIN, watch.look_at_parts()).await.ok()?;
        let mut seen = watch.seen();
        let beats = seen.iter().filter_map(|seen| seen.beat.as_ref());
        let silent: BTreeSet<String> = beats
            .filter(|beat| Duration::from_millis(beat.age_ms) > SILENT)
            .map(|beat| format!("{} {}", beat.service, beat.instance))
            .collect();
        for service in silent.difference(&self.silent) {
            board.change(|inner| inner.mark("fault", &format!("{service} has fallen silent")));
        }
        let are_silent = !silent.is_empty();
        self.silent = silent;
        if are_silent {
            // Whoever has come in its stead has a name of its own.
            let _ = timeout(ANSWERS_WITHIN, watch.look_for_services()).await;
            seen = watch.seen();
        }
        let is_first = self.instances.is_empty();
        for beat in seen.iter().filter_map(|seen| seen.beat.as_ref()) {
            if self.instances.insert(beat.instance.clone()) && !is_first {
                board.change(|inner| inner.mark("restart", &format!("{} has started", beat.service)));
            }
        }
        let now = clock::now();
        Some(seen.iter().map(|seen| self.part(seen, now)).collect())
    }

    fn part(&mut self, seen: &Seen, now: Instant) -> Part {
        let usage = &seen.usage;
        let name = (usage.component.clone(), usage.instance.clone());
        let before = self.before.insert(name, (usage.cpu_us, now));
        let cpu_share = before.and_then(|(cpu_us, at)| {
            let lasted = now.duration_since(at).as_secs_f64();
            (lasted > 0.0 && usage.cpu_us >= cpu_us)
                .then(|| (usage.cpu_us - cpu_us) as f64 / 1e6 / lasted / usage.cores.max(f64::MIN_POSITIVE))
        });
        let beat = seen.beat.as_ref();
        Part {
            name: usage.component.clone(),
            instance: beat.map_or_else(|| usage.instance.clone(), |beat| beat.instance.clone()),
            version: beat.map(|beat| beat.version.clone()),
            cpu_share,
            memory_bytes: seen.memory_bytes,
            clock_error_us: beat.and_then(|beat| beat.clock).map(|clock| clock.error_us),
            silent_s: beat.map(|beat| beat.age_ms as f64 / 1e3),
        }
    }

    async fn clock(&mut self, board: &Board) {
        let (Some(log), Some(known)) = (&self.log, self.steps) else { return };
        let Ok(Ok(steps)) = timeout(ANSWERS_WITHIN, log.clock_steps(known)).await else { return };
        for step in &steps {
            board.change(|inner| inner.mark("clock", &format!("the clock of Redis was set by {} µs", step.size)));
        }
        self.steps = Some(known + steps.len());
    }
}

impl Following {
    pub(crate) fn start(board: &Board, mut source: Source, run: &RunId, path: Option<&Path>) -> Self {
        let (ended, told) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (board, run, stop, is_told) = (board.clone(), run.clone(), ended.clone(), told.clone());
        let mut looks = source.log.as_ref().zip(path).map(|(log, path)| Looks::new(log, &run, path));
        let task = tokio::spawn(async move {
            let (mut tells, mut looked) = (true, clock::now());
            loop {
                let within = if tells { WAITS } else { PERIOD };
                let waits = async {
                    let waited = timeout(within, is_told.notified()).await;
                    // A generator that tells late does so just after the look that has not waited for it.
                    sleep_until((looked + LEAST).into()).await;
                    waited
                };
                let Some(waited) = stop.run_until_cancelled(waits).await else { break };
                tells = waited.is_ok();
                source.look(&run, looks.as_mut(), &board).await;
                looked = clock::now();
            }
            source.look(&run, looks.as_mut(), &board).await;
            source
        });
        Self { ended, task, told }
    }

    /// Looks once more, and gives back what it looked at.
    pub(crate) async fn stop(self) -> Source {
        self.ended.cancel();
        self.task.await.unwrap_or_default()
    }
}
