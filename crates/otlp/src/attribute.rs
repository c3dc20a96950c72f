//! Names and values, as OTLP writes them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub(crate) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub(crate) fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// A service that is told of.
pub(crate) fn resource(name: &str, version: &str, host: &str) -> Resource {
    let mut attributes = vec![text("service.name", name), text("service.namespace", "stampede")];
    attributes.extend((!version.is_empty()).then(|| text("service.version", version)));
    attributes.extend((!host.is_empty()).then(|| text("host.name", host)));
    Resource { attributes, ..Resource::default() }
}

/// Who tells it.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "stampede".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
