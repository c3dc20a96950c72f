//! From spans to stamps, and what is told of those that are none.

use super::matching::{Found, Origin, find};
use super::seen::Seen;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use plan::SpanMap;
use service::{Counter, Metrics};
use stamp::{Stage, StageHandle, Tracer};
use std::collections::HashMap;
use std::sync::Arc;
use tracing::warn;

/// What stamps spans.
pub(super) struct Stamper {
    map: SpanMap,
    tracer: Tracer,
    handles: HashMap<Stage, StageHandle>,
    clocks: HashMap<String, Arc<str>>,
    seen: Seen,
    unusable: u64,
    stamped_spans: Counter,
    other_spans: Counter,
    unusable_spans: Counter,
    repeated_spans: Counter,
}

/// Stamps that may wait for the log store before requests are refused: half of what the tracer keeps, as a request may bring many.
const MOST_WAITING: usize = 1 << 16;

/// Clocks that are remembered: more hosts than that are no pipeline, but somebody who makes names up.
const MOST_CLOCKS: usize = 10_000;

impl Stamper {
    pub(super) fn new(map: SpanMap, tracer: &Tracer, metrics: &Metrics) -> Self {
        let handles = map.stages().into_iter().map(|stage| (stage.clone(), tracer.stage(&stage))).collect();
        Self {
            map,
            tracer: tracer.clone(),
            handles,
            clocks: HashMap::new(),
            seen: Seen::default(),
            unusable: 0,
            stamped_spans: metrics.counter("spans_matched", "Spans that are a stage of a message"),
            other_spans: metrics.counter("spans_unmatched", "Spans that no rule of the map fits"),
            unusable_spans: metrics
                .counter("spans_unusable", "Spans that a rule fits, without a usable id, run or time"),
            repeated_spans: metrics.counter("spans_repeated", "Spans that had come before"),
        }
    }

    /// Whether stamps can wait: where the log store is away for long, exporters keep their spans better than anybody here.
    pub(super) fn has_room(&self) -> bool {
        self.tracer.observer().figures().stamps_waiting < MOST_WAITING
    }

    /// Stamps all spans of a request, and says which could not be.
    pub(super) fn take(&mut self, request: &ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        let (mut rejected, mut why) = (0, String::new());
        for of_resource in &request.resource_spans {
            let attributes = of_resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let origin = Origin::new(&self.map, attributes);
            let clock = self.clock(&origin.clock);
            for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let stages = find(&self.map, &origin, span);
                let counter = if stages.is_empty() {
                    &self.other_spans
                } else if self.seen.add(&span.trace_id, &span.span_id) {
                    match self.stamp(stages, &clock) {
                        Ok(()) => &self.stamped_spans,
                        Err(fault) => {
                            self.unusable += 1;
                            if self.unusable.is_power_of_two() {
                                warn!("a span of {clock} is no stage ({} so far): {fault}", self.unusable);
                            }
                            (rejected, why) = (rejected + 1, fault);
                            &self.unusable_spans
                        }
                    }
                } else {
                    &self.repeated_spans
                };
                counter.inc();
            }
        }
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: why };
        ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }
    }

    /// Stamps one span's stages, or says why not all.
    fn stamp(&self, stages: Vec<Result<Found<'_>, String>>, clock: &Arc<str>) -> Result<(), String> {
        for found in stages {
            let Found { stage, id, run, event_us } = found?;
            if let Some(&handle) = self.handles.get(stage) {
                self.tracer.run(run.as_str()).stamp_foreign(handle, id, event_us, clock);
            }
        }
        Ok(())
    }

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
