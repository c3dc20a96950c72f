//! From spans to stamps, and what is told of those that are none.

use super::matching::{Found, Origin, find};
use super::seen::Seen;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use plan::SpanMap;
use service::{Counter, Metrics};
use stamp::{Observer, Stage, StageHandle, Tracer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tracing::warn;

/// Makes stamps of spans, a piece at a time: whoever has stamped one lets the tracer write.
pub(super) struct Stamper {
    map: SpanMap,
    tracer: Tracer,
    observer: Observer,
    handles: HashMap<Stage, StageHandle>,
    /// Spans that are taken between two looks at the room that is left.
    piece: usize,
    books: Mutex<Books>,
    stamped_spans: Counter,
    other_spans: Counter,
    unusable_spans: Counter,
    repeated_spans: Counter,
}

/// What is known of the spans so far.
#[derive(Debug, Default)]
struct Books {
    clocks: HashMap<String, Arc<str>>,
    seen: Seen,
    unusable: u64,
}

/// Why a request was not taken, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untaken {
    /// The log store takes nothing, and no more stamps can wait. What was taken of the request before is known when it is sent again.
    NoRoom,
    /// It has more spans than can be told from those of a request that is sent again.
    TooMany,
}

/// Stamps that may wait for the log store, and that many again that are on their way there: all that the tracer keeps.
const MOST_WAITING: usize = 1 << 16;

/// Stamps that one piece makes at most.
const PIECE: usize = 1 << 13;

/// How long the log store may take nothing until a request is given up.
const STILL_WITHIN: Duration = Duration::from_secs(2);

/// Clocks that are remembered: more hosts than that are no pipeline, but somebody who makes names up.
const MOST_CLOCKS: usize = 10_000;

/// The spans of one request that could not be stamped.
#[derive(Debug, Default)]
struct Rejected {
    spans: i64,
    why: String,
}

impl Stamper {
    pub(super) fn new(map: SpanMap, tracer: &Tracer, metrics: &Metrics) -> Self {
        let stages = map.stages();
        let piece = (PIECE / stages.len().max(1)).max(1);
        let handles = stages.into_iter().map(|stage| (stage.clone(), tracer.stage(&stage))).collect();
        Self {
            map,
            tracer: tracer.clone(),
            observer: tracer.observer(),
            handles,
            piece,
            books: Mutex::default(),
            stamped_spans: metrics.counter("spans_matched", "Spans that are a stage of a message"),
            other_spans: metrics.counter("spans_unmatched", "Spans that no rule of the map fits"),
            unusable_spans: metrics
                .counter("spans_unusable", "Spans that a rule fits, without a usable id, run or time"),
            repeated_spans: metrics.counter("spans_repeated", "Spans that had come before"),
        }
    }

    /// Stamps all spans of a request, as fast as the log store takes the stamps, and says which could not be.
    pub(super) async fn take(
        &self,
        request: &ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Untaken> {
        let scopes = request.resource_spans.iter().flat_map(|of_resource| &of_resource.scope_spans);
        if scopes.map(|scope| scope.spans.len()).sum::<usize>() > Seen::MOST_OF_ONE {
            return Err(Untaken::TooMany);
        }
        let mut rejected = Rejected::default();
        for of_resource in &request.resource_spans {
            let attributes = of_resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let origin = Origin::new(&self.map, attributes);
            for piece in of_resource.scope_spans.iter().flat_map(|scope| scope.spans.chunks(self.piece)) {
                self.room().await?;
                self.stamp_all(piece, &origin, &mut rejected);
                // A turn for whoever shares the thread.
                tokio::task::yield_now().await;
            }
        }
        let Rejected { spans, why } = rejected;
        let partial = ExportTracePartialSuccess { rejected_spans: spans, error_message: why };
        Ok(ExportTraceServiceResponse { partial_success: (spans > 0).then_some(partial) })
    }

    /// Waits until the stamps of a piece can wait, for as long as the log store takes any: where it is away, exporters keep their spans better than anybody
    /// here.
    async fn room(&self) -> Result<(), Untaken> {
        let has_room = || self.observer.stamps_waiting() + PIECE <= MOST_WAITING;
        while !has_room() {
            let written = self.observer.stamps_written();
            let mut connections = self.observer.connections();
            let flushed = async {
                // The sender lives as long as the observer: there is no error.
                let _ = connections.wait_for(|connected| *connected).await;
                self.tracer.flush().await;
            };
            let is_still = timeout(STILL_WITHIN, flushed).await.is_err();
            if is_still && !has_room() && self.observer.stamps_written() == written {
                return Err(Untaken::NoRoom);
            }
        }
        Ok(())
    }

    fn stamp_all(&self, spans: &[Span], origin: &Origin<'_>, rejected: &mut Rejected) {
        let mut books = self.books();
        let clock = books.clock(&origin.clock);
        for span in spans {
            let stages: Result<Vec<Found<'_>>, String> = find(&self.map, origin, span).into_iter().collect();
            let counter = match stages {
                Ok(stages) if stages.is_empty() => &self.other_spans,
                Ok(stages) if books.seen.add(span) => {
                    self.stamp(stages, &clock);
                    &self.stamped_spans
                }
                Ok(_) => &self.repeated_spans,
                Err(fault) => {
                    books.unusable += 1;
                    if books.unusable.is_power_of_two() {
                        warn!("a span of {clock} is no stage ({} so far): {fault}", books.unusable);
                    }
                    rejected.spans += 1;
                    rejected.why = fault;
                    &self.unusable_spans
                }
            };
            counter.inc();
        }
    }

    fn stamp(&self, stages: Vec<Found<'_>>, clock: &Arc<str>) {
        for Found { stage, id, run, event_us } in stages {
            if let Some(&handle) = self.handles.get(stage) {
                self.tracer.run(run.as_str()).stamp_foreign(handle, id, event_us, clock);
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn clock(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.clocks.get(name) {
            return known.clone();
        }
        let clock: Arc<str> = name.into();
        if self.clocks.len() < MOST_CLOCKS {
            self.clocks.insert(name.to_owned(), clock.clone());
        }
        clock
    }
}
