//! What comes by HTTP, from the queue and by MQTT is read as an envelope. Whatever the bytes: what is read is valid, is what
//! serde_json finds under these names, and is read alike a second time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stamp::{Envelope, MsgId, RunId};

const NAMES: [&str; 4] = ["id", "MsgID", "msgid", "msg_id"];

fuzz_target!(|bytes: &[u8]| {
    let read = Envelope::read(bytes);
    match (&read, Envelope::read(bytes)) {
        (Ok(one), Ok(other)) => assert_eq!(*one, other),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        (one, other) => panic!("read as {one:?} and then as {other:?}"),
    }
    let Ok(envelope) = read else { return };
    assert!(envelope.id.get() <= MsgId::MAX);
    assert!(RunId::check(envelope.run()).is_ok());
    // serde_json refuses what the envelope need not look into: deep nesting, and numbers beyond an f64.
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let ids: Vec<_> = NAMES.iter().filter_map(|name| json.get(name)).collect();
    assert_eq!(ids, [&serde_json::Value::from(envelope.id.get())]);
    assert_eq!(json.get("run").map_or(RunId::ADHOC, |run| run.as_str().unwrap()), envelope.run());
});
