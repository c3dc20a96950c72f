//! The map from the spans of traced services to the stages of a path (`driver otlp-receive --map FILE`).

use std::collections::BTreeMap;

/// What becomes of spans: the first rule of each stage that fits one makes a stamp of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanMap {
    /// The run that messages belong to.
    pub run: RunOf,
    /// What tells messages apart, unless a rule says otherwise.
    pub id: IdOf,
    /// The attributes of a resource that tell its clock, most important first; each host has one.
    pub clock: Vec<String>,
    /// All rules, in the order of the file.
    pub rules: Vec<SpanRule>,
}

/// Which run messages belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOf {
    /// All to this one.
    Named(stamp::RunId),
    /// The one that this attribute of the span, or of its resource, names; `adhoc` where it has none.
    Attribute(String),
}

/// Where a message's id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdOf {
    /// This attribute: a whole number, or the digits of one.
    Attribute(String),
    /// A hash of this attribute, whatever it is.
    Hash(String),
    /// A hash of the trace's id: for messages whose trace goes with them all the way.
    TraceId,
}

/// Which spans are a message's passing of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRule {
    /// The stage.
    pub stage: stamp::Stage,
    /// The span's name; `*` stands for anything.
    pub span: Option<String>,
    /// The service's name (`service.name` of the resource).
    pub service: Option<String>,
    /// Attributes of the span, or of its resource, that it must have.
    pub attributes: BTreeMap<String, String>,
    /// Which of its times is the message's.
    pub at: SpanTime,
    /// Where the id comes from; absent: as everywhere.
    pub id: Option<IdOf>,
}

/// A time of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanTime {
    /// When it begins.
    #[default]
    Start,
    /// When it ends.
    End,
}

impl SpanMap {
    /// The attributes that tell a clock unless the file says otherwise: a host has one, whatever runs on it.
    pub const CLOCK: [&str; 5] = ["k8s.node.name", "host.id", "host.name", "service.instance.id", "service.name"];

    /// The stages that are stamped, each once.
    pub fn stages(&self) -> Vec<stamp::Stage> {
        let mut stages: Vec<stamp::Stage> = self.rules.iter().map(|rule| rule.stage.clone()).collect();
        stages.sort();
        stages.dedup();
        stages
    }
}
