//! What lies in the log store is read as stamps. A stamp that was read, written down again as docs/protocol.md has it, reads as
//! the same stamp.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use stamp::Stamp;

fuzz_target!(|bytes: &[u8]| {
    let Ok(stamp) = Stamp::parse(bytes) else { return };
    // Differences of such times cannot overflow.
    assert!(stamp.event_us() >= 0);
    let time = format!("{}.{:06}", stamp.time_us / 1_000_000, stamp.time_us % 1_000_000);
    let mut entry = json!({"id": stamp.id, "time": time, "step": stamp.step});
    if let Some(lag) = stamp.lag_us {
        entry["lag"] = lag.into();
    }
    if let Some(err) = stamp.err_us {
        entry["err"] = err.into();
    }
    assert_eq!(Stamp::parse(entry.to_string().as_bytes()).unwrap(), stamp);
});
