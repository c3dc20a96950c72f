//! Sweeps of variants of the pipeline, set side by side.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{run, told};
use std::fs;
use std::path::Path;

/// Sweeps briefly with a queue of this kind and returns where the report is.
fn sweep(out: &Path, queue: &str) -> String {
    let out = out.join(queue);
    let output = run(format!(
        "sweep --levels 3,1,3 --duration 300ms --warmup 100ms --out {} \
         --apiserver-args '--queue {queue}' --pushserver-args '--queue {queue}'",
        out.display()
    ));
    assert!(output.status.success(), "{}", told(&output));
    out.join("latest").to_str().unwrap().to_owned()
}

#[test]
fn a_list_and_a_stream_side_by_side() {
    let out = tempfile::tempdir().unwrap();
    let reports = ["list", "stream"].map(|queue| sweep(out.path(), queue));
    let folder = out.path().join("compared");
    let output = run(format!("compare {} {} --label list stream --out {}", reports[0], reports[1], folder.display()));
    assert!(output.status.success(), "{}", told(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("pushserver_args of stream: --queue stream"), "{table}");
    let tsv = fs::read_to_string(folder.join("compare.tsv")).unwrap();
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let lost = tsv.lines().next().map(cells).unwrap().iter().position(|name| name == "lost").unwrap();
    let rows: Vec<Vec<String>> = tsv.lines().skip(1).map(cells).collect();
    // Concurrency, series, repetitions, lost.
    let found: Vec<String> = rows.iter().map(|row| [&row[..3], &row[lost..=lost]].concat().join(" ")).collect();
    assert_eq!(found, ["1 list 1 0", "1 stream 1 0", "3 list 1 0", "3 stream 1 0"]);
    assert!(fs::read(folder.join("compare.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(fs::read_to_string(folder.join("compare.svg")).unwrap().starts_with("<svg"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("compare.json")).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    let changes = json["changes"].as_array().unwrap();
    let positions: Vec<f64> = changes.iter().filter_map(|change| change["position"].as_f64()).collect();
    assert_eq!(positions, [1.0, 3.0]);
    assert!(
        changes.iter().all(|change| change["series"] == "stream" && change["figures"][0]["from"].as_f64() > Some(0.0))
    );
}

#[test]
fn what_is_neither_here_nor_in_the_log_store_is_told() {
    let output = run("compare nothing latest --redis redis://127.0.0.1:1");
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    let expected =
        "error: nothing is no folder and no file here, and cannot be had from the log store either: redis at";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_folder_without_a_report_is_named() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let output = run(format!("compare {folder} {folder}"));
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert!(told.starts_with(&format!("error: {folder} is no report: it has no report.json")), "{told}");
}
