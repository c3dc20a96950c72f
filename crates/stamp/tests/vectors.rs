//! The vectors of the SDKs in other languages say what this crate does (sdk/README.md).
#![allow(clippy::unwrap_used)]

#[path = "../examples/conformance/pure.rs"]
mod pure;

use serde_json::Value;
use std::path::Path;

/// The lines of a file of vectors, each with its number.
fn vectors(file: &str) -> Vec<(usize, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/conformance").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().enumerate().map(|(number, line)| (number + 1, serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn envelopes() {
    let vectors = vectors("envelopes.jsonl");
    assert!(vectors.len() > 100);
    for (number, vector) in vectors {
        let said = pure::envelope(vector["body"].as_str().unwrap()).unwrap();
        let is_error = said.get("error").is_some();
        assert_eq!(is_error, vector.get("error").is_some(), "line {number}: {said}");
        assert!(is_error || (&said["id"], &said["run"]) == (&vector["id"], &vector["run"]), "line {number}: {said}");
    }
}

#[test]
fn filters() {
    let vectors = vectors("filter.jsonl");
    assert!(vectors.len() > 10);
    for (number, vector) in vectors {
        let said = pure::filter(&vector.to_string()).unwrap();
        assert_eq!((&said["steps"], &said["answers"]), (&vector["steps"], &vector["answers"]), "line {number}");
    }
}
