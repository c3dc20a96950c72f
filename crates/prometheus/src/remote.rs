//! Sends the live figures to a Prometheus: what its own reading of the page would bring, and the histograms in their native form.

use super::board::Board;
use super::page::samples;
use super::wire::{STALE, Series, Value, write_request};
use crate::Note;
use load::{Exchange, ExchangeError, Target};
use service::Metrics;
use stamp::clock;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// From one write to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// How long one may take.
const WITHIN: Duration = Duration::from_secs(3);

/// What every request says of itself.
const HEADERS: [(&str, &str); 4] = [
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ("User-Agent", concat!("stampede/", env!("CARGO_PKG_VERSION"))),
];

/// Moments that wait to be written while the receiver is slow: the ends of some levels.
const WAITING: usize = 16;

/// How long the last ones may take at the end.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// The task that writes, beside the load: nobody waits for it before the end.
#[derive(Debug)]
pub(super) struct Remote {
    metrics: Metrics,
    board: Board,
    note: Note,
    moments: mpsc::Sender<Moment>,
    task: JoinHandle<()>,
    /// Whether that was told.
    has_dropped: bool,
}

/// All series at one time.
#[derive(Debug)]
struct Moment {
    time_ms: i64,
    series: BTreeMap<Labels, Value>,
}

impl Moment {
    fn of(series: BTreeMap<Labels, Value>) -> Self {
        Self { time_ms: i64::try_from(clock::unix_now().as_millis()).unwrap_or(i64::MAX), series }
    }
}

impl Remote {
    pub(super) fn start(target: Target, metrics: Metrics, board: Board, note: Note) -> Self {
        let (moments, mut waiting) = mpsc::channel(WAITING);
        let mut writer = Writer { target, note, sent: BTreeMap::new(), last_ms: 0, fails: false };
        let (shown, of) = (metrics.clone(), board.clone());
        let task = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    // What is older is sent first: a Prometheus takes no series backwards.
                    biased;
                    moment = waiting.recv() => match moment {
                        Some(moment) => writer.send(moment).await,
                        None => break,
                    },
                    _ = ticks.tick() => writer.send(Moment::of(current(&shown, &of))).await,
                }
            }
            // All series have ended.
            writer.send(Moment::of(BTreeMap::new())).await;
        });
        Self { metrics, board, note, moments, task, has_dropped: false }
    }

    /// Has the series written as they are now, beside the writes of each second.
    pub(super) fn write(&mut self) {
        let is_full = self.moments.try_send(Moment::of(current(&self.metrics, &self.board))).is_err();
        if is_full && !std::mem::replace(&mut self.has_dropped, true) {
            (self.note)("--remote-write: the receiver is too slow: ends of levels are not sent");
        }
    }

    /// Says that all series have ended.
    pub(super) async fn close(self) {
        let Self { moments, mut task, note, .. } = self;
        drop(moments);
        if timeout(LAST_WITHIN, &mut task).await.is_err() {
            task.abort();
            note("--remote-write: the receiver is too slow: the last figures are not sent");
        }
    }
}

/// Figures could not be sent.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("{target} answers {status}: {body}")]
    Refused { target: Target, status: u16, body: String },
    #[error("the figures cannot be compressed: {0}")]
    Compress(#[from] snap::Error),
}

type Labels = Vec<(String, String)>;

/// What writes, and what it has written last.
#[derive(Debug)]
struct Writer {
    target: Target,
    note: Note,
    sent: BTreeMap<Labels, Value>,
    last_ms: i64,
    /// Whether the last write failed: it is told once, not each second.
    fails: bool,
}

impl Writer {
    /// Sends all series of a moment, and the end of those that were there before.
    async fn send(&mut self, Moment { time_ms, series: now }: Moment) {
        let gone = self.sent.iter().filter(|(labels, _)| !now.contains_key(*labels));
        let ends = gone.map(|(labels, value)| {
            let value = if matches!(value, Value::Number(_)) { Value::Number(STALE) } else { Value::EndOfHistogram };
            Series { labels: labels.clone(), value }
        });
        let live = now.iter().map(|(labels, value)| Series { labels: labels.clone(), value: value.clone() });
        let series: Vec<Series> = live.chain(ends).collect();
        // One time has one value of a series.
        self.last_ms = time_ms.max(self.last_ms + 1);
        let done = self.post(&write_request(&series, self.last_ms)).await;
        match &done {
            Err(error) if !self.fails => {
                (self.note)(&format!("--remote-write: {error}; the sweep goes on, and so do attempts"));
            }
            Ok(()) if self.fails => (self.note)(&format!("--remote-write: {} takes figures again", self.target)),
            _ => {}
        }
        self.fails = done.is_err();
        self.sent = now;
    }

    async fn post(&self, request: &[u8]) -> Result<(), WriteError> {
        let body = snap::raw::Encoder::new().compress_vec(request)?;
        let reply = Exchange { method: "POST", headers: &HEADERS, body: &body }.with(&self.target, WITHIN).await?;
        if reply.is_fine() {
            return Ok(());
        }
        Err(WriteError::Refused { target: self.target.clone(), status: reply.status, body: reply.told() })
    }
}

/// All series as they are now, by their labels.
fn current(metrics: &Metrics, board: &Board) -> BTreeMap<Labels, Value> {
    // Writing to a string does not fail.
    let page = metrics.encode().unwrap_or_default();
    let numbers =
        samples(&page).into_iter().map(|sample| (labels(&sample.name, sample.labels), Value::Number(sample.value)));
    let histograms = board.histograms().into_iter().map(|(name, of_histogram, distribution)| {
        let of_histogram = of_histogram.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        (labels(&format!("{name}_seconds"), of_histogram), Value::Histogram(distribution))
    });
    numbers.chain(histograms).collect()
}

/// A series' labels in the order that the protocol asks for, with those that Prometheus gives to what it reads itself.
fn labels(name: &str, mut labels: Labels) -> Labels {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (name, value) in [("__name__", name), ("job", "driver"), ("instance", &host)] {
        labels.push((name.to_owned(), value.to_owned()));
    }
    labels.sort_unstable();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use tokio_util::sync::CancellationToken;

    /// A receiver that hands on what it is sent, decompressed, and answers once `answers`.
    async fn receiver(answers: &CancellationToken) -> (Target, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (sender, received) = mpsc::unbounded_channel();
        let answers = answers.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["content-encoding"], "snappy");
            assert_eq!(headers["x-prometheus-remote-write-version"], "0.1.0");
            let _ = sender.send(snap::raw::Decoder::new().decompress_vec(&body).unwrap());
            answers.cancelled().await;
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/write", listener.local_addr().unwrap()).parse().unwrap();
        let routes = axum::Router::new().route("/write", post(take));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (target, received)
    }

    fn contains(request: &[u8], text: &str) -> bool {
        request.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// A level that begins and ends, while the receiver may be slow.
    #[tokio::test]
    async fn series_are_sent_and_end_and_nobody_waits_for_it() {
        let answers = CancellationToken::new();
        let (target, mut received) = receiver(&answers).await;
        let (metrics, board) = (Metrics::default(), Board::default());
        metrics.add(board.clone());
        let path = "apiserver,mqttclient".parse().unwrap();
        board.begin(&"s.c01".parse().unwrap(), 1, "1 connection".to_owned(), &path, false);
        let mut remote = Remote::start(target, metrics, board, |_| ());
        (0..2).for_each(|_| remote.write());
        let request = received.recv().await.unwrap();
        remote.board.end();
        (0..2 * WAITING).for_each(|_| remote.write());
        answers.cancel();
        for part in ["stampede_sweep_level", "s.c01", "stampede_arrival_latency_seconds_bucket", "driver"] {
            assert!(contains(&request, part), "{part}");
        }
        assert!(!request.windows(8).any(|window| window == STALE.to_bits().to_le_bytes()));
        remote.close().await;
        let mut more = Vec::new();
        while let Ok(request) = received.try_recv() {
            more.push(request);
        }
        assert!(more.len() < 2 * WAITING, "{} moments have waited", more.len());
        let ends =
            |request: &Vec<u8>| request.windows(8).filter(|window| *window == STALE.to_bits().to_le_bytes()).count();
        let ends: usize = more.iter().map(ends).sum();
        assert!(ends > 10, "{ends}");
    }

    #[test]
    fn labels_are_sorted() {
        let names: Vec<_> =
            labels("up", vec![("le".to_owned(), "1".to_owned())]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["__name__", "instance", "job", "le"]);
    }
}
