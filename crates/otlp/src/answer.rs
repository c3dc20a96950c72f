//! What a collector says of a request that it has taken: in protobuf or JSON, compressed or not. Pure.

use flate2::read::GzDecoder;
use load::Reply;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::Value;
use std::io::Read;

/// What is read of an answer at most, decompressed, bytes.
const LARGEST: u64 = 1 << 20;

/// The answer is none of OTLP: it says nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign;

/// What was not taken, of spans or of data points, which are told alike in protobuf.
pub(crate) fn partial_success(reply: &Reply) -> Result<Option<ExportTracePartialSuccess>, Foreign> {
    let header = |name: &str| {
        let found = reply.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map_or_else(String::new, |(_, value)| value.trim().to_ascii_lowercase())
    };
    let mut body = reply.body.clone();
    if header("content-encoding") == "gzip" && !body.is_empty() {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).take(LARGEST).read_to_end(&mut plain).map_err(|_| Foreign)?;
        body = plain;
    }
    if header("content-type").starts_with("application/json") && !body.is_empty() {
        return of_json(&serde_json::from_slice(&body).map_err(|_| Foreign)?);
    }
    Ok(ExportTraceServiceResponse::decode(&body[..]).map_err(|_| Foreign)?.partial_success)
}

/// Numbers of 64 bits are texts in the JSON of protobuf; some write them as numbers all the same.
fn of_json(answer: &Value) -> Result<Option<ExportTracePartialSuccess>, Foreign> {
    let Some(partial) = answer.as_object().ok_or(Foreign)?.get("partialSuccess").filter(|partial| !partial.is_null())
    else {
        return Ok(None);
    };
    let rejected = partial.get("rejectedSpans").or(partial.get("rejectedDataPoints"));
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    Ok(Some(ExportTracePartialSuccess {
        rejected_spans: rejected.map_or(Some(0), number).ok_or(Foreign)?,
        error_message: partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &str, body: &str) -> Result<Option<(i64, String)>, Foreign> {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let partial = partial_success(&Reply { status: 200, headers, body: body.as_bytes().to_vec() })?;
        Ok(partial.map(|partial| (partial.rejected_spans, partial.error_message)))
    }

    #[test]
    fn answers_in_json() {
        let json = |body| told("application/json", body);
        assert_eq!((json(""), json("{}"), json(r#"{"partialSuccess":null}"#)), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(json(r#"{"partialSuccess":{"errorMessage":"soon full"}}"#), Ok(Some((0, "soon full".to_owned()))));
        assert_eq!(json(r#"{"partialSuccess":{"rejectedDataPoints":"7"}}"#), Ok(Some((7, String::new()))));
        assert_eq!((json("[]"), json("hello")), (Err(Foreign), Err(Foreign)));
        assert_eq!(json(r#"{"partialSuccess":{"rejectedSpans":"many"}}"#), Err(Foreign));
    }

    #[test]
    fn answers_that_are_none() {
        assert_eq!(told("text/html", "<html>"), Err(Foreign));
        assert_eq!(told("application/x-protobuf", ""), Ok(None));
    }
}
