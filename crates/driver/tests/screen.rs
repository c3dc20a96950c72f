//! What a user sees at the end of a sweep, and what nobody is to see.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// The end of a first sweep, as its user sees it.
#[test]
fn a_sweep_ends_with_its_verdict_and_the_page() {
    let out = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let args = ["sweep", "--to", "1", "-d", "1s", "--warmup", "0s", "--out", out.path().to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_driver")).args(args).args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (table, told) = run(&["--every", "2000"]);
    assert_eq!(table.lines().count(), 2, "a script reads a heading and a row: {table}");
    let lines: Vec<&str> = told.lines().collect();
    let [.., hint, page] = lines[..] else { panic!("{told}") };
    assert!(hint.starts_with("p99 is n/a at 1 of 1 levels") && hint.contains("--every "), "{told}");
    let page = page.strip_prefix("report: ").unwrap_or_else(|| panic!("{told}"));
    assert!(page.ends_with("/report.html") && std::fs::metadata(page).unwrap().is_file(), "{told}");
    assert!(told.contains("Latencies below zero beyond the clocks' error: 0 of "), "{told}");
    assert!(!told.contains("stamps of"), "{told}");
    let (_, told) = run(&["--every", "auto", "-v"]);
    assert!(told.contains("stamps of"), "{told}");
    let report = std::fs::read(out.path().join("latest/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["every"], &report["settings"]["every"]), (&serde_json::json!(10), &serde_json::json!("10")));
}

#[test]
fn secrets_show_nowhere() {
    let out = tempfile::tempdir().unwrap();
    let remote = "http://me:s3cr%20et@127.0.0.1:1/write?token=s3cret";
    let output = Command::new(env!("CARGO_BIN_EXE_driver"))
        .args([
            "sweep",
            "--to",
            "1",
            "-d",
            "300ms",
            "--warmup",
            "0s",
            "-H",
            "X-Api-Key: s3cret",
            "--http-path",
            "/x?sig=s3cret",
        ])
        .args(["--remote-write", remote, "--out", out.path().to_str().unwrap()])
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let mut shown = vec![("terminal".to_owned(), told)];
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
        let output = Command::new(env!("CARGO_BIN_EXE_driver")).arg("sweep").env(variable, value).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && !told.contains("ter2") && !told.contains("hun"), "{told}");
    }
}
