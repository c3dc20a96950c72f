//! From a message to its spans. Pure.

use crate::SCHEMA_URL;
use crate::attribute::{number, scope, text, truth};
use crate::hop::{Destinations, Hop};
use crate::identity::Identity;
use crate::services::{Service, Services};
use analysis::{Passed, TracedMessage};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use stamp::{RunId, Stage};
use std::collections::BTreeMap;

/// What the messages of one run have in common.
#[derive(Debug)]
pub(crate) struct Pattern {
    run: RunId,
    path: Vec<Stage>,
    /// Who stamps each stage.
    services: Vec<Service>,
    /// From each stage to each later one.
    hops: BTreeMap<(usize, usize), Hop>,
    whole: String,
}

/// Spans, and how many messages they are of.
pub(crate) struct Batch {
    pub(crate) messages: usize,
    pub(crate) spans: usize,
    by_service: BTreeMap<Service, Vec<Span>>,
}

impl Pattern {
    pub(crate) fn new(run: &RunId, path: &[Stage], services: &Services, destinations: &Destinations) -> Self {
        let pairs = (0..path.len()).flat_map(|from| (from + 1..path.len()).map(move |to| (from, to)));
        let whole = match path {
            [first, .., last] => format!("{first} to {last}"),
            _ => "message".to_owned(),
        };
        Self {
            run: run.clone(),
            path: path.to_vec(),
            services: path.iter().map(|stage| services.who(stage)).collect(),
            hops: pairs.map(|(from, to)| ((from, to), Hop::new(&path[from], &path[to], destinations))).collect(),
            whole,
        }
    }

    /// The spans of a message, each with the service whose it is: the whole first, and then hop by hop. None where it has no stamp on the path.
    pub(crate) fn spans(&self, message: TracedMessage<'_>) -> Vec<(Service, Span)> {
        let passed: Vec<(usize, Passed<'_>)> = message.stages().collect();
        let (Some(first), Some(last)) = (passed.first(), passed.last()) else { return Vec::new() };
        let identity = Identity::new(self.run.as_str(), message.id);
        let (trace, root) = (identity.trace(), identity.root());
        let common = || {
            let id = message.id.to_string();
            [text("messaging.message.id", id), text("stampede.run", self.run.as_str())]
        };
        let arrived = last.0 + 1 == self.path.len();
        let mut attributes: Vec<KeyValue> = common().into();
        attributes.push(truth("stampede.arrived", arrived));
        attributes.extend(message.is_torn().then(|| truth("stampede.across_clock_steps", true)));
        attributes.extend(errors(first.1, last.1));
        let mut answers: Vec<Event> = message
            .answers()
            .map(|(_, answer, passed)| Event {
                time_unix_nano: nanos(passed.us),
                name: answer.to_string(),
                attributes: clock_of(passed),
                ..Event::default()
            })
            .collect();
        answers.sort_by_key(|event| event.time_unix_nano);
        let link = message.traceparent().map(|context| Link {
            trace_id: context.trace_id().to_vec(),
            span_id: context.span_id().to_vec(),
            flags: u32::from(context.is_sampled()),
            ..Link::default()
        });
        let whole = Span {
            trace_id: trace.clone(),
            span_id: root.clone(),
            name: self.whole.clone(),
            kind: SpanKind::Internal.into(),
            attributes,
            events: answers,
            links: link.into_iter().collect(),
            status: (!arrived).then(|| Status {
                code: StatusCode::Error.into(),
                message: format!("no stamp after {}", self.path[last.0]),
            }),
            ..span(first.1, last.1)
        };
        let hops = passed.windows(2).filter_map(|pair| {
            let &[(from, begin), (to, end)] = pair else { return None };
            let hop = self.hops.get(&(from, to))?;
            let mut attributes = hop.attributes.clone();
            attributes.extend(common());
            attributes.extend(errors(begin, end));
            attributes.extend(clock_of(end));
            // OTLP knows no span that ends before it begins: what the stamps say stands beside it.
            attributes.extend((end.us < begin.us).then(|| number("stampede.duration_us", end.us - begin.us)));
            let span = Span {
                trace_id: trace.clone(),
                span_id: identity.span(self.path[to].as_str()),
                parent_span_id: root.clone(),
                name: hop.name.clone(),
                kind: hop.kind.into(),
                attributes,
                ..span(begin, end)
            };
            Some((self.services[to].clone(), span))
        });
        std::iter::once((Service::stampede(), whole)).chain(hops).collect()
    }
}

fn span(begin: Passed<'_>, end: Passed<'_>) -> Span {
    // The id is known to others: it is random enough (W3C Trace Context 2), and belongs to this trace alone.
    Span { start_time_unix_nano: nanos(begin.us), end_time_unix_nano: nanos(end.us.max(begin.us)), ..Span::default() }
}

/// The bound of the error of a difference of two stamps; none where one does not tell.
fn errors(begin: Passed<'_>, end: Passed<'_>) -> Option<KeyValue> {
    let error = i64::from(begin.error_us?) + i64::from(end.error_us?);
    Some(number("stampede.clock_error_us", error))
}

fn clock_of(passed: Passed<'_>) -> Vec<KeyValue> {
    passed.foreign.map(|clock| text("stampede.foreign_clock", clock)).into_iter().collect()
}

fn nanos(us: i64) -> u64 {
    u64::try_from(us).unwrap_or(0) * 1000
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { messages: 0, spans: 0, by_service: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, spans: Vec<(Service, Span)>) {
        self.messages += 1;
        self.spans += spans.len();
        for (service, span) in spans {
            self.by_service.entry(service).or_default().push(span);
        }
    }

    pub(crate) fn request(self) -> ExportTraceServiceRequest {
        let of_service = |(service, spans): (Service, Vec<Span>)| ResourceSpans {
            resource: Some(service.resource()),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, schema_url: SCHEMA_URL.to_owned() }],
            schema_url: SCHEMA_URL.to_owned(),
        };
        ExportTraceServiceRequest { resource_spans: self.by_service.into_iter().map(of_service).collect() }
    }
}
