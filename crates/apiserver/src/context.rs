//! The context of somebody else's trace: from the header of a request into the message, so that it survives the queue.

use axum::http::HeaderMap;
use bytes::{BufMut, Bytes, BytesMut};
use stamp::Traceparent;

/// What the header says; nothing where there is none, or more than one, or what is none.
pub(crate) fn of(headers: &HeaderMap) -> Option<Traceparent> {
    let mut values = headers.get_all(Traceparent::NAME).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()?.parse().ok()
}

/// The message with this context as its first field. The body is the JSON object of an envelope: it has a field already.
pub(crate) fn carried(body: &Bytes, context: Traceparent) -> Bytes {
    let Some(begin) = body.iter().position(|&byte| byte == b'{') else { return body.clone() };
    let (before, after) = body.split_at(begin + 1);
    let mut carried = BytesMut::with_capacity(body.len() + 80);
    carried.put_slice(before);
    carried.put_slice(format!(r#""{}":"{context}","#, Traceparent::NAME).as_bytes());
    carried.put_slice(after);
    carried.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::Envelope;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_message_keeps_all_else() {
        for body in [r#"{"id":7,"a":{"b":[1]}}"#, " {\n\"x\":\"{\",\"id\":7 } "] {
            let carried = carried(&Bytes::from(body), TEXT.parse().unwrap());
            let mut before: serde_json::Value = serde_json::from_str(body).unwrap();
            before["traceparent"] = TEXT.into();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&carried).unwrap(), before);
            assert_eq!(Envelope::read(&carried).unwrap().traceparent().unwrap().as_str(), TEXT);
        }
    }

    #[test]
    fn a_header_counts_where_it_is_one_and_sound() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(Traceparent::NAME, value.parse().unwrap());
            }
            of(&headers).map(|context| context.to_string())
        };
        assert_eq!(headers(&[TEXT]).as_deref(), Some(TEXT));
        for other in [&[][..], &["x"], &[TEXT, TEXT]] {
            assert_eq!(headers(other), None);
        }
    }
}
