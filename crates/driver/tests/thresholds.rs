//! Thresholds on real sweeps: exit codes, verdicts, and the files that they stand in.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{assert_valid, printed, report, run, told};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

fn sweep(out: &Path, options: &str) -> Output {
    run(format!("sweep --to 2 --duration 500ms --warmup 100ms --every 10 --out {} {options}", out.display()))
}

#[test]
fn a_sweep_that_holds_ends_with_0_and_its_report_has_every_file() {
    let out = tempfile::tempdir().unwrap();
    let output = sweep(out.path(), "--threshold lost==0 --threshold arrival.p50<1m@c=2 --threshold rps>0.1");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("lost==0"), "{}", told(&output));
    let report = report(out.path());
    let held: Vec<&Value> = report["thresholds"].as_array().unwrap().iter().map(|verdict| &verdict["held"]).collect();
    assert_eq!(held, [true, true, true]);
    assert_valid("report.schema.json", &report);
    let latest = out.path().join("latest");
    let written = |name: &str| fs::read_to_string(latest.join(name)).unwrap();
    // Every sampled message that arrived stands in the last line of its level's percentiles.
    for (level, name) in report["levels"].as_array().unwrap().iter().zip(["c01", "c02"]) {
        let text = written(&format!("levels/{name}.hgrm"));
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap().to_owned();
        assert_eq!(last.split_whitespace().nth(2).unwrap(), level["arrival"]["count"].to_string(), "{last}");
    }
    let log = written("report.hlog");
    for tag in ["arrival", "user", "apiserver", "mqttclient"] {
        assert_eq!(log.matches(&format!("Tag={tag},")).count(), 2, "one interval a level: {tag}");
    }
    assert!(written("summary.md").contains("| `lost==0` | held | 0 at every level |"), "{}", written("summary.md"));
}

#[test]
fn a_sweep_that_misses_a_threshold_ends_with_99() {
    let out = tempfile::tempdir().unwrap();
    let junit = out.path().join("junit.xml");
    let missed = "--threshold arrival.p50<1ns --threshold lost==0@c=7 --threshold lost==0";
    let output = sweep(out.path(), &format!("{missed} --junit {}", junit.display()));
    assert_eq!(output.status.code(), Some(99), "{}", told(&output));
    assert!(told(&output).contains("there is no level c=7: the sweep has c=1, c=2"), "{}", told(&output));
    assert!(!printed(&output).contains("threshold"), "stdout is for the levels");
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"2\"") && xml.contains("arrival.p50&lt;1ns"), "{xml}");
    assert_eq!(report(out.path())["thresholds"][0]["held"], false);
}

#[test]
fn what_was_not_accepted_is_not_measured() {
    let out = tempfile::tempdir().unwrap();
    let once = format!("sweep --duration 300ms --warmup 0s --to 1 -X GET --out {}", out.path().display());
    let output = run(format!("{once} --threshold http.p99<1ms --threshold lost==0"));
    assert_eq!(output.status.code(), Some(99), "{}", told(&output));
    assert_eq!(told(&output).matches("not measured: at c=1 no request was accepted").count(), 2, "{}", told(&output));
    let http = &report(out.path())["levels"][0]["load"]["http"];
    assert!(["mean_us", "p50_us", "p99_us", "max_us"].iter().all(|figure| http[figure].is_null()), "{http}");
    let written = |name: &str| fs::read_to_string(out.path().join("latest").join(name)).unwrap();
    let tsv = written("report.tsv");
    assert!(tsv.lines().nth(1).unwrap().starts_with("1\tn/a\tn/a\tn/a\tn/a"), "{tsv}");
    for file in ["levels/c01.hgrm", "summary.md"] {
        assert!(written(file).contains("n/a") && !written(file).contains("0.000"), "{}", written(file));
    }
    // Without a threshold it is no success either.
    let output = run(&once);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("No request was accepted"), "{}", told(&output));
}

#[test]
fn what_cannot_be_understood_or_written_ends_before_anything_is_measured() {
    let out = tempfile::tempdir().unwrap();
    let junit = format!("--threshold lost==0 --junit {}", out.path().display());
    for (options, code, remedy) in [
        ("--threshold arrival.p99<50 --threshold lost==0", 2, "write 50ms"),
        ("--threshold lots==0 --threshold lost==0", 2, "or one of lost, late"),
        ("--threshold enricher.p50<1ms --threshold lost==0", 2, "take one of apiserver, enqueue"),
        (&junit, 1, "cannot write --junit"),
    ] {
        let output = sweep(out.path(), options);
        assert_eq!(output.status.code(), Some(code), "{options}: {}", told(&output));
        assert!(told(&output).contains(remedy), "{options}: {}", told(&output));
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{options}");
    }
}
