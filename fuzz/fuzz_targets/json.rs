//! JSON from anybody: a walk to one value finds what the whole document in memory holds. The first line is the path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use load::JsonPath;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
    let (path, json) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 1..]);
    let Some(walk) = JsonPath::parse(&path) else { return };
    let found = walk.find(json);
    // A document in memory is bounded in its depth and in its numbers, which a walk passes over.
    let Ok(whole) = serde_json::from_slice::<Value>(json) else { return };
    let mut value = Some(&whole);
    for part in path[1..].split_inclusive(['.', '[', ']']).map(|part| part.trim_end_matches(['.', '['])) {
        value = match part.strip_suffix(']') {
            Some(index) => value.and_then(|value| value.as_array()?.get(index.parse::<usize>().ok()?)),
            None if part.is_empty() => value,
            None => value.and_then(|value| value.as_object()?.get(part)),
        };
    }
    let found = found.expect("it is JSON").map(|text| serde_json::from_str::<Value>(text).expect("a part of JSON"));
    assert_eq!(found.as_ref(), value, "{path}");
});
