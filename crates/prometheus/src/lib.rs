//! What an experiment shows while it runs, for Prometheus: the load of the level under way, and the latencies of the messages that it
//! samples, labelled with the run. Prometheus reads it (`--prometheus-listen`), or it is sent there (`--remote-write`).
//!
//! It is for watching. Nothing of a report comes from here: reports are made from all stamps, after the level.

mod board;
mod distribution;
mod follow;
mod latencies;
mod page;
mod remote;
mod wire;

use board::Board;
use experiment::{Event, Listener, Telling, Who};
use follow::Following;
use load::Target;
use remote::Remote;
use service::{ListenAddress, ListenError, Metrics};
use stamp::{LogStore, Path};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Shows an experiment to Prometheus.
pub struct Prometheus {
    listener: Option<TcpListener>,
    remote: Option<Target>,
    note: Note,
    running: Option<Running>,
}

/// Tells people what happens.
pub type Note = fn(&str);

/// While an experiment is under way.
struct Running {
    board: Board,
    log: LogStore,
    path: Path,
    following: Option<Following>,
    remote: Option<Remote>,
    /// Ends the server.
    _serving: DropGuard,
}

impl Prometheus {
    /// Serves the figures at `listen`, and sends them every second to `remote`; what goes wrong meanwhile is told by `note`.
    ///
    /// # Errors
    /// When the address cannot be listened on: that is known before the load.
    pub async fn open(listen: Option<ListenAddress>, remote: Option<Target>, note: Note) -> Result<Self, ListenError> {
        let listener = match listen {
            Some(address) => Some(address.bind("--prometheus-listen").await?),
            None => None,
        };
        Ok(Self { listener, remote, note, running: None })
    }

    fn begin(&mut self, path: &Path, log: &LogStore, metrics: &Metrics) {
        if self.listener.is_none() && self.remote.is_none() {
            return;
        }
        let board = Board::default();
        metrics.add(board.clone());
        let ended = CancellationToken::new();
        if let Some(listener) = self.listener.take() {
            let (metrics, ended) = (metrics.clone(), ended.clone());
            tokio::spawn(async move { metrics.serve(listener, &ended).await });
        }
        let remote = self.remote.take().map(|target| Remote::start(target, metrics.clone(), board.clone(), self.note));
        let (log, path) = (log.clone(), path.clone());
        self.running = Some(Running { board, log, path, following: None, remote, _serving: ended.drop_guard() });
    }
}

impl Listener for Prometheus {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            match event {
                Event::Begun { plan, pipeline, tracer, .. } => {
                    // Of an API that is loaded alone, nothing is traced that could be followed.
                    if let (Some(store), Some(tracer)) = (&pipeline.store, tracer) {
                        let metrics = Metrics::of_program("driver", env!("CARGO_PKG_VERSION"), tracer.observer());
                        self.begin(&plan.path, &store.log, &metrics);
                    }
                }
                Event::Ended => {
                    if let Some(running) = self.running.take() {
                        running.end().await;
                    }
                }
                event => {
                    if let Some(running) = &mut self.running {
                        running.hear(event).await;
                    }
                }
            }
        })
    }

    fn wants_totals(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.following.is_some())
    }
}

impl Running {
    async fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::LevelBegun { run, number, setting, .. } => {
                let by_step = setting.who != Who::Connections;
                self.board.begin(run, *number, setting.to_string(), &self.path, by_step);
                self.following = Some(Following::start(&self.log, run, &self.path, &self.board));
            }
            Event::Tick(live) => {
                if let Some(totals) = live.totals() {
                    self.board.tell(Arc::new(totals));
                }
            }
            Event::Drained => self.end_level().await,
            _ => {}
        }
    }

    async fn end_level(&mut self) {
        if let Some(following) = self.following.take() {
            following.stop().await;
        }
        if let Some(remote) = &mut self.remote {
            // Its last figures, and that it is over: each second would miss one of them.
            remote.write();
            self.board.end();
            remote.write();
        } else {
            self.board.end();
        }
    }

    /// The experiment is over: whoever was sent its figures is told so.
    async fn end(self) {
        if let Some(following) = self.following {
            following.stop().await;
        }
        self.board.end();
        if let Some(remote) = self.remote {
            remote.close().await;
        }
    }
}
