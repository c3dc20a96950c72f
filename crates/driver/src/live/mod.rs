//! What a sweep shows while it runs, for Prometheus: the load of the level under way, and the latencies of the messages that it
//! samples, labelled with the run. Prometheus reads it (`--prometheus-listen`), or it is sent there (`--remote-write`).
//!
//! It is for watching. Nothing of a report comes from here: reports are made from all stamps, after the level.

mod board;
mod distribution;
mod follow;
mod join;
mod page;
mod remote;
mod wire;

use anyhow::Context;
use board::Board;
use clap::Args;
use follow::Following;
use load::{Target, Totals};
use remote::Remote;
use service::Metrics;
use stamp::{LogStore, Path, RunId, Tracer};
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Debug, Clone, Args)]
pub(crate) struct LiveArgs {
    /// Serve the figures of the current level to Prometheus at `http://ADDRESS/metrics`
    #[arg(long, value_name = "ADDRESS")]
    prometheus_listen: Option<SocketAddr>,

    /// Send them every second to Prometheus remote write, for example `http://127.0.0.1:9090/api/v1/write`
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_REMOTE_WRITE",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    remote_write: Destination,
}

/// Where figures are sent; an empty text is nowhere, as environments can hardly leave a variable out.
#[derive(Debug, Clone)]
struct Destination(Option<Target>);

impl FromStr for Destination {
    type Err = <Target as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|target| Self(Some(target))) }
    }
}

/// The live figures of one sweep; none where nobody asked for them.
#[derive(Debug, Default)]
pub(crate) struct LiveFigures {
    parts: Option<Parts>,
}

#[derive(Debug)]
struct Parts {
    board: Board,
    log: LogStore,
    path: Path,
    following: Option<Following>,
    remote: Option<Remote>,
    /// Ends the server.
    _serving: DropGuard,
}

impl LiveFigures {
    /// Opens what the arguments ask for: an address that is taken is known before the load.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) async fn open(args: &LiveArgs, tracer: &Tracer, log: &LogStore, path: &Path) -> anyhow::Result<Self> {
        let Destination(remote) = &args.remote_write;
        if args.prometheus_listen.is_none() && remote.is_none() {
            return Ok(Self::default());
        }
        let metrics = Metrics::of_program("driver", env!("CARGO_PKG_VERSION"), tracer.observer());
        let board = Board::default();
        metrics.add(board.clone());
        let ended = CancellationToken::new();
        if let Some(address) = args.prometheus_listen {
            let taken = || format!("cannot listen on {address}: choose another address with --prometheus-listen");
            let listener = TcpListener::bind(address).await.with_context(taken)?;
            let (metrics, ended) = (metrics.clone(), ended.clone());
            tokio::spawn(async move { metrics.serve(listener, &ended).await });
        }
        let remote = remote.clone().map(|target| Remote::start(target, metrics, board.clone()));
        let (log, path) = (log.clone(), path.clone());
        Ok(Self { parts: Some(Parts { board, log, path, following: None, remote, _serving: ended.drop_guard() }) })
    }

    /// A level begins: `number` counts from 1.
    pub(crate) fn level_begins(&mut self, run: &RunId, number: usize, setting: &impl Display) {
        if let Some(parts) = &mut self.parts {
            parts.board.begin(run, number, setting.to_string(), &parts.path);
            parts.following = Some(Following::start(&parts.log, run, &parts.path, &parts.board));
        }
    }

    /// Whether a level is under way, so that its load is to be told.
    pub(crate) fn wants_load(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.following.is_some())
    }

    /// How the load of the level stands.
    pub(crate) fn tell(&self, load: Arc<Totals>) {
        if let Some(parts) = &self.parts {
            parts.board.tell(load);
        }
    }

    /// The level has been drained.
    pub(crate) async fn level_ends(&mut self) {
        let Some(parts) = &mut self.parts else { return };
        if let Some(following) = parts.following.take() {
            following.stop().await;
        }
        if let Some(remote) = &parts.remote {
            // Its last figures, and that it is over: each second would miss one of them.
            remote.write().await;
            parts.board.end();
            remote.write().await;
        } else {
            parts.board.end();
        }
    }

    /// The sweep is over: whoever was sent its figures is told so.
    pub(crate) async fn close(&mut self) {
        let Some(Parts { board, following, remote, .. }) = self.parts.take() else { return };
        if let Some(following) = following {
            following.stop().await;
        }
        board.end();
        if let Some(remote) = remote {
            remote.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        live: LiveArgs,
    }

    #[test]
    fn an_empty_destination_is_none() {
        let destination =
            |args: &[&str]| Line::try_parse_from([&["x"], args].concat()).map(|line| line.live.remote_write);
        assert!(destination(&["--remote-write", ""]).unwrap().0.is_none());
        let there = destination(&["--remote-write", "http://prometheus:9090/api/v1/write"]).unwrap();
        assert_eq!(there.0.unwrap().to_string(), "http://prometheus:9090/api/v1/write");
        assert!(destination(&["--remote-write", "prometheus:9090"]).is_err());
    }
}
