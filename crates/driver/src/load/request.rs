//! The requests: everything that does not change is prepared once.

use crate::load::Target;
use stamp::{MsgId, RunId};

/// A POST whose body carries a fresh id each time.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Up to the value of Content-Length.
    head: Vec<u8>,
    /// The body before and after the id.
    body: [Vec<u8>; 2],
}

impl Template {
    /// Requests to `target` of the given run, with `payload_bytes` bytes of user data in each body.
    pub(crate) fn new(target: &Target, run: &RunId, payload_bytes: usize) -> Self {
        let path = target.path().unwrap_or("/adapter2/poweron/44300");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: stampede/{}\r\nContent-Type: application/json\r\nContent-Length: ",
            target.authority(),
            env!("CARGO_PKG_VERSION"),
        );
        let tail = format!(",\"run\":\"{run}\",\"data\":\"{}\"}}", "x".repeat(payload_bytes));
        Self { head: head.into_bytes(), body: [b"{\"id\":".to_vec(), tail.into_bytes()] }
    }

    /// Writes the request with this id over what `buffer` held.
    pub(crate) fn write(&self, id: MsgId, buffer: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        let id = digits.format(id.get()).as_bytes();
        let [before, after] = &self.body;
        buffer.clear();
        buffer.extend_from_slice(&self.head);
        buffer.extend_from_slice(itoa::Buffer::new().format(before.len() + id.len() + after.len()).as_bytes());
        buffer.extend_from_slice(b"\r\n\r\n");
        buffer.extend_from_slice(before);
        buffer.extend_from_slice(id);
        buffer.extend_from_slice(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_on_the_wire() {
        let template = Template::new(&"http://localhost:8080".parse().unwrap(), &"r.c05".parse().unwrap(), 4);
        let mut buffer = b"what was there before".to_vec();
        template.write(MsgId::new(12000).unwrap(), &mut buffer);
        insta::assert_snapshot!(String::from_utf8(buffer).unwrap().replace("\r\n", "\n"), @r#"
        POST /adapter2/poweron/44300 HTTP/1.1
        Host: localhost:8080
        User-Agent: stampede/0.1.0
        Content-Type: application/json
        Content-Length: 40

        {"id":12000,"run":"r.c05","data":"xxxx"}
        "#);
    }
}
