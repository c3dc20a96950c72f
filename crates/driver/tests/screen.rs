//! What a user sees at the end of a sweep, and what nobody is to see.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{driver, printed, report, told};
use serde_json::json;

/// The end of a first sweep, as its user sees it.
#[test]
fn a_sweep_ends_with_its_verdict_and_the_page() {
    let out = tempfile::tempdir().unwrap();
    let run = |options: &str| {
        let fixed = format!("sweep --to 1 -d 1s --warmup 0s --out {}", out.path().display());
        let output = driver(format!("{fixed} {options}")).env_remove("RUST_LOG").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (printed(&output), told(&output))
    };
    let (table, told) = run("--every 2000");
    assert_eq!(table.lines().count(), 2, "a script reads a heading and a row: {table}");
    let lines: Vec<&str> = told.lines().collect();
    let [.., hint, page] = lines[..] else { panic!("{told}") };
    assert!(hint.starts_with("p99 is n/a at 1 of 1 level:") && hint.contains("--every "), "{told}");
    let page = page.strip_prefix("report: ").unwrap_or_else(|| panic!("{told}"));
    assert!(page.ends_with("/report.html") && std::fs::metadata(page).unwrap().is_file(), "{told}");
    assert!(told.contains("Latencies below zero beyond the clocks' error: 0 of "), "{told}");
    assert!(!told.contains("stamps of"), "{told}");
    let (_, told) = run("--every auto -v");
    assert!(told.contains("stamps of"), "{told}");
    let report = report(out.path());
    assert_eq!((&report["every"], &report["settings"]["every"]), (&json!(10), &json!("10")));
}

#[test]
fn secrets_show_nowhere() {
    let out = tempfile::tempdir().unwrap();
    let remote = "http://me:s3cr%20et@127.0.0.1:1/write?token=s3cret";
    let secrets = format!("-H 'X-Api-Key: s3cret' --http-path /x?sig=s3cret --remote-write {remote}");
    let sweep = format!("sweep --to 1 -d 300ms --warmup 0s --out {} {secrets}", out.path().display());
    let output = driver(sweep).env_remove("RUST_LOG").output().unwrap();
    let mut shown = vec![("terminal".to_owned(), [output.stdout, output.stderr].concat())];
    let latest = out.path().join("latest");
    for entry in std::fs::read_dir(&latest).unwrap().flatten() {
        if entry.path().is_file() {
            shown.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
        }
    }
    assert!(shown.len() > 10, "{shown:?}");
    for (place, bytes) in shown {
        for secret in [b"s3cret".as_slice(), b"s3cr%20et", b"s3cr et"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret shows in {place}");
        }
    }
    for (variable, value) in
        [("STAMPEDE_REDIS", "redis://:hun#ter2@127.0.0.1:6379"), ("STAMPEDE_REMOTE_WRITE", "http://me:hun#ter2@h/x")]
    {
        let output = driver("sweep").env(variable, value).output().unwrap();
        let told = told(&output);
        assert!(output.status.code() == Some(2) && !told.contains("ter2") && !told.contains("hun"), "{told}");
    }
}
